"""Builds a store from a record with bounded disk space: fetches archives while it converts others, then deletes them.

``<store>.archives`` holds a limited number of archives, whole or partial, and a few more whose units failed. An archive
is deleted once its units are in the store and in the ledger, and were read back with their checksums. Every file of the
record is examined, whatever its name (intake.py). A second run resumes both downloads and conversion.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Unpack

from ..archives.unpackers import faster_unpacker, find_unpacker
from ..dataset import DATASET
from ..durable import beside
from ..errors import WrongUsage
from ..events import Message, OnEvent, ignore, in_turn
from ..keywords import sort_options, takes
from ..names import UnitName, printable
from ..objects.address import AnyPath, ObjectPath, is_address
from ..objects.scratch import begin_scratch, scratch_store
from ..objects.usage import Used, counting_to
from ..paths import check_readable
from ..record.api import record_id
from ..record.choice import FileChoice
from ..record.damage import Mending
from ..record.live import ask_manifest
from ..record.local import check_folder
from ..record.manifest import RecordFile, read_lock
from ..record.run import FetchRun, open_run
from ..units.bucket import look_at_bucket
from ..units.claim import alone, claim
from ..units.events import UnitsPlanned
from ..units.ledger import Ledger
from ..units.options import PlanKeywords, PlanOptions, RunKeywords, RunOptions
from ..units.plan import check_format, store_options
from ..units.resume import check_overwrites
from ..units.summary import Summary, UnitsFailed
from ..units.tally import Tally
from ..units.unit import open_container
from .fetching import Archives, FetchKeywords, FetchOptions
from .file_notes import unit_of
from .intake import Intake
from .keeping import Keeping
from .mending import find_damage
from .replacing import is_worth_keeping, replace_store


class BuildKeywords(PlanKeywords, RunKeywords, FetchKeywords, total=False):
    """The keywords of :func:`build`."""


def archives_folder(store: Path) -> Path:
    """The folder of the archives while a store is built."""
    return beside(store, ".archives")


@takes(PlanOptions, RunOptions, FetchOptions)
def build(
    store: str | os.PathLike[str],
    *,
    scratch: str | os.PathLike[str] | None = None,
    on_event: OnEvent = ignore,
    command: str = "",
    **options: Unpack[BuildKeywords],
) -> Summary:
    """Fetch the archives of a record, convert each one, and delete it. Calling again resumes.

    Parameters
    ----------
    store : path-like or str
        Path of the store, or its address in a bucket. The archives are in ``<store>.archives`` meanwhile.
    scratch : path-like, optional
        For a store in a bucket: folder for the archives, the units in progress and small files. It stays. By default
        ``<name of the store>.scratch`` in the current folder.
    on_event : callable
        Called for each event of units (:mod:`s2ct_convert.units.events`) and of files
        (:mod:`s2ct_convert.record.events`): from several threads, one call at a time.
    command : str
        For the ``history`` of the store; by default built from the arguments.
    {options}

    Returns
    -------
    Summary

    Raises
    ------
    UnitsFailed
        If archives could not be fetched, or units failed. The others are done; calling again resumes.
    Difference
        If the service lists other files than the lock.
    NetworkError, MachineError, WrongUsage, DestinationExists

    Examples
    --------
    >>> import s2ct_convert
    >>> summary = s2ct_convert.build("clouds.zarr", tiles=["50SMG"], jobs=4)  # doctest: +SKIP
    """
    plan, run, fetch = sort_options(options, PlanOptions, RunOptions, FetchOptions)
    address: ObjectPath | None = None
    if isinstance(store, str) and is_address(store):
        address, local = scratch_store(store, scratch)
        check_format(store_options(local, plan), address)
        begin_scratch(address, local)
    else:
        local = check_readable(store)
        if scratch is not None:
            raise WrongUsage("--scratch is for a store in a bucket", where=str(store))
    command = printable(command or shlex.join(["s2ct", "build", local.name]))
    on_event, folder, settled = in_turn(on_event), archives_folder(local), store_options(local, plan)
    with counting_to(address, run.max_requests) as used:
        if run.overwrite and is_worth_keeping(open_container(local, settled), Ledger(local)):
            first = dataclasses.replace(run, overwrite=False, overwrite_units=())
            fetch = dataclasses.replace(fetch, files=tuple(fetch.files))
            return replace_store(
                local,
                lambda ledger: ledger.options() == settled,
                lambda new: _build(new, new, folder, plan, first, fetch, used, on_event, command),
                on_event,
                purpose=json.dumps([str(fetch.record), *map(sorted, (plan.tiles, plan.splits, fetch.files))]),
            )
        return _build(local, address or local, folder, plan, run, fetch, used, on_event, command)


def _build(
    store: Path,
    target: AnyPath,
    folder: Path,
    plan: PlanOptions,
    run: RunOptions,
    fetch: FetchOptions,
    used: Used,
    on_event: OnEvent,
    command: str,
) -> Summary:
    began, settled = time.monotonic(), store_options(store, plan)
    choice = FileChoice.of(plan.tiles, plan.splits, fetch.files)
    _check_fetch(fetch, plan)
    find_unpacker(run.unpacker)  # fails early if there is none
    check_folder(folder)
    tally = Tally(on_event)
    container, ledger = open_container(store, settled), Ledger(store)
    with alone(ledger, tally), _connected(fetch, on_event) as lanes:
        look_at_bucket(container, ledger, (), tally, overwrite=run.overwrite)
        claim(container, ledger, settled, overwrite=run.overwrite)
        lock = read_lock(folder, lanes.record)
        files = _different(choice.of_manifest(lock or ask_manifest(folder, lanes)), tally)
        archives = Archives(folder, lanes, fetch)
        keeping = Keeping(folder, archives, fetch, tally)
        overwrites = _check_overwrites(run.overwrite_units, files, ledger)
        intake = Intake(container, ledger, tally, keeping, plan=plan, run=run, overwrites=overwrites, command=command)
        todo = [file for file in files if not intake.is_settled(file)]
        tally(UnitsPlanned(sum(file.size or 0 for file in todo), len(todo), len(tally.skipped)))
        if faster := faster_unpacker(run.unpacker, sum(file.size or 0 for file in todo)):
            tally(Message(faster))
        if todo:
            if lock:
                ask_manifest(folder, lanes)
            intake.begin(todo)
            try:
                archives.start(todo)
                intake.make_all(archives)
            finally:
                archives.stop()
                ledger.clean()
        if not ledger.exists() and not tally.failures:
            raise WrongUsage(
                "none of these files is the archive of a unit",
                where=f"record {lanes.record}",
                found=", ".join(tally.not_units),
            )
        end = tally.end(container, ledger, command)
    summary = tally.summary(target, settled, end, time.monotonic() - began, used())
    if summary.failures:
        raise UnitsFailed(summary, again="run the same command again; finished units and downloads are kept")
    return summary


def _check_fetch(fetch: FetchOptions, plan: PlanOptions) -> None:
    if fetch.archives < 1:
        raise WrongUsage("a conversion needs at least one archive on the disk", found=str(fetch.archives))
    if plan.dataset != DATASET and record_id(fetch.record) == DATASET.record:
        raise WrongUsage(
            "this record belongs to another data set",
            where=f"record {fetch.record}",
            expected=plan.dataset.doi,
            found=DATASET.doi,
            todo="give the record of the data set: record=...",
        )


def _connected(options: FetchOptions, on_event: OnEvent) -> AbstractContextManager[FetchRun]:
    """The connections of a download."""
    return open_run(
        record_id(options.record),
        base_url=options.base_url,
        user_agent=options.user_agent,
        policy=options.policy,
        mending=Mending(find_damage),
        on_event=on_event,
    )


def _different(files: Sequence[RecordFile], on_event: OnEvent) -> list[RecordFile]:
    """The files to examine, without copies: of files with the same content and unit name, only the first stays."""
    first: dict[tuple[str, UnitName | None], RecordFile] = {}
    for file in files:
        same = first.setdefault((file.md5, unit_of(file)), file)
        if same is not file:
            on_event(Message(f"{file.key}: the same content as {same.key}"))
    return list(first.values())


def _check_overwrites(units: Iterable[str], files: Sequence[RecordFile], ledger: Ledger) -> frozenset[str]:
    """The units that may be replaced. If the name of a file gives no unit, any unit is allowed: its content decides."""
    named = [unit_of(file) for file in files]
    there = [unit for unit in named if unit] + ledger.planned()
    if None in named:
        there += [UnitName.from_path(unit) for unit in units if unit.count("/") == 1]
    return check_overwrites(units, there)
