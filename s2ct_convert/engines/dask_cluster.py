"""Where the Dask scheduler is, and the connection to it. One is looked for, never started."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MissingPackage, NetworkError, WrongUsage
from ..units.options import EngineOptions

_LOOK_SECONDS = 0.2  # between two looks for the scheduler file
_CLOSE_SECONDS = 5.0  # for the connection to end in order


@dataclass
class Cluster:
    """A scheduler by its address or the file it writes, and how long to wait for it and for its workers."""

    scheduler: str | None
    scheduler_file: Path | None
    timeout: float  # seconds
    found: str = ""  # the address, once it is known

    def flags(self) -> str:
        """As on the command line."""
        where = f" --scheduler {self.scheduler}" if self.scheduler else ""
        return f" --engine dask{where}" + (f" --scheduler-file {self.scheduler_file}" if self.scheduler_file else "")

    def address(self) -> str:
        """The address of the scheduler: as given, out of its file, or from Dask's own configuration."""
        if self.scheduler:
            return self.scheduler
        if self.scheduler_file:
            return _from_file(self.scheduler_file, self.timeout)
        import dask

        configured = dask.config.get("scheduler-address", None)
        if not configured:
            raise WrongUsage(
                "there is no Dask scheduler to go to",
                expected="--scheduler ADDRESS, --scheduler-file FILE, or scheduler-address in Dask's configuration",
                todo="start one (dask scheduler --scheduler-file FILE); s2ct starts none",
            )
        return str(configured)


def find_cluster(options: EngineOptions) -> Cluster | None:
    """The cluster that the options speak of; None if the units are to be made here.

    Raises
    ------
    WrongUsage
    """
    engine, scheduler, file = options.engine, options.scheduler, options.scheduler_file
    if engine not in ("local", "dask"):
        raise WrongUsage(f"there is no engine {engine!r}", expected="local or dask")
    if engine == "local":
        if scheduler or file:
            raise WrongUsage("a scheduler is given and not used", todo="add --engine dask")
        return None
    if scheduler and file:
        raise WrongUsage("there are two schedulers", found="--scheduler and --scheduler-file", todo="give one of them")
    if not options.workers_timeout > 0:
        raise WrongUsage("the time to wait for workers must be positive", found=f"{options.workers_timeout:g} s")
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingPackage("this needs Dask", todo="pip install 's2ct-convert[dask]'") from error
    return Cluster(scheduler, Path(file) if file else None, options.workers_timeout)


def _from_file(path: Path, timeout: float) -> str:
    """What Dask's own client would wait for without an end."""
    end, found = time.monotonic() + timeout, "no such file"
    while True:
        try:
            return str(json.loads(path.read_bytes())["address"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            found = "a file that no scheduler wrote, or not all of it"
        if time.monotonic() >= end:
            raise NetworkError(
                f"there was no scheduler file within {timeout:g} s",
                where=str(path),
                found=found,
                todo=f"start a scheduler that writes it (dask scheduler --scheduler-file {path}), "
                "or wait longer: --workers-timeout",
            )
        time.sleep(min(_LOOK_SECONDS, timeout))


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """A client of the cluster's scheduler.

    Raises
    ------
    WrongUsage
        If there is no address, or it is none.
    NetworkError
        If nobody answers there.
    """
    from distributed import Client
    from distributed.comm import resolve_address

    address = cluster.found = cluster.address()
    with _silenced("distributed"):  # what it has to say of lost connections is said here, in other words
        try:
            resolve_address(address)  # a client that fails for the form of an address cannot be closed any more
            client = Client(address, timeout=cluster.timeout, set_as_default=False, name="s2ct")
        except (OSError, TimeoutError) as error:
            raise NetworkError(
                "the Dask scheduler does not answer",
                where=address,
                found=getattr(error, "strerror", None) or str(error).splitlines()[0],
                todo="check that it runs, the address, and firewalls between here and there"
                + (f"; {cluster.scheduler_file} may be of an earlier one" if cluster.scheduler_file else ""),
            ) from error
        except ValueError as error:
            raise WrongUsage(
                "this is no address of a scheduler", where=address, expected="such as tcp://host:8786", found=str(error)
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=_CLOSE_SECONDS)


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Let a package and its modules log nothing."""
    names = [one for one in logging.root.manager.loggerDict if f"{one}.".startswith(f"{name}.")]
    levels = {one: logging.getLogger(one).level for one in names}
    for one in names:
        logging.getLogger(one).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in levels.items():
            logging.getLogger(one).setLevel(level)
