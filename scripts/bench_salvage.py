"""Counts the examples that can be had from a damaged archive: with ``convert --salvage``, ``7zz x`` and py7zr.

Prints a table for docs/robustness.md. These are counts, not times. What 7-Zip and py7zr wrote before they gave up is
searched for whole examples in the same way. Every example that is found is compared with the examples that were packed.

    python scripts/bench_salvage.py --work /tmp/salvage --hits 4
"""

from __future__ import annotations

import argparse
import random
import statistics
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bench_input

from s2ct_convert.archives.unpackers import find_unpacker
from s2ct_convert.names import UnitName
from s2ct_convert.source.found import UNKNOWN, Source
from s2ct_convert.source.salvage import open_salvaged

SIZE = 28_000_000  # bytes of the TFRecord
PACKINGS = {
    "blocks": ("-m0=LZMA2:d=1m:c=4m", "-mmt=4"),
    "one block": ("-m0=LZMA2:d=1m", "-mmt=1"),
    "LZMA": ("-m0=LZMA:d=1m",),
}
Damage = Callable[[bytes, random.Random], bytes]

_PY7ZR = """
import sys, py7zr
with open(sys.argv[1], "rb") as file, py7zr.SevenZipFile(file) as archive:
    archive.extractall(sys.argv[2])
"""


def _replace(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _in_stream(data: bytes, rng: random.Random, room: int = 0) -> int:
    """An offset in the packed stream, which starts at byte 32."""
    return rng.randrange(32, 32 + struct.unpack_from("<Q", data, 12)[0] - room)


def bit(data: bytes, rng: random.Random) -> bytes:
    at = _in_stream(data, rng)
    return _replace(data, at, bytes([data[at] ^ 1 << rng.randrange(8)]))


def page(data: bytes, rng: random.Random) -> bytes:
    return _replace(data, _in_stream(data, rng, 4096), bytes(4096))


def noise(data: bytes, rng: random.Random) -> bytes:
    return _replace(data, _in_stream(data, rng, 200_000), rng.randbytes(200_000))


def missing(data: bytes, rng: random.Random) -> bytes:
    at = _in_stream(data, rng)
    return data[:at] + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: len(data) * 3 // 10]


def no_end(data: bytes, rng: random.Random) -> bytes:
    end = 32 + struct.unpack_from("<Q", data, 12)[0]
    return data[:end] + bytes(len(data) - end)


def no_headers(data: bytes, rng: random.Random) -> bytes:
    return bytes(32) + no_end(data, rng)[32:]


DAMAGES: dict[str, Damage] = {
    "one bit": bit,
    "4 KiB zeroed": page,
    "200 kB of noise": noise,
    "one byte missing": missing,
    "cut after 30 %": cut,
    "end header zeroed": no_end,
    "both headers zeroed": no_headers,
}
ONCE = {cut, no_end, no_headers}  # without chance


class Bench:
    """One TFRecord and its examples."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.source = bench_input.make_input(work, SIZE)
        self.examples = set(self._payloads(self.source, None))
        self.wrong = 0

    def pack(self, kind: str) -> bytes:
        """The TFRecord in an archive of this kind."""
        path = self.work / f"{kind.replace(' ', '_')}.7z"
        path.unlink(missing_ok=True)
        program = find_unpacker("7zz").program
        subprocess.run([str(program), "a", *PACKINGS[kind], path, self.source], check=True, stdout=subprocess.DEVNULL)
        return path.read_bytes()

    def counts(self, archive: bytes) -> tuple[int, int, int]:
        """Whole examples: with s2ct, 7zz x and py7zr."""
        path, out = self.work / "damaged.7z", self.work / "unpacked"
        path.write_bytes(archive)
        mine = self._count(path, self.source.name) or self._count(path, UNKNOWN)
        program = str(find_unpacker("7zz").program)
        others = []
        for command in ([program, "x", "-y", f"-o{out}", path], [sys.executable, "-c", _PY7ZR, path, out]):
            target = out / self.source.name
            target.unlink(missing_ok=True)
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            others.append(self._count(target, None) if target.exists() else 0)
        return mine, others[0], others[1]

    def _count(self, path: Path, member: str | None) -> int:
        found = list(self._payloads(path, member))
        self.wrong += sum(payload not in self.examples for payload in found)
        return len(found)

    def _payloads(self, path: Path, member: str | None) -> list[bytes]:
        with open_salvaged(Source(UnitName("train", "50SMG"), None, path, member)) as examples:
            return list(examples.payloads())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder for 100 MB of files")
    parser.add_argument("--hits", type=int, default=4, help="places of each damage, by chance with a fixed seed")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.work)
    print(f"{len(bench.examples)} examples, {bench.source.stat().st_size / 1e6:.1f} MB; means of {given.hits} places")
    print("| archive | damage | `--salvage` | `7zz x` | py7zr |\n|---|---|---|---|---|")
    for kind in PACKINGS:
        archive = bench.pack(kind)
        for name, damage in DAMAGES.items():
            seeds = range(1 if damage in ONCE else given.hits)
            counts = [bench.counts(damage(archive, random.Random(f"{name} {seed}"))) for seed in seeds]
            means = " | ".join(f"{statistics.mean(column):.1f}" for column in zip(*counts, strict=True))
            print(f"| {kind} | {name} | {means} |", flush=True)
    print(f"wrong examples: {bench.wrong}")


if __name__ == "__main__":
    main()
