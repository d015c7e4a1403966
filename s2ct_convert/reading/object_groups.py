"""Groups of a Zarr store in a bucket or at an https address, read without listing.

One request opens the store: the root of a finished store has a copy of all metadata. Each array then takes one more.
Nothing is asked twice to see whether it has changed. The checksums of the small arrays and of the images do that: they
belong together, so a part of another unit does not match.
"""

from __future__ import annotations

from typing import Any

from ..errors import Incomplete, NotAStore, StoreDamaged
from ..names import UnitName
from ..objects.address import ObjectPath
from ..objects.failures import ObjectMissing
from ..objects.reads import read_object
from ..store.digest import Table
from ..store.zarr_files import METADATA, ArrayNode, LongArray, array_node, is_long, parse_node, read_array
from .chunks import ObjectChunks
from .zarr_groups import Copies, copies_of, members_of, names_of_units


class ObjectGroup:
    """A unit, or the index.

    Parameters
    ----------
    folder : ObjectPath
    copies : dict
        Metadata of the group (under an empty name) and of its members, from the root.
    """

    waits = True

    def __init__(self, folder: ObjectPath, copies: Copies) -> None:
        self.where, self._folder, self._copies = str(folder), folder, copies
        self.attributes: dict[str, Any] = copies[""].get("attributes", {})

    def names(self) -> list[str]:
        return sorted(name for name, node in self._copies.items() if node.get("node_type") == "array")

    def table(self, name: str, *, values: bool = True) -> Table:
        node = self._node(name)
        data: Any = None
        if values:
            data = LongArray(node, self.unchanged) if is_long(node) else read_array(node)
        return Table(name, node.dtype.name, node.dims, node.shape, node.attributes, data)

    def _node(self, name: str) -> ArrayNode:
        if self._copies.get(name, {}).get("node_type") != "array":
            raise StoreDamaged(f"the array {name} is missing in the consolidated metadata", where=self.where)
        return array_node(self._folder / name, self._copies[name])

    def chunks(self, name: str) -> ObjectChunks:
        return ObjectChunks(self._node(name), self.unchanged)

    def unchanged(self) -> None:
        """Nothing to ask: the checksums show a change."""


class ObjectTree:
    """A Zarr store.

    Raises
    ------
    NotAStore
        If there is no Zarr v3 group at the address.
    StoreDamaged
        If its ``zarr.json`` is invalid.
    Incomplete
        If it has no copy of all metadata: nothing else names its units.
    """

    format = "zarr"

    def __init__(self, place: ObjectPath) -> None:
        self._place, file = place, place / METADATA
        try:
            node = parse_node(read_object(file), file)
        except ObjectMissing:
            raise NotAStore(
                "there is no store at this address", where=str(place), found=f"no {METADATA}", todo="check the address"
            ) from None
        if (node.get("zarr_format"), node.get("node_type")) != (3, "group"):
            found = f"format {node.get('zarr_format')}, {node.get('node_type')}"
            raise NotAStore("this is not a Zarr v3 group", where=str(place), found=found)
        self.attributes: dict[str, Any] = node.get("attributes", {})
        self.root, copies = node, copies_of(node, file)
        if copies is None:
            raise Incomplete(
                "this store is not finished: its root does not name its units",
                where=str(place),
                todo="run the command that makes the store again; it resumes",
            )
        self._copies = copies
        self._inside = members_of(copies)

    def units(self) -> list[UnitName]:
        return names_of_units(self._copies)

    def group(self, name: str) -> ObjectGroup:
        if name not in self._copies:
            raise StoreDamaged(f"{name} is missing in the consolidated metadata", where=str(self._place / METADATA))
        return ObjectGroup(self._place / name, {"": self._copies[name], **self._inside.get(name, {})})

    def close(self) -> None:
        """Nothing to close."""
