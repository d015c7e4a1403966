"""Unpack what is whole in a damaged LZMA2 stream.

After damage, unpacking starts again at the next header that resets the dictionary: along the chain of headers if it
holds, else wherever a search finds one. A start counts only if its first chunk unpacks. Bytes before and after a
damaged place are never joined. Wrong bytes may still come out before damage is noticed: the caller needs checksums.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator

from .lzma2_search import CHAIN, find_starts, next_window, read_head
from .pieces import FileBytes, Piece

LARGEST_DICT = 256 << 20  # for a stream whose header is lost; liblzma only touches what it uses
_STEP_BYTES = 1 << 10  # unpacked in one call: steps of 16 KiB cost a few percent less, and lose more
_INPUT_BYTES = 4 << 10  # packed bytes of LZMA in one piece, which may unpack to thousands of times as many
_END_BYTES = 1 << 20  # a stream of unknown size may end in this last part of the file


class Lzma2Salvage:
    """What is whole in one LZMA2 stream.

    Parameters
    ----------
    data : FileBytes
    begin : int
        Offset of the stream in the file.
    end : int or None
        Its end, from a header whose CRC is right; None if unknown.
    dict_size : int
    total : int or None
        Its unpacked size, from such a header.
    """

    def __init__(
        self, data: FileBytes, begin: int, end: int | None, *, dict_size: int = LARGEST_DICT, total: int | None = None
    ) -> None:
        self._data, self._begin, self._total = data, begin, total
        self._known_end = end
        self._end = data.size if end is None else min(end, data.size)
        self._may_end = max(begin, data.size - _END_BYTES) if end is None else end - 1
        self._filters = [{"id": lzma.FILTER_LZMA2, "dict_size": dict_size}]
        self._rest: dict[int, int | None] = {}  # unpacked bytes from a start to the end of the stream

    def pieces(self) -> Iterator[Piece]:
        """What could be unpacked, in order, and the end of the stream."""
        at: int | None = self._begin
        offset: int | None = 0
        joined = True
        head = read_head(self._data, self._begin)
        if head is None or not head.resets:
            at, offset, joined = *self._next_start(self._begin, 0), False
        while at is not None:
            decoder = self._decoder()
            while (head := read_head(self._data, at)) and self._is_before_end(at):
                out = _unpack(decoder, self._data.read(at, head.size))
                if out:
                    yield Piece(out, joined, offset, at, at + head.size)
                    joined = True
                if len(out) != head.unpacked:
                    break
                at += head.size
                offset = None if offset is None else offset + head.unpacked
            if self._ends_at(at) and self._known_end is not None:
                whole = joined and (offset is None or offset == self._total)
                yield Piece(b"", whole, self._total, at, at)
                return
            at, offset = self._next_start(at, offset)
            joined = False
        yield Piece(b"", False, self._total, self._end, self._end)

    def _decoder(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=self._filters)

    def _is_before_end(self, at: int) -> bool:
        return self._known_end is None or at < self._known_end - 1

    def _ends_at(self, at: int) -> bool:
        """Whether the stream may end here: a control byte 0 at its known end, or near the end of the file."""
        exact = self._known_end is None or at == self._may_end
        return self._may_end <= at and exact and self._data.read(at, 1) == b"\0"

    def _next_start(self, at: int, offset: int | None) -> tuple[int | None, int | None]:
        """The next place after the damaged chunk at ``at`` where unpacking can start, and its unpacked offset."""
        place, size = at, offset
        while (head := read_head(self._data, place)) and place < self._end:
            place, size = place + head.size, None if size is None else size + head.unpacked
            if self._ends_at(place) and self._known_end is not None and size in (None, self._total):
                return None, None  # the chain holds up to the end, and no start is in it
            following = read_head(self._data, place)
            if following and following.resets and self._starts_at(place):
                return place, self._agreed(place, size)
        at += 1
        while at < self._end:
            for found in find_starts(self._data, at, self._end, self._may_end).tolist():
                if self._starts_at(found):
                    return found, self._agreed(found, None)
            at = next_window(at)
        return None, None

    def _starts_at(self, at: int) -> bool:
        """Whether chunks unpack from here on: up to the first one in LZMA, which no chance bytes are."""
        decoder = self._decoder()
        for _ in range(CHAIN):
            head = read_head(self._data, at)
            if head is None:
                return self._ends_at(at)
            if len(_unpack(decoder, self._data.read(at, head.size))) != head.unpacked:
                return False
            if head.is_lzma:
                return True
            at += head.size
        return True

    def _agreed(self, at: int, along: int | None) -> int | None:
        """The unpacked offset of a start: along the chain and from the end, if they do not contradict each other."""
        rest = None if self._total is None or self._known_end is None else self._unpacked_from(at)
        from_end = None if rest is None or self._total is None else self._total - rest
        known = {one for one in (along, from_end) if one is not None and one >= 0}
        return known.pop() if len(known) == 1 else None

    def _unpacked_from(self, at: int) -> int | None:
        """Unpacked bytes from a start to the end by the headers; None if their chain breaks. No part is read twice."""
        passed: list[tuple[int, int]] = []
        place, size, rest = at, 0, None
        while True:
            if place in self._rest:
                rest = self._rest[place]
                break
            if self._ends_at(place):
                rest = 0
                break
            head = read_head(self._data, place)
            if head is None or place >= self._end:
                break
            if head.resets:
                passed.append((place, size))
            place, size = place + head.size, size + head.unpacked
        for start, before in passed:
            self._rest[start] = None if rest is None else rest + size - before
        return self._rest.get(at)


def _unpack(decoder: lzma.LZMADecompressor, chunk: bytes) -> bytes:
    """What unpacks of a chunk before the first error, in small steps: the step that fails gives nothing."""
    out = []
    try:
        while not decoder.eof:
            out.append(decoder.decompress(chunk, _STEP_BYTES))
            chunk = b""
            if decoder.needs_input:
                break
    except (lzma.LZMAError, EOFError):
        pass
    return b"".join(out)


class Lzma1Salvage:
    """What unpacks of one LZMA stream before the damage. Nothing after it can be unpacked.

    The parameters are those of ``Lzma2Salvage``; ``properties`` are the five bytes of the coder in the header.
    """

    def __init__(
        self,
        data: FileBytes,
        begin: int,
        end: int | None,
        *,
        properties: bytes = b"\x5d" + LARGEST_DICT.to_bytes(4, "little"),  # lc 3, lp 0, pb 2: what 7-Zip writes
        total: int | None = None,
    ) -> None:
        self._data, self._begin, self._total = data, begin, total
        self._known_end = end
        self._end = data.size if end is None else min(end, data.size)
        first, dict_size = properties[0], int.from_bytes(properties[1:5], "little")
        numbers = {"lc": first % 9, "lp": first // 9 % 5, "pb": first // 45}
        self._filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dict_size, 4096), **numbers}]

    def pieces(self) -> Iterator[Piece]:
        """What could be unpacked, in order, and the end of the stream."""
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=self._filters)
        at, done = self._begin, 0
        while at < self._end and done != self._total:
            chunk = self._data.read(at, min(_INPUT_BYTES, self._end - at))
            out = _unpack(decoder, chunk)
            if not out:  # after an error, the decoder gives nothing more
                break
            out = out if self._total is None else out[: self._total - done]
            yield Piece(out, True, done, at, at + len(chunk))
            done, at = done + len(out), at + len(chunk)
        yield Piece(b"", done == self._total, self._total, at, self._end)
