"""A store described for reuse: Croissant 1.1 metadata, its index as CSV, checksums of its files, how to cite it.

Everything is read from the store itself. Croissant knows no Zarr and no HDF5, so it describes the arrays and can load
the samples, which are listed in a small CSV.
Source: the Croissant 1.1 format specification and its RAI vocabulary, docs.mlcommons.org/croissant.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import check_default
from ..durable import beside, whole
from ..errors import DestinationExists
from ..hashing import file_digests
from ..paths import check_path
from ..reading.hdf5_groups import Hdf5Group
from ..reading.opening import open_store
from ..reading.store import Store
from ..store.layout import LABELS, UnitForm, unit_arrays
from .terms import CONTEXT, FACTS, array_records, fields, inline_records


@dataclass(frozen=True)
class CroissantFolder:
    """What was written, and how much of the store it covers."""

    folder: Path
    files: int
    bytes: int
    samples: int


def write_croissant(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> CroissantFolder:
    """Write ``croissant.json``, ``samples.csv``, ``files.sha256`` and ``CITATION.cff`` for a store.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    folder : path-like, optional
        Where to write; default: ``<store>.croissant`` beside the store.
    overwrite : bool
        Replace what is there.
    on_bytes : callable, optional
        Told how many bytes of the store were read since the last call.

    Raises
    ------
    NotAStore, Incomplete
        As ``open_store``.
    WrongUsage
        If the store is of another data set than the default one.
    DestinationExists
        If there is something under that name.
    """
    path = Path(path)
    target = check_path(folder) if folder is not None else beside(path, ".croissant")
    with open_store(path) as store:
        check_default(store.dataset, "a Croissant description", str(path))
        if target.exists() and not overwrite:
            raise DestinationExists("this exists already", where=str(target), todo="add --overwrite, or choose another")
        files = list(store_files(store))
        sums = list(file_digests("sha256", files, on_bytes))
        samples = samples_csv(store)
        listing = "".join(
            f"{digest}  {os.path.relpath(file, target)}\n" for file, digest in zip(files, sums, strict=True)
        )
        written = {
            "samples.csv": samples.encode(),
            "files.sha256": listing.encode(),
            "CITATION.cff": citation(store).encode(),
        }
        document = croissant_document(store, target, dict(zip(files, sums, strict=True)), written)
        n_samples = len(store.samples)
    written["croissant.json"] = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    with whole(target) as work:
        work.mkdir(parents=True)
        for name, data in written.items():
            (work / name).write_bytes(data)
    return CroissantFolder(target, len(files), sum(file.stat().st_size for file in files), n_samples)


def store_files(store: Store) -> Iterator[Path]:
    """Every file of a store, sorted; of a linked one also those of its units."""
    if store.path.is_dir():
        yield from sorted(one for one in store.path.rglob("*") if one.is_file())
        return
    yield store.path
    own = {Path(unit.group.file) for unit in store.units.values() if isinstance(unit.group, Hdf5Group)}
    yield from sorted(own - {store.path})


SAMPLE_COLUMNS = (
    *("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last"),
    *(f"n_{label}" for label in LABELS),
)


def samples_csv(store: Store) -> str:
    """One line a sample, as the index of the store has them; no date where no observation has one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SAMPLE_COLUMNS)
    for row in store.samples:
        dated = row["row_size"] and not np.isnat(row["time_first"])
        dates = [str(row[name]) if dated else "" for name in ("time_first", "time_last")]
        numbers = [int(row[name]) for name in ("localid", "row_start", "row_size")]
        writer.writerow([row["split"], row["tile"], *numbers, *dates, *row["label_count"].tolist()])
    return out.getvalue()


def croissant_document(store: Store, folder: Path, sums: dict[Path, str], written: dict[str, bytes]) -> dict[str, Any]:
    """The Croissant document, for a reader in ``folder``."""
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
        "keywords": ["Sentinel-2", "cloud detection", "time series", "remote sensing"],
        "prov:wasDerivedFrom": {"@id": attributes["doi"]},
        "rai:dataCollection": FACTS["collection"],
        "rai:dataCollectionTimeFrame": span,
        "rai:dataAnnotationProtocol": FACTS["annotation"],
        "rai:dataPreprocessingProtocol": f"{attributes['history']}. Values unchanged; content digest {store.digest}.",
        "rai:dataUseCases": FACTS["use"],
        "rai:dataLimitations": FACTS["limitations"],
        "rai:personalSensitiveInformation": FACTS["personal"],
        "distribution": [*_distribution(store, folder, sums), *_own_files(written)],
        "recordSet": [
            _samples_record_set(),
            inline_records("units", "Units: one split of one tile, one group of the store each.", _units(store)),
            inline_records("classes", "What the labels mean.", classes),
            inline_records("arrays", "Arrays of each unit.", array_records(unit_arrays(_form(store)))),
        ],
    }


def _distribution(store: Store, folder: Path, sums: dict[Path, str]) -> Iterator[dict[str, Any]]:
    """HDF5: its files. Zarr has too many: a pattern, and the checksums in files.sha256."""
    if store.format == "zarr":
        yield {
            "@type": "cr:FileSet",
            "@id": "store",
            "name": "store",
            "description": f"A Zarr v3 store of {len(sums)} files; files.sha256 lists them.",
            "encodingFormat": "application/zarr",
            "includes": f"{_relative(store.path, folder)}/**",
        }
        return
    for k, (file, digest) in enumerate(sums.items()):
        yield _file_object(
            "store" if k == 0 else f"unit-{file.stem}", _relative(file, folder), file.stat().st_size, digest,
            "application/x-hdf5", "An HDF5 file, readable as netCDF-4.",
        )  # fmt: skip


def _own_files(written: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    kinds = {
        "samples.csv": ("text/csv", "The index of the store, one line a sample."),
        "files.sha256": ("text/plain", "SHA-256 of every file of the store, as sha256sum -c takes it."),
        "CITATION.cff": ("text/plain", "How to cite the dataset."),
    }
    for name, (encoding, words) in kinds.items():
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
    """That of the unit with the most in it."""
    forms = [unit.form for unit in store.units.values()]
    return UnitForm(
        label_side=max((form.label_side for form in forms), default=1),
        undated=any(form.undated for form in forms),
        layout=store.layout,
    )


def citation(store: Store) -> str:
    """CITATION.cff of the dataset; the store as a version of it."""
    attributes = store.attributes
    lines = {
        "cff-version": "1.2.0",
        "message": "Please cite the dataset and its paper.",
        "type": "dataset",
        "title": FACTS["title"],
        "version": "v2",
        "doi": str(attributes["doi"]).removeprefix("https://doi.org/"),
        "date-released": FACTS["date_published"],
        "abstract": attributes["citation"],
    }
    body = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in lines.items())
    institution = json.dumps(attributes["creator_institution"], ensure_ascii=False)
    software = f"references:\n  - type: software\n    title: s2ct-convert\n    version: {attributes['s2ct_version']}\n"
    return f"{body}authors:\n  - name: {institution}\n{software}    authors:\n      - name: The s2ct-convert authors\n"
