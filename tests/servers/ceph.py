"""Ceph's object gateway on loopback sockets: one monitor, one store in memory, one gateway. A real service with S3.

Debian has it: ``apt-get install --no-install-recommends ceph-mon ceph-osd radosgw``.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
START_SECONDS = 120
KEY, SECRET = "test-access", "test-secret"
_CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{monitor}]
public addr = 127.0.0.1
keyring = {folder}/keyring
run dir = {folder}
log file = {folder}/$name.log
admin socket =
pid file =
crash dir = {folder}
mon data = {folder}/mon
mon data avail crit = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
ms bind msgr2 = false
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw enable usage log = false
rgw gc max objs = 1
rgw thread pool size = 16
"""


def missing_programs() -> list[str]:
    """The programs of Ceph that are not on this machine."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """Start a cluster in an empty folder, and yield the URL of its gateway."""
    conf, port, fsid = folder / "ceph.conf", free_port(), str(uuid.uuid4())
    conf.write_text(_CONFIGURATION.format(fsid=fsid, monitor=(monitor := free_port()), gateway=port, folder=folder))
    daemons: list[subprocess.Popen[bytes]] = []

    def say(program: str, *words: object) -> None:
        command = [program, *map(str, words)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=START_SECONDS)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def start(program: str, *words: str) -> None:
        with open(folder / f"{program}.out", "wb") as out:
            command = [program, "-c", str(conf), "-f", *words]
            daemons.append(subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT))

    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    _make_keys(say)
    say("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{monitor}]", "monmap")
    say("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
    try:
        start("ceph-mon", "-i", "a")
        own = str(uuid.uuid4())
        say("ceph", "-c", conf, "--connect-timeout", 60, "osd", "new", own)
        say("ceph-osd", "-c", conf, "-i", 0, "--mkfs", "--osd-uuid", own)
        start("ceph-osd", "-i", "0")
        start("radosgw", "-n", "client.admin")
        names = ("--uid", "test", "--display-name", "test", "--access-key", KEY, "--secret-key", SECRET)
        say("radosgw-admin", "-c", conf, "user", "create", *names)
        _wait_for(port, daemons)
        yield f"http://127.0.0.1:{port}"
    finally:
        for daemon in reversed(daemons):
            daemon.kill()  # nothing of it is kept
            daemon.wait()


def _make_keys(say: object) -> None:
    assert callable(say)
    everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
    say("ceph-authtool", "--create-keyring", "keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for name in ("client.admin", "osd.0"):
        say("ceph-authtool", "keyring", "--gen-key", "-n", name, *everything)


def _wait_for(port: int, daemons: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the gateway listens."""
    end = time.monotonic() + START_SECONDS
    while True:
        for daemon in daemons:
            assert daemon.poll() is None, f"{daemon.args} has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, "the gateway does not listen"
            time.sleep(0.1)
