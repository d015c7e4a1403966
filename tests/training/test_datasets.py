"""Datasets with real torch: DataLoaders with fork and spawn, batches, ranks."""

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
from s2ct_convert.torch import SampleDataset, collate_padded, collate_ragged

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import ShuffledDataset  # noqa: E402

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
        dataset, options = SampleDataset(path, tile="50SMG"), {}
    else:
        dataset, options = ShuffledDataset(path, tile="50SMG", **SMALL), {}
    options = {"batch_size": 2, "collate_fn": collate_ragged, **options}

    def content(**more) -> list[tuple]:
        out = []
        for batch in DataLoader(dataset, **options, **more):
            for k, (low, high) in enumerate(zip(batch["offsets"][:-1], batch["offsets"][1:], strict=True)):
                arrays = tuple(batch[n][low:high].numpy().tobytes() for n in ("image", "label", "time", "weight"))
                out.append((batch["unit"][k], int(batch["localid"][k]), *arrays))
        return out

    alone = content()
    assert len(alone) == 5
    with_workers = content(num_workers=2, multiprocessing_context=how)
    if kind == "samples":
        assert with_workers == alone
    else:
        assert sorted(with_workers) == sorted(alone)
        assert content(num_workers=2, multiprocessing_context=how) == with_workers


@pytest.mark.parametrize("lost", first_quick(["label/c/0", "image/c/0/0/0/0", "example/c/0", "zarr.json"]))
@pytest.mark.parametrize("how", first_quick(["fork", "spawn"]))
def test_damage_in_a_worker_raises_in_the_training_loop(made, tmp_path, lost, how):
    import shutil

    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    (own / "val/50SMG" / lost).unlink()
    for dataset in (SampleDataset(own, split="val"), ShuffledDataset(own, split="val", **SMALL)):
        loader = DataLoader(dataset, num_workers=1, collate_fn=collate_ragged, multiprocessing_context=how)
        with pytest.raises(StoreDamaged, match="is missing"):
            list(loader)


class TestShuffled:
    def test_epochs_differ_and_can_be_repeated(self, path):
        dataset = ShuffledDataset(path, seed=5, **SMALL)

        def order(epoch: int) -> list[tuple[str, int]]:
            dataset.set_epoch(epoch)
            return [(i["unit"], i["localid"]) for i in dataset]

        orders = [order(epoch) for epoch in range(4)]
        assert len({tuple(one) for one in orders}) > 1
        assert order(0) == orders[0]
        assert all(sorted(one) == sorted(orders[0]) for one in orders)

    def test_persistent_workers_use_the_next_epoch(self, path):
        dataset = ShuffledDataset(path, tile="50SMG", **SMALL)
        loader = DataLoader(
            dataset, batch_size=None, num_workers=1, persistent_workers=True, multiprocessing_context="spawn"
        )
        orders = []
        for epoch in range(4):
            dataset.set_epoch(epoch)
            orders.append([(i["unit"], int(i["localid"])) for i in loader])
        alone = []
        for epoch in range(4):
            dataset.set_epoch(epoch)
            alone.append([(i["unit"], i["localid"]) for i in dataset])
        assert orders == alone

    def test_ranks_share_an_epoch_without_overlap(self, path):
        parts = [ShuffledDataset(path, rank=rank, ranks=2, **SMALL) for rank in (0, 1)]
        found = [{(i["unit"], i["localid"]) for i in part} for part in parts]
        assert not found[0] & found[1]
        assert len(found[0]) == len(found[1]) == len(parts[0])

    def test_a_rank_out_of_range_raises(self, path):
        with pytest.raises(ValueError, match="rank 2 of 2"):
            ShuffledDataset(path, rank=2, ranks=2)

    def test_the_transform_is_applied(self, path):
        assert int(next(iter(ShuffledDataset(path, localid=37, transform=half)))["image"].max()) == 32767


class TestCollate:
    @pytest.fixture
    def items(self, made) -> list:
        dataset = SampleDataset(made["zarr"], tile="50SMG", split="train")
        return [dataset[i] for i in (1, 0, 2)]

    def test_a_ragged_batch_makes_nested_tensors(self, items):
        batch = collate_ragged(items)
        assert batch["offsets"].tolist() == [0, 20, 21, 151]
        assert batch["image"].dtype == torch.uint16
        nested = torch.nested.nested_tensor_from_jagged(batch["image"].float(), batch["offsets"])
        for part, item in zip(nested.unbind(), items, strict=True):
            np.testing.assert_array_equal(part.numpy(), item["image"].astype(np.float32))
        assert batch["localid"].tolist() == [37, -5, 412]

    def test_a_padded_batch_has_a_mask(self, items):
        batch = collate_padded(items)
        assert batch["image"].shape == (3, 130, 4, 42, 42)
        assert batch["mask"].sum(1).tolist() == [20, 1, 130]
        for k, item in enumerate(items):
            n = len(item["time"])
            np.testing.assert_array_equal(batch["image"][k, :n].numpy(), item["image"])
            assert not batch["image"][k, n:].any()
            assert (batch["label"][k, n:] == -1).all()
            assert batch["mask"][k].tolist() == [True] * n + [False] * (130 - n)


def test_the_package_imports_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import s2ct_convert.torch as t\n"
        "from s2ct_convert.errors import S2ctError\n"
        "for use in (lambda: t.ShuffledDataset, lambda: t.collate_ragged([]), lambda: t.collate_padded([])):\n"
        "    try: use()\n"
        "    except ImportError as e: assert isinstance(e, S2ctError) and 'needs PyTorch' in str(e), e\n"
        "    else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, s2ct_convert.torch; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
