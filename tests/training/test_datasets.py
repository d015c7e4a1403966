"""Datasets with real torch: DataLoaders with fork and spawn, items, selections."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from twins import first_quick

from s2ct_convert.errors import StoreDamaged
from s2ct_convert.reading.opening import open_store

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import SampleDataset, ShuffledDataset, collate_ragged  # noqa: E402

SMALL = {"block_obs": 64, "mixed_blocks": 2}


@pytest.fixture(params=["zarr", "h5"])
def path(request, made) -> Path:
    return Path(made[request.param])


def half(item: dict) -> dict:
    """A transform that workers can unpickle."""
    return {**item, "image": item["image"] // 2}


class TestSamples:
    def test_an_item_is_a_sample(self, path):
        dataset = SampleDataset(path, tile="50SMG")
        assert len(dataset) == 5
        with open_store(path) as store:
            for item in dataset:
                expected = store[item["unit"]].sample(item["localid"])
                for name, array in expected._asdict().items():
                    np.testing.assert_array_equal(item[name], array)
        with pytest.raises(IndexError):
            dataset[5]

    def test_a_batch_has_its_items_in_the_given_order(self, path):
        dataset = SampleDataset(path)
        batch = dataset.__getitems__([6, 0, 2, 0])
        assert [(i["unit"], i["localid"]) for i in batch] == [
            (dataset[k]["unit"], dataset[k]["localid"]) for k in (6, 0, 2, 0)
        ]

    def test_a_dataset_can_be_pickled_after_a_read(self, path):
        dataset = SampleDataset(path, transform=half)
        first = dataset[0]
        again = pickle.loads(pickle.dumps(dataset))
        np.testing.assert_array_equal(again[0]["image"], first["image"])

    def test_filters_select_samples_and_reject_unknown_tiles(self, path):
        assert [i["localid"] for i in SampleDataset(path, split="val")] == [1, 2]
        with pytest.raises(KeyError, match="no tile"):
            SampleDataset(path, tile="XX")


@pytest.mark.parametrize(
    ("kind", "how"),
    first_quick([("samples", "fork"), ("shuffled", "fork"), ("shuffled", "spawn"), ("samples", "spawn")], quick=2),
)
@pytest.mark.parametrize("path", first_quick(["zarr", "h5"]), indirect=True)
def test_two_workers_match_no_workers_after_the_parent_has_read(path, how, kind):
    """The store has one unit for each of two forms of labels."""
    if kind == "samples":
        dataset, options = SampleDataset(path, tile="50SMG"), {"batch_size": 2, "collate_fn": collate_ragged}
    else:
        dataset, options = ShuffledDataset(path, 2, tile="50SMG", **SMALL), {"batch_size": None}

    def content(**more) -> list[tuple]:
        out = []
        for batch in DataLoader(dataset, **options, **more):
            for k, (low, high) in enumerate(zip(batch["offsets"][:-1], batch["offsets"][1:], strict=True)):
                arrays = tuple(batch[n][low:high].numpy().tobytes() for n in ("image", "label", "time", "weight"))
                out.append((batch["unit"][k], int(batch["localid"][k]), *arrays))
        return out

    alone = content()
    assert len(alone) == 5
    assert content(num_workers=2, multiprocessing_context=how) == alone


@pytest.mark.parametrize("lost", first_quick(["label/c/0", "image/c/0/0/0/0", "example/c/0", "zarr.json"]))
@pytest.mark.parametrize("how", first_quick(["fork", "spawn"]))
def test_damage_in_a_worker_raises_in_the_training_loop(made, tmp_path, lost, how):
    import shutil

    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    (own / "val/50SMG" / lost).unlink()
    samples, shuffled = SampleDataset(own, split="val"), ShuffledDataset(own, 1, split="val", **SMALL)
    for dataset, options in ((samples, {"collate_fn": collate_ragged}), (shuffled, {"batch_size": None})):
        loader = DataLoader(dataset, num_workers=1, multiprocessing_context=how, **options)
        with pytest.raises(StoreDamaged, match="is missing"):
            list(loader)


class TestItems:
    def test_the_datasets_are_datasets_of_torch(self, path):
        assert isinstance(SampleDataset(path), torch.utils.data.Dataset)
        assert isinstance(ShuffledDataset(path, 1), torch.utils.data.IterableDataset)
        first, rest = torch.utils.data.random_split(SampleDataset(path), [3, 4])
        assert (len(first), len(rest)) == (3, 4)

    @pytest.mark.parametrize(
        "where",
        [
            {"time": "2018-02"},
            {"label": "clear", "split": "train", "tile": "50SMG"},
            {"label": ["haze", "snow"], "time": slice("2018-01-20", "2018-03-10")},
            {"localid": [412, 8], "time": slice(None, "2018-01-05")},
        ],
    )
    def test_time_and_label_keep_the_observations_that_select_keeps(self, path, where):
        with open_store(path) as store:
            expected = list(store.select(**where))
        dataset = SampleDataset(path, **where)
        items = list(dataset)
        assert dataset.samples["localid"].tolist() == [item["localid"] for item in items]
        assert 0 < len(items) == len(expected)
        shuffled = {(b["unit"][0], int(b["localid"])): b for b in ShuffledDataset(path, 1, **where, **SMALL)}
        assert len(shuffled) == len(items)
        for item, one in zip(items, expected, strict=True):
            assert (item["unit"], item["localid"]) == (one.unit, one.localid)
            for name in ("image", "label", "time", "weight"):
                np.testing.assert_array_equal(item[name], getattr(one, name))
                np.testing.assert_array_equal(shuffled[one.unit, one.localid][name].numpy(), getattr(one, name))

    def test_unknown_arguments_are_refused(self, path):
        for make in (lambda: SampleDataset(path, tiem="2018"), lambda: ShuffledDataset(path, 1, tiem="2018")):
            with pytest.raises(TypeError, match="tiem"):
                make()

    @pytest.mark.parametrize(
        ("options", "dtype", "factor"),
        [
            ({"scale": 1e-4}, np.float32, 1e-4),
            ({"dtype": "float32"}, np.float32, 1),
            ({"dtype": "float16", "scale": 1e-4}, np.float16, 1e-4),
            ({"dtype": np.float64, "scale": 0.5}, np.float64, 0.5),
            ({"dtype": "int32"}, np.int32, 1),
        ],
    )
    def test_images_have_the_given_dtype_and_scale(self, made, options, dtype, factor):
        stored, item = (SampleDataset(made["zarr"], localid=37, **given)[0]["image"] for given in ({}, options))
        assert item.dtype == dtype
        assert item.max() > 0
        np.testing.assert_allclose(item, stored * factor, rtol=1e-3 if dtype == np.float16 else 1e-6)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"dtype": "int16"}, "'int16' cannot hold"),
            ({"dtype": "float16"}, "'float16' cannot hold"),
            ({"dtype": "int32", "scale": 1e-4}, "use a larger float dtype"),
            ({"dtype": "float16", "scale": 1.0}, "use a larger float dtype"),
            ({"dtype": "float17"}, "not a dtype of numpy"),
            ({"crop": 0}, "at least 1"),
        ],
    )
    def test_a_dtype_that_cannot_hold_the_values_is_refused(self, made, options, message):
        with pytest.raises(ValueError, match=message):
            SampleDataset(made["zarr"], **options)

    def test_a_crop_is_the_centre_of_the_patch(self, made):
        stored, item = (SampleDataset(made["zarr"], localid=37, **given)[0]["image"] for given in ({}, {"crop": 6}))
        np.testing.assert_array_equal(item, stored[..., 18:24, 18:24])
        with pytest.raises(ValueError, match="larger than a patch of 42 x 42"):
            SampleDataset(made["zarr"], crop=43)[0]


def test_the_package_imports_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import s2ct_convert.torch as t\n"
        "from s2ct_convert.errors import S2ctError\n"
        "for use in (lambda: t.ShuffledDataset, lambda: t.SampleDataset, lambda: t.ObservationDataset,\n"
        "            lambda: t.collate_ragged([]), lambda: t.collate_padded([])):\n"
        "    try: use()\n"
        "    except ImportError as e: assert isinstance(e, S2ctError) and 'needs PyTorch' in str(e), e\n"
        "    else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, s2ct_convert.torch; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
