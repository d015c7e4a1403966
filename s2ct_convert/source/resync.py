"""Find the next record header in bytes of a TFRecord, by the checksum of its length. All bytes are tried at once."""

from __future__ import annotations

import google_crc32c
import numpy as np
import numpy.typing as npt

HEADER_BYTES = 12
_MASK = 0xA282EAD8  # of the CRC-32C in a TFRecord


def _tables() -> tuple[int, npt.NDArray[np.uint32]]:
    """The CRC-32C of a length of 0, and what each value of each of its four lower bytes changes in it."""
    zero = google_crc32c.value(bytes(8))
    values = [google_crc32c.value(bytes(k) + bytes([b]) + bytes(7 - k)) ^ zero for k in range(4) for b in range(256)]
    return zero, np.array(values, np.uint32).reshape(4, 256)


_ZERO, _CHANGES = _tables()


def find_header(data: bytes | bytearray | memoryview) -> int | None:
    """Offset of the first 12 bytes that are a record header: a length below 2^32 and its checksum. None without any."""
    some = np.frombuffer(data, np.uint8)
    n = len(some) - HEADER_BYTES + 1
    if n <= 0:
        return None
    zero = some == 0
    places = np.flatnonzero(zero[4 : n + 4] & zero[5 : n + 5] & zero[6 : n + 6] & zero[7 : n + 7])
    if not len(places):
        return None
    crc = np.full(len(places), _ZERO, np.uint32)
    stored = np.zeros(len(places), np.uint32)
    for k in range(4):
        crc ^= _CHANGES[k][some[places + k]]
        stored |= some[places + 8 + k].astype(np.uint32) << np.uint32(8 * k)
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK)
    found = places[masked == stored]
    return int(found[0]) if len(found) else None
