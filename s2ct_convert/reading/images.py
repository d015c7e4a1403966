"""Reads rows of ``image``: neighbouring chunks in one read, each chunk decoded once, in threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import StoreDamaged, from_os_error
from ..limits import cores
from ..objects.reads import read_ranges
from ..threads import WAITING_THREADS, for_each
from .chunks import Bytes, Chunks, ObjectChunks, Pixels, Place

READ_BYTES = 5 << 18  # most bytes of one read: about 4 chunks, so that two cores share the 8 of a long sample evenly
GAP_BYTES = 64 << 10  # a gap of up to this many bytes between two chunks is read, not skipped
OBJECT_BYTES = 4 << 20  # most bytes of chunks that one task reads from an object of a bucket
OBJECT_CHUNKS = 8  # and not fewer chunks, if it has them: neighbours come with one request


Task = Callable[[], None]
New = Callable[[int], Pixels]


def new_images(n: int, obs_shape: tuple[int, ...]) -> Pixels:
    """An array for ``n`` observations."""
    return np.empty((n, *obs_shape), np.uint16)


def call(task: Task) -> None:
    """Run a task of ``Images.plan``."""
    task()


class _Piece(NamedTuple):
    """Rows of a chunk to copy into an output."""

    out: Pixels
    at: int  # in the output
    first: int  # in the chunk
    rows: int


class _Read(NamedTuple):
    """Neighbouring chunks of one read: their numbers and places."""

    numbers: list[int]
    places: list[Place]


class Images:
    """The ``image`` array of a unit.

    Parameters
    ----------
    chunks : Chunks
    observations : int
    crcs : ndarray of uint32, shape (obs,), optional
        CRC-32C of each image. They detect a chunk that matches its own checksum but belongs to another place.
    """

    def __init__(self, chunks: Chunks, observations: int, crcs: npt.NDArray[np.uint32] | None = None) -> None:
        self._chunks, self._observations, self._crcs = chunks, observations, crcs

    def read(self, ranges: Sequence[slice]) -> list[Pixels]:
        """Read each range into its own array of shape (n, bands, height, width) and check every image.

        Raises
        ------
        IndexError
            If a range ends after the last row of the unit.
        StoreDamaged
            If stored bytes are missing or do not match their checksums.
        """
        outs, tasks = self.plan(ranges, every=True)
        for_each(call, tasks, waiting=self.waiting)
        return outs

    @property
    def waiting(self) -> bool:
        """Whether reading mostly waits for a network."""
        return isinstance(self._chunks, ObjectChunks)

    def plan(
        self, ranges: Sequence[slice], new: New | None = None, *, every: bool = False
    ) -> tuple[list[Pixels], list[Task]]:
        """The arrays of ``read``, unfilled, and the tasks that fill them. Tasks may run in any order and any thread.

        Parameters
        ----------
        new : callable, optional
            Returns an array for a number of observations, with any content; by default a new one.
        every : bool
            True: check every image, which takes longer. False: check one image per chunk, which detects misplaced
            chunks.

        Raises
        ------
        IndexError, StoreDamaged
            As ``read``.
        """
        for rows in ranges:
            if not 0 <= rows.start <= rows.stop <= self._observations:
                raise IndexError(f"rows {rows.start} to {rows.stop} of {self._observations}")
        sizes = [rows.stop - rows.start for rows in ranges]
        outs = [new(n) if new else new_images(n, self._chunks.obs_shape) for n in sizes]
        pieces: dict[int, list[_Piece]] = {}
        size = self._chunks.chunk_obs
        for rows, out in zip(ranges, outs, strict=True):
            row = rows.start
            while row < rows.stop:
                number, first = divmod(row, size)
                n = min(size - first, rows.stop - row)
                pieces.setdefault(number, []).append(_Piece(out, row - rows.start, first, n))
                row += n
        return outs, [partial(self._decode, read, pieces, every) for read in self._reads(sorted(pieces))]

    def _reads(self, numbers: list[int]) -> Iterator[_Read]:
        """Group neighbouring chunks into reads. No read has more than one core's share of the chunks."""
        self._chunks.prepare(numbers)
        least, threads = (OBJECT_CHUNKS, WAITING_THREADS) if self.waiting else (1, cores())
        most = max(least, -(-len(numbers) // threads))
        read: _Read | None = None
        for number in numbers:
            place = self._chunks.place(number)
            if read and _near(read.places, place) and len(read.numbers) < most:
                read.numbers.append(number)
                read.places.append(place)
                continue
            if read:
                yield read
            read = _Read([number], [place])
        if read:
            yield read

    def _bytes(self, place: Place) -> Bytes:
        """Read bytes and check that the array is still the one that was opened."""
        try:
            data = _read_bytes(place)
        except StoreDamaged:
            self._chunks.unchanged()
            raise
        self._chunks.unchanged()
        return data

    def _parts(self, places: list[Place]) -> list[Bytes]:
        """The bytes of neighbouring places, or of any places in one object."""
        first, last = places[0], places[-1]
        if first.object is not None:
            parts = read_ranges(first.object, [(place.offset, place.size) for place in places])
            return [np.frombuffer(part, np.uint8) for part in parts]
        data = self._bytes(first._replace(size=last.offset + last.size - first.offset))
        return [data[place.offset - first.offset :][: place.size] for place in places]

    def _decode(self, read: _Read, pieces: dict[int, list[_Piece]], every: bool) -> None:
        size, spare = self._chunks.chunk_obs, None
        for number, place, data in zip(read.numbers, read.places, self._parts(read.places), strict=True):
            wanted = pieces[number]
            direct = next((piece for piece in wanted if piece.rows == size), None)  # decoded straight into the output
            if direct is None and spare is None:
                spare = new_images(size, self._chunks.obs_shape)
            target = spare if direct is None else direct.out[direct.at : direct.at + size]
            assert target is not None
            try:
                self._chunks.codec.decode_into(data, target)
            except ValueError as error:
                rows = f"rows {number * size} to {min((number + 1) * size, self._observations) - 1}"
                raise StoreDamaged(
                    f"{rows} of image are damaged ({place.size:,} bytes at {place.offset:,})",
                    where=place.file,
                    found=str(error),
                ) from error
            self._check(place.file, number * size, target, wanted if every else [wanted[0]._replace(rows=1)])
            for piece in wanted:
                if piece is not direct:
                    piece.out[piece.at : piece.at + piece.rows] = target[piece.first : piece.first + piece.rows]

    def _check(self, file: str, first: int, images: Pixels, pieces: Sequence[_Piece]) -> None:
        """Compare images of a chunk with their recorded checksums. ``first`` is the first row of the chunk."""
        if self._crcs is None:
            return
        flat = images.reshape(len(images), -1)
        for piece in pieces:
            low, high = first + piece.first, first + piece.first + piece.rows
            found = [google_crc32c.value(image) for image in flat[piece.first : piece.first + piece.rows]]
            expected = self._crcs[low:high].tolist()
            if found != expected:
                raise _differs(file, low, found, expected)


def _differs(file: str, first: int, found: list[int], expected: list[int]) -> StoreDamaged:
    """The first image whose checksum differs. ``first`` is the row of the first one."""
    at = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
    return StoreDamaged(
        f"row {first + at} of image does not match its checksum",
        where=file,
        expected=f"image_crc32c {expected[at]:#010x}",
        found=f"{found[at]:#010x}",
        todo="run s2ct verify store to list all differences",
    )


def _near(places: list[Place], place: Place) -> bool:
    first, last = places[0], places[-1]
    if place.object is not None:
        return place.object == last.object and sum(one.size for one in places) + place.size <= OBJECT_BYTES
    gap = place.offset - (last.offset + last.size)
    return place.file == last.file and 0 <= gap <= GAP_BYTES and place.offset + place.size - first.offset <= READ_BYTES


_scratch = threading.local()  # reading into memory used before is twice as fast


def _read_bytes(place: Place) -> Bytes:
    """Bytes of a file, in memory that the next call in this thread overwrites."""
    if getattr(_scratch, "memory", None) is None or len(_scratch.memory) < place.size:
        _scratch.memory = np.empty(max(place.size, READ_BYTES), np.uint8)
    data: Bytes = _scratch.memory[: place.size]
    try:
        got = _read_into(data, place)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreDamaged("this file is missing", where=place.file) from None
    except OSError as error:
        raise from_os_error(error, place.file) from error
    if got != place.size:
        raise StoreDamaged("this file is truncated", where=place.file, expected=f"{place.offset + place.size:,} bytes")
    return data


def _read_into(data: Bytes, place: Place) -> int:
    if place.fd >= 0:
        return os.preadv(place.fd, [data.data], place.offset)
    fd = os.open(place.file, os.O_RDONLY)
    try:
        return os.preadv(fd, [data.data], place.offset)
    finally:
        os.close(fd)


def runs_of(rows: npt.NDArray[np.int64]) -> list[slice]:
    """Ascending rows as contiguous ranges."""
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, breaks)]
