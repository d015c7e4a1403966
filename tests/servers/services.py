"""Services of other people that keep objects, started on loopback sockets: Ceph's gateway, and moto."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from . import ceph

START_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """A service with an empty bucket."""

    name: str
    url: str
    bucket: str  # its address
    environment: dict[str, str]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port


def _s3(name: str, url: str) -> Service:
    """A service with the protocol of S3, in which this makes a bucket."""
    keys = {"AWS_ACCESS_KEY_ID": ceph.KEY, "AWS_SECRET_ACCESS_KEY": ceph.SECRET, "AWS_REGION": "us-east-1"}
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        "bucket",
        endpoint=url,
        access_key_id=ceph.KEY,
        secret_access_key=ceph.SECRET,
        client_options={"allow_http": True},
    )
    asked = urllib.request.Request(obstore.sign(store, "PUT", "", timedelta(minutes=5)), method="PUT")
    urllib.request.urlopen(asked, timeout=START_SECONDS).close()
    return Service(name, url, "s3://bucket", {"AWS_ENDPOINT_URL": url, **keys})


@contextmanager
def ceph_gateway(folder: Path) -> Iterator[Service]:
    """Ceph, which Debian has. Skips where it is not here."""
    if missing := ceph.missing_programs():
        pytest.skip(f"not here: {', '.join(missing)} (apt-get install ceph-mon ceph-osd radosgw)")
    with ceph.gateway(folder) as url:
        yield _s3("ceph", url)


@contextmanager
def moto(folder: Path) -> Iterator[Service]:
    """moto, a stand-in for S3. S2CT_MOTO_SERVER names the program where it is not on the PATH. Skips without it."""
    program = os.environ.get("S2CT_MOTO_SERVER") or shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not here: pip install 'moto[server]' in an environment of its own")
    with _started([program, "-H", "127.0.0.1", "-p", "0"], r"http://127\.0\.0\.1:\d+") as url:
        yield _s3("moto", url)


@contextmanager
def _started(command: list[str], says: str) -> Iterator[str]:
    """What a program says on stderr once it listens."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(START_SECONDS, process.kill)
    guard.start()
    try:
        assert process.stderr is not None
        said = next((found[0] for line in process.stderr if (found := re.search(says, line))), None)
        guard.cancel()
        if said is None:
            pytest.skip(f"{command[0]} does not start")
        threading.Thread(target=process.stderr.read, daemon=True).start()  # or it stops when the pipe is full
        yield said
    finally:
        guard.cancel()
        process.kill()
        process.wait()


SERVICES = {"ceph": ceph_gateway, "moto": moto}
