"""Converts sources to a store: plan, skip what is done, run the rest, finalise."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import WrongUsage
from ..names import UnitName, printable
from ..source.find import Source
from ..source.stream import SourceReader
from ..source.unpackers import find_unpacker
from ..store.container import Container
from ..store.layout import STATE_INCOMPLETE, root_attributes
from ..version import __version__
from .claim import alone, claim
from .dask_cluster import WORKERS_TIMEOUT, Cluster, find_cluster
from .engine import run_here, run_processes
from .estimate import PEAK_BYTES, share
from .events import Event, Note, OnEvent, Started, UnitDone, UnitFailed
from .finalise import complete
from .ledger import Ledger
from .plan import Plan, make_plan
from .records import Options, UnitRecord
from .summary import Summary, UnitsFailed
from .unit import UnitTask, done_record, open_container


@dataclass
class Tally:
    """Listens to the events of a run and keeps what the summary needs."""

    on_event: OnEvent
    converted: list[UnitRecord] = field(default_factory=list)
    failures: list[UnitFailed] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, UnitDone):
            self.converted.append(event.record)
        elif isinstance(event, UnitFailed):
            self.failures.append(event)
        self.on_event(event)

    def summary(
        self,
        store: Path,
        options: Options,
        skipped: Sequence[UnitRecord],
        missing: tuple[str, ...],
        digest: str | None,
        seconds: float,
    ) -> Summary:
        """What the run did, with what it did not have to do."""
        return Summary(
            store=store,
            format=options.format,
            codec=options.codec,
            converted=tuple(self.converted),
            skipped=tuple(skipped),
            failures=tuple(self.failures),
            missing=missing,
            digest=digest,
            seconds=seconds,
        )


def convert(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    format: str | None = None,
    codec: str | None = None,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    jobs: int = 1,
    memory: int | None = None,
    overwrite: bool = False,
    linked: bool = False,
    engine: str = "local",
    scheduler: str | None = None,
    scheduler_file: str | os.PathLike[str] | None = None,
    workers_timeout: float = WORKERS_TIMEOUT,
    unpacker: str = "auto",
    on_event: OnEvent = lambda event: None,
    unit: str | None = None,
    command: str = "",
) -> Summary:
    """Convert archives or TFRecord files to a Zarr or HDF5 store, or go on with a conversion that was stopped.

    Parameters
    ----------
    sources : path-like or sequence of path-like
        ``.7z`` archives, TFRecord files, or folders of them.
    store : path-like
        Where the store is to be.
    format : {"zarr", "hdf5"}, optional
        By default what the suffix of `store` says.
    codec : str, optional
        ``fast``, ``balanced`` (default) or ``small`` for Zarr; ``gzip`` (default) or ``blosc`` for HDF5.
    tiles, splits : iterable of str
        Convert only these.
    jobs : int
        Processor cores to use. With more than one and several units, units run in processes of their own; a script
        that calls this then needs the usual ``if __name__ == "__main__":``.
    memory : int, optional
        Most bytes of memory to use: fewer units are made at a time if need be.
    overwrite : bool
        Delete a store that is there and start anew.
    linked : bool
        HDF5 only: leave one file per unit in ``<store>.units/`` and make the store a file of links to them.
    engine : {"local", "dask"}
        Where units are made: on this machine, or on the workers of a Dask scheduler, one unit per worker at a time.
    scheduler : str, optional
        Address of the scheduler, such as ``tcp://host:8786``. None is ever started.
    scheduler_file : path-like, optional
        The file that ``dask scheduler --scheduler-file`` writes. Without this and `scheduler`, what Dask's own
        configuration has as ``scheduler-address``.
    workers_timeout : float
        Seconds to wait for the scheduler and for workers.
    unpacker : {"auto", "python", "7zz"}
        What unpacks archives: a 7-Zip program on the PATH, our own code, or by default the program where there is one.
        The store is the same either way.
    on_event : callable
        Told of everything that happens, see :mod:`s2ct_convert.conversion.events`.
    unit : str, optional
        Unit of the one source whose name says nothing, such as ``train/50SMG``.
    command : str
        For the ``history`` of the store; by default made up from the arguments.

    Returns
    -------
    Summary

    Raises
    ------
    WrongUsage, DestinationExists
        If the arguments do not fit what is there.
    NetworkError
        If the Dask scheduler or workers cannot be reached, or are lost.
    UnitsFailed
        If units could not be made. The others are done, and calling again tries only those that are missing.
    """
    paths = [Path(p) for p in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    plan = make_plan(
        paths,
        Path(store),
        format=format,
        codec=codec,
        linked=linked,
        tiles=tuple(tiles),
        splits=tuple(splits),
        unit=unit,
    )
    command = command or shlex.join(["s2ct", "convert", *(path.name for path in paths), plan.store.name])
    return convert_plan(
        plan,
        jobs=jobs,
        memory=memory,
        overwrite=overwrite,
        engine=engine,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        workers_timeout=workers_timeout,
        unpacker=unpacker,
        on_event=on_event,
        command=command,
    )


def convert_plan(
    plan: Plan,
    *,
    jobs: int = 1,
    memory: int | None = None,
    overwrite: bool = False,
    engine: str = "local",
    scheduler: str | None = None,
    scheduler_file: str | os.PathLike[str] | None = None,
    workers_timeout: float = WORKERS_TIMEOUT,
    unpacker: str = "auto",
    on_event: OnEvent = lambda event: None,
    command: str,
) -> Summary:
    """Carry out a plan; see :func:`convert`."""
    if memory is not None and memory < PEAK_BYTES:
        raise WrongUsage(
            "making one unit may need more memory than that",
            expected=f"--memory of {-(-PEAK_BYTES >> 20)}M at least",
            found=f"{memory >> 20}M",
        )
    began = time.monotonic()
    if engine == "local":
        find_unpacker(unpacker)  # or say at once that there is none; each process finds its own
    cluster = find_cluster(engine, scheduler, scheduler_file, workers_timeout)
    container, ledger, command = open_container(plan.store, plan.options), Ledger(plan.store), printable(command)
    tally = Tally(on_event)
    for note in plan.notes:
        tally(Note(note))
    for unusable in plan.unusable:
        path, error = unusable.path, unusable.error
        tally(UnitFailed(str(unusable.unit or path.name), str(path), error.exit_code, str(error)))
    if plan.sources:
        with alone(ledger, tally):
            if cluster:
                from .dask_engine import look_at

                look_at(cluster, plan.store, plan.sources)  # before anything is deleted or begun
            claim(container, ledger, plan.options, overwrite=overwrite)
            skipped, todo = sort_out(plan, container, ledger)
            tally(Started(sum(source.size() for source in todo), len(todo), len(skipped)))
            if todo:
                begin(container, ledger, plan.options, plan.units, command)
                tasks = _tasks(plan, todo, unpacker)
                shared = share(jobs, len(todo), memory)
                wanted = share(jobs, len(todo))[0]
                if not cluster and shared[0] < wanted:
                    tally(Note(f"units at a time: {shared[0]} rather than {wanted}, for the memory that is allowed"))
                _make_units(tasks, ledger, shared, cluster, tally)
            missing = tuple(str(unit) for unit in ledger.planned() if not done_record(container, ledger, unit))
            digest = None
            if not missing and not tally.failures:
                digest = complete(container, ledger, command, ledger.planned(), tally)
    else:
        skipped, missing, digest = [], tuple(map(str, ledger.planned())), None
    summary = tally.summary(plan.store, plan.options, skipped, missing, digest, time.monotonic() - began)
    if summary.failures:
        again = shlex.join([*(failure.source for failure in summary.failures), str(plan.store)])
        flags = plan.options.flags() + (cluster.flags() if cluster else "")
        raise UnitsFailed(summary, again=f"s2ct convert {again}{flags}")
    return summary


def sort_out(plan: Plan, container: Container, ledger: Ledger) -> tuple[list[UnitRecord], list[Source]]:
    """Records of the units that are done, and the sources of those that are not."""
    done, todo = [], []
    for source in plan.sources:
        record = done_record(container, ledger, source.unit)
        if record and is_of(record, source):
            done.append(record)
        else:
            todo.append(source)
    return done, todo


def begin(container: Container, ledger: Ledger, options: Options, units: list[UnitName], command: str) -> None:
    """Note what is planned, then make the store say that it is not complete."""
    ledger.begin(options, units)
    attributes = root_attributes(state=STATE_INCOMPLETE, version=__version__, command=command, units=0, digest="")
    container.begin(ledger.planned(), attributes)


def _tasks(plan: Plan, todo: list[Source], unpacker: str) -> list[UnitTask]:
    return [UnitTask(plan.store, plan.options, source, 1, plan.hash, unpacker) for source in todo]


def _make_units(
    tasks: list[UnitTask], ledger: Ledger, shared: tuple[int, int], cluster: Cluster | None, on_event: OnEvent
) -> None:
    """Make units, so many at a time with so many threads each, or on a cluster."""
    concurrent, threads = shared
    tasks = [dataclasses.replace(task, threads=threads) for task in tasks]
    try:
        if cluster:
            from .dask_engine import run_dask

            run_dask(tasks, cluster, on_event)
        elif concurrent == 1:
            run_here(tasks, on_event)
        else:
            run_processes(tasks, concurrent, on_event)
    finally:
        ledger.clean()


def is_of(record: UnitRecord, source: Source) -> bool:
    """Whether a record is of this source as it is now: by size and time, and by MD5 if only the time differs."""
    if (record.source_file, record.source_member, record.source_bytes) != (
        source.path.name,
        source.member,
        source.size(),
    ):
        return False
    if record.source_mtime_ns == source.mtime_ns():
        return True
    if record.source_md5 is None:
        return False
    with SourceReader(source.path) as file:
        return file.md5() == record.source_md5
