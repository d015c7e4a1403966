"""Builds ``croissant.json``: Croissant 1.1 metadata of a store, from the store itself.

Source: the Croissant 1.1 format specification and its RAI vocabulary, docs.mlcommons.org/croissant.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..reading.store import Store
from ..store.layout import LABELS, UnitForm, unit_arrays
from ..tiles import bounds_of
from .terms import CONTEXT, FACTS, array_records, fields, inline_records

SAMPLE_COLUMNS = (
    *("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last"),
    *(f"n_{label}" for label in LABELS),
)
DIGEST_WORDS = "Values unchanged; content digest"  # before the digest of the store
FILES = {  # beside croissant.json
    "samples.csv": ("text/csv", "The index of the store, one line a sample."),
    "files.sha256": ("text/plain", "SHA-256 of every file of the store, as sha256sum -c takes it."),
    "CITATION.cff": ("text/plain", "How to cite the dataset."),
}


def croissant_document(store: Store, folder: Path, sums: dict[Path, str], written: dict[str, bytes]) -> dict[str, Any]:
    """The Croissant document, with paths relative to ``folder``."""
    attributes = store.attributes
    counts = store.samples["label_count"].sum(axis=0).tolist()
    dated = store.samples.rows[(store.samples["row_size"] > 0) & ~np.isnat(store.samples["time_first"])]
    span = [str(dated["time_first"].min()), str(dated["time_last"].max())] if len(dated) else []
    classes = [{"label": k, "meaning": label} for k, label in enumerate(LABELS)]
    labels = ", ".join(f"{n:,} {label.replace('_', ' ')}" for label, n in zip(LABELS, counts, strict=True))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "Labelled Sentinel-2 time series for cloud detection",
        "description": f"{attributes['summary']} {sum(counts):,} labels: {labels}.",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "url": attributes["doi"],
        "license": attributes["doi"],
        "citeAs": attributes["citation"],
        "creator": {"@type": "sc:Organization", "name": attributes["creator_institution"]},
        "datePublished": FACTS["date_published"],
        "dateCreated": attributes["date_created"],
        "version": FACTS["version"],
        "isLiveDataset": False,
        **_coverage(store),
        "keywords": ["Sentinel-2", "cloud detection", "time series", "remote sensing"],
        "prov:wasDerivedFrom": {"@id": attributes["doi"]},
        "rai:dataCollection": FACTS["collection"],
        "rai:dataCollectionTimeFrame": span,
        "rai:dataAnnotationProtocol": FACTS["annotation"],
        "rai:dataPreprocessingProtocol": f"{attributes['history']}. {DIGEST_WORDS} {store.digest}.",
        "rai:dataUseCases": FACTS["use"],
        "rai:dataLimitations": FACTS["limitations"]
        + (f" This store is partial: {store.lacks}." if store.lacks else ""),
        "rai:personalSensitiveInformation": FACTS["personal"],
        "distribution": [*_distribution(store, folder, sums), *_own_files(written)],
        "recordSet": [
            _samples_record_set(),
            inline_records("units", "Units: one split of one tile, one group of the store each.", _units(store)),
            inline_records("classes", "What the labels mean.", classes),
            inline_records("arrays", "Arrays of each unit.", array_records(unit_arrays(_form(store)))),
        ],
    }


def _coverage(store: Store) -> dict[str, Any]:
    """The rectangle around all tiles (schema.org: south, west, north, east); empty where it is not known.

    Empty too across the 180th meridian, for which schema.org has no rule.
    """
    areas = [unit.area for unit in store.units.values()]
    known = [area for area in areas if area]
    if not known or len(known) < len(areas):
        return {}
    west, south, east, north = bounds_of(known)
    if west > east:
        return {}
    shape = {"@type": "sc:GeoShape", "box": f"{south} {west} {north} {east}"}
    return {"spatialCoverage": {"@type": "sc:Place", "geo": shape}}


def _distribution(store: Store, folder: Path, sums: dict[Path, str]) -> Iterator[dict[str, Any]]:
    """HDF5: each file. Zarr has too many files: one pattern, with the checksums in files.sha256."""
    if store.format == "zarr":
        yield {
            "@type": "cr:FileSet",
            "@id": "store",
            "name": "store",
            "description": f"A Zarr v3 store of {len(sums)} files; files.sha256 lists them.",
            "encodingFormat": "application/zarr",
            "includes": f"{_relative(Path(str(store.path)), folder)}/**",
        }
        return
    for k, (file, digest) in enumerate(sums.items()):
        yield _file_object(
            "store" if k == 0 else f"unit-{file.stem}", _relative(file, folder), file.stat().st_size, digest,
            "application/x-hdf5", "An HDF5 file, readable as netCDF-4.",
        )  # fmt: skip


def _own_files(written: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    for name, (encoding, words) in FILES.items():
        data = written[name]
        yield _file_object(name, name, len(data), hashlib.sha256(data).hexdigest(), encoding, words)


def _file_object(name: str, url: str, size: int, digest: str, encoding: str, words: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": words,
        "contentUrl": url,
        "contentSize": f"{size} B",
        "encodingFormat": encoding,
        "sha256": digest,
    }


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _samples_record_set() -> dict[str, Any]:
    types = {"split": "sc:Text", "tile": "sc:Text", "time_first": "sc:Date", "time_last": "sc:Date"}
    columns = {name: types.get(name, "sc:Integer") for name in SAMPLE_COLUMNS}
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "One record a sample: where it is in the store, its dates, its labels counted by class.",
        "key": [{"@id": f"samples/{name}"} for name in ("split", "tile", "localid")],
        "field": fields("samples", columns, source="samples.csv"),
    }


def _units(store: Store) -> list[dict[str, Any]]:
    names = ("source_file", "source_md5", "source_bytes", "source_examples", "content_digest")
    return [
        {
            "unit": name,
            "samples": len(unit.localid),
            "observations": unit.observations,
            **{key: _plain(unit.attributes[key]) for key in names},
        }
        for name, unit in store.units.items()
    ]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _form(store: Store) -> UnitForm:
    """The form that covers the arrays of all units."""
    forms = [unit.form for unit in store.units.values()]
    return UnitForm(
        label_side=max((form.label_side for form in forms), default=1),
        undated=any(form.undated for form in forms),
        layout=store.layout,
    )
