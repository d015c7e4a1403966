"""Makes units of the files of a record as they come, and deletes these.

What a file holds is seen once it is here, whatever its name. It goes once all its units stand in the store, are
recorded and were read back. Files of units that failed are kept, the newest few of them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..durable import remove
from ..engines.local import run_here, run_processes
from ..errors import EXIT_MACHINE, DuplicateUnit, NotAnArchive, NotATFRecord, S2ctError, StoreDamaged
from ..names import UnitName
from ..record.events import FileFailed
from ..record.manifest import RecordFile
from ..record.partial import partial_path
from ..source.find import Found, Source, find_sources
from ..store.container import Container
from ..units.demands import Demands
from ..units.events import Event, Note, UnitDone, UnitFailed
from ..units.ledger import Ledger
from ..units.records import Options, UnitRecord
from ..units.resume import Candidate, Verdict, judge, refusal
from ..units.tally import Tally
from ..units.unit import UnitTask, done_record
from .convert import begin
from .estimate import share
from .fetching import Archives
from .file_notes import found_in, read_note, unit_of, write_note


@dataclass(frozen=True)
class Keeping:
    """Which files stay in the folder: all, or those of failed units, so many of them."""

    folder: Path
    all: bool
    failed: int


class Intake:
    """Makes units of files that come, and says which need not come."""

    def __init__(
        self,
        container: Container,
        ledger: Ledger,
        options: Options,
        tally: Tally,
        *,
        keeping: Keeping,
        unpacker: str,
        demands: Demands,
        overwrites: Collection[str],
        command: str,
    ) -> None:
        self._container, self._ledger, self._options, self._tally = container, ledger, options, tally
        self._demands = demands
        self._keeping, self._unpacker, self._overwrites, self._command = keeping, unpacker, overwrites, command
        self._stopped = False
        self._under_way: Counter[str] = Counter()  # units that are still to be made, by file
        self._bad: set[str] = set()  # files of which a unit failed
        self._kept: deque[RecordFile] = deque()  # those that have had their turn, the oldest first
        self._named: Counter[UnitName] = Counter()  # units by the names of files that were not looked into yet

    def is_settled(self, file: RecordFile) -> bool:
        """Whether a file need not come: it holds no unit, or only units that are done or not to be replaced."""
        found = read_note(self._ledger, file)
        if found is None:
            return False
        verdicts = [self._verdict(UnitName.from_path(one.unit), one.candidate(file), file.key) for one in found]
        if any(verdict.done is None and verdict.refused is None for verdict in verdicts):
            return False
        for one, verdict in zip(found, verdicts, strict=True):
            self._tell(UnitName.from_path(one.unit), file, verdict)
        if not found:
            self._tell_no_unit(file)
        if not self._keeping.all and not any(verdict.refused for verdict in verdicts):
            remove(self._keeping.folder / file.key)
        return True

    def run(self, archives: Archives, files: Iterable[RecordFile], jobs: int, memory: int | None) -> None:
        """Until there are no more files, or a fault of the machine would meet every other unit too."""
        self._named.update(unit for file in files if (unit := unit_of(file)))
        while not self._stopped and (came := archives.take(jobs)):
            waiting: list[tuple[RecordFile, Source]] = []
            for file, failure in came:
                sources = self._sources(file, failure)
                waiting += [(file, source) for source in sources]
                self._under_way[file.key] = len(sources)
                if not sources:
                    self._end(archives, file)
            while waiting and not self._stopped:
                now = {source.unit: (file, source) for file, source in reversed(waiting)}
                waiting = [one for one in waiting if one not in now.values()]  # another source of a unit comes later
                tasks = {unit: one for unit, one in now.items() if self._is_to_be_made(archives, *one)}
                if tasks:
                    self._make(archives, [self._task(*one) for one in tasks.values()], tasks, jobs, memory)

    def _sources(self, file: RecordFile, failure: FileFailed | None) -> list[Source]:
        """What a file that came holds; none if it could not be had, is damaged, or holds no unit."""
        if failure is not None:
            told = str(unit_of(file) or file.key)
            self._tell_failure(file, UnitFailed(told, file.key, failure.exit_code, failure.message))
            return []
        try:
            found = find_sources([self._keeping.folder / file.key])
            for note in found.notes:
                self._tally(Note(note))
            bad = [one.error for one in found.unusable if not _is_no_source(one.error, file)]
            self._plan(file, [source.unit for source in found.sources])
            if not bad and self._ledger.exists():
                write_note(self._ledger, file, tuple(map(found_in, found.sources)))
        except S2ctError as error:
            found, bad = Found(), [error]
        for fault in bad:
            self._fail(file, fault)
        if not found.sources and not bad:
            self._tell_no_unit(file)
        return found.sources

    def _plan(self, file: RecordFile, units: list[UnitName]) -> None:
        """Plan the units that the name of a file does not say, instead of the one that it says."""
        named, planned = unit_of(file), set(self._ledger.planned())
        if new := [unit for unit in units if unit not in planned]:
            begin(self._container, self._ledger, self._options, new, self._command)
        if named is not None and units:
            self._named[named] -= 1
            if named not in units and not self._named[named] and not self._ledger.record(named):
                self._ledger.unplan(named)

    def _verdict(self, unit: UnitName, candidate: Candidate, where: str) -> Verdict:
        record = done_record(self._container, self._ledger, unit)
        return judge(record, candidate, where, overwrite=str(unit) in self._overwrites)

    def _is_to_be_made(self, archives: Archives, file: RecordFile, source: Source) -> bool:
        verdict = self._verdict(source.unit, Candidate.of(source, file.md5 if source.member else None), source.where)
        self._tell(source.unit, file, verdict)
        if verdict.done or verdict.refused:
            self._settle(archives, file)
            return False
        return True

    def _tell(self, unit: UnitName, file: RecordFile, verdict: Verdict) -> None:
        if verdict.note:
            self._tally(Note(verdict.note))
        if verdict.refused:
            self._bad.add(file.key)
            self._tally(refusal(unit, file.key, verdict.refused))
        elif verdict.done and verdict.done not in self._tally.converted + self._tally.skipped:
            self._tally.skipped.append(verdict.done)

    def _tell_no_unit(self, file: RecordFile) -> None:
        self._tally(Note(f"{file.key}: this file holds no unit: it is neither a 7z archive nor a TFRecord"))
        self._tally.not_units.append(file.key)

    def _task(self, file: RecordFile, source: Source) -> UnitTask:
        return UnitTask(
            self._ledger.store,
            self._options,
            source,
            1,
            unpacker=self._unpacker,
            md5=file.md5 if source.member is not None else None,  # that of a bare TFRecord was checked as it came
            replaces=done_record(self._container, self._ledger, source.unit),
            demands=self._demands,
        )

    def _make(
        self,
        archives: Archives,
        tasks: list[UnitTask],
        files: dict[UnitName, tuple[RecordFile, Source]],
        jobs: int,
        memory: int | None,
    ) -> None:
        concurrent, threads = share(jobs, len(tasks), memory)
        tasks = [dataclasses.replace(task, threads=threads) for task in tasks]

        def listen(event: Event) -> None:
            if isinstance(event, UnitDone):
                file, _ = files[UnitName.from_path(event.record.unit)]
                self._tally(event)
                self._check(event.record)
                self._settle(archives, file)
            elif isinstance(event, UnitFailed):
                file, _ = files[UnitName.from_path(event.unit)]
                self._tell_failure(file, event)
                self._settle(archives, file)
            else:
                self._tally(event)

        if concurrent == 1:
            run_here(tasks, listen)
        else:
            run_processes(tasks, concurrent, listen)

    def _fail(self, file: RecordFile, error: S2ctError) -> None:
        told, refused = str(unit_of(file) or file.key), isinstance(error, DuplicateUnit)
        self._tell_failure(file, UnitFailed(told, file.key, error.exit_code, str(error), refused=refused))

    def _tell_failure(self, file: RecordFile, failure: UnitFailed) -> None:
        self._bad.add(file.key)
        self._tally(failure)
        if failure.exit_code == EXIT_MACHINE:
            self._stopped = True

    def _settle(self, archives: Archives, file: RecordFile) -> None:
        """One unit of a file has had its turn."""
        self._under_way[file.key] -= 1
        if not self._under_way[file.key]:
            self._end(archives, file)

    def _end(self, archives: Archives, file: RecordFile) -> None:
        """All units of a file have had their turn: it goes, or is kept in the place of an older one."""
        if self._keeping.all or self._stopped:
            pass
        elif file.key not in self._bad:
            remove(self._keeping.folder / file.key)
        else:
            self._kept.append(file)
            if len(self._kept) > self._keeping.failed:
                self._delete(self._kept.popleft())
        archives.free()

    def _delete(self, file: RecordFile) -> None:
        path = self._keeping.folder / file.key
        for one in (path, partial_path(path, file)):
            remove(one)
        kept = self._keeping.failed
        newest = "none is kept" if not kept else "the newest is kept" if kept == 1 else f"the newest {kept} are kept"
        self._tally(Note(f"{file.key}: deleted; of files whose units failed {newest} (--keep-failed)"))

    def _check(self, record: UnitRecord) -> None:
        """Read back what was written, before its archive is deleted."""
        unit = UnitName.from_path(record.unit)
        if self._container.files(unit) != record.files:
            self._ledger.forget(unit)
            raise StoreDamaged(
                "what is read back is not what was written",
                where=self._container.place(unit),
                todo="look after the disk; the archive is kept, run the same command again",
            )


def _is_no_source(error: S2ctError, file: RecordFile) -> bool:
    """Whether a file is nothing that this program is for, and does not claim to be."""
    return isinstance(error, NotAnArchive | NotATFRecord) and not file.key.lower().endswith(".7z")
