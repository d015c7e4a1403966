"""Writes the description of a store: Croissant 1.1 metadata, index as CSV, checksums of its files, citation.

Everything is read from the store itself. Croissant does not support Zarr or HDF5. So the metadata describes the arrays,
and Croissant tools can load the list of samples from a small CSV.
Source: the Croissant 1.1 format specification and its RAI vocabulary, docs.mlcommons.org/croissant.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset import check_default
from ..durable import beside, read_json, whole
from ..hashing import file_digests
from ..paths import check_own_folder, check_path
from ..reading.hdf5_groups import Hdf5Group
from ..reading.opening import open_store
from ..reading.store import Store
from .document import DIGEST_WORDS, FILES, SAMPLE_COLUMNS, croissant_document
from .terms import FACTS


@dataclass(frozen=True)
class CroissantFolder:
    """The description that was written.

    Attributes
    ----------
    folder : Path
    files, bytes, samples : int
        Number of files of the store, their size, and number of its samples.
    """

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
        Replace an earlier description.
    on_bytes : callable, optional
        Called with the number of bytes of the store read since the last call.

    Returns
    -------
    CroissantFolder

    Raises
    ------
    NotAStore, Incomplete
        As ``open_store``.
    WrongUsage
        If the store is not of the default data set, or the path cannot be a folder.
    DestinationExists
        If the folder is not empty; with `overwrite`, if it has files that are not of a description.
    """
    path = check_path(path)
    target = check_path(folder) if folder is not None else beside(path, ".croissant")
    with open_store(path) as store:
        check_default(store.dataset, "a Croissant description", str(path))
        target = check_own_folder(target, "a description", _names, overwrite=overwrite)
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


def _names(folder: Path) -> set[str]:
    """Names of the files that an earlier run wrote there."""
    try:
        document = read_json(folder / "croissant.json")
        made_here = DIGEST_WORDS in document["rai:dataPreprocessingProtocol"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {"croissant.json", *FILES} if made_here else set()


def store_files(store: Store) -> Iterator[Path]:
    """Every file of a store, sorted, including the unit files of a linked store."""
    path = store.path
    assert isinstance(path, Path), "croissant refuses addresses"
    if path.is_dir():
        yield from sorted(one for one in path.rglob("*") if one.is_file())
        return
    yield path
    own = {Path(unit.group.file) for unit in store.units.values() if isinstance(unit.group, Hdf5Group)}
    yield from sorted(own - {path})


def samples_csv(store: Store) -> str:
    """The index of the store, one line per sample; dates are empty where no observation has one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SAMPLE_COLUMNS)
    for row in store.samples:
        dated = row["row_size"] and not np.isnat(row["time_first"])
        dates = [str(row[name]) if dated else "" for name in ("time_first", "time_last")]
        numbers = [int(row[name]) for name in ("localid", "row_start", "row_size")]
        writer.writerow([row["split"], row["tile"], *numbers, *dates, *row["label_count"].tolist()])
    return out.getvalue()


def citation(store: Store) -> str:
    """The text of CITATION.cff for the dataset."""
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
