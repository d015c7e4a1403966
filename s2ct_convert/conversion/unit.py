"""One unit, from its source to its place in the store. Every engine calls :func:`convert_unit`.

The order of steps makes it safe to die anywhere: the record goes first (a unit being replaced is not done), the
unit is written under a temporary name and synced, the source is read to its end with all checksums, the counts
are checked, then the unit gets its name, then its record. Nothing is promised about work under way: it is lost.

A lease tells others that the unit is being made. Where one is broken by mistake, two processes make the same unit,
each under a name of its own; both write the same bytes, and whoever comes second takes the place of the first.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..durable import remove
from ..errors import SourceError
from ..names import UnitName, printable
from ..processes import peak_memory
from ..source.find import Source
from ..source.read import open_source
from ..source.samples import Grouper
from ..source.unpackers import find_unpacker
from ..store.codecs import find_codec
from ..store.container import Container
from ..store.unit_writer import Rows, UnitContent, UnitWriter
from ..version import __version__
from .ledger import Ledger
from .records import Options, UnitFile, UnitRecord, checksums


@dataclass(frozen=True)
class UnitTask:
    """All that a worker needs to make one unit."""

    store: Path
    options: Options
    source: Source
    threads: int
    plan: str = ""  # its hash
    unpacker: str = "auto"
    md5: str | None = None  # that the source file must have


def open_container(store: Path, options: Options) -> Container:
    """The container that these options ask for."""
    codec = find_codec(options.format, options.codec)
    if options.format == "zarr":
        from ..store.zarr_container import ZarrContainer  # slow to import, and HDF5 does without it

        return ZarrContainer(store, codec)
    from ..store.hdf5_container import Hdf5Container

    return Hdf5Container(store, codec, linked=options.linked)


def done_record(container: Container, ledger: Ledger, unit: UnitName) -> UnitRecord | None:
    """The record of a unit that is done: noted, and in its place with all its files."""
    record = ledger.record(unit)
    if record and container.has(unit, {file.name: file.bytes for file in record.files}):
        return record
    return None


def convert_unit(task: UnitTask, on_bytes: Callable[[int], None]) -> UnitRecord:
    """Make one unit and record it.

    Parameters
    ----------
    task : UnitTask
    on_bytes : callable
        Told how many bytes of the source file were read since the last call; 0 where the unit is written anew in
        order. What it raises ends the unit.

    Raises
    ------
    S2ctError, OSError
        The unit is then not in the store, and nothing of it is left.
    """
    with Ledger(task.store).unit_lease(task.source.unit).held():
        return _convert(task, on_bytes)


def _convert(task: UnitTask, on_bytes: Callable[[int], None]) -> UnitRecord:
    began = time.monotonic()
    container, ledger, source = open_container(task.store, task.options), Ledger(task.store), task.source
    ledger.forget(source.unit)
    container.drop(source.unit)
    work = ledger.work_path(source.unit.key)
    size, mtime_ns = source.size(), source.mtime_ns()
    grouper = Grouper(source.where)
    try:
        with (
            closing(UnitWriter(container, work, task.threads)) as writer,
            open_source(source, on_bytes, threads=task.threads, unpacker=find_unpacker(task.unpacker)) as examples,
        ):
            for series in grouper.series(examples):
                writer.append(
                    Rows(
                        localid=series.localid,
                        images=series.images,
                        label=series.label,
                        time=series.day,
                        weight=series.weight,
                        example=series.example,
                        position=series.position,
                    )
                )
            source.check_count(grouper.examples)
            md5 = examples.md5()
            _check_md5(task, md5)
            attributes = _attributes(source, md5, size, grouper)
            content = writer.finish(grouper.label_pixels or 1, attributes, on_window=lambda: on_bytes(0))
        files = checksums(content.path)
        container.publish(source.unit, content.path)
        seconds = time.monotonic() - began
        record = _record(task, md5, size, mtime_ns, grouper, content, files, seconds)
        record = dataclasses.replace(record, unpacker=examples.unpacker)
        ledger.write(record)
        return record
    finally:
        for left_over in (work, work.with_name(work.name + ".sorted")):
            remove(left_over)


def _check_md5(task: UnitTask, md5: str | None) -> None:
    if task.md5 is not None and md5 != task.md5:
        raise SourceError(
            "what was read is not the file of the record",
            where=str(task.source.path),
            expected=f"md5 {task.md5}",
            found=f"md5 {md5}",
            todo="delete the file and run the same command again",
        )


def _attributes(source: Source, md5: str | None, size: int, grouper: Grouper) -> dict[str, str | int]:
    """Attributes of the unit's group; nothing here depends on when or where it was made."""
    return {
        "split": source.unit.split,
        "tile": source.unit.tile,
        "source_file": printable(source.path.name),
        "source_member": printable(source.member or ""),
        "source_md5": md5 or "",
        "source_bytes": size,
        "source_examples": grouper.examples,
        "date_encoding": grouper.date_encoding or "",
        "dates_with_time_of_day": grouper.dates_with_time,
    }


def _record(
    task: UnitTask,
    md5: str | None,
    size: int,
    mtime_ns: int,
    grouper: Grouper,
    content: UnitContent,
    files: tuple[UnitFile, ...],
    seconds: float,
) -> UnitRecord:
    source = task.source
    return UnitRecord(
        unit=str(source.unit),
        plan=task.plan,
        source_file=source.path.name,
        source_member=source.member,
        source_bytes=size,
        source_mtime_ns=mtime_ns,
        source_md5=md5,
        examples=grouper.examples,
        date_encoding=grouper.date_encoding,
        dates_with_time=grouper.dates_with_time,
        label_pixels=grouper.label_pixels or 1,
        labels_outside=content.labels_outside,
        samples=content.samples,
        observations=content.observations,
        time_first=content.time_first,
        time_last=content.time_last,
        label_count=list(content.label_count),
        digest=content.digest,
        bytes=content.bytes,
        files=files,
        passes=content.passes,
        seconds=round(seconds, 3),
        peak_memory=peak_memory(),
        s2ct_version=__version__,
    )
