"""Estimates the cost of a plan: files, bytes, memory, time. A short trial measures the speed; nothing is written.

Each estimate states its basis. It leaves out what is unknown beforehand: the speed of the store's disk, other users.
"""

from __future__ import annotations

import heapq
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from ..archives.bounds import BOUNDS, Bounds
from ..archives.unpackers import Unpacker
from ..engines.local import share
from ..errors import S2ctError, SourceTooLarge
from ..limits import shared_memory
from ..source.find import Source
from ..source.read import open_source
from ..store.codecs import find_codec
from ..store.container import Container
from ..store.digest import ImageDigests
from ..store.layout import CHUNK_OBS, SHARD_OBS, UnitForm, index_arrays, unit_arrays
from ..units.plan import Plan, SourceFile
from ..units.unit import PEAK_BYTES, open_container

START_SECONDS = 1.0  # for a process to start, and to sync its unit
TRY_OBS = 20 * CHUNK_OBS  # the trial ends after this many observations
TRY_SECONDS = 5.0  # or after this time
_OBS_OVERHEAD = 13  # bytes of an observation in a TFRecord besides its pixels: label (of one pixel), date, weight
_EXAMPLE_OVERHEAD = 130  # bytes of an example besides its observations: names of features, lengths, checksums


@dataclass(frozen=True)
class Speed:
    """The speed of one core, measured on the start of one source.

    ``read`` and ``make`` are seconds per observation: reading (unpacking, parsing, both checksums), and all else
    (compressing, digest, checksums). ``ratio`` is compressed bytes divided by bytes of pixels.
    """

    source: str
    observations: int
    read: float
    make: float
    ratio: float


@dataclass(frozen=True)
class UnitEstimate:
    """The estimate of a unit, from the size of its source."""

    number: int
    file: SourceFile
    observations: int
    chunks: int
    shards: int
    files: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """The estimate of a plan with ``jobs`` units at a time, each with ``threads`` threads.

    ``space`` is the peak disk use in bytes, ``inodes`` the number of files and folders. None means that this machine
    does not report the value.
    """

    units: tuple[UnitEstimate, ...]
    speed: Speed | None
    cores: int
    jobs: int
    threads: int
    peak_memory: int
    free_memory: int | None
    bytes: int
    space: int
    free_space: int
    inodes: int
    free_inodes: int | None
    seconds: float | None
    problems: tuple[str, ...]


def estimate(plan: Plan, cores: int, *, memory: int | None = None, bounds: Bounds = BOUNDS) -> Estimate:
    """Estimate the cost of a plan on this machine.

    Parameters
    ----------
    plan : Plan
    cores : int
        Cores that the conversion may use.
    memory : int, optional
        Memory limit in bytes, if it is lower than the free memory.
    bounds : Bounds
        What a source may take.
    """
    container = open_container(plan.store, plan.options)
    speed = _try(plan.sources, container, bounds)
    free = _free_memory()
    jobs, threads = share(cores, len(plan.files), min((n for n in (memory, free) if n is not None), default=None))
    units = tuple(_unit(number, file, plan, speed, threads) for number, file in enumerate(plan.files, start=1))
    size = sum(unit.bytes for unit in units)
    twice = plan.options.format == "hdf5" and not plan.options.linked  # each unit is a file until they are merged
    home = _existing(plan.store)
    disk, inodes = shutil.disk_usage(home), os.statvfs(home)
    files = sum(unit.files for unit in units) + _files_besides(plan)
    problems = [str(one.error).splitlines()[0] for one in plan.unusable] + _too_large(plan.sources, bounds)
    if size * (1 + twice) > disk.free:
        problems.append(f"the disk has {disk.free:,} bytes free, {size * (1 + twice):,} are needed")
    if inodes.f_files and files > inodes.f_favail:
        problems.append(f"the disk has room for {inodes.f_favail:,} more files, {files:,} are needed")
    if free is not None and free < PEAK_BYTES:
        problems.append(f"{free:,} bytes of memory are free, one unit may need {PEAK_BYTES:,}")
    if plan.store.exists():
        problems.append(f"{plan.store} exists: convert resumes it if the options are the same, and refuses otherwise")
    return Estimate(
        units=units,
        speed=speed,
        cores=cores,
        jobs=jobs,
        threads=threads,
        peak_memory=PEAK_BYTES,
        free_memory=free,
        bytes=size,
        space=size * (1 + twice),
        free_space=disk.free,
        inodes=files,
        free_inodes=inodes.f_favail if inodes.f_files else None,  # some file systems make them on demand
        seconds=_makespan([unit.seconds for unit in units], jobs) if speed else None,
        problems=tuple(problems),
    )


