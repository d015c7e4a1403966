"""Ranks of ``torch.distributed`` train together to the end: real processes, gloo, gradients that are averaged."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from twins import slow

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import ObservationDataset, ShuffledDataset  # noqa: E402

PATIENCE = datetime.timedelta(seconds=60)  # a rank that waits for a batch of another rank fails after this
EPOCHS = 2


def train(rank: int, ranks: int, workers: int, options: dict, store: Path, folder: Path) -> None:
    """Train one rank and save the names of its samples in each batch of each epoch."""
    dist = torch.distributed
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks, timeout=PATIENCE)
    kind = ObservationDataset if options.get("size") else ShuffledDataset
    dataset = kind(store, scale=1e-4, crop=2, block_obs=32, mixed_blocks=3, **options)
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, multiprocessing_context="fork" if workers else None
    )
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(16, 6))
    seen = []
    for epoch in range(EPOCHS):
        dataset.set_epoch(epoch)
        own = []
        for batch in loader:
            model(batch["image"].flatten(1)).mean().backward()  # waits for all ranks
            again = batch["repeated"].tolist() if "repeated" in batch else [False] * len(batch["unit"])
            own.append(list(zip(batch["unit"], batch["localid"].tolist(), again, strict=True)))
        assert len(own) == len(loader)
        seen.append(own)
    torch.save(seen, folder / f"rank_{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("ranks", "workers", "options"),
    [
        (2, 3, {"batch_size": 2}),
        *(
            pytest.param(*one, marks=slow)
            for one in [
                (2, 0, {"batch_size": 5, "drop_last": True}),
                (3, 2, {"batch_size": 4, "pad": True}),
                (4, 1, {"batch_size": 3}),
                (4, 3, {"batch_size": 8, "pad": True, "drop_last": True}),
                (3, 2, {"max_observations": 20, "bucket_by_length": True}),
                (4, 1, {"batch_size": 5, "max_observations": 20, "pad": True}),
            ]
        ),
    ],
)
@pytest.mark.slow
def test_ranks_have_equal_batches_and_end_together(many, tmp_path, ranks, workers, options):
    torch.multiprocessing.spawn(train, (ranks, workers, options, many, tmp_path), nprocs=ranks)
    parts = [torch.load(tmp_path / f"rank_{rank}.pt") for rank in range(ranks)]
    for epoch in range(EPOCHS):
        by_length = "max_observations" in options
        assert len({len(part[epoch]) if by_length else tuple(map(len, part[epoch])) for part in parts}) == 1
        every = [sample for part in parts for batch in part[epoch] for sample in batch]
        once = [sample[:2] for sample in every if not sample[2]]
        assert len(once) == len(set(once))
        if not options.get("drop_last") and (not by_length or options.get("pad")):
            assert len(once) == (37 if options.get("pad") else 37 - 37 % ranks)


@pytest.mark.slow
def test_ranks_have_equal_batches_of_images_and_end_together(many, tmp_path):
    options = {"batch_size": 6, "size": 100, "balance": True}
    torch.multiprocessing.spawn(train, (3, 2, options, many, tmp_path), nprocs=3)
    parts = [torch.load(tmp_path / f"rank_{rank}.pt") for rank in range(3)]
    for epoch in range(EPOCHS):
        assert {tuple(map(len, part[epoch])) for part in parts} == {(6, 6, 6, 6, 6, 3)}
