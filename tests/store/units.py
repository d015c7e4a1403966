"""Units in any order: a table of observations, the input of a writer, and the expected arrays from numpy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from plain import Arrays

from s2ct_convert.names import UnitName
from s2ct_convert.published import PublishedFeature
from s2ct_convert.source.samples import Series
from s2ct_convert.store.codecs import find_codec
from s2ct_convert.store.container import Container
from s2ct_convert.store.containers import make_container
from s2ct_convert.store.local import Scratch
from s2ct_convert.store.unit_writer import UnitContent, UnitTable, UnitWriter

UNIT = UnitName("train", "50SMG")
DAY = 17_533  # 2018-01-02 in days since 1970-01-01
NO_DAY = -(2**31)
# localid (None: the source has none) and the days of each example (None: no date), in source order
Groups = Sequence[tuple[int | None, Sequence[int | None]]]


@dataclass(frozen=True)
class Table:
    """Every observation of a source, in source order. ``localids`` includes those of empty examples."""

    localids: tuple[int | None, ...]
    sizes: tuple[int, ...]
    columns: Arrays
    published: tuple[PublishedFeature, ...] = ()

    @property
    def samples(self) -> list[tuple[int, int]]:
        """Sample of each example: localid and -1, or -1 and the number of the example."""
        return [(-1, i) if one is None else (one, -1) for i, one in enumerate(self.localids)]


def table(rng: np.random.Generator, groups: Groups, *, label_side: int = 1, sparse: bool = False) -> Table:
    """Random observations for these groups. ``sparse`` images are nearly all zero, so that many are cheap."""
    sizes = tuple(len(days) for _, days in groups)
    n = sum(sizes)
    image = sparse_images(n) if sparse else rng.integers(0, 65536, (n, 4, 42, 42), np.uint16)
    days = [NO_DAY if day is None else day + DAY for _, days in groups for day in days]
    columns = {
        "date": rng.integers(-(2**63), 2**63 - 1, n, np.int64, endpoint=True),
        "time": np.array(days, np.int32),
        "example": np.repeat(np.arange(len(groups), dtype=np.int32), sizes),
        "position": np.array([i for size in sizes for i in range(size)], np.int32),
        "label": rng.integers(-1, 6, (n,) if label_side == 1 else (n, label_side, label_side), np.int8),
        "weight": np.where(rng.random(n) < 0.1, np.nan, rng.random(n)).astype(np.float32),
        "image": image,
    }
    return Table(tuple(localid for localid, _ in groups), sizes, columns)


def sparse_images(n: int) -> np.ndarray:
    """Images that are zero except for one unique number; every 40th is all zero."""
    image = np.zeros((n, 4, 42, 42), np.uint16)
    number = np.where(np.arange(n) % 40, np.arange(1, n + 1), 0)
    image[:, 1, 20, 30], image[:, 3, 41, 41] = number % 65536, number // 65536
    return image


def rows(source: Table) -> list[Series]:
    """One series per example, with observations in time order, as from the reader of sources."""
    ends = np.cumsum(source.sizes)
    made = []
    for sample, end, size in zip(source.samples, ends.tolist(), source.sizes, strict=True):
        time, image, example, position = (
            source.columns[name][end - size : end] for name in ("time", "image", "example", "position")
        )
        order = np.lexsort((position, time, time == NO_DAY))
        image, third = image[order], size // 3
        made.append(Series(sample, (image[:third], image[third:]), example[order], position[order]))
    return made


def unit_table(source: Table) -> UnitTable:
    """The table from the reader of sources at the end of a source."""
    samples = sorted(set(source.samples))
    return UnitTable(
        localid=np.array([localid for localid, _ in samples], np.int64),
        sample=np.array([samples.index(one) for one in source.samples], np.int64),
        sizes=np.array(source.sizes, np.int64),
        columns={name: source.columns[name] for name in ("date", "time", "label", "weight")},
        published=source.published,
    )


def expected(source: Table) -> Arrays:
    """The expected arrays of the unit, by one full sort."""
    columns, samples = source.columns, sorted(set(source.samples))
    owner = np.repeat(np.array([samples.index(one) for one in source.samples], np.int32), source.sizes)
    undated = columns["time"] == NO_DAY
    order = np.lexsort((columns["position"], columns["example"], columns["time"], undated, owner))
    row_size = np.bincount(owner, minlength=len(samples)).astype(np.int32)
    out = {name: column[order] for name, column in columns.items()}
    return out | {
        "localid": np.array([localid for localid, _ in samples], np.int64),
        "row_size": row_size,
        "row_start": np.concatenate([[0], np.cumsum(row_size, dtype=np.int64)]).astype(np.int64),
        "sample_index": owner[order],
        "image_crc32c": np.array([google_crc32c.value(one.tobytes()) for one in out["image"]], np.uint32),
        "band": np.arange(4, dtype=np.int8),
        "wavelength": np.array([492.4, 559.8, 664.6, 832.8], np.float32),
    }


def container(format: str, path: Path, codec: str | None = None, *, linked: bool = False) -> Container:
    """A container with its work folder beside it."""
    scratch = Scratch(path.parent, path.parent / "aside")
    return make_container(path, find_codec(format, codec), scratch, linked=linked)


@dataclass(frozen=True)
class Written(UnitContent):
    """A finished unit and its path."""

    path: Path


def write(
    store: Container, path: Path, source: Table, *, given: Sequence[Series] | None = None, cores: int = 2
) -> Written:
    """Write a unit to ``path``. ``given`` replaces the images of its examples."""
    content = write_work(store, source, given=given, cores=cores)
    work(store, content).rename(path)
    return Written(**vars(content), path=path)


def work(store: Container, content: UnitContent) -> Path:
    """Path of a finished unit that is not published yet."""
    return store.scratch.path(content.key)


def write_work(
    store: Container, source: Table, *, given: Sequence[Series] | None = None, cores: int = 2
) -> UnitContent:
    """Write a unit and leave it unpublished."""
    with closing(UnitWriter(store, UNIT, cores)) as writer:
        for one in rows(source) if given is None else given:
            writer.append(one)
        return writer.finish(unit_table(source), {"tile": "50SMG"})
