"""Writes one unit: takes series in any order and writes them in sample and time order.

Series are written as they arrive. The meaning of dates and labels, and with it the order of the store, is known only
after the last series. If they arrived in that order, the unit is done. If not, a second pass reads back the first
target, one window of observations at a time, and writes a second target in order. The source is read once
either way. Memory holds one window and the chunks in flight. The second pass reads at most
(observations / ``WINDOW_OBS``) times the unit, and about once the unit if few series are far from their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..missing import NO_DAY
from ..names import UnitName
from ..published import PublishedFeature
from ..threads import OrderedPool
from .container import Container, UnitFile, UnitTarget
from .digest import (
    NO_IMAGES,
    TABLES_DIGEST,
    Table,
    UnitDigest,
    digest_columns,
    sample_digest,
    tables_digest,
)
from .groups import Content, make_content, published_groups, tables_of
from .images import Chunk, ImagePass, SampleImages, image_crc32c, read_chunk
from .layout import CHUNK_OBS, FOUND, STATISTICS, UNIT_ATTRIBUTES, UnitForm, band_data, image_array, unit_arrays
from .statistics import are_clear, count_written, statistics_attributes, statistics_group

WINDOW_OBS = 2048  # in the second pass; 28.9 MB of images of the default data set


@dataclass(frozen=True)
class UnitTable:
    """A unit without its pixels and their order.

    Attributes
    ----------
    localid : ndarray of int64, shape (samples,)
        Ascending.
    sample : ndarray of int64, shape (examples,)
        Sample of each example.
    sizes : ndarray of int64, shape (examples,)
        Number of images of each example.
    columns : mapping of ndarray, shape (images, ...)
        ``date``, ``time``, ``label`` and ``weight`` in the order of the source.
    published : sequence of PublishedFeature
    numbers : ndarray of int32, shape (examples,), optional
        Number of each example in the source, -1 if unknown: for a salvaged unit. None: examples are numbered through.
    """

    localid: npt.NDArray[np.int64]
    sample: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]
    published: Sequence[PublishedFeature] = ()
    numbers: npt.NDArray[np.int32] | None = None


@dataclass(frozen=True)
class UnitContent:
    """Summary of a finished unit, and the key under which it was written.

    ``label_count`` has the number of labels of each class of the data set.
    """

    key: str
    files: tuple[UnitFile, ...]
    samples: int
    observations: int
    time_first: int | None
    time_last: int | None
    label_count: tuple[int, ...]
    digest: str
    passes: int

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


class UnitWriter:
    """Appends images, then finishes. Work is under the key of the unit; a second pass uses a second key.

    With more than one core, ``cores`` threads encode and one more computes the digest. With one core the calling
    thread does everything, because threads would only take turns. With ``statistics``, the unit holds them.
    """

    def __init__(self, container: Container, unit: UnitName, cores: int, *, statistics: bool = False) -> None:
        self._statistics = statistics
        self._container, self._threads = container, cores if cores > 1 else 0
        self._dataset = container.dataset
        self._key, self._sorted = work_keys(unit)
        self._writing = ImagePass(container, self._key, self._threads)
        self._columns: dict[str, list[npt.NDArray[Any]]] = {"example": [], "position": [], "image_crc32c": []}
        self._example_of: dict[Any, int] = {}  # one example of each sample

    def append(self, some: SampleImages) -> None:
        """Write some or all images of one sample."""
        self._columns["example"].append(some.example)
        self._columns["position"].append(some.position)
        self._columns["image_crc32c"].append(image_crc32c(some.images))
        if len(some.example):
            self._example_of.setdefault(some.sample, int(some.example[0]))
            self._writing.sample(some.sample)
        for image in some.images:
            self._writing.image(image)

    def finish(
        self, table: UnitTable, attributes: Mapping[str, Any], on_window: Callable[[], None] = lambda: None
    ) -> UnitContent:
        """Sort the unit if needed, write its arrays and attributes, sync and close it.

        ``on_window`` is called before each window of the second pass, and while statistics are made; it may raise to
        stop.
        """
        columns = self._place(table)
        order = np.lexsort(
            (
                columns["position"],
                columns["example"],
                columns["time"],
                columns["time"] == NO_DAY,  # observations without a date come last
                columns["sample_index"],
            )
        )
        in_order = bool((np.diff(order) > 0).all())
        if not in_order:
            columns = {name: column[order] for name, column in columns.items()}
        samples = np.arange(len(table.localid) + 1)
        row_start = np.searchsorted(columns["sample_index"], samples).astype(np.int64)
        columns |= {"localid": table.localid, "row_start": row_start, "row_size": np.diff(row_start).astype(np.int32)}
        if not in_order:
            self._second_pass(order, columns["sample_index"], on_window)
        images = self._writing.finish_images()
        if in_order:  # keyed by the caller's sample ids
            images = {int(table.sample[self._example_of[sample]]): one for sample, one in images.items()}
        digest = _digest(table, columns, images)
        about, groups = self._measure(table, columns, on_window) if self._statistics else ({}, {})
        self._write_tables(table, columns, {**UNIT_ATTRIBUTES, **attributes, **about, "content_digest": digest}, groups)
        return self._content(columns, digest, in_order=in_order)

    def _place(self, table: UnitTable) -> dict[str, npt.NDArray[Any]]:
        """Columns of the observations in the order of writing."""
        written = {name: np.concatenate([np.empty(0, _DTYPES[name]), *parts]) for name, parts in self._columns.items()}
        starts = np.cumsum(table.sizes) - table.sizes
        source_row = starts[written["example"]] + written["position"]
        owner = table.sample[written["example"]].astype(np.int32)
        return {**written, "sample_index": owner, **{name: one[source_row] for name, one in table.columns.items()}}

    def _measure(
        self, table: UnitTable, columns: Mapping[str, npt.NDArray[Any]], on_piece: Callable[[], None]
    ) -> tuple[dict[str, Any], dict[str, Content]]:
        """The statistics of the images as written: attributes of the unit, and their group."""
        dataset, label = self._dataset, columns["label"]
        counts = count_written(
            self._writing.target, self._container.codec, dataset.obs_shape, are_clear(label, dataset),
            threads=self._threads, on_piece=on_piece,
        )  # fmt: skip
        about = statistics_attributes(counts, label, dataset, salvaged=table.numbers is not None)
        return about, {STATISTICS: statistics_group(counts)}

    def _write_tables(
        self,
        table: UnitTable,
        columns: Mapping[str, npt.NDArray[Any]],
        attributes: dict[str, Any],
        more: Mapping[str, Content],
    ) -> None:
        label, dataset, salvaged = columns["label"], self._dataset, table.numbers is not None
        if table.numbers is not None:
            columns = {**columns, FOUND.name: columns["example"], "example": table.numbers[columns["example"]]}
        side, undated = label.shape[1] if label.ndim > 1 else 1, bool((columns["time"] == NO_DAY).any())
        specs = unit_arrays(UnitForm(side, undated, dataset=dataset, salvaged=salvaged))
        groups = {**published_groups(table.published), **more}
        group = make_content(specs, {**columns, **band_data(dataset)}, attributes, groups)
        image, shape = image_array(dataset), (len(label), *dataset.obs_shape)
        pixels = Table(image.name, image.dtype, image.dims, shape, image.attributes, None)
        attributes[TABLES_DIGEST] = tables_digest(attributes, [pixels, *tables_of(group)])
        self._writing.target.finish(group)

    def _second_pass(
        self, order: npt.NDArray[np.int64], owner: npt.NDArray[np.int32], on_window: Callable[[], None]
    ) -> None:
        """Write all images again in ``order`` (row of the unit -> row as written) and drop the first target.

        ``owner`` is the sample of each row of the unit.
        """
        self._writing.finish_images()
        with closing(self._writing) as first:
            self._writing = ImagePass(self._container, self._sorted, self._threads)
            most = self._dataset.cap(WINDOW_OBS)
            for low in range(0, len(order), most):
                on_window()
                window = self._gather(first.target, order[low : low + most])
                samples, begins = np.unique(owner[low : low + most], return_index=True)
                for sample, images in zip(samples.tolist(), np.split(window, begins[1:]), strict=True):
                    self._writing.sample(sample)
                    self._writing.image(images)
        self._container.discard(self._key)

    def _gather(self, target: UnitTarget, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
        """Images of these rows as written. Each chunk is read and decoded once."""
        out = np.empty((len(rows), *self._dataset.obs_shape), "<u2")
        if not len(rows):
            return out
        by_row = np.argsort(rows, kind="stable")
        chunks, first = np.unique(rows[by_row] // CHUNK_OBS, return_index=True)

        def place(task: tuple[npt.NDArray[np.int64], Chunk]) -> None:
            where, chunk = task
            out[where] = chunk[rows[where] % CHUNK_OBS]

        pool = OrderedPool[tuple[npt.NDArray[np.int64], Chunk]](self._threads, place)
        try:
            for number, where in zip(chunks.tolist(), np.split(by_row, first[1:]), strict=True):
                pool.submit(CHUNK_OBS * self._dataset.obs_bytes, self._load, target, number, where)
            pool.finish()
        finally:
            pool.close()
        return out

    def _load(
        self, target: UnitTarget, number: int, where: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Chunk]:
        return where, read_chunk(self._container.codec, target, number, self._dataset.obs_shape)

    def _content(self, columns: Mapping[str, npt.NDArray[Any]], digest: str, *, in_order: bool) -> UnitContent:
        label = columns["label"]
        dated = columns["time"][columns["time"] != NO_DAY]
        return UnitContent(
            key=self._key if in_order else self._sorted,
            files=self._writing.target.files(),
            samples=len(columns["localid"]),
            observations=len(label),
            time_first=int(dated.min()) if len(dated) else None,
            time_last=int(dated.max()) if len(dated) else None,
            label_count=tuple(int(np.count_nonzero(label == k)) for k in range(len(self._dataset.classes))),
            digest=digest,
            passes=1 if in_order else 2,
        )

    def close(self) -> None:
        """Stop the threads and close the files. Unfinished work stays provisional."""
        self._writing.close()


def work_keys(unit: UnitName) -> tuple[str, str]:
    """All keys that a writer of a unit may use."""
    return unit.key, f"{unit.key}.sorted"


_DTYPES = {"example": np.int32, "position": np.int32, "image_crc32c": np.uint32}


def _digest(table: UnitTable, columns: Mapping[str, npt.NDArray[Any]], images: Mapping[int, bytes]) -> str:
    """Content digest of a unit whose columns are in order."""
    digest, row_start = UnitDigest(), columns["row_start"].tolist()
    names = digest_columns()
    for i, localid in enumerate(table.localid.tolist()):
        rows = slice(row_start[i], row_start[i + 1])
        own = {name: columns[name][rows] for name in names}
        digest.add(localid, sample_digest(localid, own, images.get(i, NO_IMAGES)))
    digest.publish(table.published)
    return digest.hexdigest()
