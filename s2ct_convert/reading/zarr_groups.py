"""Groups of a Zarr store.

The root of a finished store has a copy of all metadata. It determines the units and arrays, so a missing one is
detected. A unit is replaced as a whole, by a rename: if its ``zarr.json`` is still the one that was opened,
everything read so far belongs to the same unit.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import NotAStore, StoreDamaged
from ..names import INDEX, UnitName, is_split, is_tile
from ..objects.address import AnyPath
from ..store.digest import Table
from ..store.zarr_files import (
    METADATA,
    ArrayNode,
    LongArray,
    Stamp,
    is_long,
    parse_node,
    read_array,
    read_node,
    read_stamped,
    stamp_of,
)
from .chunks import ZarrChunks

Copies = dict[str, Any]


class ZarrGroup:
    """A unit, or the index.

    Parameters
    ----------
    folder : Path
    copies : dict or None
        Metadata of the group (under an empty name) and of its members, from the root.
    """

    waits = False

    def __init__(self, folder: Path, copies: Copies | None) -> None:
        self.where, self._folder, self._copies = str(folder), folder, copies
        # From the root, read when the store was opened. The folder may have changed since.
        own = copies[""] if copies is not None else self._opened[0]
        self.attributes: dict[str, Any] = own.get("attributes", {})

    @cached_property
    def _opened(self) -> tuple[dict[str, Any], bytes, list[Stamp]]:
        """Metadata of the group itself, as first read."""
        path = self._folder / METADATA
        data, stamp = read_stamped(path)
        node = parse_node(data, path, "group")
        if self._copies is not None and node.get("attributes", {}) != self._copies[""].get("attributes", {}):
            raise StoreDamaged(
                "this group has changed since the store was opened",
                where=str(path),
                todo="open the store again; if that does not help, run s2ct verify store",
            )
        return node, data, [stamp]

    def names(self) -> list[str]:
        _ = self._opened
        if self._copies is not None:
            return sorted(name for name, node in self._copies.items() if node.get("node_type") == "array")
        return sorted(self._walk(self._folder))

    def _walk(self, folder: Path) -> list[str]:
        out = []
        for path in sorted(folder.glob(f"*/{METADATA}")):
            if parse_node(read_stamped(path)[0], path).get("node_type") == "array":
                out.append(path.parent.relative_to(self._folder).as_posix())
            else:
                out += self._walk(path.parent)
        return out

    def table(self, name: str, *, values: bool = True) -> Table:
        node = self._node(name)
        data: Any = None
        if values:
            data = LongArray(node, self.unchanged) if is_long(node) else read_array(node)
        self.unchanged()
        return Table(name, node.dtype.name, node.dims, node.shape, node.attributes, data)

    def _node(self, name: str) -> ArrayNode:
        _ = self._opened
        return read_node(self._folder / name)

    def chunks(self, name: str) -> ZarrChunks:
        return ZarrChunks(self._node(name), self.unchanged)

    def unchanged(self) -> None:
        _, data, stamps = self._opened
        path = self._folder / METADATA
        try:
            now = stamp_of(os.stat(path))  # noqa: PTH116  # for every read: half the time of Path.stat
        except OSError:
            now = None
        if now != stamps[0]:
            stamps[0] = self._again(path, data)

    def _again(self, path: Path, data: bytes) -> Stamp:
        """The new stamp of unchanged metadata. They may have been rewritten, or the file system may change its inodes.

        Equal metadata mean equal digests of all small arrays, and therefore equal checksums of all pixels.
        """
        try:
            now, stamp = read_stamped(path)
        except StoreDamaged:
            now, stamp = b"", Stamp(0, 0, 0, 0)
        if now != data:
            raise StoreDamaged(
                "this group was replaced or deleted while the store was open",
                where=self.where,
                todo="open the store again",
            )
        return stamp


class ZarrTree:
    """A Zarr store.

    Raises
    ------
    NotAStore
        If there is no Zarr v3 group in the folder.
    StoreDamaged
        If its ``zarr.json`` is not valid JSON.
    """

    format = "zarr"

    def __init__(self, path: Path) -> None:
        self._path, file = path, path / METADATA
        if not file.is_file():
            raise NotAStore("this folder is not a Zarr v3 group", where=str(path), found=f"no {METADATA} in it")
        node = parse_node(read_stamped(file)[0], file)
        if (node.get("zarr_format"), node.get("node_type")) != (3, "group"):
            found = f"format {node.get('zarr_format')}, {node.get('node_type')}"
            raise NotAStore("this folder is not a Zarr v3 group", where=str(path), found=found)
        self.attributes: dict[str, Any] = node.get("attributes", {})
        self._copies = copies_of(node, file)

    def units(self) -> list[UnitName]:
        if self._copies is not None:
            return names_of_units(self._copies)
        return _names([path.parent.relative_to(self._path).as_posix() for path in self._path.glob(f"*/*/{METADATA}")])

    def group(self, name: str) -> ZarrGroup:
        if self._copies is None:
            return ZarrGroup(self._path / name, None)
        if name not in self._copies:
            raise StoreDamaged(f"{name} is missing in the consolidated metadata", where=str(self._path / METADATA))
        return ZarrGroup(self._path / name, {"": self._copies[name], **self._inside.get(name, {})})

    @cached_property
    def _inside(self) -> dict[str, Copies]:
        return members_of(self._copies or {})

    def close(self) -> None:
        """Nothing to close: no file stays open."""


def names_of_units(copies: Copies) -> list[UnitName]:
    """The units that the consolidated metadata name, sorted."""
    return _names([name for name, node in copies.items() if node.get("node_type") == "group"])


def _names(groups: list[str]) -> list[UnitName]:
    found = [name.split("/") for name in groups if name.count("/") == 1]
    return sorted(UnitName(split, tile) for split, tile in found if is_split(split) and is_tile(tile))


def members_of(copies: Copies) -> dict[str, Copies]:
    """Metadata of the members of units and of the index, by name of the unit and path in it."""
    out: dict[str, Copies] = {}
    for name, node in copies.items():
        depth = 1 if name.startswith(f"{INDEX}/") else 2
        parts = name.split("/")
        if len(parts) > depth:
            out.setdefault("/".join(parts[:depth]), {})["/".join(parts[depth:])] = node
    return out


def copies_of(root: dict[str, Any], file: AnyPath) -> Copies | None:
    """The consolidated metadata; None if there are none (an unfinished store, or a store of another program)."""
    if "consolidated_metadata" not in root:
        return None
    try:
        copies = root["consolidated_metadata"]["metadata"]
        for node in copies.values():
            if not isinstance(node.get("attributes", {}), dict):
                raise TypeError("invalid attributes")
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged("the consolidated metadata are invalid", where=str(file), found=repr(error)) from None
    return dict(copies)
