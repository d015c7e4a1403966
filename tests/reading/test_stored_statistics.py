"""Statistics that a conversion stores: those of numpy, in every container, used only for what they are of, verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from twins import SUFFIXES

import s2ct_convert
from reading.test_statistics import pixels_of
from s2ct_convert.conversion.plan_file import read_plan, write_plan
from s2ct_convert.dataset import DATASET
from s2ct_convert.errors import DestinationExists, StoreDamaged, WrongUsage
from s2ct_convert.reading.groups import read_all
from s2ct_convert.reading.opening import open_store, open_to_verify
from s2ct_convert.reading.statistics import PERCENTILES
from s2ct_convert.store.digest import tables_digest
from s2ct_convert.units.options import PlanOptions
from s2ct_convert.units.plan import make_plan

UNITS = ("train/49RGN", "train/50SMG", "val/50SMG")  # k x k labels; two passes; no labels but one
HOLDS = "statistics"


@pytest.fixture(scope="module")
def measured(made_sources, tmp_path_factory):
    """The stores of ``made`` with statistics, by suffix."""
    folder = tmp_path_factory.mktemp("measured")

    def make(suffix: str) -> Path:
        path = folder / f"made.{suffix}"
        if not path.exists():
            s2ct_convert.convert(made_sources, path, statistics=True, jobs=1)
        return path

    return make


def same(a, b) -> bool:
    """Whether two Statistics are equal to the last bit."""
    pairs = [(one, other) for one, other in ((a.all, b.all), (a.clear, b.clear))]
    arrays = [(getattr(x, n), getattr(y, n)) for x, y in pairs for n in ("mean", "std", "percentiles", "histogram")] + [
        (getattr(a, n), getattr(b, n)) for n in ("class_counts", "class_weights")
    ]
    return all(x.observations == y.observations for x, y in pairs) and all(
        np.array_equal(x, y, equal_nan=True) for x, y in arrays
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_attributes_of_a_unit_are_the_numbers_of_numpy(measured, suffix):
    with open_store(measured(suffix)) as store:
        for name in UNITS:
            unit = store[name]
            for kind in ("all", "clear"):
                pixels = pixels_of(store, [name], clear=kind == "clear")
                found = {key.removeprefix(f"{HOLDS}_{kind}_"): value for key, value in unit.attributes.items()}
                assert found["observations"] * 42 * 42 == pixels.shape[1]
                if not pixels.size:  # of k x k labels, all must be clear
                    assert (name, kind, "mean" in found) == ("train/49RGN", "clear", False)
                    continue
                np.testing.assert_allclose(found["mean"], pixels.mean(axis=1), rtol=1e-9)
                np.testing.assert_allclose(found["std"], pixels.std(axis=1), rtol=1e-9)
                percentiles = [found[f"p{q:02}"] for q in PERCENTILES]
                np.testing.assert_allclose(percentiles, np.percentile(pixels, PERCENTILES, axis=1), rtol=1e-9)
            counts = [int((unit.label == number).sum()) for number in range(6)]
            assert list(unit.attributes[f"{HOLDS}_class_counts"]) == counts
            weights = store.select(split=unit.name.split, tile=unit.name.tile).statistics().class_weights
            assert list(unit.attributes[f"{HOLDS}_class_weights"]) == weights.tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_statistics_change_no_other_byte_of_a_unit(measured, made, suffix):
    with open_store(measured(suffix)) as store, open_store(made[suffix]) as without:
        assert store.digest == without.digest
        for name in UNITS:
            own, other = store[name].attributes, without[name].attributes
            assert {key for key in own if not key.startswith(HOLDS)} == other.keys()
    if suffix == "zarr":
        before = {
            path.relative_to(made[suffix]): path.read_bytes()
            for path in made[suffix].rglob("*/c/**/*")
            if path.is_file()
        }
        assert all(
            (measured(suffix) / path).read_bytes() == data for path, data in before.items() if path.parts[0] != "index"
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_stored_statistics_are_those_of_the_pixels(measured, made, suffix):
    with open_store(measured(suffix)) as store, open_store(made[suffix]) as without:
        for split in ("train", "val", None):
            found = store.statistics(split)
            assert same(found, store.statistics(split, from_pixels=True)) and same(found, without.statistics(split))
        for wanted in ({"label": "snow"}, {"localid": [9, 412]}, {"max_length": 3}):
            assert same(store.select(**wanted).statistics(), without.select(**wanted).statistics())
        clear = ["clear", "haze"]
        assert same(store.statistics(clear=clear), without.statistics(clear=clear))


def test_pixels_are_read_only_where_no_statistics_are_of_them(measured, tmp_path):
    own = Path(shutil.copytree(measured("zarr"), tmp_path / "own.zarr"))
    for name in UNITS:
        shutil.rmtree(own / name / "image/c")
    with open_store(own) as store:
        events = []
        assert store.statistics(None, on_event=events.append).all.observations == 241
        assert [event.done for event in events] == [50, 201, 241]
        for ask in ({"from_pixels": True}, {"clear": "haze"}):
            with pytest.raises(StoreDamaged, match="this shard is missing"):
                store.statistics(**ask)
        with pytest.raises(StoreDamaged, match="this shard is missing"):
            store.select(split="train", label="clear").statistics()


def forged(path: Path, change) -> list[str]:
    """Change a unit of an HDF5 store, compute its digest again as a careful forger does, and verify."""
    with h5py.File(path, "r+") as file:
        change(file["train/50SMG"])
    with open_to_verify(path) as store:
        node = store.tree.group("train/50SMG")
        digest = tables_digest(node.attributes, read_all(node))
    with h5py.File(path, "r+") as file:
        file["train/50SMG"].attrs["tables_digest"] = np.bytes_(digest)
    return list(map(str, s2ct_convert.verify_store(path).findings))


def raise_mean(group) -> None:
    group.attrs[f"{HOLDS}_clear_mean"] = group.attrs[f"{HOLDS}_clear_mean"] * (1 + 1e-15)


def move_pixel(group) -> None:
    array = group[f"{HOLDS}/all"]
    array[0, :2] += [1, -1]


def drop_std(group) -> None:
    del group.attrs[f"{HOLDS}_all_std"]


def invent(group) -> None:
    group.attrs[f"{HOLDS}_all_median"] = 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (raise_mean, "train/50SMG: statistics_clear_mean is"),
        (move_pixel, "train/50SMG: statistics/all differs from the pixels"),
        (drop_std, "train/50SMG: statistics_all_std is missing, by the pixels it is"),
        (invent, "train/50SMG: statistics_all_median is 1.0, by the pixels it is missing"),
    ],
)
def test_a_wrong_number_is_found_even_with_a_correct_digest(measured, tmp_path, change, message):
    own = Path(shutil.copy(measured("h5"), tmp_path))
    findings = forged(own, change)
    assert len(findings) == 1 and findings[0].startswith(message)


def test_a_changed_attribute_gives_exit_4_and_no_statistics(run, measured, tmp_path):
    own = Path(shutil.copytree(measured("zarr"), tmp_path / "own.zarr"))
    for path, inside in (
        (own / "train/50SMG/zarr.json", []),
        (own / "zarr.json", ["consolidated_metadata", "metadata", "train/50SMG"]),
    ):
        document = node = json.loads(path.read_text())
        for key in inside:
            node = node[key]
        node["attributes"][f"{HOLDS}_all_mean"][2] += 1e-9
        path.write_text(json.dumps(document))
    found = run("verify", "store", own)
    assert found.returncode == 4 and "statistics_all_mean is" in found.stdout
    with open_store(own) as store, pytest.raises(StoreDamaged, match="attributes or small arrays have changed"):
        store.statistics()


@pytest.mark.slow
def test_a_part_of_the_pixels_is_checked_against_the_attributes_only(measured, tmp_path):
    own = Path(shutil.copy(measured("h5"), tmp_path))
    assert s2ct_convert.verify_store(own, fraction=0.3).ok
    forged(own, raise_mean)
    findings = s2ct_convert.verify_store(own, fraction=0.3).findings
    assert [str(one).split(" is ")[0] for one in findings] == ["train/50SMG: statistics_clear_mean"]


def test_a_run_that_resumes_keeps_the_choice_of_statistics(made_sources, measured):
    with pytest.raises(DestinationExists, match="--codec balanced --statistics"):
        s2ct_convert.convert(made_sources, measured("zarr"))
    assert s2ct_convert.convert(made_sources, measured("zarr"), statistics=True).converted == ()


def test_a_plan_file_keeps_the_choice_of_statistics(made_sources, tmp_path):
    for wanted in (True, False):
        plan = make_plan(made_sources, tmp_path / "x.zarr", PlanOptions(statistics=wanted))
        write_plan(plan, tmp_path / "plan.json")
        assert read_plan(tmp_path / "plan.json").options.statistics is wanted
        assert ("statistics" in json.loads((tmp_path / "plan.json").read_text())) is wanted


def test_a_data_set_without_a_class_clear_has_no_stored_statistics(made_sources, tmp_path):
    import dataclasses

    other = dataclasses.replace(DATASET, classes=("open", *DATASET.classes[1:]))
    with pytest.raises(WrongUsage, match="has no class 'clear'"):
        make_plan(made_sources, tmp_path / "x.zarr", PlanOptions(statistics=True, dataset=other))
