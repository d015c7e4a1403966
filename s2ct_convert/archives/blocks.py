"""Unpack the blocks of an archive (7z folders) with the decoders of py7zr, in steps of bounded memory.

py7zr itself unpacks up to 128 MiB in one step, and some of its decoders know no limit. Here each decoder gives at most
1 MiB in one step where it can be told so. The others get a few packed bytes at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from isal import isal_zlib

from .bounds import dictionary_of, dictionary_size
from .damage import wrong_crc32, wrong_size

STEP_BYTES = 1 << 20  # unpacked in one step
INPUT_BYTES = 16 << 10  # packed bytes in one step
_FEW_BYTES = 256  # packed bytes for a decoder without a limit: Deflate64 makes 30,000 times as many of them
_SMALLEST_DICTIONARY = 4096


class Place(NamedTuple):
    """Where the packed bytes of a block are in the archive: offset and size in bytes."""

    offset: int
    packed: int


def places_of(archive: Any) -> Iterator[tuple[Any, Place]]:
    """The folders of py7zr with their places. The headers that py7zr parsed are used, which are not public."""
    streams = archive.header.main_streams
    if streams is None:
        return
    stream, packed = 0, streams.packinfo
    for folder in streams.unpackinfo.folders:
        first, stream = stream, stream + _streams_of(folder)
        offset = archive.afterheader + packed.packpos + packed.packpositions[first]
        yield folder, Place(int(offset), int(sum(packed.packsizes[first:stream])))


def _streams_of(folder: Any) -> int:
    """Number of packed streams of a block."""
    return int(sum(coder["numinstreams"] for coder in folder.coders)) - len(folder.bindpairs)


class Block:
    """The unpacked bytes of a block, to read in order.

    Parameters
    ----------
    folder : py7zr.archiveinfo.Folder
    packed : int
        Bytes of the packed stream.
    read : callable
        Reads the packed stream, at most as many bytes as asked for. No bytes mean that the stream ends there.
    """

    def __init__(self, folder: Any, packed: int, read: Callable[[int], bytes]) -> None:
        from py7zr.compressor import SevenZipDecompressor

        largest = max(folder.unpacksizes, default=0)
        coders = [_with_needed_dictionary(coder, largest) for coder in folder.coders]
        pieces = _read_all(read, packed)
        for decoder in SevenZipDecompressor(coders, packed, folder.unpacksizes, None).chain:
            pieces = _stage(decoder, pieces)
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, n: int, /) -> memoryview:
        """At most ``n`` bytes; none where the packed stream ends."""
        while n and not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return self._rest
            self._rest = memoryview(piece)
        out, self._rest = self._rest[:n], self._rest[n:]
        return out


def _with_needed_dictionary(coder: Any, unpacked: int) -> Any:
    """The coder with the smallest dictionary that holds all that is unpacked: a decoder takes the whole at once."""
    dictionary, needed = dictionary_of(coder), max(unpacked, _SMALLEST_DICTIONARY)
    if dictionary is None or dictionary <= needed:
        return coder
    properties = bytes(coder["properties"])
    if coder["method"] == b"\x21":
        bits = next(bits for bits in range(41) if dictionary_size(bits) >= needed)
        return {**coder, "properties": bytes([bits])}
    return {**coder, "properties": properties[:1] + needed.to_bytes(4, "little") + properties[5:]}


def _read_all(read: Callable[[int], bytes], packed: int) -> Iterator[bytes]:
    while packed and (piece := read(min(INPUT_BYTES, packed))):
        packed -= len(piece)
        yield piece


def _stage(decoder: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What a decoder of py7zr makes of the pieces of the decoder before it."""
    from py7zr import compressor as of

    inner = getattr(decoder, "_decompressor", None) or getattr(decoder, "decompressor", decoder)
    if isinstance(decoder, of.BrotliDecompressor):
        return _brotli(decoder, inner, pieces)
    if hasattr(inner, "needs_input"):
        return _limited(inner, pieces)
    if hasattr(inner, "unconsumed_tail"):
        return _inflated(inner, pieces)
    filters = (of.BCJDecoder, of.BcjArmDecoder, of.BcjArmtDecoder, of.BcjPpcDecoder, of.BcjSparcDecoder)
    if isinstance(decoder, (of.CopyDecompressor, *filters)):  # they give as many bytes as they get
        return filter(None, map(decoder.decompress, pieces))
    return _unlimited(decoder, pieces)


