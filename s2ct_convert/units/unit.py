"""Makes one unit, from its source to its place in the store. Every engine calls :func:`convert_unit`.

The order of steps is crash-safe: write the unit under a temporary name and sync it, read the source to its end with all
checksums, check the counts; then delete the ledger entry of a unit that is replaced, rename the new unit, and write its
entry (place.py). A process that dies loses its unfinished unit.

A lease marks a unit that is being made. After it takes the lease, a process checks again whether the unit is done.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from ..archives.bounds import BOUNDS, Bounds
from ..archives.unpackers import find_unpacker
from ..errors import SourceError
from ..events import OnEvent, ignore
from ..lease import Lease
from ..names import UnitName
from ..objects.address import ObjectPath
from ..objects.remote import absolute
from ..processes import peak_memory
from ..source.find import Source
from ..source.read import SourceExamples, open_source, suited
from ..source.salvage import SalvagedExamples, open_salvaged
from ..source.samples import join_series
from ..source.table import SourceTable, TableBuilder
from ..store.codecs import find_codec
from ..store.container import Container
from ..store.containers import make_container
from ..store.unit_writer import UnitContent, UnitTable, UnitWriter, work_keys
from ..version import __version__
from .demands import NO_DEMANDS, Demands
from .entries import StoreOptions, UnitEntry
from .events import UnitDone, UnitSending
from .ledger import Ledger
from .place import put_in_place
from .resume import Candidate, judge
from .salvage import check_has_all, check_may_salvage, refuse_salvaged, what_is_lost
from .understand import name_counts, understand, unit_attributes

# Highest measured peak memory of a process that makes a unit, two passes included (docs/measurements.md).
PEAK_BYTES = 400 << 20


@dataclass(frozen=True)
class UnitTask:
    """All that a worker needs to make one unit.

    ``replaces``: the entry of the unit that this one may replace; with ``overwrite`` the user asked for that.
    ``in_batch``: a batch job makes the unit, so a run lease belongs to another process. ``salvages``: the source is
    damaged, and what is whole in it makes a salvaged unit. ``checked``: the file had the MD5 of its record.
    ``address``: that of a store in a bucket, for a process that does not see ``store``.
    """

    store: Path
    options: StoreOptions
    source: Source
    threads: int = 1
    plan: str = ""  # hash of the plan
    unpacker: str = "auto"
    bounds: Bounds = BOUNDS
    md5: str | None = None  # expected MD5 of the source file
    demands: Demands = NO_DEMANDS
    replaces: UnitEntry | None = None
    in_batch: bool = False
    salvages: bool = False
    overwrite: bool = False
    checked: bool = False
    address: ObjectPath | None = None


def open_container(store: Path, options: StoreOptions) -> Container:
    """The container of a store with these options."""
    codec = find_codec(options.format, options.codec)
    return make_container(store, codec, Ledger(store).scratch, linked=options.linked, dataset=options.dataset)


def done_entry(container: Container, ledger: Ledger, unit: UnitName) -> UnitEntry | None:
    """The entry of a unit that is done: it has an entry in the ledger, and all its files are in their place."""
    entry = ledger.entry(unit)
    if entry and container.has(unit, {file.name: file.bytes for file in entry.files}):
        return entry
    return None


def convert_unit(task: UnitTask, on_bytes: Callable[[int], None], on_event: OnEvent = ignore) -> UnitDone:
    """Make one unit and write its entry, unless the unit is done when its lease is taken.

    Parameters
    ----------
    task : UnitTask
    on_bytes : callable
        Progress callback. It gets the bytes of the source file read since the last call, and 0 in the second pass,
        which sorts the unit. If it raises, the unit is abandoned.
    on_event : callable, optional
        Gets a message while the lease is waited for.

    Raises
    ------
    S2ctError, OSError
        The new unit is not in the store then; a unit that was there before still is.
    """
    with Ledger(task.store).unit_lease(task.source.unit).held(on_event) as lease:
        if entry := _found_done(task):
            Ledger(task.store).forget_failure(task.source.unit)  # a worker may have been killed after its last step
            return UnitDone(entry, made=False)
        return UnitDone(_convert(task, on_bytes, on_event, lease))


def _found_done(task: UnitTask) -> UnitEntry | None:
    """The entry of a unit that another process has made since the plan was sorted out.

    Raises
    ------
    DuplicateUnit
        If it was made from another source.
    Incomplete
        If a run on the whole store has started.
    """
    ledger, unit = Ledger(task.store), task.source.unit
    if task.in_batch and (owner := ledger.run_lease().owner()):
        raise ledger.run_lease().refusal(owner)
    entry = done_entry(open_container(task.store, task.options), ledger, unit)
    if entry is None or entry == task.replaces:
        return None
    verdict = judge(entry, Candidate.of(task.source, task.md5), task.source.where)
    if verdict.refused:
        raise verdict.refused
    return verdict.done


def _convert(task: UnitTask, on_bytes: Callable[[int], None], on_event: OnEvent, lease: Lease) -> UnitEntry:
    began = time.monotonic()
    container, ledger, source = open_container(task.store, task.options), Ledger(task.store), task.source
    container.on_sent = lambda sent, total: on_event(UnitSending(str(source.unit), sent, total))
    dataset = task.options.dataset
    before = ledger.entry(source.unit)
    size, mtime_ns = source.size(), source.mtime_ns()
    builder = TableBuilder(ledger.scratch.work, dataset)
    if task.salvages:
        check_may_salvage(done_entry(container, ledger, source.unit), source, overwrite=task.overwrite)
    else:
        refuse_salvaged(source)
    try:
        with closing(_writer(task, container)) as writer, _opened(task, on_bytes) as examples:
            for series in join_series(builder.watch(examples), dataset):
                writer.append(series)
            md5 = examples.md5()
            _check_md5(task, md5)
            table = understand(builder, source, md5, dataset, salvaged=task.salvages, proven=task.checked)
            if not (task.demands.accept_count or task.salvages):
                source.check_count(table.examples, len(table.localid), table.images)
            check_has_all(before, table.examples, source, overwrite=task.overwrite)
            task.demands.refuse(table.notes, source.where, dataset)
            numbers, gaps = what_is_lost(examples, source, table)
            unit = UnitTable(table.localid, table.sample, table.sizes, table.columns, table.published, numbers)
            attributes = unit_attributes(source, md5, size, table, dataset, gaps)
            content = writer.finish(unit, attributes, on_window=lambda: on_bytes(0))
        packed, crc32 = examples.content() or (None, None)
        put_in_place(container, ledger, source.unit, content.key, before=before, lease=lease, overwrite=task.overwrite)
        seconds = time.monotonic() - began
        entry = _entry(task, md5, size, mtime_ns, table, content, seconds)
        entry = dataclasses.replace(
            entry,
            unpacker=examples.unpacker,
            content_bytes=packed,
            content_crc32=crc32,
            source_path=absolute(source.path),
            source_etag=source.etag(),
            gaps=gaps,
        )
        ledger.write(entry)
        if task.overwrite:
            ledger.mark_chosen(source.unit, chosen=not task.in_batch)
        return entry
    finally:
        for key in work_keys(source.unit):
            container.discard(key)


def _writer(task: UnitTask, container: Container) -> UnitWriter:
    return UnitWriter(container, task.source.unit, task.threads, statistics=task.options.statistics)


def _opened(
    task: UnitTask, on_bytes: Callable[[int], None]
) -> AbstractContextManager[SourceExamples | SalvagedExamples]:
    dataset = task.options.dataset
    if task.salvages:
        return open_salvaged(task.source, on_bytes, dataset=dataset, bounds=task.bounds)
    unpacker = suited(find_unpacker(task.unpacker, task.bounds), task.source)
    return open_source(task.source, on_bytes, threads=task.threads, unpacker=unpacker, dataset=dataset)


def _check_md5(task: UnitTask, md5: str | None) -> None:
    if task.md5 is not None and md5 != task.md5:
        raise SourceError(
            "the source is not the file of the record",
            where=str(task.source.path),
            expected=f"md5 {task.md5}",
            found=f"md5 {md5}",
            todo="delete the file and run the same command again",
        )


def _entry(
    task: UnitTask,
    md5: str | None,
    size: int,
    mtime_ns: int,
    table: SourceTable,
    content: UnitContent,
    seconds: float,
) -> UnitEntry:
    source = task.source
    return UnitEntry(
        unit=str(source.unit),
        plan=task.plan,
        source_file=source.path.name,
        source_member=source.member,
        source_bytes=size,
        source_mtime_ns=mtime_ns,
        source_md5=md5,
        examples=table.examples,
        date_encoding=table.encoding,
        dates_with_time=table.dates_with_time,
        label_side=table.label_side,
        name_count=source.name_count,
        name_counts=name_counts(source, table),
        notes=table.notes,
        samples=content.samples,
        observations=content.observations,
        time_first=content.time_first,
        time_last=content.time_last,
        label_count=list(content.label_count),
        digest=content.digest,
        bytes=content.bytes,
        files=content.files,
        passes=content.passes,
        seconds=round(seconds, 3),
        peak_memory=peak_memory(),
        s2ct_version=__version__,
    )
