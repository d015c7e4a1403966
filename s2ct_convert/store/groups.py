"""A group of a store as data: what is written, whatever the container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..published import PublishedFeature
from .digest import Table
from .layout import PUBLISHED, ArraySpec, Attributes, UnitForm, published_arrays


@dataclass(frozen=True)
class Group:
    """Attributes, arrays with their values (anything that can be sliced), and groups inside."""

    arrays: Sequence[tuple[ArraySpec, Any]] = ()
    attributes: Attributes = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)


def make_group(
    specs: Iterable[ArraySpec], columns: Mapping[str, Any], attributes: Attributes, groups: Mapping[str, Group]
) -> Group:
    """A group of these arrays, whose values are ``columns`` by name."""
    return Group(tuple((spec, columns[spec.name]) for spec in specs), attributes, groups)


def published_groups(features: Sequence[PublishedFeature]) -> dict[str, Group]:
    """The group ``published`` of a unit, by its name; nothing where there is nothing to keep."""
    return {PUBLISHED: Group(groups={one.key: _published(one) for one in features})} if features else {}


def _published(feature: PublishedFeature) -> Group:
    columns = {"state": feature.state, "offset": feature.offset, "data": feature.data}
    return make_group(published_arrays(feature.name, feature.kind), columns, {}, {})


def tables_of(group: Group, prefix: str = "") -> list[Table]:
    """All arrays of a group and of the groups inside, as the tables digest takes them."""
    tables = [
        Table(prefix + spec.name, spec.dtype, spec.dims, tuple(data.shape), spec.attributes, data)
        for spec, data in group.arrays
    ]
    for name, inner in group.groups.items():
        tables += tables_of(inner, f"{prefix}{name}/")
    return tables


def unit_form(group: Any, layout: int | None = None) -> UnitForm:
    """What arrays a unit of either container has, by those that are there; ``layout`` is that of its store."""
    label = group["label"]
    return UnitForm(
        label_side=int(label.shape[1]) if label.ndim > 1 else 1,
        undated="_FillValue" in group["time"].attrs,
        layout=layout or (2 if "date" in group else 1),
    )
