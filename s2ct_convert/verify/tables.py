"""A group of a store as a reader of its container sees it, whatever the container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..published import HERE, STATES
from ..reading.groups import Group
from ..reading.unit import Unit
from ..store.digest import TABLES_DIGEST, Table, tables_digest
from ..store.layout import IMAGE, PUBLISHED, ArraySpec
from .findings import Finding


def read_tables(group: Group, names: Sequence[str]) -> list[Table]:
    """The arrays of these names, with their values but for the pixels.

    Raises
    ------
    StoreDamaged
        If one is missing or cannot be read.
    """
    return [group.table(name, values=name != IMAGE.name) for name in names]


def read_published(unit: Unit) -> list[Table]:
    """The arrays of published features."""
    names = [f"{PUBLISHED}/{key}/{name}" for key in unit.published for name in ("state", "offset", "data")]
    return read_tables(unit.group, names)


def check_published(unit: Unit) -> Iterator[Finding]:
    """What published features say of themselves that cannot be."""
    n, name = int(unit.attributes["source_examples"]), str(unit.name)
    for key, one in unit.published.items():
        told = f"{PUBLISHED}/{key}"
        if one.state.shape != (n,) or one.offset.shape != (n + 1,):
            yield Finding(f"{told} is not of the {n} examples of the source", name)
        elif one.offset[0] != 0 or (np.diff(one.offset) < 0).any() or one.offset[-1] != one.data.shape[0]:
            yield Finding(f"{told}: offset does not fit data", name)
        elif not np.isin(one.state, range(len(STATES))).all() or (np.diff(one.offset)[one.state != HERE] != 0).any():
            yield Finding(f"{told}: state does not fit offset", name)


def check_tables(
    tables: Sequence[Table],
    specs: Sequence[ArraySpec],
    lengths: Mapping[str, int],
    attributes: Mapping[str, Any],
    unit: str,
) -> Iterator[Finding]:
    """What differs from the layout, and from the digest of the tables that was recorded."""
    by_name = {table.name: table for table in tables}
    for spec in specs:
        table = by_name[spec.name]
        shape = tuple(lengths[dim] for dim in spec.dims)
        for what, found, expected in (
            ("dtype", table.dtype, spec.dtype),
            ("dimensions", table.dims, spec.dims),
            ("shape", table.shape, shape),
            ("attributes", _plain(table.attributes), _plain(spec.attributes)),
        ):
            if found != expected:
                yield Finding(f"{what} of {spec.name} are {found}, expected {expected}", unit)
    recorded = attributes.get(TABLES_DIGEST)
    try:
        digest = tables_digest(attributes, tables)
    except (TypeError, ValueError) as error:  # a value that no attribute of ours has
        yield Finding(f"the attributes cannot be what was written: {error}", unit)
        return
    if recorded is None:
        yield Finding("no digest of attributes and small arrays is recorded", unit)
    elif digest != recorded:
        yield Finding(f"attributes or small arrays have {digest}, recorded is {recorded}", unit)


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in attributes.items()}
