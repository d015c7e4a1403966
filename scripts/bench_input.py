"""Makes TFRecords for benchmarks, with published form and names; the same arguments give the same bytes.

The images are crops of the real Sentinel-2 scenes in ``../shared/data`` with simulated seasons, clouds, haze, shadow,
snow and sensor noise, so that no two timestamps are equal. Without those scenes, they are rotated series of the
synthetic scenes of ``sample_scene.py`` with noise. Blosc zstd 3 with bitshuffle packs the pixels of the archive
``train_50SMG_11.7z`` in ``../shared/data`` to 0.638 of their size, and these pixels to 0.644.

usage: python scripts/bench_input.py FOLDER [--size 500MB] [--seed N] [--shuffled]
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from make_sample import Example, record
from sample_scene import FIRST_DAY, Land, acquisitions, observe, points, weather

SCENES = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "base_scenes.npz"
SEED = 20180102
TIMES = (60, 231)  # timestamps per sample: 1 to 3 groups
GROUP = 100  # maximum timestamps per group
SIDE = 42
CLOUDS = {1: (0.9, 0.15), 2: (0.35, 0.15), 3: (0.15, 0.05)}  # by label: mean opacity and its spread
LABELS = (0.45, 0.28, 0.09, 0.07, 0.07, 0.04)  # frequency of each label

Array = np.ndarray[Any, np.dtype[Any]]


def pixels() -> str:
    """The kind of pixels, for the report."""
    return "real Sentinel-2 scenes, simulated weather" if SCENES.exists() else "synthetic scenes (sample_scene.py)"


def parse_size(text: str) -> int:
    """Parse ``500MB``, ``1.5 GB`` or a plain number of MB to bytes."""
    number, unit = text.strip().upper().removesuffix("B"), 1e6
    if number.endswith(("K", "M", "G")):
        number, unit = number[:-1], {"K": 1e3, "M": 1e6, "G": 1e9}[number[-1]]
    return int(float(number) * unit)


def make_input(folder: Path, size: int, *, seed: int = SEED) -> Path:
    """A TFRecord of at least ``size`` bytes, with the groups of a sample next to each other; made once."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("train_50SMG_*"):
        return path
    part, n, written = folder / ".part", 0, 0
    rng = np.random.default_rng(seed)
    series = _real_series(rng) if SCENES.exists() else _synthetic_series(rng)
    with open(part, "wb") as file:
        for localid in count():
            for example in _groups(localid, *next(series)):
                written += file.write(record(example))
                n += 1
                if written >= size:
                    break
            if written >= size:
                break
    return part.rename(folder / f"train_50SMG_{n}")


def shuffled(source: Path, folder: Path, *, seed: int = SEED) -> Path:
    """The same records in random order, so that the groups of a sample are apart; made once."""
    target = folder / source.name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    places, at = [], 0
    with open(source, "rb") as whole, open(folder / ".part", "wb") as part:
        while head := whole.read(8):
            places.append((at, 16 + struct.unpack("<Q", head)[0]))
            at = whole.seek(sum(places[-1]))
        for k in np.random.default_rng(seed).permutation(len(places)).tolist():
            whole.seek(places[k][0])
            part.write(whole.read(places[k][1]))
    return (folder / ".part").rename(target)


