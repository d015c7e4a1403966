"""Converts sources to a store: plan, skip what is done, run the rest, finalise."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from ..archives.unpackers import faster_unpacker, find_unpacker
from ..engines.dask_cluster import Cluster, find_cluster
from ..engines.local import run_local, share
from ..errors import EXIT_USAGE, DuplicateUnit, ShardsMissing, WrongUsage
from ..events import Message, OnEvent, ignore
from ..keywords import sort_options, takes
from ..limits import shared_memory
from ..names import UnitName, printable
from ..objects.remote import given_sources
from ..objects.scratch import begin_scratch, cloud_flags, end_scratch
from ..objects.usage import Used, counting_to
from ..source.find import Unusable
from ..store.container import Container
from ..store.layout import STATE_COMPLETE
from ..units.bucket import look_at_bucket
from ..units.claim import alone, claim
from ..units.entries import StoreOptions
from ..units.events import UnitFailed, UnitsPlanned
from ..units.finalise import unfinished_attributes
from ..units.ledger import Ledger
from ..units.options import HERE, ONE_JOB, ConvertKeywords, EngineOptions, PlanOptions, RunOptions
from ..units.plan import Plan, make_plan_to
from ..units.resume import Candidate, check_overwrites, judge, refusal
from ..units.summary import Summary, UnitsFailed
from ..units.swap import unfinished_note
from ..units.tally import End, Tally
from ..units.unit import PEAK_BYTES, UnitTask, done_entry, open_container
from ..words import shell_path
from .replacing import is_part_of, is_worth_keeping, replace_store


@takes(PlanOptions, RunOptions, EngineOptions)
def convert(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    unit: str | None = None,
    scratch: str | os.PathLike[str] | None = None,
    on_event: OnEvent = ignore,
    command: str = "",
    **options: Unpack[ConvertKeywords],
) -> Summary:
    """Convert archives or TFRecord files to a Zarr or HDF5 store, or resume a conversion.

    Parameters
    ----------
    sources : path-like or sequence of path-like
        ``.7z`` archives, TFRecord files, or folders of them; also addresses, such as ``s3://bucket/archives/`` or
        ``https://host/train_50SMG_462.7z``, which are read in place (docs/cloud.md).
    store : path-like or str
        Path of the store, or its address in a bucket, such as ``s3://bucket/clouds.zarr`` (docs/cloud.md).
    unit : str, optional
        Unit of a single source whose name does not give it, such as ``train/50SMG``.
    scratch : path-like, optional
        For a store in a bucket: folder for the units in progress and for small files. By default
        ``<name of the store>.scratch`` in the current folder.
    on_event : callable
        Called for each event, see :mod:`s2ct_convert.units.events`.
    command : str
        For the ``history`` of the store; by default built from the arguments.
    {options}

    Returns
    -------
    Summary

    Raises
    ------
    WrongUsage, DestinationExists
        If the arguments contradict each other or the destination.
    NetworkError
        If the Dask scheduler or workers cannot be reached, or are lost; if the service of a bucket fails before the
        first unit.
    UnitsFailed
        If units failed, or sources were refused. The other units are done and make a partial store; calling again
        tries only the missing units.
    """
    wanted, run, engine = sort_options(options, PlanOptions, RunOptions, EngineOptions)
    paths = given_sources(sources)
    plan = make_plan_to(paths, store, wanted, unit=unit, scratch=scratch)
    command = command or shlex.join(["s2ct", "convert", *(path.name for path in paths), plan.store.name])
    return convert_plan(plan, run, engine, on_event=on_event, command=command)


def convert_plan(
    plan: Plan,
    run: RunOptions = ONE_JOB,
    engine: EngineOptions = HERE,
    *,
    on_event: OnEvent = ignore,
    command: str,
) -> Summary:
    """Run a plan; see :func:`convert`."""
    _check_memory(run.memory)
    cluster = find_cluster(engine)
    if run.max_requests and cluster:
        raise WrongUsage(
            "--max-requests does not apply to --engine dask: it counts the requests of one machine",
            todo="leave it out, or convert on one machine",
        )
    if (
        run.overwrite
        and plan.sources
        and is_worth_keeping(open_container(plan.store, plan.options), Ledger(plan.store))
    ):
        if cluster:
            from ..engines.dask_engine import look_at

            look_at(cluster, plan.store, plan.sources)  # before anything is written
        return _replace(plan, run, engine, on_event, printable(command))
    remote = next((source.path for source in plan.sources if source.is_remote), None)
    with counting_to(plan.address or remote, run.max_requests) as used:
        return _run_plan(plan, run, cluster, used, on_event, command)


def _run_plan(
    plan: Plan, run: RunOptions, cluster: Cluster | None, used: Used, on_event: OnEvent, command: str
) -> Summary:
    began, overwrites = time.monotonic(), check_overwrites(run.overwrite_units, plan.units)
    if cluster is None and any(source.is_packed for source in plan.sources):
        _check_unpacker(run.unpacker, plan)
    if plan.address:
        begin_scratch(plan.address, plan.store)
    container, ledger, command = open_container(plan.store, plan.options), Ledger(plan.store), printable(command)
    tally = Tally(on_event)
    if note := unfinished_note(plan.store):
        tally(Message(note))
    for note in plan.notes:
        tally(Message(note))
    packed = sum(source.size() for source in plan.sources if source.is_packed and not source.is_remote)
    if cluster is None and (faster := faster_unpacker(run.unpacker, packed)):
        tally(Message(faster))
    for one in plan.unusable:
        tally(_unusable(one))
    if not plan.sources and (run.overwrite or not ledger.exists()):
        end = End(tuple(map(str, ledger.planned())), (), None)
    else:
        with alone(ledger, tally):
            if cluster and plan.sources:
                from ..engines.dask_engine import look_at

                look_at(cluster, plan.store, plan.sources)  # before anything is deleted or started
            several = cluster is not None
            look_at_bucket(container, ledger, plan.units, tally, several=several, overwrite=run.overwrite)
            claim(container, ledger, plan.options, overwrite=run.overwrite)
            tasks = sort_out(plan, container, ledger, overwrites, run, tally)
            tally(UnitsPlanned(sum(task.source.size() for task in tasks), len(tasks), len(tally.skipped)))
            if tasks:
                begin(container, ledger, plan.options, plan.units, command)
                _make_units(tasks, ledger, _shared(run, len(tasks), cluster, tally), cluster, tally)
            elif tally.failures:
                ledger.begin(plan.options, plan.units)  # units of unusable sources are planned too
            end = tally.end(container, ledger, command)
    summary = tally.summary(plan.target, plan.options, end, time.monotonic() - began, None if cluster else used())
    if summary.failures:
        raise UnitsFailed(summary, again=_again(summary, plan, sorted(overwrites), run, cluster))
    if plan.address and summary.state == STATE_COMPLETE:
        end_scratch(plan.store)
    return summary


def _replace(plan: Plan, run: RunOptions, engine: EngineOptions, on_event: OnEvent, command: str) -> Summary:
    """Run a plan beside the store that it replaces."""

    def make(store: Path) -> Summary:
        there = dataclasses.replace(plan, store=store)
        first = dataclasses.replace(run, overwrite=False, overwrite_units=())
        return convert_plan(there, first, engine, on_event=on_event, command=command)

    return replace_store(plan.store, partial(is_part_of, plan), make, on_event)


def _check_memory(allowed: int | None) -> None:
    """Check that the memory limit is enough for one unit.

    Raises
    ------
    WrongUsage
    """
    if allowed is not None and allowed < PEAK_BYTES:
        raise WrongUsage(
            "the memory limit is too low for one unit",
            expected=f"--memory of at least {-(-PEAK_BYTES >> 20)}M",
            found=f"{allowed >> 20}M",
        )


def _check_unpacker(unpacker: str, plan: Plan) -> None:
    """Fail early if there is none; each process finds its own.

    Raises
    ------
    WrongUsage
        Also if 7-Zip is asked for, and an archive is at an address.
    """
    there = [source for source in plan.sources if source.is_packed and source.is_remote]
    if find_unpacker(unpacker).required and unpacker == "7zz" and there:
        raise WrongUsage(
            "7-Zip does not read an archive at an address",
            where=str(there[0].path),
            todo="leave out --unpacker, or copy the archives to this machine",
        )


def _unusable(unusable: Unusable) -> UnitFailed:
    path, error = unusable.path, unusable.error
    refused = isinstance(error, DuplicateUnit)
    unit, of, is_part = str(unusable.unit or path.name), str(unusable.also_of or ""), isinstance(error, ShardsMissing)
    return UnitFailed(unit, str(path), error.exit_code, str(error), refused=refused, also_of=of, is_part=is_part)


def _again(summary: Summary, plan: Plan, overwrites: Collection[str], run: RunOptions, cluster: Cluster | None) -> str:
    """The command that tries the failed units again, or advice on refused sources."""
    failed = [failure for failure in summary.failures if not failure.refused]
    if not failed:
        return "leave out the refused sources, or replace units with --overwrite-unit SPLIT/TILE; the rest is done"
    if any(failure.exit_code == EXIT_USAGE for failure in failed):  # the same again would fail again
        return "do what the messages of these units say"
    flags = plan.options.flags() + plan.demands.flags() + "".join(f" --overwrite-unit {one}" for one in overwrites)
    flags += f" --as {plan.named}" if plan.named and str(plan.named) in {one.unit for one in failed} else ""
    flags += run.bounds.flags()
    flags += cluster.flags() if cluster else ""
    flags += cloud_flags(plan.address, plan.store, run.max_requests)
    files = {str(source.unit): [str(file) for file in source.files] for source in plan.sources}  # all shards
    again = [shell_path(file) for one in failed for file in files.get(one.unit, [one.source])]
    return f"s2ct convert {' '.join([*dict.fromkeys(again), shell_path(str(plan.target))])}{flags}"


def sort_out(
    plan: Plan, container: Container, ledger: Ledger, overwrites: Collection[str], run: RunOptions, tally: Tally
) -> list[UnitTask]:
    """The units to make. ``tally`` gets notes and refusals as events, and the entries of units that are done."""
    tasks = []
    for source in plan.sources:
        entry, overwrite = done_entry(container, ledger, source.unit), str(source.unit) in overwrites
        verdict = judge(entry, Candidate.of(source), source.where, overwrite=overwrite)
        if verdict.note:
            tally(Message(verdict.note))
        if verdict.refused:
            tally(refusal(source.unit, source.path, verdict.refused))
        elif verdict.done:
            # The unit may have been made without --strict.
            plan.demands.refuse(verdict.done.notes, source.where, plan.options.dataset)
            tally.skipped.append(verdict.done)
        else:
            tasks.append(
                UnitTask(
                    plan.store, plan.options, source, plan=plan.hash, unpacker=run.unpacker, bounds=run.bounds,
                    demands=plan.demands, replaces=verdict.replaces, overwrite=overwrite,
                )
            )  # fmt: skip
    return tasks


def begin(container: Container, ledger: Ledger, options: StoreOptions, units: list[UnitName], command: str) -> None:
    """Record the plan in the ledger, then mark the store as incomplete."""
    ledger.begin(options, units)
    container.begin(ledger.planned(), unfinished_attributes(container, command))


def _shared(run: RunOptions, units: int, cluster: Cluster | None, on_event: OnEvent) -> tuple[int, int]:
    """Units at a time, and threads of each."""
    memory = shared_memory() if run.memory is None else run.memory
    shared, wanted = share(run.jobs, units, memory), share(run.jobs, units)[0]
    if not cluster and shared[0] < wanted:
        on_event(Message(f"making {shared[0]} instead of {wanted} units at a time, because of the memory limit"))
    return shared


def _make_units(
    tasks: list[UnitTask], ledger: Ledger, shared: tuple[int, int], cluster: Cluster | None, on_event: OnEvent
) -> None:
    """Make units on this machine, ``shared[0]`` at a time with ``shared[1]`` threads each, or on a cluster."""
    try:
        if cluster:
            from ..engines.dask_engine import run_dask

            run_dask(tasks, cluster, on_event)
        else:
            run_local(tasks, *shared, on_event)
    finally:
        ledger.clean()
