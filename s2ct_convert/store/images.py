"""Images on their way into a unit: cut into chunks, encoded in threads, into the digest; and chunks back out of it."""

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
ObsShape = tuple[int, int, int]  # of one patch: bands, height, width


class SampleImages(Protocol):
    """Images of one sample, one after another, and where each stands in the source."""

    @property
    def sample(self) -> Hashable:
        """What tells samples apart."""

    @property
    def images(self) -> tuple[npt.NDArray[np.uint16], ...]:
        """Shapes (k, bands, height, width), n images together."""

    @property
    def example(self) -> npt.NDArray[np.int32]:
        """Number of the example of each image, shape (n,)."""

    @property
    def position(self) -> npt.NDArray[np.int32]:
        """Position of each image in its example, shape (n,)."""


class ImagePass:
    """One pass over a unit: its target, the threads that encode chunks and the one that computes the digest."""

    def __init__(self, container: Container, key: str, threads: int) -> None:
        self.target = container.target(key)
        self._digest = ImageDigests()
        self._digests = OrderedPool[None](min(1, threads), lambda _: None)  # one: it is told in order
        self._images = _ImageStream(self.target, container.codec, threads, container.dataset.obs_shape)
        self._ended: str | None = None

    def sample(self, sample: Any) -> None:
        """Images of this sample follow."""
        self._digests.submit(0, self._digest.sample, sample)

    def image(self, image: npt.NDArray[np.uint16]) -> None:
        if len(image):
            self._digests.submit(image.nbytes, self._digest.image, image)
            self._images.append(image)

    def finish_images(self) -> dict[Any, bytes]:
        """Write what is in flight; the sha256 of the images of each sample that had any."""
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
    crcs = [google_crc32c.value(obs.tobytes()) for image in images for obs in np.ascontiguousarray(image, "<u2")]
    return np.array(crcs, np.uint32)


def read_chunk(codec: Codec, target: UnitTarget, number: int, shape: ObsShape) -> Chunk:
    """Chunk ``number`` of a unit that is being written.

    Raises
    ------
    MachineError
        If it is not what was written.
    """
    chunk = np.empty((CHUNK_OBS, *shape), "<u2")
    try:
        codec.decode_into(target.read(number), chunk)
    except ValueError as error:
        what = "a chunk reads back other than it was written"
        raise MachineError(what, found=str(error), todo="check the disk") from error
    return chunk
