"""The content of a group of a store, for any container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dataset import DATASET, Dataset
from ..published import PublishedFeature
from .digest import Table
from .layout import PUBLISHED, SALVAGED, ArraySpec, Attributes, UnitForm, published_arrays


@dataclass(frozen=True)
class Content:
    """Attributes, arrays with their values (anything that can be sliced), and inner groups."""

    arrays: Sequence[tuple[ArraySpec, Any]] = ()
    attributes: Attributes = field(default_factory=dict)
    groups: Mapping[str, Content] = field(default_factory=dict)


def make_content(
    specs: Iterable[ArraySpec], columns: Mapping[str, Any], attributes: Attributes, groups: Mapping[str, Content]
) -> Content:
    """A group of these arrays, with their values from ``columns`` by name."""
    return Content(tuple((spec, columns[spec.name]) for spec in specs), attributes, groups)


def published_groups(features: Sequence[PublishedFeature]) -> dict[str, Content]:
    """The group ``published`` of a unit, by its name; empty without features."""
    return {PUBLISHED: Content(groups={one.key: _published(one) for one in features})} if features else {}


def _published(feature: PublishedFeature) -> Content:
    columns = {"state": feature.state, "offset": feature.offset, "data": feature.data}
    return make_content(published_arrays(feature.name, feature.kind), columns, {}, {})


def tables_of(group: Content, prefix: str = "") -> list[Table]:
    """All arrays of a group and its inner groups, as input of the tables digest."""
    tables = [
        Table(prefix + spec.name, spec.dtype, spec.dims, tuple(data.shape), spec.attributes, data)
        for spec, data in group.arrays
    ]
    for name, inner in group.groups.items():
        tables += tables_of(inner, f"{prefix}{name}/")
    return tables


def unit_form(
    label_shape: Sequence[int], time: Attributes, unit: Attributes, layout: int, dataset: Dataset = DATASET
) -> UnitForm:
    """The form of a unit, from the shape of its labels, the attributes of its time, and its own."""
    side = label_shape[1] if len(label_shape) > 1 else 1
    return UnitForm(side, "_FillValue" in time, layout, dataset, SALVAGED in unit)
