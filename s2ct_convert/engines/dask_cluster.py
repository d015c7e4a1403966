"""Finds the Dask scheduler and connects to it. s2ct never starts a scheduler."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import read_json
from ..errors import MissingPackage, NetworkError, WrongUsage
from ..units.options import EngineOptions
from ..version import install_advice

_LOOK_SECONDS = 0.2  # between two checks for the scheduler file
_CLOSE_SECONDS = 5.0  # time for the connection to close


@dataclass
class Cluster:
    """A scheduler, by its address or its scheduler file, and the timeout for it and for its workers."""

    scheduler: str | None
    scheduler_file: Path | None
    timeout: float  # seconds
    found: str = ""  # the address, once it is known

    def flags(self) -> str:
        """Command-line flags that give this cluster."""
        where = f" --scheduler {self.scheduler}" if self.scheduler else ""
        return f" --engine dask{where}" + (f" --scheduler-file {self.scheduler_file}" if self.scheduler_file else "")

    def address(self) -> str:
        """The address of the scheduler: as given, from its scheduler file, or from the configuration of Dask."""
        if self.scheduler:
            return self.scheduler
        if self.scheduler_file:
            return _from_file(self.scheduler_file, self.timeout)
        import dask

        configured = dask.config.get("scheduler-address", None)
        if not configured:
            raise WrongUsage(
                "no Dask scheduler is given",
                expected="--scheduler ADDRESS, --scheduler-file FILE, or scheduler-address in Dask's configuration",
                todo="start one (dask scheduler --scheduler-file FILE); s2ct does not start one",
            )
        return str(configured)


def find_cluster(options: EngineOptions) -> Cluster | None:
    """The cluster that the options name; None for the local engine.

    Raises
    ------
    WrongUsage
    """
    engine, scheduler, file = options.engine, options.scheduler, options.scheduler_file
    if engine not in ("local", "dask"):
        raise WrongUsage(f"unknown engine {engine!r}", expected="local or dask")
    if engine == "local":
        if scheduler or file:
            raise WrongUsage("a scheduler is given, but the engine is local", todo="add --engine dask")
        return None
    if scheduler and file:
        raise WrongUsage("two schedulers are given", found="--scheduler and --scheduler-file", todo="give one of them")
    if not options.workers_timeout > 0:
        raise WrongUsage("--workers-timeout must be positive", found=f"{options.workers_timeout:g} s")
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingPackage("this needs Dask", todo=install_advice("dask")) from error
    return Cluster(scheduler, Path(file) if file else None, options.workers_timeout)


def _from_file(path: Path, timeout: float) -> str:
    """The address in a scheduler file. Waits for the file up to a timeout, which the client of Dask does not have."""
    end, found = time.monotonic() + timeout, "no such file"
    while True:
        try:
            return str(read_json(path)["address"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            found = "not a scheduler file, or an unfinished one"
        if time.monotonic() >= end:
            raise NetworkError(
                f"no scheduler file within {timeout:g} s",
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
        If there is no address, or it is invalid.
    NetworkError
        If the scheduler does not answer.
    """
    from distributed import Client
    from distributed.comm import resolve_address

    address = cluster.found = cluster.address()
    with _silenced("distributed"):  # s2ct reports lost connections itself
        try:
            resolve_address(address)  # a client that fails on an invalid address cannot be closed afterwards
            client = Client(address, timeout=cluster.timeout, set_as_default=False, name="s2ct")
        except (OSError, TimeoutError) as error:
            raise NetworkError(
                "the Dask scheduler does not answer",
                where=address,
                found=getattr(error, "strerror", None) or str(error).splitlines()[0],
                todo="check that it runs, its address, and the firewalls on the way"
                + (f"; {cluster.scheduler_file} may be from an earlier scheduler" if cluster.scheduler_file else ""),
            ) from error
        except ValueError as error:
            raise WrongUsage(
                "not the address of a scheduler", where=address, expected="such as tcp://host:8786", found=str(error)
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=_CLOSE_SECONDS)


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Turn off the logs of a package and its modules."""
    names = [one for one in logging.root.manager.loggerDict if f"{one}.".startswith(f"{name}.")]
    levels = {one: logging.getLogger(one).level for one in names}
    for one in names:
        logging.getLogger(one).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in levels.items():
            logging.getLogger(one).setLevel(level)
