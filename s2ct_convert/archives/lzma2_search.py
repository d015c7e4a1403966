"""Find the places of a damaged LZMA2 stream where unpacking can start again.

Unpacking starts again only where a chunk header resets the dictionary (control byte 1, or 0xE0 and above). Nothing
marks such a place. So a byte is taken for a header only if a chain of valid headers starts there: each header gives
the place of the next one. The search looks at all bytes of a window at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .pieces import FileBytes

CHAIN = 12  # headers: enough to leave few chance ones, whose first chunk does not unpack
_MOST_CHUNK = (64 << 10) + 6  # packed bytes of a chunk with its header
_WINDOW = 4 << 20
# Properties of LZMA that LZMA2 allows: lc + lp <= 4.
_PROPERTIES = np.array([b < 225 and b % 9 + b // 9 % 5 <= 4 for b in range(256)])


class Head(NamedTuple):
    """A chunk header. ``size``: packed bytes of the chunk with its header; ``unpacked``: its unpacked bytes."""

    resets: bool  # the dictionary
    is_lzma: bool
    size: int
    unpacked: int


def read_head(data: FileBytes, at: int) -> Head | None:
    """The chunk header at an offset of the file; None if there is none."""
    head = data.read(at, 6)
    control = head[0] if head else 0
    if control in (1, 2) and len(head) >= 3:
        unpacked = (head[1] << 8 | head[2]) + 1
        return Head(control == 1, False, 3 + unpacked, unpacked)
    if control < 0x80 or len(head) < 6 or (control >= 0xC0 and not _PROPERTIES[head[5]]):
        return None
    unpacked = ((control & 31) << 16 | head[1] << 8 | head[2]) + 1
    return Head(control >= 0xE0, True, (6 if control >= 0xC0 else 5) + (head[3] << 8 | head[4]) + 1, unpacked)


def find_starts(data: FileBytes, at: int, end: int, may_end: int) -> npt.NDArray[np.int64]:
    """Offsets of the file, in one window from ``at`` on, where a chain of headers starts with a reset.

    Parameters
    ----------
    end : int
        End of the stream, or of the file if that is unknown. A chain may run past it.
    may_end : int
        From this offset on, a control byte 0 may end a chain, as it ends a stream.
    """
    n = min(_WINDOW, end - at)
    window = np.frombuffer(data.read(at, min(n + CHAIN * _MOST_CHUNK, end - at)) + bytes(6), np.uint8)
    there = len(window) - 6
    control = window[:n]
    here = start = np.flatnonzero((control == 1) | (control >= 0xE0))
    good = []
    for step in range(CHAIN):
        sizes, valid = _sizes(window, here)
        ended = (window[here] == 0) & (at + here >= may_end) if step else np.zeros(len(here), bool)
        following = here + sizes
        cut = valid & (following >= there) & (at + there >= end)
        if step == 0:
            cut &= following == there  # the first chunk must be whole
            valid &= following <= there
        good.append(start[ended | cut])
        going = valid & ~cut & (following < there)
        start, here = start[going], following[going]
    return np.sort(np.concatenate([*good, start])) + at


def next_window(at: int) -> int:
    """Where the search goes on after a window from ``at`` on."""
    return at + _WINDOW


def _sizes(
    window: npt.NDArray[np.uint8], here: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Sizes of the chunks at these offsets, with their headers, and which of the headers are valid."""
    control = window[here]
    stored = (control == 1) | (control == 2)
    high = np.where(stored, window[here + 1], window[here + 3]).astype(np.int64)
    low = np.where(stored, window[here + 2], window[here + 4])
    header = np.where(stored, 3, np.where(control >= 0xC0, 6, 5))
    valid = stored | ((control >= 0x80) & ((control < 0xC0) | _PROPERTIES[window[here + 5]]))
    return header + (high << 8 | low) + 1, valid
