"""Trains a small classifier of the six cloud classes: a CNN for each date, and a GRU over the dates of a series.

Copy it and change it. Without a store it converts the bundled sample, whose scenes are synthetic. A result there says
that the code learns, and nothing about clouds in real images.

usage: python scripts/train_classifier.py [STORE] [--epochs 80] [--checkpoint FILE] [--device cuda] [--workers 2]
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader

import s2ct_convert
from s2ct_convert.torch import ShuffledDataset, collate_padded

CLASSES = ("clear", "opaque cloud", "thin cloud", "haze", "cloud shadow", "snow")
YEAR = 365.2425  # days
LONGEST = 64  # dates of a series in one training batch; evaluation sees the whole series


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    epochs: int = 80
    batch: int = 4  # samples, each with its series
    rate: float = 3e-3  # learning rate at the start
    seed: int = 0
    workers: int = 0  # processes of each DataLoader
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint: Path | None = None  # written after each epoch; training resumes from it


@dataclass(frozen=True)
class Result:
    """Result on the split ``val``: ``confusion[i, j]`` observations have label i, and the model found class j."""

    confusion: Tensor  # (6, 6) int64

    @property
    def accuracy(self) -> float:
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def majority(self) -> float:
        """Accuracy of the best constant answer: the class that is most frequent in ``val``."""
        return float(self.confusion.sum(1).max() / self.confusion.sum())

    @property
    def balanced(self) -> float:
        """Mean recall of the classes that occur."""
        labels = self.confusion.sum(1)
        return float((self.confusion.diag() / labels)[labels > 0].mean())

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur."""
        labels, found = self.confusion.sum(1), self.confusion.sum(0)
        return float((2 * self.confusion.diag() / (labels + found))[labels > 0].mean())

    def __str__(self) -> str:
        lines = [
            f"val accuracy {self.accuracy:.2f}, majority class {self.majority:.2f}",
            f"balanced accuracy {self.balanced:.2f}, macro-F1 {self.macro_f1:.2f}",
            f"{'label':14} found as" + "".join(f"{number:8}" for number in range(len(CLASSES))),
        ]
        for number, (name, row) in enumerate(zip(CLASSES, self.confusion.tolist(), strict=True)):
            lines.append(f"{number} {name:21}" + "".join(f"{count:8,}" for count in row))
        return "\n".join(lines)


