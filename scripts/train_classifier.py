"""Trains a small classifier of the six cloud classes for one epoch on the CPU.

It shows how to feed PyTorch from a store, not how to detect clouds. Without a store it converts the bundled sample.

usage: python scripts/train_classifier.py [STORE] [--epochs 1] [--workers 0] [--seed 0]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

import s2ct_convert
from s2ct_convert.torch import ShuffledDataset

CLASSES = ("clear", "opaque cloud", "thin cloud", "haze", "cloud shadow", "snow")
SCALE = 1e-4  # of the published values: reflectance


def make_model() -> nn.Module:
    """A model from one patch to six scores, with about 24,000 parameters."""

    def stage(n_in: int, n_out: int) -> list[nn.Module]:
        return [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]

    stages = [*stage(4, 16), *stage(16, 32), *stage(32, 64)]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(CLASSES)))


def run(loader: DataLoader, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> tuple[float, float, int]:
    """Return mean loss, fraction of correct labels and number of observations; train if an optimizer is given."""
    model.train(optimizer is not None)
    loss_sum, right, seen = 0.0, 0, 0
    for batch in loader:
        image, label = batch["image"], batch["label"].long()
        known = (label >= 0) & (label < len(CLASSES))
        image, label = image[known], label[known]
        with torch.set_grad_enabled(optimizer is not None):
            scores = model(image)
            loss = nn.functional.cross_entropy(scores, label)
        if optimizer:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss_sum += float(loss.detach()) * len(label)
        right += int((scores.argmax(1) == label).sum())
        seen += len(label)
    return loss_sum / seen, right / seen, seen


def train(store: Path, *, epochs: int, workers: int, seed: int) -> None:
    """Train on the split ``train`` and print the loss on both splits."""
    torch.manual_seed(seed)
    loaders, datasets = {}, {}
    for split in ("train", "val"):
        # A batch is 2 samples, each with its whole series. The dataset makes the batches, not the DataLoader.
        datasets[split] = ShuffledDataset(store, 2, split=split, seed=seed, scale=SCALE)
        loaders[split] = DataLoader(
            datasets[split],
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
        )
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(epochs):
        datasets["train"].set_epoch(epoch)
        loss, right, seen = run(loaders["train"], model, optimizer)
        print(f"epoch {epoch + 1}: train loss {loss:.3f}, {right:.0%} of {seen:,} observations right")
    loss, right, seen = run(loaders["val"], model, None)
    print(f"val loss {loss:.3f}, {right:.0%} of {seen:,} observations right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, nargs="?", help="a Zarr or HDF5 store; default: the bundled sample")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes of the DataLoader")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    options = {"epochs": given.epochs, "workers": given.workers, "seed": given.seed}
    if given.store:
        train(given.store, **options)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "sample.zarr"
        s2ct_convert.convert(s2ct_convert.sample_sources(), store)
        train(store, **options)


if __name__ == "__main__":
    main()
