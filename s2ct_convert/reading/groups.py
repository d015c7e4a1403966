"""A group of a store with its arrays, in Zarr and in HDF5 alike: what all reading of small arrays goes through.

A group says which arrays it holds and gives each of them as a table, right or not at all. Whether all of them
together are those that were written is told by their digest (``check_digest``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import StoreDamaged
from ..names import UnitName
from ..store.digest import TABLES_DIGEST, Table, store_digest, tables_digest
from ..store.layout import IMAGE
from .chunks import Chunks


class Group(Protocol):
    """A unit or the index.

    Attributes
    ----------
    where : str
        The place, for messages.
    attributes : dict
    """

    where: str
    attributes: dict[str, Any]

    def names(self) -> list[str]:
        """Every array at any depth, sorted; one in a group is ``group/array``."""

    def table(self, name: str, *, values: bool = True) -> Table:
        """An array by its name; without its values, ``data`` is None.

        Raises
        ------
        StoreDamaged
            If any part of it is missing or not what was written.
        """

    def chunks(self, name: str) -> Chunks:
        """The chunks of an ``image`` array.

        Raises
        ------
        NotAStore
            If another program has stored it anew with other codecs.
        StoreDamaged
            If what tells where they are is missing or broken.
        """

    def unchanged(self) -> None:
        """See that this is the group still that was opened.

        Raises
        ------
        StoreDamaged
            If another one has been put in its place, or it is gone.
        """


class HasDigest(Protocol):
    """What says its content digest: a unit."""

    @property
    def digest(self) -> str:
        """``sha256:...``."""


class Tree(Protocol):
    """All of an open store."""

    format: str
    attributes: dict[str, Any]

    def units(self) -> list[UnitName]:
        """The units there are."""

    def group(self, name: str) -> Group:
        """A unit or the index.

        Raises
        ------
        StoreDamaged
            If it is missing or broken.
        """

    def close(self) -> None:
        """Let go of all files."""


def read_all(group: Group) -> list[Table]:
    """Every array of a group with its values, but for the pixels."""
    return [group.table(name, values=name != IMAGE.name) for name in group.names()]


def check_digest(where: str, attributes: dict[str, Any], tables: Sequence[Table]) -> None:
    """See that attributes and arrays of a group are those that were written together.

    Raises
    ------
    StoreDamaged
        If they are not: something is damaged, from another store, or was changed by another program.
    """
    recorded = attributes.get(TABLES_DIGEST)
    try:
        found = tables_digest(attributes, tables)
    except (TypeError, ValueError) as error:  # a value that no attribute of ours has
        found = f"what cannot be an attribute: {error}"
    if found != recorded:
        raise StoreDamaged(
            "attributes and small arrays are not those that were written together",
            where=where,
            expected=str(recorded or "an attribute with their digest"),
            found=found,
            todo="s2ct verify store says which; another program may have changed them, or made the store anew",
        )


def recorded_digest(group: Group) -> str:
    """Content digest that a unit says it has.

    Raises
    ------
    StoreDamaged
        If it says none.
    """
    try:
        return str(group.attributes["content_digest"])
    except KeyError:
        raise StoreDamaged("it has no attribute content_digest", where=group.where) from None


def check_units(where: str, attributes: Mapping[str, Any], units: Mapping[str, HasDigest]) -> None:
    """See that the units are those a store was made of: its digest is that of all of them.

    Raises
    ------
    StoreDamaged
        If one is missing, or there is one more, or one has been replaced.
    """
    number, recorded = attributes.get("number_of_units"), attributes.get("content_digest")
    if number != len(units):
        raise StoreDamaged(
            "the store has not the units it was made of",
            where=where,
            expected=f"{number} units",
            found=f"{len(units)}: {', '.join(units)}",
        )
    try:
        found = store_digest({name: unit.digest for name, unit in units.items()})
    except ValueError:
        found = "units with digests that are none"
    if found != recorded:
        raise StoreDamaged(
            "the units are not those the store was made of",
            where=where,
            expected=str(recorded),
            found=found,
            todo="if another program makes the store anew, wait for it to end and open the store again",
        )
