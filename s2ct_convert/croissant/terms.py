"""Terms and facts that are the same in the Croissant metadata of every store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dataset import DATASET
from ..store.layout import IMAGE, ArraySpec

# From the specification of Croissant 1.1, plus the provenance vocabulary.
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_PIXELS = f"{DATASET.height} x {DATASET.width} pixels of {DATASET.resolution_m} m"
_BANDS = ", ".join(band.name for band in DATASET.bands)

# Only facts from the description of the record (v2) and the abstract of its paper.
FACTS = {
    "title": 'Dataset for "Enhancing Cloud Detection in Sentinel-2 Imagery: A Spatial-Temporal Approach and Dataset"',
    "version": "2.0.0",
    "date_published": DATASET.published.isoformat(),
    "collection": (
        f"Time series of {DATASET.mission} patches of {_PIXELS} (bands {_BANDS}) around points in tiles, "
        "published as TFRecords in 7z archives, one archive for each split of a tile."
    ),
    "annotation": (
        f"One {DATASET.label} for the centre {DATASET.centre} x {DATASET.centre} pixels of each timestamp, as the "
        f"authors published it; how they made the labels is told in their paper, {DATASET.paper}."
    ),
    "use": f"Training and validation of cloud detection on time series of {DATASET.mission} images.",
    "limitations": (
        "Labels are for the centre of a patch, not for each of its pixels. The paper is a case study in China. Points "
        "have no coordinates beyond their tile."
    ),
    "personal": f"None: satellite images of {DATASET.resolution_m} m resolution.",
}

_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}


def fields(record_set: str, columns: Mapping[str, str], *, source: str = "") -> list[dict[str, Any]]:
    """The fields of a record set; with ``source``, they are read from the columns of that CSV."""
    out = []
    for name, kind in columns.items():
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{record_set}/{name}",
            "name": name,
            "dataType": kind,
        }
        if source:
            field["source"] = {"fileObject": {"@id": source}, "extract": {"column": name}}
        out.append(field)
    return out


def inline_records(name: str, words: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A small record set with its records in the document itself."""
    first = records[0] if records else {}
    columns = {key: _TYPES[type(value)] for key, value in first.items()}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": words,
        "field": fields(name, columns),
        "data": [{f"{name}/{key}": value for key, value in record.items()} for record in records],
    }


def array_records(specs: Sequence[ArraySpec]) -> list[dict[str, Any]]:
    """Name, dtype, dimensions and meaning of each array of a unit."""
    return [
        {
            "array": spec.name,
            "dtype": spec.dtype,
            "dimensions": " ".join(spec.dims),
            "meaning": str(spec.attributes.get("long_name", "")),
        }
        for spec in (IMAGE, *specs)
    ]
