"""Attributes of the root of a store: content, source, state and data set."""

from __future__ import annotations

import datetime
import json
import os
from typing import Any

from ..dataset import DATASET, Dataset
from ..durable import parse_json
from ..errors import StoreDamaged
from .layout import LAYOUT_VERSION, STATE_PARTIAL, Attributes

# The root attribute that holds the data set as JSON. A store without it has the default data set.
DATASET_ATTRIBUTE = "s2ct_dataset"


def root_attributes(
    *, state: str, version: str, command: str, units: int, digest: str, dataset: Dataset = DATASET
) -> dict[str, Any]:
    """Attributes of the root group (CF-1.11, ACDD-1.3). ``digest`` is empty until the store is complete."""
    now = _now()
    attributes = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": dataset.title,
        "summary": (
            f"{dataset.summary} Format conversion of the published TFRecords; values unchanged. One group per unit "
            "(split/tile), each a CF contiguous ragged array; /index has one row per sample."
        ),
        "license": f"that of the source record, stated at {dataset.doi}",
        "creators": dataset.creators,
        "creator_institution": dataset.creator_institution,
        "source": dataset.sensor,
        "doi": dataset.doi,
        "citation": dataset.citation,
        "references": f"{dataset.doi} {dataset.paper}".strip(),
        "date_created": now,
        "history": f"{now} s2ct {version}: {command}",
        "s2ct_version": version,
        "s2ct_layout_version": LAYOUT_VERSION,
        "state": state,
        "number_of_units": units,  # not "units": CF readers would apply it to every array without units
        "content_digest": digest,
    }
    if dataset != DATASET:
        attributes[DATASET_ATTRIBUTE] = json.dumps(dataset.values(), sort_keys=True)
    return attributes


def read_dataset(attributes: Attributes, where: str) -> Dataset:
    """The data set of a store, from the attributes of its root.

    Raises
    ------
    StoreDamaged
        If the attribute is invalid.
    """
    text = attributes.get(DATASET_ATTRIBUTE)
    if text is None:
        return DATASET
    try:
        return Dataset.from_values(parse_json(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreDamaged(f"the attribute {DATASET_ATTRIBUTE} is invalid", where=where, found=str(error)) from None


def _now() -> str:
    """UTC time of this run; SOURCE_DATE_EPOCH (reproducible-builds.org) fixes it."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def lacks(attributes: Attributes) -> str:
    """What a partial store lacks of the requested units and sources, as a message; empty for other stores."""
    if attributes.get("state") != STATE_PARTIAL:
        return ""
    units, sources, salvaged = (
        str(attributes.get(name, "")) for name in ("missing_units", "refused_sources", "salvaged_units")
    )
    parts = [f"without {', '.join(units.split())}"] if units else []
    parts += [f"refused sources: {sources}"] if sources else []
    parts += [f"salvaged, with gaps: {', '.join(salvaged.split())}"] if salvaged else []
    return "; ".join(parts)
