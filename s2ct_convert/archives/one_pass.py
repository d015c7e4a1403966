"""Unpack all files of an archive in one pass. A solid block is unpacked once, however many files it has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from isal import isal_zlib

from ..durable import sync
from .archive import Archive, Member, MemberReadable, opened
from .blocks import places_of
from .damage import wrong_crc32, wrong_size
from .member_stream import MemberStream
from .native import NativeStream
from .stream import PIECE_BYTES, SourceReader
from .unpackers import Unpacker, choose

_BATCH_FILES, _BATCH_BYTES = 1000, 256 << 20  # files that wait for their names at the same time
_SYNC_THREADS = 8


@contextmanager
def open_all(archive: Archive, *, threads: int, unpacker: Unpacker) -> Iterator[MemberReadable]:
    """The contents of all files of an archive, one after another in the order of the archive.

    Raises
    ------
    ArchiveDamaged, ArchiveUnsupported, SourceTooLarge, WrongUsage
        As :func:`s2ct_convert.archives.archive.open_member`.
    """
    where, size = archive.path.name, sum(member.size for member in archive.members)
    with SourceReader(archive.path, with_md5=False) as file, opened(file) as parsed:
        unpacker.bounds.check_unpacked(size, archive.bytes, where)
        for folder, _ in places_of(parsed):
            unpacker.bounds.check_block(folder, where)
        by_name = file.no_descriptor or ("the archive has links" if archive.links else None)
        methods = dict.fromkeys(method for member in archive.members for method in member.methods)
        chosen, label = choose(unpacker, methods, where, by_name)
        if chosen.program is not None:
            native = NativeStream(file, None, size, None, where=where, unpacker=chosen, threads=threads, label=label)
            with closing(native):
                native.start()
                yield native
            return
        with MemberStream(where).unpacking(parsed, [one for one in parsed.files if one.is_file]) as stream:
            yield stream


def write_files(
    stream: MemberReadable,
    targets: Mapping[Path, Member],
    wanted: set[Path],
    work: Path,
    *,
    on_bytes: Callable[[int], None],
    on_file: Callable[[Path], None],
) -> None:
    """Write the ``wanted`` files from a stream of all of them, first under other names in the folder ``work``.

    A file gets its name after its size and CRC-32 were checked and it was synced. The files before damage are kept.

    Raises
    ------
    ArchiveDamaged
        If a size or a CRC-32 does not match.
    """
    batch = _Batch(on_file)
    try:
        rest = memoryview(b"")
        for number, (target, member) in enumerate(targets.items()):
            path = work / str(number) if target in wanted else Path(os.devnull)
            left, crc = member.size, 0
            with open(path, "wb") as out:
                while left:
                    rest = rest or memoryview(stream.read(PIECE_BYTES))
                    if not rest:
                        raise wrong_size(member.name, left)
                    piece, rest = rest[:left], rest[left:]
                    left, crc = left - len(piece), isal_zlib.crc32(piece, crc)
                    out.write(piece)
                    if target in wanted:
                        on_bytes(len(piece))
            if member.crc32 is not None and crc != member.crc32:
                raise wrong_crc32(member.name, member.crc32, crc)
            if target in wanted:
                batch.add(path, target, member.size)
        if rest or stream.read(1):
            raise wrong_size("the archive", -1)
    finally:
        batch.name_all()


class _Batch:
    """Whole files that wait for their names: they are synced together, which is many times faster."""

    def __init__(self, on_file: Callable[[Path], None]) -> None:
        self._on_file = on_file
        self._ready: list[tuple[Path, Path]] = []
        self._bytes = 0

    def add(self, path: Path, target: Path, size: int) -> None:
        self._ready.append((path, target))
        self._bytes += size
        if len(self._ready) >= _BATCH_FILES or self._bytes >= _BATCH_BYTES:
            self.name_all()

    def name_all(self) -> None:
        """Sync the files and give them their names."""
        ready, self._ready, self._bytes = self._ready, [], 0
        folders = dict.fromkeys(target.parent for _, target in ready)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="s2ct-fsync") as pool:
            for _ in pool.map(sync, [path for path, _ in ready]):
                pass
        for path, target in ready:
            os.rename(path, target)
        for folder in folders:
            sync(folder)
        for _, target in ready:
            self._on_file(target)
