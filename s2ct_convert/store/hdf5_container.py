"""HDF5: each unit is a file in ``<store>.units/`` until finalise copies its chunks into one file.

With ``linked``, unit files stay there and the store is a small file of relative external links. Use it for
stores that do not fit on the disk twice. The folder of units is then a part of the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..durable import WriteBehind, beside, has_files, publish, remove, sync_tree, whole
from ..errors import NotAStore, StoreDamaged
from ..names import UnitName
from .codec import Hdf5Codec
from .container import UnitFile
from .groups import Content
from .hdf5_file import (
    append_chunk,
    create_images,
    disk_errors,
    get_attributes,
    open_file,
    open_new,
    read_unit_group,
    reading,
    set_attributes,
    write_group,
)
from .layout import CHUNK_OBS, IMAGE
from .local import LocalContainer, Scratch, files_of


class Hdf5Container(LocalContainer):
    """An HDF5 file and its unit files."""

    format = "hdf5"

    def __init__(
        self, path: Path, codec: Hdf5Codec, scratch: Scratch, *, linked: bool = False, dataset: Dataset = DATASET
    ) -> None:
        super().__init__(path, scratch, dataset)
        self.codec, self.linked = codec, linked
        self.units = beside(path, ".units")
        codec.prepare(writing=True)

    def exists(self) -> bool:
        return self.path.exists() or self.units.exists()

    def begin(self, units: Sequence[UnitName], attributes: Mapping[str, Any]) -> None:
        """Create the folder of units. The store's file appears only when it is complete; an old one stays until then.

        A linked store is deleted first, because its units are about to change.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.linked:
            remove(self.path)
        self.units.mkdir(exist_ok=True)

    def target(self, key: str) -> Hdf5Target:
        return Hdf5Target(self.scratch.path(key), self.codec, self.dataset)

    def home(self, unit: UnitName) -> Path:
        """File of a finished unit, as long as the unit has its own file."""
        return self.units / f"{unit.key}.h5"

    def publish(self, unit: UnitName, key: str) -> None:
        publish(self.scratch.path(key), self.home(unit))

    def has(self, unit: UnitName, files: Mapping[str, int] | None = None) -> bool:
        if self.home(unit).exists():
            return has_files(self.home(unit), files or {})
        return self._in_store(unit)

    def _in_store(self, unit: UnitName) -> bool:
        if not self.path.is_file():
            return False
        try:
            file = open_file(self.path)
        except (NotAStore, StoreDamaged):
            return False
        with file, reading(self.path, f"the group {unit}"):
            is_here = isinstance(file.get(str(unit), getlink=True), h5py.HardLink)  # not a link to a unit file
            return file.attrs.get("state") is not None and is_here

    def drop(self, unit: UnitName) -> None:
        """Delete the unit's file. The next finalise leaves out a copy inside the store."""
        remove(self.home(unit))

    def has_unmerged(self, units: Sequence[UnitName]) -> bool:
        return not self.linked and any(self.home(unit).exists() for unit in units)

    def digest(self, unit: UnitName) -> str | None:
        with self._group(unit) as group, reading(group.file.filename, f"attributes of {unit}"):
            return get_attributes(group).get("content_digest")

    def columns(self, unit: UnitName, names: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        with self._group(unit) as group, reading(group.file.filename, str(unit)):
            return {name: group[name][...] for name in names}

    @contextmanager
    def _group(self, unit: UnitName) -> Iterator[h5py.Group]:
        """The unit in its file, else in the existing store."""
        home = self.home(unit)
        path = home if home.exists() else self.path
        with open_file(path) as file:
            if path != home:
                with reading(path, str(unit)):
                    file = file[str(unit)]
            yield file

    def finalise(self, units: Sequence[UnitName], index: Content, attributes: Mapping[str, Any]) -> None:
        with (
            whole(self.path) as work,
            disk_errors(work),
            open_new(work) as file,
            closing(WriteBehind(work)) as behind,
        ):
            for unit in units:
                split = file.require_group(unit.split)  # an implicitly created group would store its creation time
                if self.linked and self.home(unit).exists():
                    split[unit.tile] = h5py.ExternalLink(f"{self.units.name}/{unit.key}.h5", "/")
                else:
                    self._copy(unit, split.create_group(unit.tile), behind)
            write_group(file.create_group("index"), index)
            set_attributes(file, attributes)
            behind.finish()

    def tidy(self, units: Sequence[UnitName]) -> None:
        """Delete the files of copied units."""
        if not self.linked:
            for unit in units:
                remove(self.home(unit))
            with suppress(OSError):  # not empty: it holds files that s2ct did not write
                self.units.rmdir()

    def _copy(self, unit: UnitName, group: h5py.Group, behind: WriteBehind) -> None:
        """Copy a unit from its file, else from the existing store. Chunks are not decoded."""
        with self._group(unit) as source:
            images = source[IMAGE.name]
            copy = create_images(group, self.codec, self.dataset)
            for row in range(0, len(images), CHUNK_OBS):
                with reading(source.file.filename, IMAGE.name):
                    _, chunk = images.id.read_direct_chunk((row, 0, 0, 0))
                append_chunk(copy, chunk, min(CHUNK_OBS, len(images) - row))
                behind.grew(len(chunk))
            with reading(source.file.filename, str(unit)):
                content = read_unit_group(source, self.dataset)
            write_group(group, content, self.dataset)

    def destroy(self) -> None:
        remove(self.path)
        remove(self.units)


class Hdf5Target:
    """A unit in its own file. ``image`` grows with each chunk: their number is known only at the end."""

    def __init__(self, path: Path, codec: Hdf5Codec, dataset: Dataset) -> None:
        self._path, self._dataset = path, dataset
        with disk_errors(path):
            self._file = open_new(path)
            self._images = create_images(self._file, codec, dataset)
        self._behind = WriteBehind(path)

    def append(self, chunk: bytes, rows: int) -> None:
        with disk_errors(self._path):
            append_chunk(self._images, chunk, rows)
        self._behind.grew(len(chunk))

    def read(self, number: int) -> bytes:
        _, chunk = self._images.id.read_direct_chunk((number * CHUNK_OBS, 0, 0, 0))
        return bytes(chunk)

    def finish(self, group: Content) -> None:
        with disk_errors(self._path):
            write_group(self._file, group, self._dataset)
            self._file.close()
        self._behind.finish()
        sync_tree(self._path)

    def files(self) -> tuple[UnitFile, ...]:
        return files_of(self._path)

    def close(self) -> None:
        self._behind.close()
        with disk_errors(self._path):
            self._file.close()
