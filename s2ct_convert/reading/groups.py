"""The interface of a group of a store, for Zarr and HDF5. All reading of small arrays uses it.

A group lists its arrays and returns each as a table, or raises an error. Their digest shows whether all of them
are the arrays that were written together (``check_digest``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import StoreDamaged
from ..names import UnitName
from ..store.digest import TABLES_DIGEST, Table, store_digest, tables_digest
from ..store.layout import IMAGE
from ..threads import for_each
from .chunks import Chunks


class Group(Protocol):
    """A unit or the index.

    Attributes
    ----------
    where : str
        Its place, for messages.
    attributes : dict
    waits : bool
        Whether reading mostly waits for a network.
    """

    where: str
    attributes: dict[str, Any]
    waits: bool

    def names(self) -> list[str]:
        """Names of all arrays at any depth, sorted; an array in an inner group is ``group/array``."""

    def table(self, name: str, *, values: bool = True) -> Table:
        """An array by name. ``data`` is None without ``values``.

        Raises
        ------
        StoreDamaged
            If a part of it is missing or damaged.
        """

    def chunks(self, name: str) -> Chunks:
        """The chunks of an ``image`` array.

        Raises
        ------
        NotAStore
            If another program has rewritten it with other codecs.
        StoreDamaged
            If the index of the chunks is missing or broken.
        """

    def unchanged(self) -> None:
        """Check that this is still the group that was opened.

        Raises
        ------
        StoreDamaged
            If it has been replaced or deleted.
        """


class HasDigest(Protocol):
    """An object with a content digest, such as a unit."""

    @property
    def digest(self) -> str:
        """``sha256:...``."""


class Tree(Protocol):
    """The groups of an open store."""

    format: str
    attributes: dict[str, Any]

    def units(self) -> list[UnitName]:
        """Names of the units."""

    def group(self, name: str) -> Group:
        """A unit or the index.

        Raises
        ------
        StoreDamaged
            If it is missing or broken.
        """

    def close(self) -> None:
        """Close all files."""


def read_all(group: Group) -> list[Table]:
    """Every array of a group with its values, except the values of the pixels."""
    names = group.names()
    if not group.waits:
        return [group.table(name, values=name != IMAGE.name) for name in names]
    found: dict[str, Table] = {}

    def read(name: str) -> None:
        found[name] = group.table(name, values=name != IMAGE.name)

    for_each(read, names, waiting=True)
    return [found[name] for name in names]


def check_digest(where: str, attributes: dict[str, Any], tables: Sequence[Table]) -> None:
    """Compare attributes and arrays of a group with their recorded digest.

    Raises
    ------
    StoreDamaged
        If they differ: something is damaged, comes from another store, or was changed by another program.
    """
    recorded = attributes.get(TABLES_DIGEST)
    try:
        found = tables_digest(attributes, tables)
    except (TypeError, ValueError) as error:  # a value that s2ct never writes
        found = f"an invalid attribute: {error}"
    if found != recorded:
        raise StoreDamaged(
            "attributes or small arrays have changed since they were written",
            where=where,
            expected=str(recorded or "an attribute with their digest"),
            found=found,
            todo="run s2ct verify store to see which; another program may have changed them or rewritten the store",
        )


def recorded_digest(group: Group) -> str:
    """Content digest recorded in a unit.

    Raises
    ------
    StoreDamaged
        If there is none.
    """
    try:
        return str(group.attributes["content_digest"])
    except KeyError:
        raise StoreDamaged("the attribute content_digest is missing", where=group.where) from None


def check_units(where: str, attributes: Mapping[str, Any], units: Mapping[str, HasDigest]) -> None:
    """Check that the units are those of the finished store: together they have the digest of the store.

    Raises
    ------
    StoreDamaged
        If a unit is missing, extra or replaced.
    """
    number, recorded = attributes.get("number_of_units"), attributes.get("content_digest")
    if number != len(units):
        raise StoreDamaged(
            "the number of units differs from the recorded number",
            where=where,
            expected=f"{number} units",
            found=f"{len(units)}: {', '.join(units)}",
        )
    try:
        found = store_digest({name: unit.digest for name, unit in units.items()})
    except ValueError:
        found = "units with invalid digests"
    if found != recorded:
        raise StoreDamaged(
            "the units differ from those recorded in the store",
            where=where,
            expected=str(recorded),
            found=found,
            todo="if another program is rewriting the store, wait for it to end and open the store again",
        )
