"""Digests of files, several at a time, and the checksum of TFRecords."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google_crc32c

from .limits import cores

_BLOCK = 1 << 20


def masked_crc32c(data: bytes) -> int:
    """CRC-32C rotated and offset as TFRecord stores it."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def file_digests(algorithm: str, paths: Sequence[Path], on_bytes: Callable[[int], None]) -> Generator[str]:
    """Yield the digest (hex) of each file, in order. Stops at once when the user interrupts.

    ``on_bytes`` gets the bytes read, from several threads.

    Close the generator if you stop early; otherwise its threads continue reading.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max(1, min(len(paths), cores()))) as pool:
        try:
            yield from pool.map(lambda path: _digest(algorithm, path, on_bytes, stop), paths)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _digest(algorithm: str, path: Path, on_bytes: Callable[[int], None], stop: threading.Event) -> str:
    """Digest of a file. Returns early if ``stop`` is set; the result is then unused."""
    digest, buffer = hashlib.new(algorithm, usedforsecurity=False), memoryview(bytearray(_BLOCK))
    with open(path, "rb", buffering=0) as file:
        while (n := file.readinto(buffer)) and not stop.is_set():
            digest.update(buffer[:n])
            on_bytes(n)
    return digest.hexdigest()
