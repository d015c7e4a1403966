"""Batches of items with any keys: series are joined, other arrays and numbers stacked, the rest is listed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from s2ct_convert.torch import SampleDataset, ShuffledDataset, collate_padded, collate_ragged  # noqa: E402


@pytest.fixture(scope="module")
def items(made) -> list[dict]:
    """Items of 20, 1 and 130 observations."""
    dataset = SampleDataset(made["zarr"], tile="50SMG", split="train")
    return [dataset[i] for i in (1, 0, 2)]


def test_a_ragged_batch_makes_nested_tensors(items):
    batch = collate_ragged(items)
    assert batch["offsets"].tolist() == [0, 20, 21, 151]
    assert batch["image"].dtype == torch.uint16
    nested = torch.nested.nested_tensor_from_jagged(batch["image"].float(), batch["offsets"])
    for part, item in zip(nested.unbind(), items, strict=True):
        np.testing.assert_array_equal(part.numpy(), item["image"].astype(np.float32))
    assert batch["localid"].tolist() == [37, -5, 412]
    assert batch["unit"] == ["train/50SMG"] * 3


def test_a_padded_batch_has_a_mask(items):
    batch = collate_padded(items)
    assert batch["image"].shape == (3, 130, 4, 42, 42)
    assert batch["mask"].sum(1).tolist() == [20, 1, 130]
    for k, item in enumerate(items):
        n = len(item["time"])
        np.testing.assert_array_equal(batch["image"][k, :n].numpy(), item["image"])
        assert not batch["image"][k, n:].any()
        assert (batch["label"][k, n:] == -1).all()
        assert batch["mask"][k].tolist() == [True] * n + [False] * (130 - n)


def changed(item: dict) -> dict:
    """A transform that removes, adds and converts keys."""
    new = {name: value for name, value in item.items() if name not in ("weight", "localid")}
    image = torch.from_numpy(item["image"].astype(np.float32))
    return {
        **new,
        "image": image,
        "ndvi": (image[:, 3] - image[:, 2]) / (image[:, 3] + image[:, 2] + 1),
        "place": np.array([1.5, 2.5]),
        "cloudy": bool((item["label"] == 1).any()),
        "mean": float(image.mean()),
        "year": np.int16(2018),
        "note": None,
    }


@pytest.mark.parametrize("collate", [collate_ragged, collate_padded])
def test_transforms_may_add_remove_and_convert_keys(made, items, collate):
    expected = [changed(item) for item in items]
    batch = collate(expected)
    assert batch.keys() == {*expected[0], "offsets" if collate is collate_ragged else "mask"}
    for k, item in enumerate(expected):
        for name in ("image", "ndvi", "label", "time"):
            low, high = (0, 20, 21, 151)[k : k + 2]
            own = batch[name][low:high] if collate is collate_ragged else batch[name][k, : high - low]
            assert torch.equal(own, torch.as_tensor(item[name]))
    assert batch["place"].tolist() == [[1.5, 2.5]] * 3
    assert batch["mean"].shape == (3,)
    assert (batch["cloudy"].dtype, batch["year"].dtype, batch["note"]) == (torch.bool, torch.int16, [None] * 3)
    own = ShuffledDataset(made["zarr"], 3, localid=[-5, 37, 412], transform=changed, collate=collate)
    (found,) = own
    assert found.keys() == batch.keys()


def test_images_of_one_size_are_stacked_where_time_was_averaged(items):
    means = [{"image": item["image"].mean(0), "time": item["time"]} for item in items]
    batch = collate_ragged(means)
    assert batch["image"].shape == (3, 4, 42, 42)
    assert batch["time"].shape == (151,)


def test_only_the_named_series_are_collated_as_series(items):
    some = [{"time": item["time"][:2], "pair": np.zeros(2)} for item in (items[0], items[2])]
    assert collate_ragged(some)["pair"].shape == (4,)
    assert collate_ragged(some, series=["time"])["pair"].shape == (2, 2)
    assert collate_padded(some, series=["pair", "time"])["pair"].shape == (2, 2)


@pytest.mark.parametrize("collate", [collate_ragged, collate_padded])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"time": np.zeros(2)}, {"label": np.zeros(2)}], r"different keys: \['time'\] and \['label'\]"),
        ([{"localid": 3}], "items have no series: none of time, label"),
        ([(np.zeros(3), 1)], "items must be dicts, and this one is a tuple"),
        ([], "no items"),
        (
            [{"time": np.zeros(2), "label": np.zeros(2)}, {"time": np.zeros(3), "label": np.zeros((3, 6, 6))}],
            r"'label' cannot be joined to a batch: float64 \(2,\), float64 \(3, 6, 6\)",
        ),
        ([{"time": np.zeros(2), "a": np.zeros(1)}, {"time": np.zeros(3), "a": np.zeros(2)}], "'a' cannot be joined"),
        ([{"time": np.zeros(2), "mask": 1, "offsets": 1}], "items have a key '(mask|offsets)'"),
    ],
)
def test_items_that_make_no_batch_are_refused_by_key(collate, given, message):
    with pytest.raises(ValueError, match=message):
        collate(given)


def test_a_named_series_of_another_length_is_refused(items):
    with pytest.raises(ValueError, match="'localid' is not a series"):
        partial(collate_ragged, series=["time", "localid"])(items)
