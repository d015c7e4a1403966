"""Converts sources to a store: plan, skip what is done, run the rest, finalise."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ..archives.unpackers import find_unpacker
from ..dataset import DATASET, Dataset
from ..engines.dask_cluster import WORKERS_TIMEOUT, Cluster, find_cluster
from ..engines.local import run_here, run_processes
from ..errors import DuplicateUnit, WrongUsage
from ..names import UnitName, printable
from ..source.find import Unusable
from ..store.container import Container
from ..store.layout import STATE_INCOMPLETE
from ..store.root import root_attributes
from ..units.claim import alone, claim
from ..units.demands import Demands
from ..units.events import Note, OnEvent, Started, UnitFailed
from ..units.ledger import Ledger
from ..units.plan import Plan, make_plan
from ..units.records import Options
from ..units.resume import Candidate, check_overwrites, judge, refusal
from ..units.summary import Summary, UnitsFailed
from ..units.tally import End, Tally
from ..units.unit import PEAK_BYTES, UnitTask, done_record, open_container
from ..version import __version__
from .estimate import share


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
    overwrite_units: Iterable[str] = (),
    linked: bool = False,
    engine: str = "local",
    scheduler: str | None = None,
    scheduler_file: str | os.PathLike[str] | None = None,
    workers_timeout: float = WORKERS_TIMEOUT,
    unpacker: str = "auto",
    strict: bool = False,
    accept_count: bool = False,
    on_event: OnEvent = lambda event: None,
    unit: str | None = None,
    dataset: Dataset = DATASET,
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
    overwrite_units : iterable of str
        Units such as ``train/50SMG`` that may be replaced by another source. Otherwise a unit that is there is kept,
        and another source of it is refused.
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
    strict : bool
        Refuse a source that is not as its record describes it, rather than store it with a note.
    accept_count : bool
        Take a bare TFRecord that has fewer examples, samples and images than the number in its name.
    on_event : callable
        Told of everything that happens, see :mod:`s2ct_convert.units.events`.
    unit : str, optional
        Unit of the one source whose name says nothing, such as ``train/50SMG``.
    dataset : Dataset
        The data set that the sources are of. A store is of one data set.
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
        If units could not be made, or sources were refused. The others are done and make a partial store; calling again
        tries only those that are missing.
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
        demands=Demands(strict, accept_count),
        unit=unit,
        dataset=dataset,
    )
    command = command or shlex.join(["s2ct", "convert", *(path.name for path in paths), plan.store.name])
    return convert_plan(
        plan,
        jobs=jobs,
        memory=memory,
        overwrite=overwrite,
        overwrite_units=overwrite_units,
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
    overwrite_units: Iterable[str] = (),
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
    began, overwrites = time.monotonic(), check_overwrites(overwrite_units, plan.units)
    if engine == "local":
        find_unpacker(unpacker)  # or say at once that there is none; each process finds its own
    cluster = find_cluster(engine, scheduler, scheduler_file, workers_timeout)
    container, ledger, command = open_container(plan.store, plan.options), Ledger(plan.store), printable(command)
    tally = Tally(on_event)
    for note in plan.notes:
        tally(Note(note))
    for unusable in plan.unusable:
        tally(_unusable(unusable))
    if not plan.sources and (overwrite or not ledger.exists()):
        end = End(tuple(map(str, ledger.planned())), (), None)
    else:
        with alone(ledger, tally):
            if cluster and plan.sources:
                from ..engines.dask_engine import look_at

                look_at(cluster, plan.store, plan.sources)  # before anything is deleted or begun
            claim(container, ledger, plan.options, overwrite=overwrite)
            tasks = sort_out(plan, container, ledger, overwrites, unpacker, tally)
            tally(Started(sum(task.source.size() for task in tasks), len(tasks), len(tally.skipped)))
            if tasks:
                begin(container, ledger, plan.options, plan.units, command)
                _make_units(tasks, ledger, _shared(jobs, len(tasks), memory, cluster, tally), cluster, tally)
            elif tally.failures:
                ledger.begin(plan.options, plan.units)  # also what could not be used was asked for
            end = tally.end(container, ledger, command)
    summary = tally.summary(plan.store, plan.options, end, time.monotonic() - began)
    if summary.failures:
        raise UnitsFailed(summary, again=_again(summary, plan, sorted(overwrites), cluster))
    return summary


def _unusable(unusable: Unusable) -> UnitFailed:
    path, error = unusable.path, unusable.error
    refused = isinstance(error, DuplicateUnit)
    return UnitFailed(str(unusable.unit or path.name), str(path), error.exit_code, str(error), refused=refused)


def _again(summary: Summary, plan: Plan, overwrites: Collection[str], cluster: Cluster | None) -> str:
    """What to do about what failed or was refused."""
    failed = [failure for failure in summary.failures if not failure.refused]
    if not failed:
        return "leave out what was refused; --overwrite-unit SPLIT/TILE replaces a unit. The rest is done"
    flags = plan.options.flags() + plan.demands.flags() + "".join(f" --overwrite-unit {one}" for one in overwrites)
    flags += f" --as {plan.named}" if plan.named and str(plan.named) in {one.unit for one in failed} else ""
    flags += cluster.flags() if cluster else ""
    return f"s2ct convert {shlex.join([*(one.source for one in failed), str(plan.store)])}{flags}"


def sort_out(
    plan: Plan, container: Container, ledger: Ledger, overwrites: Collection[str], unpacker: str, tally: Tally
) -> list[UnitTask]:
    """What is to be made. ``tally`` is told of notes and refusals, and given the records of units that are done."""
    tasks = []
    for source in plan.sources:
        record, overwrite = done_record(container, ledger, source.unit), str(source.unit) in overwrites
        verdict = judge(record, Candidate.of(source), source.where, overwrite=overwrite)
        if verdict.note:
            tally(Note(verdict.note))
        if verdict.refused:
            tally(refusal(source.unit, source.path, verdict.refused))
        elif verdict.done:
            plan.demands.refuse(verdict.done.notes, source.where, plan.options.dataset)  # it was made without --strict
            tally.skipped.append(verdict.done)
        else:
            task = UnitTask(plan.store, plan.options, source, 1, plan.hash, unpacker, replaces=verdict.replaces)
            tasks.append(dataclasses.replace(task, demands=plan.demands))
    return tasks


def begin(container: Container, ledger: Ledger, options: Options, units: list[UnitName], command: str) -> None:
    """Note what is planned, then make the store say that it is not complete."""
    ledger.begin(options, units)
    attributes = root_attributes(
        state=STATE_INCOMPLETE, version=__version__, command=command, units=0, digest="", dataset=container.dataset
    )
    container.begin(ledger.planned(), attributes)


def _shared(jobs: int, units: int, memory: int | None, cluster: Cluster | None, on_event: OnEvent) -> tuple[int, int]:
    """How many units at a time, with how many threads each."""
    shared, wanted = share(jobs, units, memory), share(jobs, units)[0]
    if not cluster and shared[0] < wanted:
        on_event(Note(f"units at a time: {shared[0]} rather than {wanted}, for the memory that is allowed"))
    return shared


def _make_units(
    tasks: list[UnitTask], ledger: Ledger, shared: tuple[int, int], cluster: Cluster | None, on_event: OnEvent
) -> None:
    """Make units, so many at a time with so many threads each, or on a cluster."""
    concurrent, threads = shared
    tasks = [dataclasses.replace(task, threads=threads) for task in tasks]
    try:
        if cluster:
            from ..engines.dask_engine import run_dask

            run_dask(tasks, cluster, on_event)
        elif concurrent == 1:
            run_here(tasks, on_event)
        else:
            run_processes(tasks, concurrent, on_event)
    finally:
        ledger.clean()
