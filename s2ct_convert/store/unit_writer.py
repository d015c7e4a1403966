"""Writes one unit: series in whatever order they come, a unit in sample and time order out.

Series are written at once, in the order they come. If that is the order of the store (localid ascending, each
sample in one piece) the unit is done when the last one is. If not, a second pass reads back what was written,
a window of observations at a time, and writes it in order into a second target; the source is read once either
way, and memory holds one window and what is in flight. What the second pass reads is at most
(observations / ``WINDOW_OBS``) times the unit, and once if groups stand far apart only here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..durable import remove, size_of
from .codecs import CHUNK_BYTES, Chunk, Encode
from .container import Container, UnitTarget
from .digest import TABLES_DIGEST, Table, UnitDigest, make_tables, tables_digest
from .layout import BAND_DATA, CHUNK_OBS, IMAGE, LABELS, OBS_SHAPE, UNIT_ATTRIBUTES, unit_arrays
from .pool import OrderedPool

WINDOW_OBS = 2048  # 28.9 MB of images in the second pass

_OBS_COLUMNS = ("label", "time", "weight", "image_crc32c", "example", "position")


@dataclass(frozen=True)
class Rows:
    """Observations of one sample, in the arrays and dtypes of the layout; ``images`` follow one after another."""

    localid: int
    images: tuple[npt.NDArray[np.uint16], ...]
    label: npt.NDArray[np.int8]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    example: npt.NDArray[np.int32]
    position: npt.NDArray[np.int16]


@dataclass(frozen=True)
class UnitContent:
    """What a finished unit holds. ``label_count`` counts the labels of each class of the layout."""

    path: Path
    bytes: int
    samples: int
    observations: int
    time_first: int | None
    time_last: int | None
    label_count: tuple[int, ...]
    labels_outside: int
    digest: str
    passes: int


class UnitWriter:
    """Appends rows, then finishes. ``work`` is a path of its own; a second pass uses ``work`` + ``.sorted``.

    ``cores`` of more than one are used by as many threads that encode and one that computes the digest; on one core
    threads would take turns, and the calling thread does all.
    """

    def __init__(self, container: Container, work: Path, cores: int) -> None:
        self._container, self._work, self._threads = container, work, cores if cores > 1 else 0
        self._writing = _Writing(container, work, self._threads)
        self._localids: list[int] = []
        self._columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _OBS_COLUMNS}
        self._sizes: list[int] = []

    def append(self, rows: Rows) -> None:
        """Write the observations of one sample, or some of them."""
        self._localids.append(rows.localid)
        self._sizes.append(len(rows.time))
        for name in _OBS_COLUMNS:
            self._columns[name].append(_image_crc32c(rows.images) if name == "image_crc32c" else getattr(rows, name))
        self._writing.sample(rows.localid, rows.time, rows.label, rows.weight)
        for image in rows.images:
            self._writing.image(image)

    def finish(
        self, label_pixels: int, attributes: Mapping[str, Any], on_window: Callable[[], None] = lambda: None
    ) -> UnitContent:
        """Bring the unit into order if it is not, write its arrays and attributes, sync and close it.

        ``on_window`` is called as bringing it into order goes on, and may raise to end it.
        """
        appended, sizes = np.array(self._localids, np.int64), np.array(self._sizes, np.int64)
        arrays = unit_arrays(label_pixels)
        columns = self._obs_columns(label_pixels)
        localid = np.unique(appended)
        owner = np.repeat(appended, sizes)
        passes = 1
        if len(localid) < len(appended) or (appended[1:] < appended[:-1]).any():
            order = np.lexsort((columns["position"], columns["example"], columns["time"], owner))
            columns = {name: column[order] for name, column in columns.items()}
            owner = owner[order]
            passes = 2
        row_start = np.append(np.searchsorted(owner, localid), len(owner)).astype(np.int64)
        if passes == 2:
            self._second_pass(order, localid, row_start, columns, on_window)
        digest = self._writing.finish_images()
        columns |= {
            "sample_index": np.searchsorted(localid, owner).astype(np.int32),
            "localid": localid,
            "row_start": row_start,
            "row_size": np.diff(row_start).astype(np.int32),
        }
        attributes = {**UNIT_ATTRIBUTES, **attributes, "content_digest": digest}
        data = {**columns, **BAND_DATA}
        image = Table(IMAGE.name, IMAGE.dtype, IMAGE.dims, (len(owner), *OBS_SHAPE), IMAGE.attributes, None)
        attributes[TABLES_DIGEST] = tables_digest(attributes, [image, *make_tables(arrays, data)])
        self._writing.target.finish(arrays, data, attributes)
        time, label = columns["time"], columns["label"]
        counts = np.array([np.count_nonzero(label == k) for k in range(len(LABELS))])
        return UnitContent(
            path=self._writing.target.path,
            bytes=size_of(self._writing.target.path),
            samples=len(localid),
            observations=len(time),
            time_first=int(time.min()) if len(time) else None,
            time_last=int(time.max()) if len(time) else None,
            label_count=tuple(counts.tolist()),
            labels_outside=int(label.size - counts.sum()),
            digest=digest,
            passes=passes,
        )

    def _obs_columns(self, label_pixels: int) -> dict[str, npt.NDArray[Any]]:
        columns = {}
        for spec in unit_arrays(label_pixels):
            if spec.name in self._columns:
                empty = np.empty((0, *(6,) * (len(spec.dims) - 1)), spec.dtype)
                columns[spec.name] = np.concatenate([empty, *(a for a in self._columns.pop(spec.name) if len(a))])
        return columns

    def _second_pass(
        self,
        order: npt.NDArray[np.int64],
        localid: npt.NDArray[np.int64],
        row_start: npt.NDArray[np.int64],
        columns: Mapping[str, npt.NDArray[Any]],
        on_window: Callable[[], None],
    ) -> None:
        """Write all again in ``order`` (row of the unit -> row as written) and drop the first writing."""
        self._writing.finish_images()
        with closing(self._writing) as first:
            self._writing = _Writing(self._container, self._work.with_name(self._work.name + ".sorted"), self._threads)
            self._write_sorted(first.target, order, localid, row_start, columns, on_window)
        remove(first.target.path)

    def _write_sorted(
        self,
        written: UnitTarget,
        order: npt.NDArray[np.int64],
        localid: npt.NDArray[np.int64],
        row_start: npt.NDArray[np.int64],
        columns: Mapping[str, npt.NDArray[Any]],
        on_window: Callable[[], None],
    ) -> None:
        """Rows of ``written`` in their order, a window at a time, each sample told before its first image."""
        sample, n_obs = 0, len(order)
        for low in range(0, max(n_obs, 1), WINDOW_OBS):
            on_window()
            window = self._gather(written, order[low : low + WINDOW_OBS])
            high = low + len(window)
            row = low
            while sample < len(localid) and (row_start[sample] < high or high == n_obs):
                begin, end = int(row_start[sample]), int(row_start[sample + 1])
                self._writing.image(window[row - low : begin - low])
                self._writing.sample(
                    int(localid[sample]), *(columns[name][begin:end] for name in ("time", "label", "weight"))
                )
                row, sample = begin, sample + 1
            self._writing.image(window[row - low :])

    def _gather(self, target: UnitTarget, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
        """Images of these rows as written; each chunk that has any of them is read and decoded once."""
        out = np.empty((len(rows), *OBS_SHAPE), "<u2")
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
                pool.submit(CHUNK_BYTES, self._load, target, number, where)
            pool.finish()
        finally:
            pool.close()
        return out

    def _load(
        self, target: UnitTarget, number: int, where: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Chunk]:
        return where, self._container.decode(target.read(number))

    def close(self) -> None:
        """Let go of threads and files; what is not finished stays provisional."""
        self._writing.close()


class _Writing:
    """One pass over a unit: its target, the threads that encode chunks and the one that computes the digest."""

    def __init__(self, container: Container, path: Path, threads: int) -> None:
        self.target = container.target(path)
        self._digest = UnitDigest()
        self._digests = OrderedPool[None](min(1, threads), lambda _: None)  # one: it is told in order
        self._images = _ImageStream(self.target, container.encode, threads)
        self._ended: str | None = None

    def sample(
        self, localid: int, time: npt.NDArray[np.int32], label: npt.NDArray[np.int8], weight: npt.NDArray[np.float32]
    ) -> None:
        self._digests.submit(0, self._digest.sample, localid, time, label, weight)

    def image(self, image: npt.NDArray[np.uint16]) -> None:
        if len(image):
            self._digests.submit(image.nbytes, self._digest.image, image)
            self._images.append(image)

    def finish_images(self) -> str:
        """Write what is in flight; the digest of all that was written, in the order it was."""
        self._images.finish()
        self._digests.finish()
        return self._digest.hexdigest()

    def close(self) -> None:
        self._images.close()
        self._digests.close()
        self.target.close()


class _ImageStream:
    """Cuts images into chunks, encodes them in threads and appends them to a target in order."""

    def __init__(self, target: UnitTarget, encode: Encode, threads: int) -> None:
        self._encode = encode
        self._pool = OrderedPool[tuple[bytes, int]](threads, lambda encoded: target.append(*encoded))
        self._chunk = np.empty((0,), "<u2")
        self._filled = 0

    def append(self, image: npt.NDArray[np.uint16]) -> None:
        """The next images; they must not be changed afterwards."""
        at = 0
        while at < len(image):
            if not self._filled and len(image) - at >= CHUNK_OBS:
                self._submit(np.ascontiguousarray(image[at : at + CHUNK_OBS], "<u2"), CHUNK_OBS)
                at += CHUNK_OBS
                continue
            if not self._filled:
                self._chunk = np.empty((CHUNK_OBS, *OBS_SHAPE), "<u2")
            n = min(CHUNK_OBS - self._filled, len(image) - at)
            self._chunk[self._filled : self._filled + n] = image[at : at + n]
            self._filled, at = self._filled + n, at + n
            if self._filled == CHUNK_OBS:
                self._submit(self._chunk, CHUNK_OBS)
                self._filled = 0

    def _submit(self, chunk: Chunk, rows: int) -> None:
        self._pool.submit(chunk.nbytes, partial(_encode_rows, self._encode), chunk, rows)

    def finish(self) -> None:
        if self._filled:
            self._chunk[self._filled :] = 0
            self._submit(self._chunk, self._filled)
            self._filled = 0
        self._pool.finish()

    def close(self) -> None:
        self._pool.close()


def _encode_rows(encode: Callable[[Chunk], bytes], chunk: Chunk, rows: int) -> tuple[bytes, int]:
    return encode(chunk), rows


def _image_crc32c(images: Iterable[npt.NDArray[np.uint16]]) -> npt.NDArray[np.uint32]:
    """CRC-32C of each observation's little-endian bytes."""
    crcs = [google_crc32c.value(obs.tobytes()) for image in images for obs in np.ascontiguousarray(image, "<u2")]
    return np.array(crcs, np.uint32)
