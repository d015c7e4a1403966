"""Look at one archive at the service: its headers, from its first and last bytes, and its first examples."""

from __future__ import annotations

import dataclasses
import datetime
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..archives.archive import Archive
from ..archives.front import Headers, Packing, open_headers
from ..archives.stream import Readable
from ..dataset import DATASET
from ..errors import ArchiveUnsupported, S2ctError
from ..names import SourceName, try_name, visible
from ..source.example import Example, decode_example
from ..source.inside import TEXTS, is_litter
from ..source.table import SourceTable, TableBuilder
from ..source.tfrecord import read_raw_records, unwrap
from ..words import size as in_words
from .findings import find, is_plain
from .layout import MOST_OBS, OBS_BYTES, read_layout
from .parts import PeekedExample, PeekedMember
from .range_file import HEAD_BYTES, TAIL_BYTES, RangeFile, TooMuch
from .ranges import Ranges
from .results import PeekedFile

HEADER_BYTES = 4 << 20  # for headers that are not in the last 64 KiB
EXAMPLE_BYTES = 2 << 20  # packed bytes that one example may cost
UNPACKED_BYTES = 16 << 20  # of one example; the largest of the record should have 1.4 MB
BEFORE_BYTES = 64 << 20  # unpacked bytes before the TFRecord in its block
_LEAST, _MOST = 1 << 17, 4 << 20  # bytes of the first request for examples
_SPARE = 1.15  # the packed size of an example varies


def look(ranges: Ranges, seen: PeekedFile, examples: int, until: datetime.date) -> PeekedFile:
    """Look at one file.

    Parameters
    ----------
    ranges : Ranges
    seen : PeekedFile
        What is known already.
    examples : int
        How many examples to read.
    until : date
        The last plausible day of an image.

    Returns
    -------
    PeekedFile
        With ``error``, if something failed.
    """
    look = _Look(ranges, seen)
    try:
        look.headers(examples, until)
    except S2ctError as error:
        look.seen = dataclasses.replace(look.seen, error=error)
    known = {"size": ranges.size, "requests": ranges.requests, "bytes": ranges.bytes}
    return dataclasses.replace(look.seen, **known, md5=look.seen.md5 or ranges.etag_md5)  # type: ignore[arg-type]


class _Look:
    """One look. ``seen`` grows."""

    def __init__(self, ranges: Ranges, seen: PeekedFile) -> None:
        self._ranges, self.seen = ranges, seen

    def headers(self, examples: int, until: datetime.date) -> None:
        """Read the headers, and then the examples."""
        file = RangeFile(self._ranges, HEAD_BYTES + TAIL_BYTES + HEADER_BYTES)
        with open_headers(file) as headers:
            archive = headers.archive
            members = _members(self.seen.file, archive, [headers.packing(i) for i in range(len(archive.members))])
            self._add(methods=archive.methods, blocks=archive.blocks, members=members)
            self._add(findings=find(self.seen.file, archive, members, [], None))
            number = next((i for i, one in enumerate(members) if one.is_source), None)
            if not examples or number is None:
                return
            found: list[Example] = []
            try:
                self._read(headers, number, file, examples, found)
            except (TooMuch, ArchiveUnsupported) as error:
                self._add(remark=error.what)
            finally:
                self._understand(archive, found, until)

    def _add(self, **facts: Any) -> None:
        self.seen = dataclasses.replace(self.seen, **facts)

    def _read(self, headers: Headers, number: int, file: RangeFile, examples: int, found: list[Example]) -> None:
        """Read examples into ``found``."""
        packing, member = headers.packing(number), self.seen.members[number]
        if packing is None:
            return
        if packing.before > BEFORE_BYTES:
            raise TooMuch(f"its TFRecord lies behind {in_words(packing.before)} of other files", where=file.name)
        file.stretch = _first_request(packing, member, examples)
        file.limit = self._ranges.bytes + (examples + 1) * EXAMPLE_BYTES
        where = f"{file.name}: {visible(member.name)}"
        front = headers.front(number, file.read1)
        stream = _Capped(front, examples * UNPACKED_BYTES, where)
        try:
            for record in read_raw_records(unwrap(stream, where=where), where=where):
                found.append(decode_example(record))
                if len(found) == examples:
                    return
        except TooMuch:
            if stream.is_full:
                raise
            packed = in_words((examples + 1) * EXAMPLE_BYTES)
            raise TooMuch(f"{len(found)} of {examples} examples are in the first {packed}", where=where) from None

    def _understand(self, archive: Archive, found: Sequence[Example], until: datetime.date) -> None:
        if not found:
            return
        builder = TableBuilder()
        for example in found:
            builder.add(example)
        table = builder.finish(until)
        members = self.seen.members
        if not is_plain(found, table):  # then the unpacked size fits by chance
            members = tuple(map(_withdrawn, members))
        self._add(
            members=members,
            examples=_examples(found, table),
            date_encoding=table.encoding,
            label_side=table.label_side,
            notes=tuple(str(note) for note in table.notes),
            findings=find(self.seen.file, archive, members, found, table),
        )


