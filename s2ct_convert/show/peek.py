"""Print what a look at archives of the record found, and show how far the look is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..events import Event
from ..missing import NO_DAY
from ..names import visible
from ..peeking.events import FilePeeked, PeekPlanned
from ..peeking.parts import PeekedExample, PeekedMember, PeekFinding
from ..peeking.results import PeekedFile, PeekReport
from ..words import plural, seconds, size, span
from .board import Board
from .meter import Meter
from .tables import Column, print_facts, print_lines, print_table

NOT_VERIFIED = "not verified: parts of the files were read, and no md5 was checked"
_FORMATS = {"zarr": "Zarr", "hdf5": "HDF5"}
_HOLDS = {True: "yes", False: "no", None: "not known"}


def print_peek(report: PeekReport, *, verbose: bool = False) -> None:
    """Print a report: in detail if it has one file, else as a table. ``verbose``: also what a terminal leaves out."""
    if len(report.files) == 1:
        _print_file(report.files[0])
    else:
        _print_files(report.files, verbose)
    if examples := [(one, example) for one in report.files for example in one.examples]:
        print()
        _print_examples(examples)
    if any(one.findings for one in report.files):  # not if no file could be read
        print()
        (_print_findings if len(report.files) == 1 else _print_counts)(report.files)
    print()
    print_facts(list(_total(report)))


def _print_file(one: PeekedFile) -> None:
    facts = [("file", _sized(visible(one.file), one.size))]
    if one.members:
        first = one.source
        facts.append(("method", _method(one)))
        facts += [("member", _sized(visible(member.name), member.size)) for member in one.members]
        facts += [("unit", first.unit)] if first and first.unit else []
        facts += [("number", _number(first))] if first else []
    facts.append(("observations", _observations(one)))
    facts += [("dates", one.date_encoding)] if one.date_encoding else []
    facts += [("labels", f"{one.label_side} x {one.label_side} for each observation")] if one.label_side else []
    facts += [("note", note) for note in one.notes]
    facts += [("examples", one.remark)] if one.remark else []
    facts += [("error", one.error.what)] if one.error else []
    print_facts(facts)


def _sized(name: str, n: int | None) -> str:
    return name if n is None else f"{name}, {size(n)} ({n:,} bytes)"


def _method(one: PeekedFile) -> str:
    dictionary = one.source.dictionary if one.source else None
    parts = [", ".join(one.methods)]
    parts += [f"dictionary {size(dictionary)}"] if dictionary else []
    return "; ".join([*parts, plural(one.blocks, "7z block"), "number of LZMA2 blocks: not known"])


def _number(member: PeekedMember) -> str:
    if member.number is None or member.per_number is None:
        return "none in the name"
    counts = {None: "not known what it counts", "samples": "counts samples, probably"}
    words = counts.get(member.counts, f"counts {member.counts}")
    return f"{member.number:,} ({words}); {member.per_number:,.1f} observations for each"


def _observations(one: PeekedFile) -> str:
    if one.observations is None:
        return "not known: the unpacked size does not give their exact number" if one.members else "not known"
    if one.source is None or one.source.by_chance is None:
        return f"{one.observations:,}, by the number in the name and the unpacked size"
    chance = f"{100 * one.source.by_chance:.1f}".rstrip("0").rstrip(".")
    return f"{one.observations:,}, by the unpacked size ({chance} % of files of another layout fit as well)"


def _print_files(files: Sequence[PeekedFile], verbose: bool) -> None:
    columns = [Column("file", left=True, name=True), Column("size"), Column("method", left=True)]
    columns += [Column("n counts", left=True), Column("observations"), Column("unpacked")]
    columns += [Column("requests", detail=True), Column("received", detail=True)]
    print_table(columns, [_row(one) for one in files], verbose=verbose)
    for one in files:
        if one.error or one.remark:
            print_lines([f"{visible(one.file)}: {one.error.what if one.error else one.remark}"])


def _row(one: PeekedFile) -> list[str]:
    counts = (one.source.counts if one.source else None) or "-"
    return [
        visible(one.file),
        "-" if one.size is None else size(one.size),
        ", ".join(one.methods) or "-",
        "samples?" if counts == "samples" else counts,
        "-" if one.observations is None else f"{one.observations:,}",
        "-" if one.unpacked is None else size(one.unpacked),
        str(one.requests),
        size(one.bytes),
    ]


def _print_examples(examples: Sequence[tuple[PeekedFile, PeekedExample]]) -> None:
    columns = [Column("unit", left=True, name=True), *map(Column, ("example", "sample", "obs"))]
    columns += [Column("dates", left=True), Column("labels", left=True), Column("weight", left=True)]
    rows = []
    for one, example in examples:
        days = example.time[example.time != NO_DAY]
        dates = span(int(days.min()), int(days.max())) if len(days) else span(None, None)
        labels = " ".join(map(str, np.unique(example.label).tolist())) or "-"
        unit = (one.source.unit if one.source else None) or visible(one.file)
        counts = [str(example.number), str(example.localid), str(len(example.image))]
        rows.append([unit, *counts, dates, labels, _weights(example)])
    print_table(columns, rows, keys=2)


def _weights(example: PeekedExample) -> str:
    known = example.weight[~np.isnan(example.weight)]
    if not len(known):
        return "none"
    low, high = float(known.min()), float(known.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _print_findings(files: Sequence[PeekedFile]) -> None:
    columns = [Column("assumption", left=True), Column("holds", left=True), Column("found", left=True, text=True)]
    print_table(columns, [[one.text, _HOLDS[one.holds], one.found] for one in files[0].findings])


def _print_counts(files: Sequence[PeekedFile]) -> None:
    """In how many files each assumption holds."""
    by_text: dict[str, list[PeekFinding]] = {}
    for finding in (finding for one in files for finding in one.findings):
        by_text.setdefault(finding.text, []).append(finding)
    columns = [Column("assumption", left=True), *map(Column, ("holds", "does not", "not known"))]
    holds = {text: [one.holds for one in found] for text, found in by_text.items()}
    known = {text: values for text, values in holds.items() if set(values) != {None}}
    values = (True, False, None)
    print_table(columns, [[text, *(f"{one.count(value):,}" for value in values)] for text, one in known.items()])
    if len(known) < len(holds):
        print_lines([f"not known of any file: {', '.join(text for text in holds if text not in known)}"])


def _total(report: PeekReport) -> Iterator[tuple[str, str]]:
    files = report.files
    known = [one for one in files if one.unpacked is not None]
    if report.record is not None:
        packed = size(sum(one.size or 0 for one in files))
        yield "record", f"{report.record}: {len(files):,} of {plural(report.of, 'file')}, {packed}"
    if len(files) > 1:
        counted = [one.observations for one in files if one.observations is not None]
        of = "" if len(counted) == len(files) else f" in {len(counted)} of {len(files)} files; not known in the others"
        yield "observations", f"{sum(counted):,}{of}"
        if (wrong := _misfits(files)) and counted:
            yield "doubtful", f"{wrong} sizes do not fit one label for each observation; the others may fit by chance"
        yield "unpacked", size(report.unpacked) + ("" if len(known) == len(files) else f" in {len(known)} files")
    if known:
        for one in report.stores:
            more = f"; {size(one.space)} while it is made" if one.space > one.bytes else ""
            ratio = f"codec {one.codec}, {one.ratio:.2f} of the pixels"
            yield f"as {_FORMATS[one.format]}", f"about {size(one.bytes)} ({ratio}){more}"
    yield "used", f"{plural(report.requests, 'request')}, {size(report.bytes)} received in {seconds(report.seconds)}"
    yield "state", NOT_VERIFIED


def _misfits(files: Sequence[PeekedFile]) -> int:
    """How many TFRecords with a number in the name do not have the size of the expected layout."""
    sources = [member for one in files for member in one.members if member.is_source and member.number]
    return sum(member.counts is None for member in sources)


def peek_line(event: Event) -> str:
    """A line about a file that was looked at; empty for other events."""
    if not isinstance(event, FilePeeked):
        return ""
    one = event.peeked
    if one.error is not None:
        return f"{visible(one.file)}: {one.error.what}"
    known = "-" if one.observations is None else f"{one.observations:,}"
    return f"{visible(one.file)}: {', '.join(one.methods)}, observations: {known}"


class PeekMeter:
    """A meter over the files of a look."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._meter: Meter | None = None

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case PeekPlanned(files):
                self._meter = self._board.add("peek", files)
                self._meter.unit = "files"
            case FilePeeked() if self._meter:
                self._meter.add(1)
                if self._meter.done >= self._meter.total:
                    self._board.drop(self._meter)