def _groups(localid: int, image: Array, label: Array, date: Array) -> Iterator[Example]:
    for group in np.array_split(np.arange(len(date)), -(-len(date) // GROUP)):
        arrays = (image[group], label[group].astype("i1"), date[group].astype("<i8"), np.ones(len(group), "<f4"))
        yield Example(localid, *arrays)


def _real_series(rng: np.random.Generator) -> Iterator[tuple[Array, Array, Array]]:
    """Yield images, labels and dates of one sample after another, each a crop of a scene over several years."""
    with np.load(SCENES) as arrays:
        scenes = [arrays["bands"], *arrays["eo"]]
    while True:
        scene, n = scenes[rng.integers(len(scenes))], int(rng.integers(*TIMES))
        y, x = (int(rng.integers(side - SIDE)) for side in scene.shape[1:])
        land = _turned(scene[:, y : y + SIDE, x : x + SIDE], rng).astype("f4")
        label = rng.choice(len(LABELS), n, p=LABELS)
        day = FIRST_DAY + 5 * np.arange(n) + rng.integers(0, 3, n)
        yield _under_weather(land, label, day, rng), label, day


def _under_weather(land: Array, label: Array, day: Array, rng: np.random.Generator) -> Array:
    """Images (n, 4, 42, 42) of ``land`` (4, 42, 42) on these days, with the weather of ``label``."""
    n = len(label)
    season = 1 + 0.18 * np.sin(2 * np.pi * (day - day[0] + rng.uniform(0, 365)) / 365)
    gain = season[:, None] * (1 + 0.05 * rng.standard_normal((n, len(land))))
    seen = land * gain[:, :, None, None].astype("f4")
    field = _fractal(rng, n)[:, None]
    for kind, (mean, spread) in CLOUDS.items():
        at = label == kind
        opacity = np.clip(mean + spread * field[at], 0, 1)
        seen[at] += opacity * (5500 * (1 + 0.1 * field[at]) - seen[at])
    seen[label == 4] *= np.clip(0.5 + 0.1 * field[label == 4], 0.2, 1)
    seen[label == 5] = 8600 * (1 + 0.05 * field[label == 5])
    seen += rng.standard_normal(seen.shape, "f4") * (4 + 0.004 * np.abs(seen))
    return np.clip(seen.round(), 0, 65535).astype("<u2")


def _fractal(rng: np.random.Generator, n: int, side: int = 64, slope: float = 1.6) -> Array:
    """Fields (n, 42, 42) with a power-law spectrum and unit variance."""
    square = np.fft.rfftfreq(side)[None] ** 2 + np.fft.fftfreq(side)[:, None] ** 2
    square[0, 0] = np.inf
    shape = (n, *square.shape)
    waves = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    fields = np.fft.irfft2(waves * square ** (-slope / 2), s=(side, side))
    return (fields / fields.std((1, 2), keepdims=True))[:, :SIDE, :SIDE].astype("f4")


def _synthetic_series(rng: np.random.Generator) -> Iterator[tuple[Array, Array, Array]]:
    """Yield a few series of synthetic scenes, rotated and with new noise each time: making one takes a second."""
    known = [_observed(tile, localid) for tile, localid in (("31TCJ", 16), ("34VFN", 222))]
    while True:
        image, label, date = known[rng.integers(len(known))]
        turned = _turned(image, rng).astype("i4")
        noise = rng.standard_normal(turned.shape, "f4") * (2 + 0.002 * turned)
        yield np.clip((turned + noise).round(), 0, 65535).astype("<u2"), label, date


def _observed(tile: str, localid: int, n: int = 64) -> tuple[Array, Array, Array]:
    top, left = (6 * int(pixel) - 18 for pixel in points(tile)[localid])
    land, dates = Land(tile, top, left), acquisitions(tile)[:n]
    rng = np.random.default_rng(land.seed)
    images, labels = zip(*(observe(land, weather(tile, d, top, left), d, rng) for d in dates), strict=True)
    return np.stack(images), np.array(labels), np.array(dates)


def _turned(image: Array, rng: np.random.Generator) -> Array:
    """Apply one of the eight symmetries of a square."""
    image = np.rot90(image, int(rng.integers(4)), (-2, -1))
    return image[..., ::-1] if rng.integers(2) else image


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=parse_size, default="500MB")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--shuffled", action="store_true", help="put the records in random order")
    options = parser.parse_args(arguments)
    path = make_input(options.folder, options.size, seed=options.seed)
    print(shuffled(path, options.folder / "shuffled", seed=options.seed) if options.shuffled else path)


if __name__ == "__main__":
    main()