class _Capped(io.RawIOBase):
    """A stream with a limit: a few packed bytes may unpack to very many."""

    def __init__(self, stream: Readable, limit: int, where: str) -> None:
        self._stream, self._left, self._where = stream, limit, where

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self._left <= 0

    def read(self, n: int = -1, /) -> bytes:
        if self.is_full:
            raise TooMuch("its first examples unpack to too many bytes", where=self._where)
        data = self._stream.read(min(n, self._left) if n >= 0 else self._left)
        self._left -= len(data)
        return data


def _withdrawn(member: PeekedMember) -> PeekedMember:
    """The same without a number of observations that rests on the unpacked size."""
    if member.by_chance is None:
        return member
    counts = None if member.counts == "examples" else member.counts
    return dataclasses.replace(member, observations=None, counts=counts, by_chance=None)


def _first_request(packing: Packing, member: PeekedMember, examples: int) -> int:
    """Packed bytes that probably hold so many examples."""
    one = member.size / member.number if member.number and member.counts == "examples" else MOST_OBS * OBS_BYTES
    wanted = packing.before + examples * one
    packed = int(wanted * packing.packed / max(packing.unpacked, 1) * _SPARE)
    return min(max(packed, _LEAST), _MOST)


def _members(file: str, archive: Archive, packings: Sequence[Packing | None]) -> tuple[PeekedMember, ...]:
    """The members, and what the header says about each. Which are TFRecords is read off their names."""
    outside, names = try_name(file), [try_name(one.name) for one in archive.members]
    candidates = [i for i, one in enumerate(archive.members) if one.size and not is_litter(one.name)]
    sure = [i for i in candidates if (name := names[i]) is not None and name.sure]
    plain = [i for i in candidates if not archive.members[i].name.lower().endswith(TEXTS)]
    sources = sure or (plain if len(plain) == 1 else [])
    out = []
    for i, one in enumerate(archive.members):
        named = _named(names[i], outside if len(sources) == 1 else None) if i in sources else None
        number = named.count if named else None
        layout = read_layout(one.size, number if i in sources else None)
        unit, packing = str(named.unit) if named else None, packings[i]
        out.append(
            PeekedMember(
                name=one.name,
                size=one.size,
                crc32=one.crc32,
                is_source=i in sources,
                unit=unit,
                number=number,
                dictionary=packing.dictionary if packing else None,
                **vars(layout),
            )
        )
    return tuple(out)


def _named(inside: SourceName | None, outside: SourceName | None) -> SourceName | None:
    """Unit and number of a member; the name of the archive completes its own."""
    if inside is None or outside is None:
        return inside or outside
    same = inside.unit == outside.unit and inside.count is None
    return dataclasses.replace(inside, count=outside.count) if same else inside


def _examples(found: Sequence[Example], table: SourceTable) -> tuple[PeekedExample, ...]:
    ends = np.cumsum(table.sizes).tolist()
    out = []
    for example, size, end in zip(found, table.sizes.tolist(), ends, strict=True):
        label, date, time, weight = (
            table.columns[name][end - size : end] for name in ("label", "date", "time", "weight")
        )
        out.append(PeekedExample(example.number, example.localid, example.image, label, date, time, weight))
    return tuple(out)


def last_day(record: str | None) -> datetime.date:
    """The last plausible day of an image: the record was published then, other files are of today at the latest."""
    return DATASET.published if record == DATASET.record else datetime.datetime.now(datetime.UTC).date()
