"""A Dask scheduler and workers, each in its own process, on the loopback interface."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from distributed import Client

QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "warning"}


class DaskProcesses:
    """Starts processes one by one; ``close`` kills all of them, in any state."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(self.file))
        while not self.file.exists():
            assert self.scheduler.poll() is None, self.log(self.scheduler)
        self.admin = Client(scheduler_file=str(self.file), set_as_default=False)

    def start_worker(self, *options: str, nanny: bool = False, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a worker, by default with one thread; it may not be connected yet when this returns."""
        options = ("--nthreads", "1", *options, "--nanny" if nanny else "--no-nanny")
        where = ("--scheduler-file", str(self.file), "--local-directory", str(self.folder / "scratch"))
        return self._start("dask_worker", *where, *options, prefix=prefix)

    def start_workers(
        self, n: int, *options: str, nanny: bool = False, prefix: Sequence[str] = ()
    ) -> list[subprocess.Popen[bytes]]:
        """Start workers; all are connected when this returns."""
        there = len(self.addresses())
        started = [self.start_worker(*options, nanny=nanny, prefix=prefix) for _ in range(n)]
        self.admin.wait_for_workers(there + n, timeout=60)
        return started

    def addresses(self) -> dict[int, str]:
        """Addresses of the connected workers by process id."""
        return {pid: address for address, pid in self.admin.run(os.getpid).items()}

    def _start(self, what: str, *options: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        command = [*prefix, sys.executable, "-m", f"distributed.cli.{what}", "--host", "127.0.0.1", *options]
        log = self.folder / f"{what}-{len(self._processes)}.log"
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [*command, "--no-dashboard"],
                stdout=file,
                stderr=file,
                cwd=self.folder,  # not the working directory of the client
                env={**os.environ, **QUIET},
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def log(self, process: subprocess.Popen[bytes]) -> str:
        number = self._processes.index(process)
        return next(self.folder.glob(f"*-{number}.log")).read_text()

    def close(self) -> None:
        self.admin.close()
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the workers of a nanny
            process.wait()


def at_work(store: Path) -> int:
    """Wait until a unit is in the work folder; return the id of its process."""
    work = Path(f"{store}.s2ct") / "work"
    while True:
        for path in work.iterdir() if work.exists() else ():
            return int(path.name.removesuffix(".sorted").rpartition(".")[2])
