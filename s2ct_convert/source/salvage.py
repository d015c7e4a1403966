"""Reads the whole examples of a damaged source: those whose checksums are right. The gaps between them are noted.

A source is salvaged only on request. Whatever finds a record, only its two checksums decide whether it counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from ..archives.bounds import BOUNDS, Bounds
from ..archives.pieces import FileBytes, Piece, plain_pieces
from ..archives.stream import SourceReader
from ..archives.unpackers import PYTHON
from ..dataset import DATASET, Dataset
from ..errors import ArchiveDamaged, CountMismatch, NotAnArchive, NotATFRecord, TFRecordDamaged
from ..gaps import Gap
from .example import Example, decode_example
from .found import SALVAGED_SUFFIX, Part, Source
from .same import md5_of_files
from .samples import sample_of
from .tfrecord import RawRecord, is_header
from .whole_records import Hole, WholeRecords
from .wrapped import find_wrapper

_STEP_BYTES = 16 << 10  # unpacked from gzip or zlib in one call; the call that fails gives nothing
# The errors of a source from which something may be salvaged.
DAMAGE = (ArchiveDamaged, TFRecordDamaged, NotATFRecord, NotAnArchive, CountMismatch)


class SalvagedExamples:
    """The whole examples of a source, in order. They are numbered from 0 as they are found.

    Attributes
    ----------
    numbers : list of int or None
        Number of each found example in the source; None after a gap that may hold any number of examples.
    gaps : list of Gap
        Complete once all examples are read.
    end : int or None
        Where the last of what was read ends in the TFRecord, or in its last shard; None if unknown.
    """

    unpacker = PYTHON.name

    def __init__(
        self, source: Source, on_bytes: Callable[[int], None] | None, dataset: Dataset, bounds: Bounds
    ) -> None:
        self._source, self._on_bytes, self._dataset, self._bounds = source, on_bytes, dataset, bounds
        self.numbers: list[int | None] = []
        self.gaps: list[Gap] = []
        self.end: int | None = None

    def __iter__(self) -> Iterator[Example]:
        for payload in self.payloads():
            record = RawRecord(len(self.numbers) - 1, 0, payload)
            yield decode_example(record, self._dataset, bounds=self._bounds, where=self._source.where)

    def payloads(self) -> Iterator[bytes]:
        """The payloads of the records, in order."""
        number: int | None = 0
        for part in self._source.parts:
            before = len(self.numbers)
            if part.path.name.endswith(SALVAGED_SUFFIX):
                number = None
                self.gaps.append(Gap(part.path.name, before))  # anywhere in it
            with SourceReader(part.path, with_md5=False, on_bytes=self._on_bytes) as file:
                tried: list[WholeRecords] = []
                for pieces in _attempts(file, part):
                    tried.append(WholeRecords(pieces, number=number))
                    for record in tried[-1]:
                        self.numbers.append(record.number)
                        yield record.payload
                    if tried[-1].found:
                        break
            records = tried[-1] if tried[-1].found else tried[0]
            number, self.end = records.number, records.end
            self.gaps += [_gap(part, hole, before) for hole in records.holes]

    def md5(self) -> str | None:
        """MD5 of the files of the source, one after another, in hex."""
        return md5_of_files(self._source.files)

    def content(self) -> None:
        """None: nobody knows size and checksum of the whole TFRecord."""


def _gap(part: Part, hole: Hole, before: int) -> Gap:
    return Gap(
        part.path.name, before + hole.after, hole.examples, hole.begin, hole.end, hole.packed_begin, hole.packed_end
    )


@contextmanager
def open_salvaged(
    source: Source,
    on_bytes: Callable[[int], None] | None = None,
    *,
    dataset: Dataset = DATASET,
    bounds: Bounds = BOUNDS,
) -> Iterator[SalvagedExamples]:
    """Open a damaged source, as ``open_source`` opens a good one. Python unpacks, in one thread.

    A good source gives all its examples, and no gap.

    Raises
    ------
    ArchiveUnsupported
        When it is read, if an archive is encrypted or uses a method that cannot be decoded here.
    """
    yield SalvagedExamples(source, on_bytes, dataset, bounds)


def _attempts(file: SourceReader, part: Part) -> Iterator[Iterator[Piece]]:
    """Ways to get at the bytes of a TFRecord; the next one is for a caller who found no record by those before."""
    if part.member is None:
        data = FileBytes(file)
        yield _unwrapped(lambda packed: plain_pieces(data, 0, data.size, packed=packed))
        yield plain_pieces(data, 0, data.size, packed=False)
        return
    from ..archives.salvage import member_pieces  # imports py7zr, which only archives need

    for pieces in member_pieces(file, part.member):
        yield _unwrapped(lambda packed, pieces=pieces: pieces())  # type: ignore[misc]


def _unwrapped(open_pieces: Callable[[bool], Iterator[Piece]]) -> Iterator[Piece]:
    """Pieces without gzip or zlib around the TFRecord. The argument of ``open_pieces``: whether they are packed."""
    pieces = open_pieces(False)
    first = next(pieces)
    head = first.data[:12]
    if first.offset == 0 and not is_header(head) and find_wrapper(head):
        return _inflated(open_pieces(True))
    return chain((first,), pieces)


def _inflated(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Pieces of a gzip or zlib stream, up to the first damage: nothing after it can be unpacked."""
    decoder, done, whole = zlib.decompressobj(47), 0, False  # 47: gzip or zlib, by its header
    piece = Piece(b"", True, 0)
    for piece in pieces:
        if not piece.joined or not piece.data:
            whole = whole and piece.joined
            break
        data = piece.data
        while data:
            whole = False
            try:
                out = decoder.decompress(data, _STEP_BYTES)
            except zlib.error:
                data = b""
                break
            if out:
                yield Piece(out, True, done, piece.packed, piece.packed_end)
                done += len(out)
            data = decoder.unconsumed_tail
            if decoder.eof:  # gzip allows several members
                data, decoder, whole = decoder.unused_data, zlib.decompressobj(47), True
        else:
            continue
        break
    yield Piece(b"", whole, done if whole else None, piece.packed, piece.packed_end)


def all_gaps(examples: SalvagedExamples, source: Source, samples: int, images: int) -> tuple[Gap, ...]:
    """The gaps of examples that were read, and one at the end if the source is cut between two records."""
    n = len(examples.numbers)
    try:
        source.check_count(n, samples, images)
    except CountMismatch:
        if not examples.gaps:
            return (Gap(source.parts[-1].path.name, n, begin=examples.end),)
    return tuple(examples.gaps)


@dataclass(frozen=True)
class Salvage:
    """What can be salvaged from a source: counts of the whole examples, and the gaps."""

    examples: int
    samples: int
    observations: int
    gaps: tuple[Gap, ...]


def count_salvageable(
    source: Source, on_bytes: Callable[[int], None] | None = None, *, dataset: Dataset = DATASET
) -> Salvage:
    """Count what can be salvaged from a source. Reads it to its end.

    Raises
    ------
    ArchiveUnsupported, OSError
    """
    samples: set[tuple[int, int]] = set()
    observations = 0
    with open_salvaged(source, on_bytes, dataset=dataset) as examples:
        for example in examples:
            samples.add(sample_of(example))
            observations += len(example.image)
    gaps = all_gaps(examples, source, len(samples), observations)
    return Salvage(len(examples.numbers), len(samples), observations, gaps)
