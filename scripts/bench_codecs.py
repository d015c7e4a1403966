"""Size and speed of codecs on chunks of the store: those it offers, and those that were weighed against them.

One thread, 32 observations a chunk, the same chunks for all. Prints a Markdown table (docs/codecs.md holds one).

usage: python scripts/bench_codecs.py [--size 200] [--repeat 3] [--work DIR]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bench_input
import numpy as np
from isal import isal_zlib

import s2ct_convert
from s2ct_convert.store.codecs import (
    CHUNK_BYTES,
    CODECS,
    BloscParameters,
    hdf5_chunk_codec,
    zarr_chunk_codec,
)
from s2ct_convert.store.layout import CHUNK_OBS


@dataclass(frozen=True)
class Figures:
    """Size against the pixels, and MB (10^6 bytes of pixels) a second of one thread, medians."""

    name: str
    offered_as: str
    ratio: float
    encode: float
    decode: float


def chunks(source: Path, limit: int) -> list[np.ndarray]:
    """Full chunks of the images of a source, in order, up to ``limit`` bytes."""
    out: list[np.ndarray] = []
    for example in s2ct_convert.read_examples(source):
        image = example["imgs"]
        out += [np.ascontiguousarray(image[i : i + CHUNK_OBS]) for i in range(0, len(image) - CHUNK_OBS + 1, CHUNK_OBS)]
        if len(out) * CHUNK_BYTES >= limit:
            break
    return out


def candidates() -> Iterator[tuple[str, str, Callable[[Any], Any], Callable[[Any], Any]]]:
    """Name, name on the command line, encode, decode."""
    for format, codecs in CODECS.items():
        for codec in codecs.values():
            make = zarr_chunk_codec if format == "zarr" else hdf5_chunk_codec
            yield codec.help, f"{format} {codec.name}", *make(codec.parameters)  # type: ignore[operator]
    for level in (1, 3, 5, 6, 7, 9):
        for shuffle in ("bitshuffle", "shuffle"):
            for blocksize, where in ((CHUNK_BYTES, "block = chunk"), (0, "default block")):
                if level in (3, 7) or (blocksize and (shuffle == "bitshuffle" or level == 5)):
                    codec = BloscParameters("zstd", level, shuffle, blocksize).numcodec()
                    yield f"blosc zstd {level}, {shuffle}, {where}", "", codec.encode, codec.decode
    for level in (1, 3):
        yield f"shuffle, isal {level}", "", _planes(lambda data, n=level: isal_zlib.compress(data, n)), _unpack
    yield "shuffle, zlib 1", "", _planes(lambda data: zlib.compress(data, 1)), _unpack


def _planes(compress: Callable[[Any], bytes]) -> Callable[[np.ndarray], bytes]:
    return lambda chunk: compress(np.ascontiguousarray(chunk.view(np.uint8).reshape(-1, 2).T))


def _unpack(data: bytes) -> np.ndarray:
    return np.ascontiguousarray(np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, -1).T)


def measure(pixels: list[np.ndarray], repeat: int) -> list[Figures]:
    """Figures of all candidates, offered ones first."""
    megabytes = len(pixels) * CHUNK_BYTES / 1e6
    out = []
    for name, offered_as, encode, decode in candidates():
        encode(pixels[0])
        encoding, decoding = [], []
        for _ in range(repeat):
            began = time.perf_counter()
            packed = [encode(chunk) for chunk in pixels]
            encoding.append(time.perf_counter() - began)
            began = time.perf_counter()
            for data in packed:
                decode(data)
            decoding.append(time.perf_counter() - began)
        assert np.array_equal(np.frombuffer(decode(packed[0]), "<u2"), pixels[0].reshape(-1)), name
        size = sum(len(data) for data in packed) / (len(pixels) * CHUNK_BYTES)
        rates = (megabytes / statistics.median(seconds) for seconds in (encoding, decoding))
        out.append(Figures(name, offered_as, size, *rates))
    return out


def table(figures: list[Figures]) -> str:
    """As Markdown."""
    lines = ["| codec | on the command line | size | packing MB/s | unpacking MB/s |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.offered_as} | {one.ratio:.3f} | {one.encode:,.0f} | {one.decode:,.0f} |"
        for one in figures
    ]
    return "\n".join(lines)


def run(source: Path, size: int, repeat: int) -> list[dict[str, Any]]:
    """Measure on the first ``size`` bytes of a source; also prints the table."""
    figures = measure(chunks(source, size), repeat)
    print(table(figures))
    return [asdict(one) for one in figures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=200, metavar="MB", help="pixels to use")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        print(f"pixels: {bench_input.pixels()}\n")
        run(bench_input.make_input(Path(work), int(arguments.size * 1e6)), int(arguments.size * 1e6), arguments.repeat)


if __name__ == "__main__":
    main()
