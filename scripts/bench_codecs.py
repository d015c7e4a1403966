"""Measures size and speed of codecs on chunks of the store: the codecs of s2ct, and alternatives.

Each codec runs in one thread on the same pixels, with 32 observations per chunk unless stated otherwise. The codecs run
in turn, ``--repeat`` times; figures are medians. Prints a Markdown table and, if 7-Zip is installed, its ratio.

usage: python scripts/bench_codecs.py [--size 32MB] [--repeat 3] [--work DIR]
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bench_input
import numpy as np
from bench_conversion import Images, chunks
from isal import isal_zlib
from numcodecs import blosc
from numcodecs.blosc import Blosc

from s2ct_convert.store.codecs import CODECS
from s2ct_convert.store.layout import CHUNK_OBS, OBS_BYTES, OBS_SHAPE

CHUNK_BYTES = CHUNK_OBS * OBS_BYTES
SHUFFLES = {"shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}
Encode, Decode = Callable[[Images], Any], Callable[[Any], Any]


@dataclass(frozen=True)
class Candidate:
    """A codec to measure; ``offered_as`` is its name on the command line, or empty."""

    name: str
    offered_as: str
    encode: Encode
    decode: Decode
    obs: int = CHUNK_OBS


@dataclass(frozen=True)
class Figures:
    """Packed bytes per byte of pixels, MB/s (10^6 bytes of pixels) in one thread, and the seconds of every run."""

    name: str
    offered_as: str
    ratio: float
    encode: float
    decode: float
    encode_runs: tuple[float, ...]
    decode_runs: tuple[float, ...]


def candidates() -> list[Candidate]:
    """The codecs of s2ct first, with the checksum of a stored chunk; the others have no checksum."""
    return [*_offered(), *_blosc(), *_chunk_sizes(), *_transposed(), *_deflate()]


def _offered() -> Iterator[Candidate]:
    for format, codecs in CODECS.items():
        for codec in codecs.values():
            yield Candidate(codec.title, f"{format} {codec.name}", codec.encode, partial(_decode, codec))


def _decode(codec: Any, data: Any) -> Any:
    out = np.empty((CHUNK_OBS, *OBS_SHAPE), "<u2")
    codec.decode_into(data, out)
    return out


def _blosc() -> Iterator[Candidate]:
    for cname, level in (("lz4", 5), *(("zstd", level) for level in (1, 2, 3, 5, 7, 8, 9))):
        for shuffle in ("bitshuffle", "shuffle"):
            for blocksize, block in ((CHUNK_BYTES, "one block"), (0, "default block")):
                codec = Blosc(cname, level, SHUFFLES[shuffle], blocksize)
                yield Candidate(f"blosc {cname} {level}, {shuffle}, {block}", "", codec.encode, codec.decode)


def _chunk_sizes() -> Iterator[Candidate]:
    for obs in (1, 8, 16, 64, 128):
        codec = Blosc("zstd", 2, Blosc.SHUFFLE, obs * OBS_BYTES)
        yield Candidate(f"blosc zstd 2, shuffle, one block, {obs} observations", "", codec.encode, codec.decode, obs)


def _transposed() -> Iterator[Candidate]:
    """Transposed before packing, so that the bands or the dates of a pixel are neighbours."""
    for what, order in (("bands", (0, 2, 3, 1)), ("dates", (1, 2, 3, 0))):
        for level in (2, 7):
            codec = Blosc("zstd", level, Blosc.SHUFFLE, CHUNK_BYTES)
            yield Candidate(
                f"{what} together, blosc zstd {level}, shuffle, one block",
                "",
                partial(_encode_transposed, codec, order),
                partial(_decode_transposed, codec, order),
            )


def _encode_transposed(codec: Any, order: tuple[int, ...], chunk: Images) -> Any:
    return codec.encode(np.ascontiguousarray(chunk.transpose(order)))


def _decode_transposed(codec: Any, order: tuple[int, ...], data: Any) -> Any:
    shape = tuple((CHUNK_OBS, *OBS_SHAPE)[axis] for axis in order)
    found = np.frombuffer(codec.decode(data), np.uint16).reshape(shape)
    return np.ascontiguousarray(found.transpose(np.argsort(order)))


def _deflate() -> Iterator[Candidate]:
    for name, level, compress, decompress in (
        ("ISA-L", 1, isal_zlib.compress, isal_zlib.decompress),
        ("ISA-L", 3, isal_zlib.compress, isal_zlib.decompress),
        ("zlib", 1, zlib.compress, zlib.decompress),
    ):
        yield Candidate(f"shuffle, {name} {level}", "", _shuffled(compress, level), _unshuffled(decompress))
    try:
        import deflate  # libdeflate; measured, not a dependency
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
    """Measure all candidates; check that each restores its input."""
    blosc.use_threads = False  # otherwise numcodecs packs the blocks of a chunk in several threads
    tried = candidates()
    whole = np.concatenate(some)
    grouped = {
        obs: [whole[i : i + obs] for i in range(0, len(whole) // obs * obs, obs)] for obs in {c.obs for c in tried}
    }
    encoding: list[list[float]] = [[] for _ in tried]
    decoding: list[list[float]] = [[] for _ in tried]
    packed_bytes = [0] * len(tried)
    for _ in range(repeat):
        for k, one in enumerate(tried):
            own = grouped[one.obs]
            one.encode(own[0])
            began = time.perf_counter()
            packed = [one.encode(chunk) for chunk in own]
            encoding[k].append(time.perf_counter() - began)
            began = time.perf_counter()
            for data in packed:
                one.decode(data)
            decoding[k].append(time.perf_counter() - began)
            packed_bytes[k] = sum(map(len, packed))
            assert np.array_equal(np.frombuffer(one.decode(packed[-1]), "<u2"), own[-1].reshape(-1)), one.name
    sizes = {obs: sum(chunk.nbytes for chunk in group) for obs, group in grouped.items()}
    return [
        Figures(
            one.name,
            one.offered_as,
            packed_bytes[k] / sizes[one.obs],
            sizes[one.obs] / 1e6 / statistics.median(encoding[k]),
            sizes[one.obs] / 1e6 / statistics.median(decoding[k]),
            tuple(encoding[k]),
            tuple(decoding[k]),
        )
        for k, one in enumerate(tried)
    ]


def table(figures: Sequence[Figures]) -> str:
    """The figures as a Markdown table."""
    lines = ["| codec | on the command line | size | packing MB/s | unpacking MB/s |", "|---|---|---:|---:|---:|"]
    for one in figures:
        lines.append(f"| {one.name} | {one.offered_as} | {one.ratio:.3f} | {one.encode:,.0f} | {one.decode:,.0f} |")
    return "\n".join(lines)


def seven_zip(some: Sequence[Images], folder: Path) -> float | None:
    """Size of a 7-Zip archive of the pixels per byte of pixels; None if 7-Zip is not installed."""
    program = shutil.which("7zz") or shutil.which("7z")
    if program is None:
        return None
    raw, archive = folder / "pixels", folder / "pixels.7z"
    np.concatenate(some).tofile(raw)
    subprocess.run([program, "a", "-mx5", archive, raw], check=True, stdout=subprocess.DEVNULL)
    return archive.stat().st_size / raw.stat().st_size


def run(source: Path, size: int, repeat: int) -> tuple[str, list[dict[str, Any]]]:
    """Measure on at most ``size`` bytes of pixels of a source; return the table, and the figures for JSON."""
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
        if (ratio := seven_zip(chunks(source, options.size), Path(work))) is not None:
            print(f"\n7-Zip -mx5 packs them to {ratio:.3f}.")


if __name__ == "__main__":
    main()
