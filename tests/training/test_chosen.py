"""``samples=`` of the datasets: a selection, a part of the table, or a list."""

from __future__ import annotations

import numpy as np
import pytest

import s2ct_convert

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from s2ct_convert.torch import SampleDataset, ShuffledDataset  # noqa: E402


def content(items) -> list[tuple]:
    return [(item["unit"], item["localid"], item["time"].tolist(), item["image"].tobytes()) for item in items]


@pytest.mark.parametrize(
    "where",
    [
        {"months": (1, 3), "label": ["clear", "haze"], "max_length": 3, "seed": 1},
        {"tile": "50SMG", "split": "val"},
        {"max_length": 2},
    ],
)
@pytest.mark.every_variant
def test_a_selection_gives_the_observations_that_it_selects(made, where):
    with s2ct_convert.open_store(made["zarr"]) as store:
        selection = store.select(**where)
        dataset = SampleDataset(made["zarr"], samples=selection)
        shuffled = ShuffledDataset(made["zarr"], 1, samples=selection, collate=list)
        expected = [(one.unit, one.localid, one.time.tolist(), one.image.tobytes()) for one in selection]
    assert content(dataset) == expected
    assert sorted(content(batch[0] for batch in shuffled)) == sorted(expected)


def test_the_conditions_of_a_selection_and_of_the_dataset_both_hold(made):
    with s2ct_convert.open_store(made["zarr"]) as store:
        selection = store.select(months=1, label=["clear", "haze"])
        both = store.select(months=1, label="haze", tile="50SMG", time=slice("2018-01-10", None))
        dataset = SampleDataset(
            made["zarr"], samples=selection, label=["haze", "snow"], tile="50SMG", time=slice("2018-01-10", None)
        )
        assert content(dataset) == [(one.unit, one.localid, one.time.tolist(), one.image.tobytes()) for one in both]
    assert len(dataset) > 0


def test_one_side_of_a_fold_is_a_choice(made):
    with s2ct_convert.open_store(made["h5"]) as store:
        fold = store.samples.leave_one_out(by="tile")[0]
        for part in (fold.train, fold.test):
            np.testing.assert_array_equal(SampleDataset(made["h5"], samples=part).samples.rows, part.rows)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("val/50SMG", 2), ("train/50SMG", -5)], [("train/50SMG", -5), ("val/50SMG", 2)]),
        (np.array([8, 37, 8]), [("train/49RGN", 8), ("train/50SMG", 37)]),
        ((one for one in (412, ("val/50SMG", 1))), [("train/50SMG", 412), ("val/50SMG", 1)]),
        ([], []),
    ],
)
@pytest.mark.every_variant
def test_a_list_of_samples_is_a_choice(made, given, expected):
    dataset = SampleDataset(made["zarr"], samples=given)
    assert [(item["unit"], item["localid"]) for item in dataset] == expected


def test_samples_of_another_store_are_refused(made, many):
    with s2ct_convert.open_store(many) as store:
        for samples in (store.samples, store.select()):
            with pytest.raises(ValueError, match=r"these samples are from another store, not from .*made\.zarr"):
                SampleDataset(made["zarr"], samples=samples)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([412, 413], KeyError, "no sample 413 in these 7 samples"),
        ([("val/50SMG", 412)], KeyError, "no sample 412 of val/50SMG"),
        ("val/50SMG", TypeError, r"by its localid or by \(unit, localid\), not by 'v'"),
        ([1.5], TypeError, "not by 1.5"),
    ],
)
@pytest.mark.every_variant
def test_a_sample_that_does_not_exist_is_refused(made, given, error, message):
    with pytest.raises(error, match=message):
        ShuffledDataset(made["zarr"], 1, samples=given)
