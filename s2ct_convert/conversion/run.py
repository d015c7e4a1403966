"""Converts sources to a store: plan, skip what is done, run the rest, finalise."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Incomplete, NotAStore, from_os_error
from ..names import printable
from ..reading.store import open_store
from ..source.find import Source
from ..source.native import Unpacker, find_unpacker
from ..store.container import Container
from ..store.layout import STATE_INCOMPLETE, root_attributes
from ..version import __version__
from .claim import claim
from .engine import run_here, run_processes
from .events import Event, Finalising, Note, OnEvent, Started, UnitDone, UnitFailed
from .finalise import expected_digest, finalise
from .ledger import Ledger, UnitRecord
from .plan import Plan, make_plan
from .summary import Summary, UnitsFailed
from .unit import UnitTask, open_container


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
    unpacker: str = "auto",
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
    unpacker : {"auto", "python", "7zz"}
        What unpacks archives: a 7-Zip program on the PATH, our own code, or by default the program where there is one.
        The store is the same either way.
    on_event : callable
        Told of everything that happens, see :mod:`s2ct_convert.conversion.events`.
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
    unpacks = find_unpacker(unpacker)
    paths = [Path(p) for p in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    plan = make_plan(
        paths, Path(store), format=format, codec=codec, linked=linked, tiles=tuple(tiles), splits=tuple(splits)
    )
    command = printable(command or shlex.join(["s2ct", "convert", *(path.name for path in paths), plan.store.name]))
    container, ledger = open_container(plan.store, plan.options), Ledger(plan.store)
    tally = _Tally(on_event)
    for note in plan.notes:
        tally(Note(note))
    for unusable in plan.unusable:
        path, error = unusable.path, unusable.error
        tally(UnitFailed(str(unusable.unit or path.name), str(path), error.exit_code, str(error)))
    if plan.sources:
        claim(container, ledger, plan.options, overwrite=overwrite)
        skipped, todo = _sort_out(plan, container, ledger)
        tally(Started(sum(source.path.stat().st_size for source in todo), len(todo), len(skipped)))
        if todo:
            _begin(plan, container, ledger, command)
            _make_units(plan, ledger, todo, jobs, unpacks, tally)
    else:
        skipped, todo = [], []
    missing = tuple(str(unit) for unit in ledger.planned() if not (ledger.record(unit) and container.has(unit)))
    digest = None
    if plan.sources and not missing and not tally.failures:
        digest = _complete(container, ledger, command, changed=bool(todo), on_event=tally)
    summary = Summary(
        store=plan.store,
        format=plan.options.format,
        codec=plan.options.codec,
        converted=tuple(tally.converted),
        skipped=tuple(skipped),
        failures=tuple(tally.failures),
        missing=missing,
        digest=digest,
        seconds=time.monotonic() - began,
    )
    if summary.failures:
        again = shlex.join([*(failure.source for failure in summary.failures), str(plan.store)])
        raise UnitsFailed(summary, again=f"s2ct convert {again}{plan.options.flags()}")
    return summary


def _sort_out(plan: Plan, container: Container, ledger: Ledger) -> tuple[list[UnitRecord], list[Source]]:
    """Records of the units that are done, and the sources of those that are not."""
    done, todo = [], []
    for source in plan.sources:
        record = ledger.record(source.unit)
        if record and container.has(source.unit) and _is_of(record, source):
            done.append(record)
        else:
            todo.append(source)
    return done, todo


def _begin(plan: Plan, container: Container, ledger: Ledger, command: str) -> None:
    """Note what is planned, then make the store say that it is not complete."""
    ledger.begin(plan.options, plan.units)
    attributes = root_attributes(state=STATE_INCOMPLETE, version=__version__, command=command, units=0, digest="")
    container.begin(ledger.planned(), attributes)


def _make_units(
    plan: Plan, ledger: Ledger, todo: list[Source], jobs: int, unpacker: Unpacker, on_event: OnEvent
) -> None:
    """Share the cores: first between units, then, where there are fewer units than cores, inside them."""
    concurrent = min(jobs, len(todo))
    tasks = [UnitTask(plan.store, plan.options, source, max(1, jobs // concurrent), unpacker) for source in todo]
    try:
        if concurrent == 1:
            run_here(tasks, on_event)
        else:
            run_processes(tasks, concurrent, on_event)
    finally:
        ledger.clean()


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


def _complete(container: Container, ledger: Ledger, command: str, *, changed: bool, on_event: OnEvent) -> str:
    """Finalise a store whose units are all done, unless it holds just these already; its digest."""
    try:
        digest = None if changed else _finished_digest(container.path)
        if digest is None or digest != expected_digest(ledger):  # an earlier run may have died before it finalised
            on_event(Finalising())
            digest = finalise(container, ledger, command)
        container.tidy(ledger.planned())
        return digest
    except OSError as error:
        raise from_os_error(error, str(container.path)) from error


def _finished_digest(store: Path) -> str | None:
    """Digest of a store that is complete as it is."""
    try:
        with open_store(store) as opened:
            return opened.digest
    except (Incomplete, NotAStore):
        return None
