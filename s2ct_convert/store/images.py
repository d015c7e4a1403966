"""Writes images into a unit: cuts them into chunks, encodes these in threads and computes the digest."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any, Protocol

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import MachineError
from ..threads import OrderedPool
from .codec import Codec
from .container import Container, UnitTarget
from .digest import ImageDigests
from .layout import CHUNK_OBS

Chunk = npt.NDArray[np.uint16]
ObsShape = tuple[int, int, int]  # shape of one patch: bands, height, width


class SampleImages(Protocol):
    """Images of one sample, and the place of each in the source."""

    @property
    def sample(self) -> Hashable:
        """Id of the sample, unique in the unit."""

    @property
    def images(self) -> tuple[npt.NDArray[np.uint16], ...]:
        """Arrays of shape (k, bands, height, width) with n images in total."""

    @property
    def example(self) -> npt.NDArray[np.int32]:
        """Number of the example of each image, shape (n,)."""

    @property
    def position(self) -> npt.NDArray[np.int32]:
        """Position of each image in its example, shape (n,)."""


class ImagePass:
    """One pass over a unit: its target, the threads that encode chunks and the thread that computes the digest."""

    def __init__(self, container: Container, key: str, threads: int) -> None:
        self.target = container.target(key)
        self._digest = ImageDigests()
        self._digests = OrderedPool[None](min(1, threads), lambda _: None)  # one thread keeps the order
        self._images = _ImageStream(self.target, container.codec, threads, container.dataset.obs_shape)
        self._ended: str | None = None

    def sample(self, sample: Any) -> None:
        """Start a sample: the next images belong to it."""
        self._digests.submit(0, self._digest.sample, sample)

    def image(self, image: npt.NDArray[np.uint16]) -> None:
        if len(image):
            self._digests.submit(image.nbytes, self._digest.image, image)
            self._images.append(image)

    def finish_images(self) -> dict[Any, bytes]:
        """Write the chunks in flight. Returns the sha256 of the images of each sample with images."""
        self._images.finish()
        self._digests.finish()
        return self._digest.finish()

    def close(self) -> None:
        self._images.close()
        self._digests.close()
        self.target.close()


class _ImageStream:
    """Cuts images into chunks, encodes them in threads and appends them to a target in order."""

    def __init__(self, target: UnitTarget, codec: Codec, threads: int, shape: ObsShape) -> None:
        self._codec, self._shape = codec, shape
        codec.load()
        self._pool = OrderedPool[tuple[bytes, int]](threads, lambda encoded: target.append(*encoded))
        self._chunk = np.empty((0,), "<u2")
        self._filled = 0

    def append(self, image: npt.NDArray[np.uint16]) -> None:
        """Append images. The caller must not change them afterwards."""
        at = 0
        while at < len(image):
            if not self._filled and len(image) - at >= CHUNK_OBS:
                self._submit(np.ascontiguousarray(image[at : at + CHUNK_OBS], "<u2"), CHUNK_OBS)
                at += CHUNK_OBS
                continue
            if not self._filled:
                self._chunk = np.empty((CHUNK_OBS, *self._shape), "<u2")
            n = min(CHUNK_OBS - self._filled, len(image) - at)
            self._chunk[self._filled : self._filled + n] = image[at : at + n]
            self._filled, at = self._filled + n, at + n
            if self._filled == CHUNK_OBS:
                self._submit(self._chunk, CHUNK_OBS)
                self._filled = 0

    def _submit(self, chunk: Chunk, rows: int) -> None:
        self._pool.submit(chunk.nbytes, partial(_encode_rows, self._codec), chunk, rows)

    def finish(self) -> None:
        if self._filled:
            self._chunk[self._filled :] = 0
            self._submit(self._chunk, self._filled)
            self._filled = 0
        self._pool.finish()

    def close(self) -> None:
        self._pool.close()


def _encode_rows(codec: Codec, chunk: Chunk, rows: int) -> tuple[bytes, int]:
    return codec.encode(chunk), rows


def image_crc32c(images: Iterable[npt.NDArray[np.uint16]]) -> npt.NDArray[np.uint32]:
    """CRC-32C of each observation's little-endian bytes."""
    crcs = [google_crc32c.value(obs) for image in images for obs in np.ascontiguousarray(image, "<u2")]
    return np.array(crcs, np.uint32)


def read_chunk(codec: Codec, target: UnitTarget, number: int, shape: ObsShape) -> Chunk:
    """Read back chunk ``number`` of an unfinished unit, as :func:`read_chunk_into`."""
    chunk = np.empty((CHUNK_OBS, *shape), "<u2")
    read_chunk_into(codec, target, number, chunk)
    return chunk


def read_chunk_into(codec: Codec, target: UnitTarget, number: int, chunk: Chunk) -> None:
    """Read back chunk ``number`` of an unfinished unit.

    Raises
    ------
    MachineError
        If it does not match its checksum.
    """
    try:
        codec.decode_into(target.read(number), chunk)
    except ValueError as error:
        what = "a chunk differs when read back after writing"
        raise MachineError(what, found=str(error), todo="check the disk") from error
