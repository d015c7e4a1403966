"""Makes units from the files of a record once they are fetched, and reads the units back.

The content of a file decides what it holds, not its name. keeping.py decides which files stay on the disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ..engines.local import run_local, share
from ..errors import DuplicateUnit, NotAnArchive, NotATFRecord, S2ctError, StoreDamaged
from ..events import Event, Message
from ..limits import shared_memory
from ..names import UnitName
from ..record.events import FileFailed
from ..record.manifest import RecordFile
from ..source.find import Found, Source, find_sources
from ..store.container import Container
from ..units.entries import UnitEntry
from ..units.events import SourceSkipped, UnitDone, UnitFailed
from ..units.ledger import Ledger
from ..units.options import PlanOptions, RunOptions
from ..units.plan import store_options
from ..units.resume import Candidate, Verdict, judge, refusal
from ..units.tally import Tally
from ..units.unit import UnitTask, done_entry
from .convert import begin
from .fetching import Archives
from .file_notes import found_in, read_note, unit_of, write_note
from .keeping import Keeping


class Intake:
    """Makes units from fetched files, and decides which files need no download."""

    def __init__(
        self,
        container: Container,
        ledger: Ledger,
        tally: Tally,
        keeping: Keeping,
        *,
        plan: PlanOptions,
        run: RunOptions,
        overwrites: Collection[str],
        command: str,
    ) -> None:
        self._container, self._ledger, self._tally, self._keeping = container, ledger, tally, keeping
        self._options, self._demands = store_options(ledger.store, plan), plan.demands
        self._run, self._overwrites, self._command = run, set(overwrites), command
        self._named: Counter[UnitName] = Counter()  # units by the names of files that were not examined yet

    def is_settled(self, file: RecordFile) -> bool:
        """Whether a file needs no download: it holds no unit, or only units that are done or may not be replaced."""
        found = read_note(self._ledger, file)
        if found is None:
            return False
        verdicts = [self._verdict(UnitName.from_path(one.unit), one.candidate(file), file.key) for one in found]
        if any(verdict.done is None and verdict.refused is None for verdict in verdicts):
            return False
        for one, verdict in zip(found, verdicts, strict=True):
            self._report(UnitName.from_path(one.unit), file, verdict)
        if not found:
            self._report_no_unit(file)
        if not any(verdict.refused for verdict in verdicts):
            self._keeping.drop(file)
        return True

    def begin(self, files: Sequence[RecordFile]) -> None:
        """Plan the units in the names of these files, if they were not examined yet."""
        self._named.update(unit for file in files if (unit := unit_of(file)))
        units = [unit for file in files if read_note(self._ledger, file) is None and (unit := unit_of(file))]
        if units or self._ledger.exists():
            begin(self._container, self._ledger, self._options, units, self._command)

    def make_all(self, archives: Archives) -> None:
        """Make units until there are no more files, or until a failure that would hit every other unit too."""
        while not self._keeping.stopped and (came := archives.take(self._run.jobs)):
            waiting: list[tuple[RecordFile, Source]] = []
            for file, failure in came:
                sources = self._sources(file, failure)
                waiting += [(file, source) for source in sources]
                if not sources:
                    self._tally(SourceSkipped(file.size or 0))
                self._keeping.came(file, len(sources))
            while waiting and not self._keeping.stopped:
                now = {source.unit: (file, source) for file, source in reversed(waiting)}
                waiting = [one for one in waiting if one not in now.values()]  # another source of a unit comes later
                files = {unit: file for unit, (file, source) in now.items() if self._is_to_be_made(file, source)}
                if files:
                    self._make([self._task(*now[unit]) for unit in files], files)

    def _sources(self, file: RecordFile, failure: FileFailed | None) -> list[Source]:
        """The sources in a fetched file; none if the download failed, or the file is damaged or holds no unit."""
        if failure is not None:
            self._fail(file, UnitFailed(_unit_or_name(file), file.key, failure.exit_code, failure.message))
            return []
        try:
            found = find_sources([self._keeping.folder / file.key])
            for note in found.notes:
                self._tally(Message(note))
            bad = [one.error for one in found.unusable if not _is_no_source(one.error, file)]
            self._plan(file, [source.unit for source in found.sources])
            if not bad and self._ledger.exists():
                write_note(self._ledger, file, tuple(map(found_in, found.sources)))
        except S2ctError as error:
            found, bad = Found(), [error]
        for fault in bad:
            refused = isinstance(fault, DuplicateUnit)
            self._fail(file, UnitFailed(_unit_or_name(file), file.key, fault.exit_code, str(fault), refused=refused))
        if not found.sources and not bad:
            self._report_no_unit(file)
        return found.sources

    def _plan(self, file: RecordFile, units: list[UnitName]) -> None:
        """Plan the units that a file holds, instead of the unit in its name."""
        named, planned = unit_of(file), set(self._ledger.planned())
        if new := [unit for unit in units if unit not in planned]:
            begin(self._container, self._ledger, self._options, new, self._command)
        if named is not None and units:
            self._named[named] -= 1
            if named not in units and not self._named[named] and not self._ledger.entry(named):
                self._ledger.unplan(named)

    def _verdict(self, unit: UnitName, candidate: Candidate, where: str) -> Verdict:
        entry = done_entry(self._container, self._ledger, unit)
        return judge(entry, candidate, where, overwrite=str(unit) in self._overwrites)

    def _is_to_be_made(self, file: RecordFile, source: Source) -> bool:
        verdict = self._verdict(source.unit, Candidate.of(source, file.md5 if source.member else None), source.where)
        self._report(source.unit, file, verdict)
        if verdict.done or verdict.refused:
            self._tally(SourceSkipped(source.size()))
            self._keeping.settle(file)
            return False
        return True

    def _report(self, unit: UnitName, file: RecordFile, verdict: Verdict) -> None:
        if verdict.note:
            self._tally(Message(verdict.note))
        if verdict.refused:
            self._keeping.fails(file)
            self._tally(refusal(unit, file.key, verdict.refused))
        elif verdict.done and verdict.done not in self._tally.converted + self._tally.skipped:
            self._tally.skipped.append(verdict.done)

    def _report_no_unit(self, file: RecordFile) -> None:
        self._tally(Message(f"{file.key}: holds no unit: neither a 7z archive nor a TFRecord"))
        self._tally.not_units.append(file.key)

    def _task(self, file: RecordFile, source: Source) -> UnitTask:
        return UnitTask(
            self._ledger.store,
            self._options,
            source,
            unpacker=self._run.unpacker,
            bounds=self._run.bounds,
            md5=file.md5 if source.member is not None else None,  # the download checked that of a bare TFRecord
            replaces=done_entry(self._container, self._ledger, source.unit),
            demands=self._demands,
            overwrite=str(source.unit) in self._overwrites,
            checked=True,
        )

    def _make(self, tasks: list[UnitTask], files: Mapping[UnitName, RecordFile]) -> None:
        def listen(event: Event) -> None:
            if isinstance(event, UnitDone):
                self._tally(event)
                self._overwrites.discard(event.entry.unit)  # or another file of this run would replace it in turn
                self._check(event.entry)
                self._keeping.settle(files[UnitName.from_path(event.entry.unit)])
            elif isinstance(event, UnitFailed):
                file = files[UnitName.from_path(event.unit)]
                self._fail(file, event)
                self._keeping.settle(file)
            else:
                self._tally(event)

        memory = shared_memory() if self._run.memory is None else self._run.memory
        run_local(tasks, *share(self._run.jobs, len(tasks), memory), listen)

    def _fail(self, file: RecordFile, failure: UnitFailed) -> None:
        self._keeping.fails(file)
        self._tally(failure)
        if failure.stops_the_run:
            self._keeping.stopped = True

    def _check(self, entry: UnitEntry) -> None:
        """Read back a unit before its archive is deleted."""
        unit = UnitName.from_path(entry.unit)
        if self._container.files(unit) != entry.files:
            self._ledger.forget(unit)
            raise StoreDamaged(
                "the unit on the disk differs from the unit that was written",
                where=self._container.place(unit),
                todo="check the disk, then run the same command again; the archive is kept",
            )


def _unit_or_name(file: RecordFile) -> str:
    """The name in messages of a file that could not be examined."""
    return str(unit_of(file) or file.key)


def _is_no_source(error: S2ctError, file: RecordFile) -> bool:
    """Whether a file is not a source, and its name does not claim that it is one."""
    return isinstance(error, NotAnArchive | NotATFRecord) and not file.key.lower().endswith(".7z")
