"""The expected arrays of a store, computed from the sources as docs/store.md describes.

This uses only ``read_examples``, which returns the same as the authors' decoder, and no writer or reader of stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import numpy as np

import s2ct_convert

Arrays = dict[str, np.ndarray]

SPLITS = ("train", "val")
ORDINAL_OF_1970 = 719163  # datetime.date(1970, 1, 1).toordinal()
WAVELENGTHS = (492.4, 559.8, 664.6, 832.8)


def unit_arrays(source: Path) -> Arrays:
    """Every array of the unit of a source whose dates are ordinals."""
    rows = []
    for number, example in enumerate(s2ct_convert.read_examples(source)):
        localid = int(example["localid"])
        for position, date in enumerate(example["dates"]):
            image, label, weight = (example[name][position] for name in ("imgs", "labels", "weights"))
            rows.append((localid, int(date), number, position, image, label, weight))
    rows.sort(key=lambda row: row[:4])
    ids, date, example, position, images, label, weight = zip(*rows, strict=True)
    localid, row_size = np.unique(np.array(ids, "int64"), return_counts=True)
    return {
        "image": np.array(images, "uint16"),
        "label": np.array(label, "int8"),
        "date": np.array(date, "int64"),
        "time": (np.array(date) - ORDINAL_OF_1970).astype("int32"),
        "weight": np.array(weight, "float32"),
        "sample_index": np.repeat(np.arange(len(localid)), row_size).astype("int32"),
        "image_crc32c": np.array([google_crc32c.value(image.astype("<u2").tobytes()) for image in images], "uint32"),
        "example": np.array(example, "int32"),
        "position": np.array(position, "int32"),
        "localid": localid,
        "row_size": row_size.astype("int32"),
        "row_start": np.concatenate([[0], np.cumsum(row_size)]).astype("int64"),
        "band": np.arange(4, dtype="int8"),
        "wavelength": np.array(WAVELENGTHS, "float32"),
    }


def index_arrays(units: dict[str, Arrays]) -> Arrays:
    """The index of a store of these units, by name (``train/31TCJ``)."""
    tiles = sorted({name.split("/")[1] for name in units})
    rows: dict[str, list[object]] = {name: [] for name in INDEX_DTYPES}
    for name in sorted(units):  # train before val, then by tile
        unit, (split, tile) = units[name], name.split("/")
        for i, localid in enumerate(unit["localid"]):
            start, stop = unit["row_start"][i : i + 2]
            time, label = unit["time"][start:stop], unit["label"][start:stop]
            values = (SPLITS.index(split), tiles.index(tile), localid, start, stop - start, time[0], time[-1])
            for column, value in zip(rows.values(), (*values, np.bincount(label, minlength=6)), strict=True):
                column.append(value)
    return {name: np.array(rows[name], dtype) for name, dtype in INDEX_DTYPES.items()}


INDEX_DTYPES = {
    "split": "int8",
    "tile": "int16",
    "localid": "int64",
    "row_start": "int64",
    "row_size": "int32",
    "time_first": "int32",
    "time_last": "int32",
    "label_count": "int32",
}


def store_arrays(sources: Sequence[Path]) -> dict[str, Arrays]:
    """Every array of a store by group: its units and ``index``."""
    units = {"/".join(source.stem.split("_")[:2]): unit_arrays(source) for source in sources}
    return {**units, "index": index_arrays(units)}


def assert_equal(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """Assert equal dtype (except byte order), shape and bits."""
    found = np.asarray(found)
    assert found.dtype.newbyteorder("=") == wanted.dtype, name
    assert found.shape == wanted.shape, name
    assert found.astype(wanted.dtype).tobytes() == wanted.tobytes(), name
