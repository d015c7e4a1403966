"""From a record to a store in one go with bounded disk: archives are fetched while others are converted, then deleted.

At most so many archives, whole or begun, lie in ``<store>.archives`` at a time, and a few whose units failed. An
archive goes once its units stand in the store, are recorded, and were read back with their checksums.
Every file of the record is looked into, whatever its name (intake.py). Running it again is the resume, of fetching as
of converting.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..archives.unpackers import find_unpacker
from ..durable import beside
from ..errors import WrongUsage
from ..names import UnitName, printable
from ..paths import check_readable
from ..record.api import record_id
from ..record.choice import FileChoice
from ..record.download import check_space
from ..record.events import OnEvent as OnFileEvent
from ..record.events import Planned
from ..record.live import ask_manifest
from ..record.local import State, check_folder, survey
from ..record.manifest import DEFAULT_RECORD, RecordFile, read_lock
from ..record.policy import RetryPolicy
from ..record.run import FetchRun, open_run
from ..units.claim import alone, claim
from ..units.demands import Demands
from ..units.events import Note, OnEvent, Started
from ..units.ledger import Ledger
from ..units.plan import store_options
from ..units.resume import check_overwrites
from ..units.summary import Summary, UnitsFailed
from ..units.tally import Tally
from ..units.unit import open_container
from .convert import begin
from .fetching import Archives
from .file_notes import read_note, unit_of
from .intake import Intake, Keeping

ARCHIVES = 3  # on the disk at a time
KEEP_FAILED = 3  # archives of units that failed, besides


def archives_folder(store: Path) -> Path:
    """Where the archives are while a store is built."""
    return beside(store, ".archives")


def build(
    store: str | os.PathLike[str],
    *,
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    archives: int = ARCHIVES,
    keep_archives: bool = False,
    keep_failed: int = KEEP_FAILED,
    format: str | None = None,
    codec: str | None = None,
    linked: bool = False,
    jobs: int = 1,
    memory: int | None = None,
    overwrite: bool = False,
    overwrite_units: Iterable[str] = (),
    unpacker: str = "auto",
    strict: bool = False,
    accept_count: bool = False,
    base_url: str | None = None,
    user_agent: str | None = None,
    policy: RetryPolicy | None = None,
    on_event: OnEvent = lambda event: None,
    on_file_event: OnFileEvent = lambda event: None,
    command: str = "",
) -> Summary:
    """Fetch archives of a record, convert each as it comes, and delete it; or go on with that.

    Parameters
    ----------
    store : path-like
        Where the store is to be. Archives are in ``<store>.archives`` meanwhile.
    record, base_url, user_agent, policy
        As for :func:`s2ct_convert.download`.
    tiles, splits, files : iterable of str
        Only these; ``files`` are shell patterns of names.
    archives : int
        Archives, whole or begun, that may be on the disk at the same time.
    keep_archives : bool
        Delete none, and let there be any number.
    keep_failed : int
        Archives of units that failed that stay when their turn is over, besides those; older ones are deleted.
    format, codec, linked, jobs, memory, overwrite, overwrite_units, unpacker, strict, accept_count
        As for :func:`s2ct_convert.convert`.
    on_event, on_file_event : callable
        Told of what happens to units (:mod:`s2ct_convert.units.events`) and, from another thread, to files
        (:mod:`s2ct_convert.record.events`).
    command : str
        For the ``history`` of the store.

    Returns
    -------
    Summary

    Raises
    ------
    UnitsFailed
        If archives could not be had or units not be made. The others are done; calling again goes on.
    Difference
        If the service describes the record otherwise than the lock.
    NetworkError, MachineError, WrongUsage, DestinationExists

    Examples
    --------
    >>> import s2ct_convert
    >>> summary = s2ct_convert.build("clouds.zarr", tiles=["50SMG"], jobs=4)  # doctest: +SKIP
    """
    began, store = time.monotonic(), check_readable(store)
    options, folder = store_options(store, format, codec, linked), archives_folder(store)
    choice, command = FileChoice.of(tiles, splits, files), command or shlex.join(["s2ct", "build", store.name])
    overwrite_units = list(overwrite_units)
    if archives < 1:
        raise WrongUsage("at least one archive must be on the disk to be converted", found=str(archives))
    find_unpacker(unpacker)  # or say at once that there is none
    check_folder(folder)
    tally = Tally(on_event)
    container, ledger = open_container(store, options), Ledger(store)
    with (
        alone(ledger, tally),
        open_run(
            record_id(record), base_url=base_url, user_agent=user_agent, policy=policy, on_event=on_file_event
        ) as lanes,
    ):
        claim(container, ledger, options, overwrite=overwrite)
        lock = read_lock(folder, lanes.record)
        wanted = _wanted(choice.of_manifest(lock or ask_manifest(folder, lanes)), tally)
        intake = Intake(
            container, ledger, options, tally, keeping=Keeping(folder, keep_archives, keep_failed), unpacker=unpacker,
            overwrites=_check_overwrites(overwrite_units, wanted, ledger), command=printable(command),
            demands=Demands(strict, accept_count),
        )  # fmt: skip
        todo = [file for file in wanted if not intake.is_settled(file)]
        tally(Started(sum(file.size or 0 for file in todo), len(todo), len(tally.skipped)))
        if todo:
            if lock:
                ask_manifest(folder, lanes)
            units = [unit for file in todo if read_note(ledger, file) is None and (unit := unit_of(file))]
            if units or ledger.exists():
                begin(container, ledger, options, units, printable(command))
            source = _archives(folder, lanes, todo, len(todo) if keep_archives else archives)
            try:
                source.start()
                intake.run(source, todo, jobs, memory)
            finally:
                source.stop()
                ledger.clean()
        if not ledger.exists() and not tally.failures:
            raise WrongUsage(
                "nothing of that is an archive of a unit",
                where=f"record {lanes.record}",
                found=", ".join(tally.not_units),
            )
        end = tally.end(container, ledger, printable(command))
    summary = tally.summary(store, options, end, time.monotonic() - began)
    if summary.failures:
        raise UnitsFailed(summary, again="run the same command again: what is done stays, and what came is kept")
    return summary


def _wanted(files: Sequence[RecordFile], on_event: OnEvent) -> list[RecordFile]:
    """Files to look into; of several that are one by content and by the unit of their names, the first."""
    first: dict[tuple[str, UnitName | None], RecordFile] = {}
    for file in files:
        same = first.setdefault((file.md5, unit_of(file)), file)
        if same is not file:
            on_event(Note(f"{file.key}: the same content as {same.key}"))
    return list(first.values())


def _check_overwrites(units: Iterable[str], files: Sequence[RecordFile], ledger: Ledger) -> frozenset[str]:
    """Units that may be replaced; where a file has no unit in its name, only its content says which it has."""
    named = [unit_of(file) for file in files]
    there = [unit for unit in named if unit] + ledger.planned()
    if None in named:
        there += [UnitName.from_path(unit) for unit in units if unit.count("/") == 1]
    return check_overwrites(units, there)


def _archives(folder: Path, lanes: FetchRun, todo: Sequence[RecordFile], places: int) -> Archives:
    """See what is here of the files, and that there is room for those that come first."""
    found = survey(folder, todo, paranoid=False, on_event=lanes.on_event)
    missing = [one for one in found if one.state is not State.OK]
    total, have = sum(one.file.size or 0 for one in missing), sum(one.have for one in missing)
    largest = sorted((one.file.size or 0 for one in missing), reverse=True)[:places]
    check_space(folder, max(0, sum(largest) - have))
    lanes.on_event(Planned(len(missing), total, have, len(found) - len(missing)))
    return Archives(folder, lanes, found, places)
