"""What every test may use: the bundled sample, the shared archives where they are, the command as a user runs it."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hdf5plugin  # noqa: F401  # before netCDF4, whose own Blosc filter can read but not write
import numpy as np
import pytest
from cli.forkserver import ForkServer
from makers import random_group, tfrecord_bytes, write_tfrecord

import s2ct_convert

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
EXPECTED = Path(__file__).parent / "data" / "sample_expected.json"

MANY_PROCESSES = {"archives", "cli", "conversion", "engines", "readers", "reading", "record", "store", "training"}
MANY_PROCESSES |= {"units", "verify", "croissant", "export", "objects", "peeking", "pictures", "viewer"}
LONG = {"conversion", "engines"}
QUICK_VARIANTS = 1  # of each parametrized test in these rooms, in `make test`

S2ct = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    """Hear Ctrl-C where a shell began the tests in the background: what they start would not hear it either."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most variants of tests that start processes to `make test-all`: they make one promise of many inputs."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)  # or one worker would end with them alone
    seen: Counter[tuple[Path, str]] = Counter()
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.path.parent.name in MANY_PROCESSES:
            if item.get_closest_marker("slow") or item.get_closest_marker("every_variant"):
                continue
            test = (item.path, item.nodeid.partition("[")[0])
            seen[test] += 1
            if seen[test] > QUICK_VARIANTS:
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Spare every collection of garbage, and every fork, the walk through all that is loaded by now."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20180102)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Run ``s2ct`` in a process of its own that has its imports already; no terminal."""
    server = ForkServer(tmp_path_factory.mktemp("forked"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def s2ct(run: ForkServer) -> S2ct:
    """As ``run``; with options of ``subprocess.run``, such as ``env``, in a new process, as a shell does."""

    def either(*args: object, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        if not options:
            return run(*args, cwd=cwd)
        command = [sys.executable, "-m", "s2ct_convert", *map(str, args)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, **options)

    return either


@pytest.fixture(params=["sample", "shared"], scope="session")
def real_sources(request: pytest.FixtureRequest) -> tuple[list[Path], dict[str, Any]]:
    """Real archives with the truth about them: by the maker of the bundled sample, and by TensorFlow."""
    if request.param == "sample":
        return s2ct_convert.sample_sources(), json.loads(EXPECTED.read_text())
    if not SHARED.exists():
        pytest.skip("the archives written by TensorFlow and 7-Zip are not here")
    return sorted(SHARED.glob("*.7z")), json.loads((SHARED / "expected.json").read_text())


@pytest.fixture(params=["zarr", "h5"], scope="session")
def suffix(request: pytest.FixtureRequest) -> str:
    """Both containers, by the suffix of a store."""
    return str(request.param)


@pytest.fixture(scope="session")
def sample_stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundled sample in both containers, by suffix. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("stores")
    stores = {suffix: folder / f"sample.{suffix}" for suffix in ("zarr", "h5")}
    for path in stores.values():
        s2ct_convert.convert(s2ct_convert.sample_sources(), path)
    return stores


def is_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def made_sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three units of two tiles: samples out of order and in pieces, both kinds of labels, extreme values."""
    rng = np.random.default_rng(7)
    folder = tmp_path_factory.mktemp("sources")
    smg = [random_group(rng, localid, n) for localid, n in ((412, 100), (37, 20), (-5, 1), (412, 30))]
    smg[1].image[:2], smg[1].image[2:4] = 0, 65535
    smg[1].weights = None
    val = [random_group(rng, localid, 20) for localid in (1, 2)]
    rgn = [random_group(rng, localid, 25, label_pixels=36) for localid in (8, 9)]
    return [
        write_tfrecord(folder, smg, unit="train_50SMG"),
        write_tfrecord(folder, val, unit="val_50SMG"),
        write_tfrecord(folder, rgn, unit="train_49RGN"),
    ]


@pytest.fixture(scope="session")
def made(made_sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores of them: ``zarr``, ``h5``, ``blosc`` (HDF5) and ``linked`` (HDF5). Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("made")
    stores = {"zarr": folder / "made.zarr", "h5": folder / "made.h5"}
    stores |= {kind: folder / kind / "made.h5" for kind in ("blosc", "linked")}
    for kind, path in stores.items():
        path.parent.mkdir(exist_ok=True)
        codec = "blosc" if kind == "blosc" else None
        s2ct_convert.convert(made_sources, path, codec=codec, linked=kind == "linked")
    return stores


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Of mutated stores: how many were found, and how many were as good as before to every reader.

    Of damaged ones: how many answers were right, and how many were refused.
    """
    totals: dict[str, list[int]] = {}
    damage: dict[str, list[int]] = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name in ("mutations", "damage"):
                what, *counts = value
                sums = totals if name == "mutations" else damage
                sums[what] = [a + b for a, b in zip(sums.get(what, [0, 0]), counts, strict=True)]
    for what, (found, harmless) in sorted(totals.items()):
        terminalreporter.write_line(
            f"{what}: {found} of {found + harmless} found, {harmless} without effect for a reader"
        )
    for what, (right, refused) in sorted(damage.items()):
        terminalreporter.write_line(f"{what}: {right:,} answers right, {refused:,} refused, 0 wrong")


LONG_UNITS = ("train_31TCJ", "train_34VFN", "train_50SMG", "val_50SMG")


@pytest.fixture(scope="session")
def long_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of 17 MB each, whose samples come in pieces, so that a unit takes two passes."""
    rng, folder = np.random.default_rng(61), tmp_path_factory.mktemp("long")
    data = tfrecord_bytes([random_group(rng, localid, 50) for localid in (3, 1, 2, 0)]) * 6
    for unit in LONG_UNITS:
        (folder / f"{unit}_24").write_bytes(data)
    return folder
