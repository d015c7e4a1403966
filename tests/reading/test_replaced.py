"""A store rewritten while it is read: the reader gets the old store, the new store or an error, never a mixture."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import random_group, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.errors import Incomplete, MachineError, NotAStore, S2ctError, StoreDamaged
from s2ct_convert.reading.opening import open_store

from .damage import plain_value

KINDS = ("zarr", "h5", "linked")
RUNS = 3
UNITS = ("train/50SMG", "val/50SMG")
LOCALIDS = (3, 9)


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> list[list[Path]]:
    """Sources of two stores with the same units and samples and no common value."""
    out = []
    for seed in (1, 2):
        folder, rng = tmp_path_factory.mktemp("version"), np.random.default_rng(seed)
        groups = [random_group(rng, localid, 40, first_day=736_700 + 1000 * seed) for localid in LOCALIDS]
        out.append([write_tfrecord(folder, groups, unit=name.replace("/", "_")) for name in UNITS])
    return out


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def place(tmp_path, kind) -> Path:
    return Path(tmp_path / f"x.{'zarr' if kind == 'zarr' else 'h5'}")


def make(sources: list[Path], path: Path, kind: str) -> None:
    s2ct_convert.convert(sources, path, linked=kind == "linked", overwrite=True)


def parts(store: s2ct_convert.Store) -> Iterator[tuple[str, Any]]:
    """Everything in a store, piece by piece."""
    yield "samples", store.samples.rows
    for name in UNITS:
        for localid in LOCALIDS:
            yield f"{name} {localid}", store[name].sample(localid)
    for sample in store.select(split="val"):
        yield f"selected {sample.localid}", sample
    for name in ("sample_index", "example", "image_crc32c"):
        yield name, store["train/50SMG"][name][...]


def whole(path: Path) -> dict[str, Any]:
    with open_store(path) as store:
        return {name: plain_value(value) for name, value in parts(store)}


@pytest.fixture(scope="module")
def truths(versions, tmp_path_factory) -> list[dict[str, Any]]:
    out = []
    for sources in versions:
        path = tmp_path_factory.mktemp("truth") / "x.zarr"
        s2ct_convert.convert(sources, path)
        out.append(whole(path))
    return out


class Reader:
    """Reads a store repeatedly, and keeps one open until it raises an error."""

    def __init__(self, path: Path, truths: list[dict[str, Any]]) -> None:
        self._path, self._truths = path, truths
        self._held: s2ct_convert.Store | None = None
        self._held_truth: dict[str, Any] = {}
        self.read, self.refused = 0, 0

    def turn(self) -> None:
        """Open and read the store once, and read the one that is kept open."""
        try:
            with open_store(self._path) as store:
                self._compare(store, None)
                if self._held is None:
                    self._held = open_store(self._path)
                    self._held_truth = self._compare(self._held, None)
            if self._held is not None:
                self._compare(self._held, self._held_truth)
        except S2ctError as error:
            assert isinstance(error, NotAStore | Incomplete | StoreDamaged | MachineError), error
            self.refused += 1
            if self._held is not None and not isinstance(error, NotAStore | Incomplete):
                self._held.close()
                self._held = None

    def _compare(self, store: s2ct_convert.Store, truth: dict[str, Any] | None) -> dict[str, Any]:
        """Read a store and assert that all its parts belong to one version."""
        left = self._truths if truth is None else [truth]
        for name, value in parts(store):
            found = plain_value(value)
            left = [one for one in left if one[name] == found]
            assert left, f"{name} belongs to neither version, or not to the version of the parts before"
        self.read += 1
        return left[0]


def running(process: subprocess.Popen[str]) -> bool:
    """Whether the process is running. Waits 5 ms, which gives it CPU time."""
    try:
        process.wait(0.005)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.parametrize("kind", first_quick(KINDS))
@pytest.mark.slow
def test_a_reader_never_mixes_old_and_new_while_a_store_is_rewritten(versions, truths, place, kind, record_property):
    make(versions[0], place, kind)
    reader = Reader(place, truths)
    reader.turn()
    assert reader.read == 3
    for run in range(1, RUNS + 1):
        command = ["convert", *versions[run % 2], place, "--overwrite", *(["--linked"] if kind == "linked" else [])]
        with subprocess.Popen(
            [sys.executable, "-m", "s2ct_convert", *map(str, command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            while running(process):
                reader.turn()
            assert process.stderr
            assert process.returncode == 0, process.stderr.read()
    assert whole(place) == truths[RUNS % 2]
    record_property("damage", (f"{kind} rewritten while it is read, stores", reader.read, reader.refused))


@pytest.mark.parametrize("used", [False, True])
def test_an_open_store_reads_the_old_values_or_raises(versions, truths, place, kind, used):
    make(versions[0], place, kind)
    with open_store(place) as store:
        if used:
            for _ in parts(store):
                pass
        else:
            assert len(store.samples) == 4
        make(versions[1], place, kind)
        for ask in (
            lambda: store["train/50SMG"].sample(3),
            lambda: store["train/50SMG"]["example"][...],
            lambda: list(store.select(split="val")),
            lambda: store.index,
        ):
            if kind == "zarr":
                with pytest.raises(StoreDamaged):
                    ask()
            else:
                ask()
        if kind != "zarr":
            assert {name: plain_value(value) for name, value in parts(store)} == truths[0]


def test_a_store_rewritten_with_equal_content_is_still_read(versions, truths, place, kind, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    make(versions[0], place, kind)
    with open_store(place) as store:
        first = {name: plain_value(value) for name, value in parts(store)}
        make(versions[0], place, kind)
        assert {name: plain_value(value) for name, value in parts(store)} == first == truths[0]


def test_a_replaced_unit_is_not_mixed_with_the_old_index(versions, place, kind, tmp_path):
    """A conversion replaces a unit like this between two finalisations."""
    if kind == "h5":
        pytest.skip("all units are in one file")
    make(versions[0], place, kind)
    other = tmp_path / "other" / place.name
    other.parent.mkdir()
    make(versions[1], other, kind)
    store = open_store(place)
    unit = Path("train/50SMG") if kind == "zarr" else Path(f"../{place.name}.units/train_50SMG.h5")
    target, source = place / unit if kind == "zarr" else (place.parent / unit.relative_to("..")), other / unit
    if kind == "zarr":
        target.rename(tmp_path / "away")
        shutil.copytree(source, target)
    else:
        target.unlink()
        shutil.copy((other.parent / unit.relative_to("..")), target)
    if kind == "zarr":
        with pytest.raises(StoreDamaged, match="has changed since the store was opened"):
            store["train/50SMG"].sample(3)
    else:
        assert len(store["train/50SMG"].sample(3).time) == 40  # the old file is still open
    store.close()
    with pytest.raises(StoreDamaged), open_store(place) as again:
        again["train/50SMG"].sample(3)


def test_a_dataset_or_pickled_store_refuses_a_replaced_store(versions, place, kind):
    """Workers open the store again: a replaced store would not fit the table of the parent."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from s2ct_convert.torch import SampleDataset

    make(versions[0], place, kind)
    dataset = pickle.dumps(SampleDataset(place))
    with open_store(place) as store:
        pickled = pickle.dumps(store)
    assert len(pickle.loads(dataset)[0]["time"]) == 40
    make(versions[1], place, kind)
    with pytest.raises(StoreDamaged, match="has been replaced"):
        pickle.loads(dataset)[0]
    with pytest.raises(StoreDamaged, match="has been replaced"):
        pickle.loads(pickled)