class Classifier(nn.Module):
    """Six scores for each date of a series.

    Parameters
    ----------
    mean, std : Tensor
        (4,), of the pixels of the training split, in published values.
    """

    def __init__(self, mean: Tensor, std: Tensor, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("std", std[:, None, None])

        def conv(n_in: int, n_out: int, stride: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.GroupNorm(4, n_out), nn.ReLU()]

        layers = [*conv(4, width // 2, stride=2), *conv(width // 2, width), nn.MaxPool2d(2)]
        self.cnn = nn.Sequential(*layers, *conv(width, width), nn.MaxPool2d(2))  # 42 -> 21 -> 10 -> 5 pixels
        self.gru = nn.GRU(2 * width + 3, width, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(4 * width, len(CLASSES))

    def forward(self, image: Tensor, days: Tensor, mask: Tensor) -> Tensor:
        """image (batch, dates, 4, 42, 42), days and mask (batch, dates) to scores (batch, dates, 6)."""
        maps = self.cnn((image[mask] - self.mean) / self.std)  # only real dates, (n, width, 5, 5)
        one = torch.cat([maps.mean((2, 3)), maps[:, :, 2, 2]], 1)  # the patch, and its labelled centre
        dates = one.new_zeros(*mask.shape, one.shape[1])
        dates[mask] = one
        gap = days.diff(dim=1, prepend=days[:, :1]).clamp(0, 365)  # since the date before
        turn = days % YEAR * (2 * math.pi / YEAR)  # the season
        when = torch.stack([turn.sin(), turn.cos(), gap.log1p()], 2)
        known = torch.cat([dates, when], 2)
        packed = pack_padded_sequence(known, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        series, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.head(self.drop(torch.cat([dates, series], 2)))


def augment(image: Tensor) -> Tensor:
    """Turn, mirror and brighten a batch at random, all dates of all its samples alike."""
    turns, mirrored, bright = int(torch.randint(4, ())), bool(torch.rand(()) < 0.5), 1 + 0.05 * float(torch.randn(()))
    image = torch.rot90(image, turns, (-2, -1)) * bright
    return image.flip(-1) if mirrored else image


class Training:
    """The model with its optimizer and data: ``epoch`` trains on the split ``train``, ``evaluate`` uses ``val``."""

    def __init__(self, store: Path, options: Options) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        with s2ct_convert.open_store(store) as opened:
            found = opened.statistics(split="train")  # nothing of val
        mean, std, weights = (
            torch.tensor(values, dtype=torch.float32, device=options.device)
            for values in (found.all.mean, found.all.std, found.class_weights)
        )
        self.model = Classifier(mean, std).to(options.device)
        self.loss = nn.CrossEntropyLoss(weights)  # a rare class counts as much as a frequent one
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        self.train = self._dataset(store, "train", max_length=LONGEST)
        self.loaders = {"train": self._loader(self.train), "val": self._loader(self._dataset(store, "val"))}

    def _dataset(self, store: Path, split: str, **more: Any) -> ShuffledDataset:
        same = {"seed": self.options.seed, "dtype": "float32", "collate": collate_padded}
        return ShuffledDataset(store, self.options.batch, split=split, **same, **more)

    def _loader(self, dataset: ShuffledDataset) -> DataLoader:
        return DataLoader(
            dataset,
            batch_size=None,  # the dataset makes the batches
            num_workers=self.options.workers,
            multiprocessing_context="spawn" if self.options.workers else None,
            persistent_workers=self.options.workers > 0,
            pin_memory=self.options.device.startswith("cuda"),
            generator=torch.Generator(),  # or it would draw from that of the model
        )

    def _scored(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Scores (n, 6) and labels (n,) of the labelled dates of each batch."""
        for batch in self.loaders[split]:
            image, days, mask, label = (
                batch[name].to(self.options.device, non_blocking=True) for name in ("image", "time", "mask", "label")
            )
            if label.dim() != 2:
                raise SystemExit("this store has labels of k x k pixels, but the model gives one label for each date")
            known = mask & (label >= 0) & (label < len(CLASSES))
            if known.any():
                scores = self.model(augment(image) if split == "train" else image, days, mask)
                yield scores[known], label[known].long()

    def epoch(self, number: int) -> float:
        """Train for one epoch and return its mean loss."""
        self.model.train()
        self.train.set_epoch(number)
        torch.manual_seed(1000 * self.options.seed + number)  # a resumed training draws the same numbers
        for group in self.optimizer.param_groups:  # half a cosine from the first rate to 0
            group["lr"] = self.options.rate * (1 + math.cos(math.pi * number / self.options.epochs)) / 2
        losses = []
        for scores, label in self._scored("train"):
            loss = self.loss(scores, label)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.no_grad()
    def evaluate(self) -> Result:
        self.model.eval()
        counts = torch.zeros(len(CLASSES) ** 2, dtype=torch.int64)
        for scores, label in self._scored("val"):
            cells = label * len(CLASSES) + scores.argmax(1)
            counts += torch.bincount(cells, minlength=len(counts)).cpu()
        return Result(counts.reshape(len(CLASSES), -1))

    def save(self, path: Path) -> None:
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "dataset": self.train.state_dict(batches=len(self.train))}, f"{path}.part")
        os.replace(f"{path}.part", path)

    def load(self, path: Path) -> int:
        """Return the number of finished epochs. The dataset refuses the state of another store or seed."""
        state = torch.load(path, map_location="cpu")
        self.train.load_state_dict(state["dataset"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        return int(state["dataset"]["epoch"]) + 1


def train(store: Path, options: Options) -> Result:
    """Train, print the loss of each epoch, and return the result on ``val`` of the last epoch."""
    training, path = Training(store, options), options.checkpoint
    done = training.load(path) if path and path.exists() else 0
    for number in range(done, options.epochs):
        print(f"epoch {number + 1:3}: loss {training.epoch(number):.3f}", flush=True)
        if path:
            training.save(path)
    return training.evaluate()


def main() -> None:
    default = Options()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("store", type=Path, nargs="?", help="a Zarr or HDF5 store with the splits train and val; default: the sample")
    add("--epochs", type=int, default=default.epochs, help="default: %(default)s")
    add("--batch", type=int, default=default.batch, help="samples in a batch; default: %(default)s")
    add("--rate", type=float, default=default.rate, help="learning rate at the start; default: %(default)s")
    add("--seed", type=int, default=default.seed, help="default: %(default)s")
    add("--workers", type=int, default=default.workers, help="processes that read each split; default: %(default)s")
    add("--device", default=default.device, help="such as cpu or cuda:1; default here: %(default)s")
    add("--checkpoint", type=Path, help="a file that is written after each epoch, and from which training resumes")
    given = vars(parser.parse_args())
    store, options = given.pop("store"), Options(**given)
    if store:
        print(train(store, options))
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "sample.zarr"
        s2ct_convert.convert(s2ct_convert.sample_sources(), store)
        print(train(store, options))


if __name__ == "__main__":  # spawned workers read this file again
    main()
