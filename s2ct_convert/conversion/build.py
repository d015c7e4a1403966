"""From a record to a store in one go with bounded disk: archives are fetched while others are converted, then deleted.

At most so many archives, whole or begun, lie in ``<store>.archives`` at a time. An archive goes once its unit stands in
the store, is recorded, and was read back with the checksums it was written with; one whose unit failed stays, and keeps
its place among them. Running it again is the resume, of fetching as of converting.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..durable import beside, remove
from ..errors import EXIT_MACHINE, BadName, S2ctError, SourceError, StoreDamaged, WrongUsage
from ..names import UnitName, parse_name, printable
from ..paths import check_readable
from ..record.api import record_id
from ..record.budget import Budget
from ..record.download import ask_manifest, check_space, in_turn, open_lanes
from ..record.events import OnEvent as OnFileEvent
from ..record.events import Planned
from ..record.fetch import Lanes
from ..record.local import State, check_folder, survey
from ..record.manifest import DEFAULT_RECORD, RecordFile, read_lock
from ..record.policy import RetryPolicy
from ..record.selection import Selection
from ..source.find import find_sources
from ..source.unpackers import find_unpacker
from ..store.container import Container
from .archives import Archives, Piece
from .claim import alone, claim
from .engine import run_here, run_processes
from .estimate import share
from .events import Event, Note, OnEvent, Started, UnitDone, UnitFailed
from .finalise import complete
from .ledger import Ledger
from .plan import store_options
from .records import Options, UnitRecord, checksums
from .run import Tally, begin
from .summary import Summary, UnitsFailed
from .unit import UnitTask, done_record, open_container

ARCHIVES = 3  # on the disk at a time


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
    format: str | None = None,
    codec: str | None = None,
    linked: bool = False,
    jobs: int = 1,
    memory: int | None = None,
    overwrite: bool = False,
    unpacker: str = "auto",
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
    format, codec, linked, jobs, memory, overwrite, unpacker
        As for :func:`s2ct_convert.convert`.
    on_event, on_file_event : callable
        Told of what happens to units (:mod:`s2ct_convert.conversion.events`) and, from another thread, to files
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
    began, store, policy = time.monotonic(), check_readable(store), policy or RetryPolicy()
    options, folder = store_options(store, format, codec, linked), archives_folder(store)
    selection, command = Selection.of(tiles, splits, files), command or shlex.join(["s2ct", "build", store.name])
    if archives < 1:
        raise WrongUsage("at least one archive must be on the disk to be converted", found=str(archives))
    find_unpacker(unpacker)  # or say at once that there is none
    check_folder(folder)
    tally, tell_file = Tally(on_event), in_turn(on_file_event)
    container, ledger = open_container(store, options), Ledger(store)
    with (
        alone(ledger, tally),
        open_lanes(
            record_id(record), base_url=base_url, user_agent=user_agent, policy=policy, budget=Budget(),
            on_event=tell_file,
        ) as lanes,
    ):  # fmt: skip
        claim(container, ledger, options, overwrite=overwrite)
        lock = read_lock(folder, lanes.record)
        pieces = _pieces(selection.of_manifest(lock or ask_manifest(folder, lanes)), lanes.record, tally)
        work = _Work(container, ledger, options, folder, keep_archives, unpacker, tally)
        skipped = [made for piece in pieces if (made := work.done(piece))]
        todo = [piece for piece in pieces if str(piece.unit) not in {made.unit for made in skipped}]
        tally(Started(sum(piece.file.size or 0 for piece in todo), len(todo), len(skipped)))
        if todo:
            if lock:
                ask_manifest(folder, lanes)
            begin(container, ledger, options, [piece.unit for piece in pieces], printable(command))
            source = _archives(folder, lanes, todo, len(todo) if keep_archives else archives)
            try:
                source.start()
                work.run(source, jobs, memory)
            finally:
                source.stop()
                ledger.clean()
        missing = tuple(str(unit) for unit in ledger.planned() if not done_record(container, ledger, unit))
        digest = None
        if not missing and not tally.failures:
            digest = complete(container, ledger, printable(command), ledger.planned(), tally)
    summary = tally.summary(store, options, skipped, missing, digest, time.monotonic() - began)
    if summary.failures:
        raise UnitsFailed(summary, again="run the same command again: what is done stays, and what came is kept")
    return summary


def _pieces(files: Sequence[RecordFile], record: str, on_event: OnEvent) -> list[Piece]:
    """The files that are units by their names."""
    pieces = []
    for file in files:
        try:
            pieces.append(Piece(parse_name(file.key)[0], file))
        except BadName:
            on_event(Note(f"{file.key}: passed over, by its name it is no unit"))
    if not pieces:
        raise WrongUsage("nothing of that is an archive of a unit", where=f"record {record}")
    return pieces


def _archives(folder: Path, lanes: Lanes, todo: Sequence[Piece], places: int) -> Archives:
    """See what is here of the archives, and that there is room for those that come first."""
    found = survey(folder, [piece.file for piece in todo], paranoid=False, on_event=lanes.on_event)
    missing = [one for one in found if one.state is not State.OK]
    total, have = sum(one.file.size or 0 for one in missing), sum(one.have for one in missing)
    largest = sorted((one.file.size or 0 for one in missing), reverse=True)[:places]
    check_space(folder, max(0, sum(largest) - have))
    lanes.on_event(Planned(len(missing), total, have, len(found) - len(missing)))
    return Archives(folder, lanes, list(zip(todo, found, strict=True)), places)


class _Work:
    """Makes units of archives as they come, and deletes these."""

    def __init__(
        self,
        container: Container,
        ledger: Ledger,
        options: Options,
        folder: Path,
        keep: bool,
        unpacker: str,
        on_event: OnEvent,
    ) -> None:
        self._container, self._ledger, self._options = container, ledger, options
        self._folder, self._keep, self._unpacker, self._on_event = folder, keep, unpacker, on_event
        self._stopped = False

    def done(self, piece: Piece) -> UnitRecord | None:
        """The record of a unit that is done; its archive goes now if the run that made it could not see to that."""
        record = done_record(self._container, self._ledger, piece.unit)
        if record is None or record.source_md5 != piece.file.md5:
            return None
        if not self._keep:
            remove(self._folder / piece.file.key)
        return record

    def run(self, archives: Archives, jobs: int, memory: int | None) -> None:
        """Until there are no more archives, or a fault of the machine would meet every other unit too."""
        while not self._stopped and (came := archives.take(jobs)):
            tasks = []
            for piece, failure in came:
                try:
                    if failure is None:
                        tasks.append(self._task(piece))
                    else:
                        self._fail(archives, piece.unit, failure.exit_code, failure.message)
                except S2ctError as error:
                    self._fail(archives, piece.unit, error.exit_code, str(error))
            if tasks:
                self._make(archives, tasks, *share(jobs, len(tasks), memory))

    def _task(self, piece: Piece) -> UnitTask:
        found = find_sources([self._folder / piece.file.key])
        if found.unusable:
            raise found.unusable[0].error
        units = [source.unit for source in found.sources]
        if units != [piece.unit]:
            raise SourceError(
                "the archive does not hold the unit of its name",
                where=piece.file.key,
                found=", ".join(map(str, units)) or "no TFRecord",
            )
        store, source = self._container.path, found.sources[0]
        return UnitTask(store, self._options, source, 1, unpacker=self._unpacker, md5=piece.file.md5)

    def _make(self, archives: Archives, tasks: list[UnitTask], concurrent: int, threads: int) -> None:
        tasks = [dataclasses.replace(task, threads=threads) for task in tasks]
        paths = {str(task.source.unit): task.source.path for task in tasks}

        def listen(event: Event) -> None:
            if isinstance(event, UnitFailed):
                self._tell_failure(archives, event)
                return
            self._on_event(event)
            if isinstance(event, UnitDone):
                self._check(event.record)
                if not self._keep:
                    remove(paths[event.record.unit])
                archives.free()

        if concurrent == 1:
            run_here(tasks, listen)
        else:
            run_processes(tasks, concurrent, listen)

    def _fail(self, archives: Archives, unit: UnitName, exit_code: int, message: str) -> None:
        self._tell_failure(archives, UnitFailed(str(unit), "", exit_code, message))

    def _tell_failure(self, archives: Archives, failure: UnitFailed) -> None:
        self._on_event(failure)
        if failure.exit_code == EXIT_MACHINE:
            self._stopped = True
        elif not archives.keep():
            self._on_event(Note("what is here of units that failed takes all places: no more is fetched"))
            self._stopped = True

    def _check(self, record: UnitRecord) -> None:
        """Read back what was written, before its archive is deleted."""
        unit = UnitName.from_path(record.unit)
        if checksums(self._container.home(unit)) != record.files:
            self._ledger.forget(unit)
            raise StoreDamaged(
                "what is read back is not what was written",
                where=str(self._container.home(unit)),
                todo="look after the disk; the archive is kept, run the same command again",
            )
