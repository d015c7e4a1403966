"""Sharded Zarr v3. This module writes the shards; ``zarr_nodes`` writes the metadata and the small arrays.

A shard (Zarr v3 specification, sharding_indexed, index at the end) has its encoded chunks one after another, then
for each chunk (offset, bytes) as uint64, then the CRC-32C of that index. Chunks are written as soon as they are
encoded. Every file is fsynced. The bytes are the same as from zarr-python, which does not sync.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..durable import has_files, has_same_files, publish, remove, sweep, sync, sync_tree, whole, write_atomic
from ..names import UnitName, is_split
from .codec import ZarrCodec
from .container import UnitFile
from .groups import Content
from .layout import CHUNK_OBS, SHARD_OBS, STATE_INCOMPLETE
from .local import LocalContainer, Scratch, files_of
from .zarr_files import METADATA, parse_node, read_array, read_node, read_stamped
from .zarr_nodes import group_node, root_node, write_group, write_image_node

_SHARD_CHUNKS = SHARD_OBS // CHUNK_OBS
_ABSENT = 2**64 - 1  # offset and size of a missing chunk


class ZarrContainer(LocalContainer):
    """A Zarr v3 directory store."""

    format = "zarr"

    def __init__(self, path: Path, codec: ZarrCodec, scratch: Scratch, *, dataset: Dataset = DATASET) -> None:
        super().__init__(path, scratch, dataset)
        self.codec = codec

    def exists(self) -> bool:
        return self.path.exists()

    def begin(self, units: Sequence[UnitName], attributes: Mapping[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.tidy(units)
        write_atomic(self.path / METADATA, _json(group_node({**attributes, "state": STATE_INCOMPLETE})))
        for split in {unit.split for unit in units}:
            (self.path / split).mkdir(exist_ok=True)
            write_atomic(self.path / split / METADATA, _json(group_node({})))
        sync(self.path)

    def target(self, key: str) -> ZarrTarget:
        return ZarrTarget(self.scratch.path(key), self.codec, self.dataset)

    def home(self, unit: UnitName) -> Path:
        """Folder of a finished unit."""
        return self.path / unit.split / unit.tile

    def publish(self, unit: UnitName, key: str) -> None:
        work = self.scratch.path(key)
        try:
            publish(work, self.home(unit))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if has_same_files(work, self.home(unit)):
                remove(work)  # another process wrote the same unit at the same time: the published one stays
                return
            self.drop(unit)
            publish(work, self.home(unit))

    def has(self, unit: UnitName, files: Mapping[str, int] | None = None) -> bool:
        return self.home(unit).exists() and has_files(self.home(unit), files or {})

    def has_unmerged(self, units: Sequence[UnitName]) -> bool:
        return False  # units are published directly into the store

    def digest(self, unit: UnitName) -> str | None:
        path = self.home(unit) / METADATA
        digest = parse_node(read_stamped(path)[0], path, "group").get("attributes", {}).get("content_digest")
        return None if digest is None else str(digest)

    def drop(self, unit: UnitName) -> None:
        remove(self.home(unit))

    def columns(self, unit: UnitName, names: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        return {name: read_array(read_node(self.home(unit) / name)) for name in names}

    def finalise(self, units: Sequence[UnitName], index: Content, attributes: Mapping[str, Any]) -> None:
        self.tidy(units)  # left-overs would become a part of the consolidated metadata
        with whole(self.path / "index") as work:
            write_group(work, self.codec, index)
        for folder in self._splits():
            if not any(unit.split == folder.name for unit in units):
                remove(folder)
        # One atomic write of the root makes the store complete; until then its state is incomplete.
        write_atomic(self.path / METADATA, _json(root_node(self.path, attributes)))

    def tidy(self, units: Sequence[UnitName]) -> None:
        """Delete left-overs of a process that was killed while it replaced files."""
        for folder in (self.path, *self._splits()):
            sweep(folder)

    def _splits(self) -> list[Path]:
        """Folders of splits: with the name of a split, and either a group or empty. Other folders are not s2ct's."""
        folders = [path for path in sorted(self.path.iterdir()) if is_split(path.name) and path.is_dir()]
        return [path for path in folders if (path / METADATA).is_file() or not any(path.iterdir())]

    def destroy(self) -> None:
        remove(self.path)


class ZarrTarget:
    """A unit group in its own folder."""

    def __init__(self, path: Path, codec: ZarrCodec, dataset: Dataset) -> None:
        self._path, self._codec, self._dataset = path, codec, dataset
        self._chunks: list[tuple[int, int]] = []
        self._file: BinaryIO | None = None
        self._end = self._n_obs = 0
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="s2ct-fsync")
        self._syncing: list[Future[None]] = []

    def append(self, chunk: bytes, rows: int) -> None:
        if self._file is None:
            shard = self._shard(len(self._chunks))
            shard.parent.mkdir(parents=True)
            self._file, self._end = open(shard, "wb"), 0
        self._file.write(chunk)
        self._chunks.append((self._end, len(chunk)))
        self._end += len(chunk)
        self._n_obs += rows
        if len(self._chunks) % _SHARD_CHUNKS == 0:
            self._end_shard()

    def _shard(self, chunk: int) -> Path:
        return self._path / "image" / "c" / str(chunk // _SHARD_CHUNKS) / "0" / "0" / "0"

    def _end_shard(self) -> None:
        """Write the index and let another thread sync the file."""
        assert self._file is not None
        first = (len(self._chunks) - 1) // _SHARD_CHUNKS * _SHARD_CHUNKS
        entries = np.full((_SHARD_CHUNKS, 2), _ABSENT, "<u8")
        entries[: len(self._chunks) - first] = self._chunks[first:]
        index = entries.tobytes()
        self._file.write(index + struct.pack("<I", google_crc32c.value(index)))
        self._file.flush()
        self._syncing.append(self._syncer.submit(_sync_and_close, self._file))
        self._file = None

    def read(self, number: int) -> bytes:
        if self._file is not None:
            self._file.flush()
        offset, size = self._chunks[number]
        with open(self._shard(number), "rb") as file:
            return os.pread(file.fileno(), size, offset)

    def finish(self, group: Content) -> None:
        if self._file is not None:
            self._end_shard()
        write_group(self._path, self._codec, group)
        write_image_node(self._path, self._codec, self._n_obs, self._dataset)
        for future in self._syncing:
            future.result()
        sync_tree(self._path)

    def files(self) -> tuple[UnitFile, ...]:
        return files_of(self._path)

    def close(self) -> None:
        self._syncer.shutdown()
        if self._file is not None:
            self._file.close()


def _sync_and_close(file: BinaryIO) -> None:
    with file:
        os.fsync(file.fileno())


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode()
