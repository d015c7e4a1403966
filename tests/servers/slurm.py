"""A private SLURM on one node, with munged, slurmctld and slurmd of Debian's slurm-wlm on free ports."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "sinfo")
_READY_SECONDS = 60

_CONFIG = """\
ClusterName=s2ct
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={control_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
ReturnToService=2
KillWait=10
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why SLURM cannot be started here; empty if it can."""
    if absent := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "the daemons of SLURM need root"


class Slurm:
    """A cluster of one node with four processors, controlled by SLURM's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The tests may themselves run as a SLURM job, whose variables must not reach this cluster.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        self.environment["SLURM_CONF"] = str(folder / "slurm.conf")
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        (self.folder / "slurm.conf").write_text(
            _CONFIG.format(host=host, folder=self.folder, control_port=_free_port(), node_port=_free_port())
        )
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{suffix}" for option, suffix in files.items()]
        self._daemon("munged", "--foreground", "--force", *options)
        self._wait(lambda: (self.folder / "munge.socket").exists())
        self._daemon("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        self._daemon("slurmd", "-D", "-f", self.environment["SLURM_CONF"], "-N", host)
        self._wait(lambda: self._try("sinfo", "--noheader", "--format=%T") == "idle")

    def _daemon(self, program: str, *arguments: str) -> None:
        with open(self.folder / f"{program}.log", "wb") as log:
            command = [shutil.which(program) or program, *arguments]
            self._daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def _wait(self, is_ready: object) -> None:
        until = time.monotonic() + _READY_SECONDS
        while not is_ready():  # type: ignore[operator]
            ended = [daemon.args for daemon in self._daemons if daemon.poll() is not None]
            assert not ended, f"{ended} ended:\n{self.logs()}"
            assert time.monotonic() < until, f"not ready:\n{self.logs()}"
            time.sleep(0.1)

    def _try(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout.strip()

    def __call__(self, *command: object, cwd: Path | None = None) -> str:
        """Run a command as a user of this cluster and return its output."""
        done = subprocess.run(
            list(map(str, command)), env=self.environment, cwd=cwd, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def state(self, job: str) -> dict[str, str]:
        """The fields that ``scontrol`` shows for a job or for its first task."""
        words = self("scontrol", "--oneliner", "show", "job", job).splitlines()[0].split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait_for(self, job: str, *states: str, seconds: float = 90.0) -> dict[str, str]:
        """Wait until a job is in one of these states."""
        until = time.monotonic() + seconds
        while (found := self.state(job))["JobState"] not in states:
            assert time.monotonic() < until, f"{job}: {found}\n{self('squeue')}\n{self.logs()}"
            time.sleep(0.1)
        return found

    def logs(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in self._log_files())

    def _log_files(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def stop(self) -> None:
        if (self.folder / "slurm.conf").exists():
            self._try("scancel", "--signal=KILL", "--full", "--user=root")
            self._try("scancel", "--user=root")
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start a cluster and stop it afterwards; skip the tests if its daemons do not start."""
    slurm = Slurm(folder)
    try:
        try:
            slurm.start()
        except AssertionError as error:
            pytest.skip(f"SLURM's daemons do not start here: {error}")
        yield slurm
    finally:
        slurm.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