def _unit(number: int, file: SourceFile, plan: Plan, speed: Speed | None, threads: int) -> UnitEstimate:
    content = _unpacked(file) - (file.source.name_count or 0) * _EXAMPLE_OVERHEAD
    obs_bytes = plan.options.dataset.obs_bytes
    observations = max(0, round(content / (obs_bytes + _OBS_OVERHEAD)))
    chunks, shards = -(-observations // CHUNK_OBS), -(-observations // SHARD_OBS)
    if plan.options.format == "zarr":
        arrays = len(unit_arrays(UnitForm()))
        files = 2 + 4 * arrays + 3 + 4 * shards  # group, arrays, image, its shards: each with its folders
    else:
        shards, files = 0, 1
    ratio, seconds = find_codec(plan.options.format, plan.options.codec).figures.ratio, 0.0
    if speed:
        ratio = speed.ratio
        seconds = START_SECONDS + observations * max(speed.read, (speed.read + speed.make) / threads)
    return UnitEstimate(
        number, file, observations, chunks, shards, files, int(observations * obs_bytes * ratio), seconds
    )


def _files_besides(plan: Plan) -> int:
    """Files and folders outside units: root, splits and index, and the ledger with an entry for each unit."""
    ledger = 6 + len(plan.files)
    if plan.options.format == "hdf5":
        return 2 + ledger  # the store, and the folder of its units
    splits = len({file.source.unit.split for file in plan.files})
    return 2 + 2 * splits + 2 + 4 * len(index_arrays((), ())) + 1 + ledger


def _unpacked(file: SourceFile) -> int:
    """Bytes of the TFRecord; for a wrapper other than 7z, the bytes of the file."""
    if file.source.member is None:
        return file.bytes
    from ..archives.archive import read_archive  # slow to import; only archives need it

    with suppress(S2ctError):
        return sum(
            one.size for part in file.source.parts for one in read_archive(part.path).members if one.name == part.member
        )
    return file.bytes


def _too_large(sources: Sequence[Source], bounds: Bounds) -> list[str]:
    """Archives that take more than they may, by their headers."""
    from ..archives.archive import check_bounds

    found = []
    for part in (part for source in sources for part in source.parts):
        if part.member is None:
            continue
        try:
            check_bounds(part.path, part.member, bounds)
        except SourceTooLarge as error:
            found.append(f"{error.what}: {error.where}; {error.todo}")
        except (S2ctError, OSError):
            continue  # the conversion reports it
    return found


def _try(sources: Sequence[Source], container: Container, bounds: Bounds) -> Speed | None:
    """Read and compress the start of the first readable source."""
    dataset = container.dataset
    for source in sources:
        images = []
        n, began = 0, time.perf_counter()
        try:
            with open_source(source, unpacker=Unpacker(bounds=bounds), dataset=dataset) as examples:
                for example in examples:
                    images.append(example.image)
                    n += len(example.image)
                    if n >= TRY_OBS or time.perf_counter() - began > TRY_SECONDS:
                        break
        except (S2ctError, OSError):
            continue  # the conversion reports it
        if not n:
            continue
        read = time.perf_counter() - began
        pixels = np.concatenate(images)
        began = time.perf_counter()
        digest, packed = ImageDigests(), 0
        digest.sample(0)
        for low in range(0, n, CHUNK_OBS):
            chunk = np.zeros((CHUNK_OBS, *dataset.obs_shape), "<u2")
            part = pixels[low : low + CHUNK_OBS]
            chunk[: len(part)] = part
            digest.image(part)
            google_crc32c.value(part.tobytes())
            packed += len(container.codec.encode(chunk))
        make = time.perf_counter() - began
        return Speed(source.where, n, read / n, make / n, packed / pixels.nbytes)
    return None


def _makespan(seconds: Sequence[float], jobs: int) -> float:
    """Seconds until all jobs are done; each goes to the first free worker, in this order."""
    free = [0.0] * jobs
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def _existing(path: Path) -> Path:
    """The nearest existing folder of a path."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.is_dir())


def _free_memory() -> int | None:
    """Bytes of memory that this process may use: free memory, or its limit if that is lower; None if unknown."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    found += [limit] if (limit := shared_memory()) is not None else []
    return min(found, default=None)
