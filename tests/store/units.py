"""Units of any order: a table of observations, the rows a writer is given, and what numpy says must come out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from plain import Arrays

from s2ct_convert.store.codecs import find_codec
from s2ct_convert.store.container import Container
from s2ct_convert.store.hdf5_container import Hdf5Container
from s2ct_convert.store.unit_writer import Rows, UnitContent, UnitWriter
from s2ct_convert.store.zarr_container import ZarrContainer

DAY = 17_533  # 2018-01-02 in days since 1970-01-01
Groups = Sequence[tuple[int, Sequence[int]]]  # localid and the days of each example, in source order


@dataclass(frozen=True)
class Table:
    """Every observation of a source, in its order; ``localids`` are those of all examples, empty ones too."""

    localids: tuple[int, ...]
    sizes: tuple[int, ...]
    columns: Arrays


def table(rng: np.random.Generator, groups: Groups, *, label_pixels: int = 1, sparse: bool = False) -> Table:
    """Random observations for these groups. ``sparse`` images are nearly all zero, and cheap to have many of."""
    sizes = tuple(len(days) for _, days in groups)
    n = sum(sizes)
    localids = tuple(localid for localid, _ in groups)
    image = sparse_images(n) if sparse else rng.integers(0, 65536, (n, 4, 42, 42), np.uint16)
    label_shape = (n,) if label_pixels == 1 else (n, 6, 6)
    columns = {
        "localid": np.repeat(np.array(localids, np.int64), sizes),
        "time": np.array([day for _, days in groups for day in days], np.int32) + np.int32(DAY),
        "example": np.repeat(np.arange(len(groups), dtype=np.int32), sizes),
        "position": np.array([i for size in sizes for i in range(size)], np.int16),
        "label": rng.integers(0, 6, label_shape, np.int8),
        "weight": np.where(rng.random(n) < 0.1, np.nan, rng.random(n)).astype(np.float32),
        "image": image,
    }
    return Table(localids, sizes, columns)


def sparse_images(n: int) -> np.ndarray:
    """Images that are zero but for a number of their own (every 40th: altogether zero)."""
    image = np.zeros((n, 4, 42, 42), np.uint16)
    number = np.where(np.arange(n) % 40, np.arange(1, n + 1), 0)
    image[:, 1, 20, 30], image[:, 3, 41, 41] = number % 65536, number // 65536
    return image


def rows(source: Table) -> list[Rows]:
    """One for each example, its observations in time order as the reader of sources gives them."""
    ends = np.cumsum(source.sizes)
    made = []
    for localid, end, size in zip(source.localids, ends.tolist(), source.sizes, strict=True):
        columns = {name: column[end - size : end] for name, column in source.columns.items()}
        order = np.lexsort((columns["position"], columns["time"]))
        image = columns.pop("image")[order]
        columns.pop("localid")
        half = size // 3
        made.append(
            Rows(localid, (image[:half], image[half:]), **{name: column[order] for name, column in columns.items()})
        )
    return made


def expected(source: Table) -> Arrays:
    """The arrays of the unit, by one sort of everything."""
    columns = source.columns
    order = np.lexsort((columns["position"], columns["example"], columns["time"], columns["localid"]))
    out = {name: column[order] for name, column in columns.items()}
    owner = out.pop("localid")
    localid = np.array(sorted(set(source.localids)), np.int64)
    row_size = np.array([np.count_nonzero(owner == one) for one in localid], np.int32)
    return out | {
        "localid": localid,
        "row_size": row_size,
        "row_start": np.concatenate([[0], np.cumsum(row_size, dtype=np.int64)]).astype(np.int64),
        "sample_index": np.repeat(np.arange(len(localid), dtype=np.int32), row_size),
        "image_crc32c": np.array([google_crc32c.value(one.tobytes()) for one in out["image"]], np.uint32),
        "band": np.arange(4, dtype=np.int8),
        "wavelength": np.array([492.4, 559.8, 664.6, 832.8], np.float32),
    }


def container(format: str, path: Path, codec: str | None = None, *, linked: bool = False) -> Container:
    if format == "zarr":
        return ZarrContainer(path, find_codec("zarr", codec))
    return Hdf5Container(path, find_codec("hdf5", codec), linked=linked)


def write(
    store: Container, work: Path, source: Table | Sequence[Rows], *, cores: int = 2, label_pixels: int = 1
) -> UnitContent:
    """Write a unit at ``work``."""
    with closing(UnitWriter(store, work, cores)) as writer:
        for one in rows(source) if isinstance(source, Table) else source:
            writer.append(one)
        return writer.finish(label_pixels, {"tile": "50SMG"})
