"""Unpack LZMA2 block by block, in threads.

When 7-Zip packs with several threads, it writes independent blocks (lzma2_chunks.py finds them). Each block has its own
decoder. The output is returned in the order of the blocks.
"""

from __future__ import annotations

import lzma
import os
import threading
from collections import deque
from dataclasses import dataclass, field

from isal import isal_zlib

from ..errors import ArchiveDamaged
from .damage import AGAIN, wrong_crc32, wrong_size
from .lzma2_chunks import Packed, scan
from .stream import PIECE_BYTES, SourceReader

BUDGET_BYTES = 136 << 20  # limit of unpacked bytes in memory: more than a block of 128 MiB
HEAD_BYTES = 8 << 20  # the block that is being read may always hold this much
STEP_BYTES = 1 << 20  # unpacked in one step
_INPUT_BYTES = 256 << 10


@dataclass
class _Block:
    offset: int
    size: int
    unpacked: int
    pieces: deque[memoryview] = field(default_factory=deque)
    waiting: int = 0
    ended: bool = False
    error: BaseException | None = None


class Lzma2Stream:
    """One unpacked LZMA2 stream, to read from. It must be closed.

    One thread reads the whole file, which gives its md5, and finds the blocks. ``threads`` other threads unpack the
    blocks and read their bytes again, from the page cache.

    Parameters
    ----------
    file : SourceReader
        The archive. No other code may use it until this stream is closed.
    packed : Packed
    where : str
        Name of the member in messages.
    threads : int
    """

    def __init__(self, file: SourceReader, packed: Packed, *, where: str, threads: int) -> None:
        self._file, self._packed, self._where = file, packed, where
        self.unpacker = "python"
        self._fd = file.fileno()
        self._changed = threading.Condition()
        self._blocks: list[_Block] = []
        self._scanned = self._abandoned = False
        self._scan_error: BaseException | None = None
        self._next = self._head = self._buffered = 0
        self._crc, self._missing = 0, packed.unpacked
        self._threads = [threading.Thread(target=self._scan, name="s2ct-scan", daemon=True)]
        for k in range(max(1, threads)):
            self._threads.append(threading.Thread(target=self._work, name=f"s2ct-unpack-{k}", daemon=True))
        for thread in self._threads:
            thread.start()

    def _scan(self) -> None:
        begin = unpacked = 0
        try:
            self._file.seek(0)
            for chunk in scan(self._fd, self._packed, self._where):
                if self._abandoned:
                    return
                if chunk.begins_block and chunk.offset:
                    self._found(begin, chunk.offset, unpacked)
                    begin, unpacked = chunk.offset, 0
                unpacked += chunk.unpacked
                self._hash_to(self._packed.offset + chunk.offset)
            self._found(begin, self._packed.size, unpacked)
            self._hash_to(self._packed.offset + self._packed.size)
        except BaseException as error:  # read() raises it, after the blocks before it
            self._scan_error = error
        with self._changed:
            self._scanned = True
            self._changed.notify_all()

    def _hash_to(self, end: int) -> None:
        while self._file.tell() < end and not self._abandoned:
            if not self._file.read(min(PIECE_BYTES, end - self._file.tell()), report=False):
                return

    def _found(self, begin: int, end: int, unpacked: int) -> None:
        with self._changed:
            self._blocks.append(_Block(begin, end - begin, unpacked))
            self._changed.notify_all()

    def _work(self) -> None:
        while (block := self._take()) is not None:
            try:
                self._unpack(block)
            except BaseException as error:  # read() raises it when it reaches this block
                block.error = error
            with self._changed:
                block.ended = True
                self._changed.notify_all()

    def _take(self) -> _Block | None:
        with self._changed:
            while self._next >= len(self._blocks) and not self._scanned and not self._abandoned:
                self._changed.wait()
            if self._abandoned or self._next >= len(self._blocks):
                return None
            self._next += 1
            return self._blocks[self._next - 1]

    def _unpack(self, block: _Block) -> None:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": self._packed.dict_size}]
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
        at, end, left, data = block.offset, block.offset + block.size, block.unpacked, b""
        while left and not self._abandoned:
            if decoder.needs_input:
                data = os.pread(self._fd, min(_INPUT_BYTES, end - at), self._packed.offset + at)
                if not data:
                    raise self._damaged("a block ends early")
                at += len(data)
                self._file.on_bytes(len(data))
            try:
                out = decoder.decompress(data, min(STEP_BYTES, left))
            except (lzma.LZMAError, EOFError) as error:
                raise self._damaged(str(error)) from error
            data = b""
            left -= len(out)
            self._put(block, out)

    def _damaged(self, reason: str) -> ArchiveDamaged:
        return ArchiveDamaged(f"the archive is damaged ({reason})", where=self._where, todo=AGAIN)

    def _put(self, block: _Block, out: bytes) -> None:
        """Queue a piece, and wait while the buffer is full. No deadlock: the first block may always queue a little."""
        with self._changed:
            while not self._abandoned and self._buffered + len(out) > BUDGET_BYTES:
                if block is self._blocks[self._head] and block.waiting + len(out) <= HEAD_BYTES:
                    break
                self._changed.wait()
            block.pieces.append(memoryview(out))
            block.waiting += len(out)
            self._buffered += len(out)
            self._changed.notify_all()

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes; none at the end, after size and CRC32 were checked."""
        if not n:
            return b""
        piece = self._piece(n)
        self._missing -= len(piece)
        if piece:
            self._crc = isal_zlib.crc32(piece, self._crc)
            return bytes(piece)
        if self._missing:
            raise wrong_size(self._where, self._missing)
        if self._packed.crc32 is not None and self._crc != self._packed.crc32:
            raise wrong_crc32(self._where, self._packed.crc32, self._crc)
        return b""

    def _piece(self, n: int) -> memoryview:
        with self._changed:
            while True:
                if self._head < len(self._blocks):
                    block = self._blocks[self._head]
                    if block.pieces:
                        piece = block.pieces.popleft()
                        if len(piece) > n:
                            block.pieces.appendleft(piece[n:])
                            piece = piece[:n]
                        block.waiting -= len(piece)
                        self._buffered -= len(piece)
                        self._changed.notify_all()
                        return piece
                    if block.error is not None:
                        raise block.error
                    if block.ended:
                        self._head += 1
                        self._changed.notify_all()
                        continue
                elif self._scanned:
                    if self._scan_error is not None:
                        raise self._scan_error
                    return memoryview(b"")
                self._changed.wait()

    def close(self) -> None:
        """Stop all threads."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