def _limited(decoder: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """LZMA, LZMA2, BZip2, Zstandard: decoders of the standard library's form."""
    for piece in pieces:
        while not decoder.eof:
            if out := decoder.decompress(piece, STEP_BYTES):
                yield out
            piece = b""
            if decoder.needs_input:
                break


def _inflated(decoder: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Deflate, by zlib."""
    for piece in pieces:
        more = True
        while more and not decoder.eof:
            out = decoder.decompress(piece, STEP_BYTES)
            piece, more = decoder.unconsumed_tail, len(out) == STEP_BYTES or bool(decoder.unconsumed_tail)
            if out:
                yield out
    if out := decoder.flush():
        yield out


def _brotli(checking: Any, decoder: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Brotli. py7zr checks the first bytes."""
    for piece in pieces:
        if out := checking.decompress(piece, STEP_BYTES):
            yield out
        while not decoder.can_accept_more_data() and (out := decoder.process(b"", output_buffer_limit=STEP_BYTES)):
            yield out
    while out := decoder.process(b"", output_buffer_limit=STEP_BYTES):
        yield out


def _unlimited(decoder: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Deflate64, and whatever else: a few bytes at a time."""
    for piece in pieces:
        for at in range(0, len(piece), _FEW_BYTES):
            if out := decoder.decompress(piece[at : at + _FEW_BYTES]):
                yield out
    if out := decoder.decompress(b""):
        yield out


def unpack(archive: Any, wanted: Collection[Any], where: str) -> Iterator[tuple[Any, memoryview]]:
    """The bytes of files of an archive (ArchiveFile of py7zr), in the order of the archive, each with its file.

    Size and CRC-32 are checked after the last bytes of each file. The files before a wanted one in its block are
    unpacked and checked too.

    Raises
    ------
    ArchiveDamaged
        Also any exception of py7zr and its decoders: see :func:`.damage.explained`.
    """
    ids = {one.id for one in wanted}
    inside: dict[int, list[Any]] = {}
    for one in archive.files:
        if not one.emptystream:
            inside.setdefault(id(one.folder), []).append(one)
    for folder, place in places_of(archive):
        files = inside.get(id(folder), [])
        last = max((i for i, one in enumerate(files) if one.id in ids), default=-1)
        if last < 0:
            continue
        archive.fp.seek(place.offset)
        block, of_block = Block(folder, place.packed, archive.fp.read), 0
        for one in files[: last + 1]:
            crc, left = 0, int(one.uncompressed)
            while left:
                piece = block.read(left)
                if not piece:
                    raise wrong_size(f"{where}: {one.filename}", left)
                left, crc = left - len(piece), isal_zlib.crc32(piece, crc)
                of_block = isal_zlib.crc32(piece, of_block)
                if one.id in ids:
                    yield one, piece
            if one.crc32 is not None and crc != one.crc32:
                raise wrong_crc32(f"{where}: {one.filename}", one.crc32, crc)
        if last == len(files) - 1 and folder.crc is not None and of_block != folder.crc:
            raise wrong_crc32(where, folder.crc, of_block)


def read_starts(archive: Any, wanted: Collection[Any], n: int, where: str) -> dict[int, bytes]:
    """The first ``n`` bytes of files, by their ids. A block is unpacked once, up to the last of them.

    Raises
    ------
    ArchiveDamaged
        As :func:`unpack`.
    """
    starts = {one.id: b"" for one in wanted}
    blocks: dict[int, list[Any]] = {}
    for one in wanted:
        if not one.emptystream:
            blocks.setdefault(id(one.folder), []).append(one)
    for files in blocks.values():
        last = max(one.id for one in files)
        for one, piece in unpack(archive, files, where):
            starts[one.id] += bytes(piece[: n - len(starts[one.id])])
            if one.id == last and len(starts[last]) == n:
                break
    return starts
