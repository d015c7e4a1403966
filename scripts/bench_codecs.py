"""Size and speed of codecs on chunks of the store: those s2ct offers, and those that were weighed against them.

One thread, 32 observations a chunk, the same chunks for all, one codec after another and then all again, medians.
Prints a Markdown table.

usage: python scripts/bench_codecs.py [--size 32MB] [--repeat 3] [--work DIR]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_input
import numpy as np
from bench_conversion import Images, chunks
from isal import isal_zlib
from numcodecs import blosc

from s2ct_convert.store.codecs import CHUNK_BYTES, CODECS, BloscParameters, hdf5_chunk_codec, zarr_chunk_codec

Encode, Decode = Callable[[Images], Any], Callable[[Any], Any]


@dataclass(frozen=True)
class Candidate:
    """A codec to measure; ``offered_as`` is its name on the command line, if it has one."""

    name: str
    offered_as: str
    encode: Encode
    decode: Decode


@dataclass(frozen=True)
class Figures:
    """Packed bytes over bytes of pixels, and MB (10^6 bytes of pixels) a second of one thread; every run's seconds."""

    name: str
    offered_as: str
    ratio: float
    encode: float
    decode: float
    encode_runs: tuple[float, ...]
    decode_runs: tuple[float, ...]


def candidates() -> list[Candidate]:
    """Offered ones first, with the checksum a chunk has in the store; the others are without."""
    return [*_offered(), *_blosc(), *_deflate()]


def _offered() -> Iterator[Candidate]:
    for format, codecs in CODECS.items():
        for codec in codecs.values():
            make: Any = zarr_chunk_codec if format == "zarr" else hdf5_chunk_codec
            yield Candidate(codec.help, f"{format} {codec.name}", *make(codec.parameters))


def _blosc() -> Iterator[Candidate]:
    for cname, level in (("lz4", 5), *(("zstd", level) for level in (1, 3, 5, 7, 9))):
        for shuffle in ("bitshuffle", "shuffle"):
            for blocksize, block in ((CHUNK_BYTES, "one block"), (0, "default block")):
                codec = BloscParameters(cname, level, shuffle, blocksize).numcodec()
                yield Candidate(f"blosc {cname} {level}, {shuffle}, {block}", "", codec.encode, codec.decode)


def _deflate() -> Iterator[Candidate]:
    for name, level, compress, decompress in (
        ("ISA-L", 1, isal_zlib.compress, isal_zlib.decompress),
        ("ISA-L", 3, isal_zlib.compress, isal_zlib.decompress),
        ("zlib", 1, zlib.compress, zlib.decompress),
    ):
        yield Candidate(f"shuffle, {name} {level}", "", _shuffled(compress, level), _unshuffled(decompress))
    try:
        import deflate  # libdeflate; weighed, not a dependency
    except ImportError:
        return

    def unpack(data: bytes) -> bytes:
        return bytes(deflate.zlib_decompress(data, CHUNK_BYTES))

    yield Candidate("shuffle, libdeflate 1", "", _shuffled(deflate.zlib_compress, 1), _unshuffled(unpack))


def _shuffled(compress: Callable[[Any, int], bytes], level: int) -> Encode:
    return lambda chunk: compress(np.ascontiguousarray(chunk.view(np.uint8).reshape(-1, 2).T), level)


def _unshuffled(decompress: Callable[[bytes], bytes]) -> Decode:
    return lambda data: np.ascontiguousarray(np.frombuffer(decompress(data), np.uint8).reshape(2, -1).T)


def measure(some: Sequence[Images], repeat: int) -> list[Figures]:
    """Figures of all candidates; checks that each gives back what it was given."""
    blosc.use_threads = False  # else numcodecs packs the blocks of a chunk in several
    tried = candidates()
    encoding: list[list[float]] = [[] for _ in tried]
    decoding: list[list[float]] = [[] for _ in tried]
    packed_bytes = [0] * len(tried)
    for _ in range(repeat):
        for k, one in enumerate(tried):
            one.encode(some[0])
            began = time.perf_counter()
            packed = [one.encode(chunk) for chunk in some]
            encoding[k].append(time.perf_counter() - began)
            began = time.perf_counter()
            for data in packed:
                one.decode(data)
            decoding[k].append(time.perf_counter() - began)
            packed_bytes[k] = sum(map(len, packed))
            assert np.array_equal(np.frombuffer(one.decode(packed[-1]), "<u2"), some[-1].reshape(-1)), one.name
    size = len(some) * CHUNK_BYTES
    return [
        Figures(
            one.name,
            one.offered_as,
            packed_bytes[k] / size,
            size / 1e6 / statistics.median(encoding[k]),
            size / 1e6 / statistics.median(decoding[k]),
            tuple(encoding[k]),
            tuple(decoding[k]),
        )
        for k, one in enumerate(tried)
    ]


def table(figures: Sequence[Figures]) -> str:
    """As Markdown."""
    lines = ["| codec | on the command line | size | packing MB/s | unpacking MB/s |", "|---|---|---:|---:|---:|"]
    for one in figures:
        lines.append(f"| {one.name} | {one.offered_as} | {one.ratio:.3f} | {one.encode:,.0f} | {one.decode:,.0f} |")
    return "\n".join(lines)


def run(source: Path, size: int, repeat: int) -> tuple[str, list[dict[str, Any]]]:
    """Measure on at most ``size`` bytes of a source's pixels; the table, and the figures for JSON."""
    figures = measure(chunks(source, size), repeat)
    return table(figures), [dataclasses.asdict(one) for one in figures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=bench_input.parse_size, default="32MB", help="pixels to use (default: 32MB)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder for the input (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work, prefix="s2ct-bench-") as work:
        source = bench_input.make_input(Path(work) / "input", options.size)
        print(f"pixels: {bench_input.pixels()}\n")
        print(run(source, options.size, options.repeat)[0])


if __name__ == "__main__":
    main()
