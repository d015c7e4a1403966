"""Checks pixels: decodes every chunk of a unit, compares every image with its checksum and computes the digest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import NOT_THE_STORE, S2ctError
from ..limits import cores
from ..reading.unit import Unit
from ..store.digest import UnitDigest, digest_columns, digest_sample
from ..store.layout import CHUNK_OBS
from ..store.statistics import PixelCounts, are_clear
from .findings import Finding

BLOCK_OBS = 1024  # observations checked together; 14.5 MB of the default data set


class Checked(NamedTuple):
    """The result of checking the pixels of a unit."""

    observations: int
    digest: str | None  # None if only a fraction was checked or some pixels cannot be read
    findings: list[Finding]


class _Block(NamedTuple):
    samples: range  # rows of the sample dimension
    rows: slice


def check_pixels(
    unit: Unit,
    *,
    fraction: float,
    rng: np.random.Generator,
    on_bytes: Callable[[int], None] | None = None,
    counts: PixelCounts | None = None,
) -> Checked:
    """Check the images of a unit, in threads.

    Parameters
    ----------
    unit : Unit
        Its table of rows must be correct.
    fraction : float
        Fraction of the blocks of neighbouring samples to check; 1 for all.
    rng : numpy.random.Generator
        Chooses the blocks.
    on_bytes : callable, optional
        Called with the number of bytes of pixels checked since the last call.
    counts : PixelCounts, optional
        Counts the pixels, for the statistics of the unit.
    """
    blocks = list(_blocks(unit))
    whole = fraction >= 1
    if not whole and blocks:
        n = max(1, round(fraction * len(blocks)))
        blocks = [blocks[i] for i in sorted(rng.choice(len(blocks), n, replace=False))]
    crcs = np.asarray(unit["image_crc32c"][...])
    digest, findings, seen = UnitDigest(), list[Finding](), 0
    with ThreadPoolExecutor(cores(), thread_name_prefix="s2ct-verify") as pool:
        waiting: deque[tuple[_Block, Future[tuple[list[bytes] | None, list[Finding]]]]] = deque()

        def finish_first() -> None:
            nonlocal whole, seen
            block, future = waiting.popleft()
            digests, found = future.result()
            findings.extend(found)
            for i, one in zip(block.samples, digests or [], strict=bool(digests)):
                digest.add(int(unit.localid[i]), one)
            whole = whole and digests is not None
            n = block.rows.stop - block.rows.start
            seen += n
            if on_bytes:
                on_bytes(n * unit.dataset.obs_bytes)

        try:
            for block in blocks:
                waiting.append((block, pool.submit(_check, unit, block, crcs[block.rows], counts)))
                if len(waiting) > cores() + 1:
                    finish_first()
            while waiting:
                finish_first()
        finally:
            for _, future in waiting:
                future.cancel()
    if whole:
        digest.publish(list(unit.published.values()))
    return Checked(seen, digest.hexdigest() if whole else None, _joined(findings))


def _blocks(unit: Unit) -> Iterator[_Block]:
    """Blocks of neighbouring samples with at most ``BLOCK_OBS`` observations, or one longer sample."""
    first, n, most = 0, len(unit.localid), unit.dataset.cap(BLOCK_OBS)
    while first < n:
        last = int(np.searchsorted(unit.row_start, unit.row_start[first] + most, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield _Block(range(first, last), slice(int(unit.row_start[first]), int(unit.row_start[last])))
        first = last


def _check(
    unit: Unit, block: _Block, crcs: npt.NDArray[np.uint32], counts: PixelCounts | None
) -> tuple[list[bytes] | None, list[Finding]]:
    """Digests of the samples of a block (None if it cannot be read), and findings."""
    try:
        (images,) = unit.images([block.rows])
    except NOT_THE_STORE:  # this machine could not read; the store may be intact
        raise
    except (S2ctError, OSError):
        return None, list(_unreadable(unit, block.rows))
    if counts is not None:
        counts.add(images, are_clear(unit.label[block.rows], unit.dataset))
    found = np.array([google_crc32c.value(image.tobytes()) for image in images], np.uint32)
    wrong = np.flatnonzero(found != crcs) + block.rows.start
    findings = [
        Finding("image_crc32c does not match the image", str(unit.name), _localids(unit, row, row), rows=(row, row))
        for row in wrong.tolist()
    ]
    digests = []
    for i in block.samples:
        rows = slice(int(unit.row_start[i]), int(unit.row_start[i + 1]))
        columns = {name: getattr(unit, name)[rows] for name in digest_columns(unit.layout)}
        own = images[rows.start - block.rows.start : rows.stop - block.rows.start]
        digests.append(digest_sample(int(unit.localid[i]), columns, [own], unit.layout))
    return digests, findings


def _unreadable(unit: Unit, rows: slice) -> Iterator[Finding]:
    """Findings for the rows that cannot be read, chunk by chunk."""
    at = rows.start
    while at < rows.stop:
        end = min((at // CHUNK_OBS + 1) * CHUNK_OBS, rows.stop)
        try:
            unit.images([slice(at, end)])
        except NOT_THE_STORE:
            raise
        except S2ctError as error:
            # The message names all rows of a damaged chunk. The finding has only the rows that were read.
            what = f"image is damaged: {error.found}" if error.what.startswith("rows ") else error.what
            yield Finding(what, str(unit.name), _localids(unit, at, end - 1), rows=(at, end - 1), file=error.where)
        except OSError as error:
            place = str(error.filename or "")
            yield Finding(str(error), str(unit.name), _localids(unit, at, end - 1), rows=(at, end - 1), file=place)
        at = end


def _localids(unit: Unit, first: int, last: int) -> tuple[int, ...]:
    """Samples that have any of these rows."""
    low = int(np.searchsorted(unit.row_start, first, side="right")) - 1
    high = int(np.searchsorted(unit.row_start, last, side="right"))
    return tuple(unit.localid[low:high].tolist())


def _joined(findings: list[Finding]) -> list[Finding]:
    """Merge findings with the same message about neighbouring rows."""
    out: list[Finding] = []
    for one in findings:
        last = out[-1] if out else None
        alike = last is not None and (last.what, last.file) == (one.what, one.file)
        if alike and last and last.rows and one.rows and one.rows[0] == last.rows[1] + 1:
            localids = last.localids + tuple(i for i in one.localids if i not in last.localids)
            out[-1] = Finding(one.what, one.unit, localids, rows=(last.rows[0], one.rows[1]), file=one.file)
            continue
        out.append(one)
    return out
