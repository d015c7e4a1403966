"""Converts sources to a store: look, plan, skip what is done, run the rest, finalise."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from .. import __version__
from ..errors import DestinationExists, Incomplete, NotAStore, SomeFailed, WrongUsage, from_os_error
from ..source.find import Source, find_sources
from ..store.codecs import find_codec
from ..store.container import Container
from ..store.layout import OBS_BYTES, STATE_INCOMPLETE, root_attributes
from ..store.reader import open_store
from .engine import run_here, run_processes
from .events import Event, Finalising, Note, OnEvent, Started, UnitDone, UnitFailed
from .finalise import finalise
from .ledger import Ledger, Options, UnitRecord
from .unit import UnitTask, open_container

_SUFFIXES = {".zarr": "zarr", ".h5": "hdf5", ".hdf5": "hdf5", ".he5": "hdf5", ".nc": "hdf5", ".nc4": "hdf5"}


@dataclass(frozen=True)
class Summary:
    """What a conversion did.

    ``converted`` are the units made now, ``skipped`` those that were done before, ``failures`` what could not be
    made. Bytes in and out and seconds are of the units made now; ``digest`` is None while the store is incomplete.
    """

    store: Path
    format: str
    codec: str
    converted: tuple[UnitRecord, ...]
    skipped: tuple[UnitRecord, ...]
    failures: tuple[UnitFailed, ...]
    digest: str | None
    seconds: float

    @property
    def bytes_in(self) -> int:
        return sum(record.source_bytes for record in self.converted)

    @property
    def bytes_out(self) -> int:
        return sum(record.bytes for record in self.converted)

    @property
    def bytes_raw(self) -> int:
        """Bytes of the pixels."""
        return sum(record.observations for record in self.converted) * OBS_BYTES


class UnitsFailed(SomeFailed):
    """Some units could not be made; the others are done. ``summary`` tells both."""

    def __init__(self, summary: Summary, todo: str) -> None:
        self.summary = summary
        done = len(summary.converted) + len(summary.skipped)
        super().__init__(
            f"{len(summary.failures)} of {done + len(summary.failures)} units failed",
            {failure.exit_code for failure in summary.failures},
            some_done=done > 0,
            where=str(summary.store),
            todo=todo,
        )


@dataclass
class _Tally:
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


def convert(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    format: str | None = None,
    codec: str | None = None,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    jobs: int = 1,
    overwrite: bool = False,
    linked: bool = False,
    on_event: OnEvent = lambda event: None,
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
    overwrite : bool
        Delete a store that is there and start anew.
    linked : bool
        HDF5 only: leave one file per unit in ``<store>.units/`` and make the store a file of links to them.
    on_event : callable
        Told of everything that happens, see :mod:`s2ct_convert.convert.events`.
    command : str
        For the ``history`` of the store; by default made up from the arguments.

    Returns
    -------
    Summary

    Raises
    ------
    WrongUsage, DestinationExists
        If the arguments do not fit what is there.
    UnitsFailed
        If units could not be made. The others are done, and calling again tries only those that are missing.
    """
    began = time.monotonic()
    paths = [Path(p) for p in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    destination = Path(store)
    options = _options(destination, format, codec, linked)
    found = find_sources(paths)
    chosen = _choose(found.sources, tuple(tiles), tuple(splits))
    if not chosen and not found.failures:
        raise WrongUsage(
            "there is nothing to convert", where=", ".join(map(str, paths)), found="no archive, no TFRecord"
        )
    _keep_sources_safe(destination, paths)
    container, ledger = open_container(destination, options), Ledger(destination)
    tally = _Tally(on_event)
    for note in found.notes:
        tally(Note(note))
    command = command or _command(paths, destination)
    if chosen:
        _claim(container, ledger, options, overwrite)
    skipped, tasks = [], []
    for source in sorted(chosen, key=lambda s: s.path.stat().st_size, reverse=True):
        record = ledger.record(source.unit)
        if record and container.has(source.unit) and _is_of(record, source):
            skipped.append(record)
        else:
            tasks.append(source)
    tally(Started(sum(source.path.stat().st_size for source in tasks), len(tasks), len(skipped)))
    for path, error in found.failures:
        tally(UnitFailed(path.name, str(path), error.exit_code, str(error)))
    if tasks:
        ledger.begin(options, [source.unit for source in chosen])
        container.begin(
            ledger.planned(),
            root_attributes(state=STATE_INCOMPLETE, version=__version__, command=command, units=0, digest=""),
        )
        concurrent = min(jobs, len(tasks))
        work = [UnitTask(destination, options, source, max(1, jobs // concurrent)) for source in tasks]
        try:
            if concurrent == 1:
                run_here(work, tally)
            else:
                run_processes(work, concurrent, tally)
        finally:
            ledger.clean()
    digest = None
    if chosen and not tally.failures:
        digest = _complete(container, ledger, command, changed=bool(tasks), on_event=tally)
    summary = Summary(
        destination, options.format, options.codec, tuple(tally.converted), tuple(skipped), tuple(tally.failures),
        digest, time.monotonic() - began,
    )  # fmt: skip
    if summary.failures:
        again = " ".join(shlex.quote(failure.source) for failure in summary.failures)
        raise UnitsFailed(summary, f"s2ct convert {again} {shlex.quote(str(destination))}{_flags(options)}")
    return summary


def _options(store: Path, format: str | None, codec: str | None, linked: bool) -> Options:
    format = format or _SUFFIXES.get(store.suffix.lower())
    if format is None:
        raise WrongUsage(
            "the format cannot be told from the name of the store",
            where=str(store),
            expected="a name that ends in .zarr or .h5",
            todo="name the store so, or give --format zarr or --format hdf5",
        )
    if format not in ("zarr", "hdf5"):
        raise WrongUsage(f"there is no format {format!r}", expected="zarr or hdf5")
    if linked and format != "hdf5":
        raise WrongUsage("--linked is for HDF5: a Zarr store is a folder of units already")
    return Options(format, find_codec(format, codec).name, linked)


def _choose(sources: list[Source], tiles: tuple[str, ...], splits: tuple[str, ...]) -> list[Source]:
    wanted = {tile.removeprefix("T") for tile in tiles}
    chosen = [s for s in sources if (not wanted or s.unit.tile in wanted) and (not splits or s.unit.split in splits)]
    missing = wanted - {source.unit.tile for source in sources}
    if missing or (sources and not chosen):
        raise WrongUsage(
            "no source is of what was asked for",
            expected=" ".join(
                [*(f"--tile {tile}" for tile in sorted(missing or wanted)), *(f"--split {s}" for s in splits)]
            ),
            found=", ".join(str(source.unit) for source in sources),
        )
    return chosen


def _keep_sources_safe(store: Path, sources: list[Path]) -> None:
    for source in sources:
        if source.resolve().is_relative_to(store.resolve()):
            raise WrongUsage(
                "a source lies inside the destination", where=str(source), todo="choose another destination"
            )


def _claim(container: Container, ledger: Ledger, options: Options, overwrite: bool) -> None:
    """See that the destination is free, ours to go on with, or ours to delete."""
    store = container.path
    if overwrite:
        if container.exists() and not (ledger.exists() or _is_a_store(store)):
            raise DestinationExists("what is there is no store, and is not deleted", where=str(store))
        container.destroy()
        ledger.destroy()
    elif ledger.exists():
        ledger.check_options(options, store)
    elif container.exists() and not _is_empty_folder(store):
        raise DestinationExists(
            "the destination exists and was not made by this command",
            where=str(store),
            todo="choose another destination, or give --overwrite to delete it first",
        )


def _is_a_store(path: Path) -> bool:
    return _is_empty_folder(path) or (path / "zarr.json").exists() or (path.is_file() and h5py.is_hdf5(path))


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _is_of(record: UnitRecord, source: Source) -> bool:
    """Whether a record is of this source as it is now: by size and time, and by MD5 if only the time differs."""
    status = source.path.stat()
    if (record.source_file, record.source_member, record.source_bytes) != (
        source.path.name,
        source.member,
        status.st_size,
    ):
        return False
    if record.source_mtime_ns == status.st_mtime_ns:
        return True
    if record.source_md5 is None:
        return False
    with open(source.path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == record.source_md5


def _complete(container: Container, ledger: Ledger, command: str, *, changed: bool, on_event: OnEvent) -> str | None:
    """Finalise if every planned unit is done; None if other runs have left some."""
    missing = [str(unit) for unit in ledger.planned() if not (ledger.record(unit) and container.has(unit))]
    if missing:
        on_event(Note(f"{container.path}: still incomplete, missing {', '.join(missing)}"))
        return None
    try:
        if not changed and (digest := _finished_digest(container.path)):
            return digest
        on_event(Finalising())
        return finalise(container, ledger, command)
    except OSError as error:
        raise from_os_error(error) from error


def _finished_digest(store: Path) -> str | None:
    """Digest of a store that is complete as it is."""
    try:
        with open_store(store) as opened:
            return opened.digest
    except (Incomplete, NotAStore):
        return None


def _command(sources: list[Path], store: Path) -> str:
    return shlex.join(["s2ct", "convert", *(source.name for source in sources), store.name])


def _flags(options: Options) -> str:
    return f" --format {options.format} --codec {options.codec}{' --linked' if options.linked else ''}"
