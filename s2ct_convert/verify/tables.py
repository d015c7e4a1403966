"""Checks the small arrays and attributes of a group, in any container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..published import HERE, STATES
from ..reading.groups import Group
from ..reading.unit import Unit
from ..store.digest import TABLES_DIGEST, Table, tables_digest
from ..store.layout import IMAGE, PUBLISHED, ArraySpec, published_arrays
from .findings import Finding


def read_tables(group: Group, names: Sequence[str]) -> list[Table]:
    """The named arrays with their values, except the values of the pixels.

    Raises
    ------
    StoreDamaged
        If an array is missing or cannot be read.
    """
    return [group.table(name, values=name != IMAGE.name) for name in names]


def read_published(unit: Unit) -> list[Table]:
    """The arrays of published features."""
    names = [f"{PUBLISHED}/{key}/{name}" for key in unit.published for name in ("state", "offset", "data")]
    return read_tables(unit.group, names)


def published_specs(unit: Unit) -> dict[str, Sequence[ArraySpec]]:
    """Arrays of the group ``published`` and of its inner groups."""
    try:
        features = unit.published
    except Exception:  # reading them reports that
        return {}
    place = f"{unit.name}/{PUBLISHED}"
    inner = {f"{place}/{key}": published_arrays(one.name, one.kind) for key, one in features.items()}
    return {place: (), **inner} if inner else {}


def check_published(unit: Unit) -> Iterator[Finding]:
    """Contradictions in published features."""
    n, name = int(unit.attributes["source_examples"]), str(unit.name)
    for key, one in unit.published.items():
        place = f"{PUBLISHED}/{key}"
        if one.state.shape != (n,) or one.offset.shape != (n + 1,):
            yield Finding(f"{place} does not have the {n} examples of the source", name)
        elif one.offset[0] != 0 or (np.diff(one.offset) < 0).any() or one.offset[-1] != one.data.shape[0]:
            yield Finding(f"{place}: offset contradicts data", name)
        elif not np.isin(one.state, range(len(STATES))).all() or (np.diff(one.offset)[one.state != HERE] != 0).any():
            yield Finding(f"{place}: state contradicts offset", name)


def check_tables(
    tables: Sequence[Table],
    specs: Sequence[ArraySpec],
    lengths: Mapping[str, int],
    attributes: Mapping[str, Any],
    unit: str,
) -> Iterator[Finding]:
    """Differences from the layout and from the recorded digest of the tables."""
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
    except (TypeError, ValueError) as error:  # a value that s2ct never writes
        yield Finding(f"the attributes have changed: {error}", unit)
        return
    if recorded is None:
        yield Finding("no digest of attributes and small arrays is recorded", unit)
    elif digest != recorded:
        yield Finding(f"the digest of attributes and small arrays is {digest}, recorded is {recorded}", unit)


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in attributes.items()}
