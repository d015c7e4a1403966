"""One reader of ``bench_epoch.py`` in a process of its own: two shuffled epochs, the second is timed.

The first epoch fills the page cache and checks what was read: number of samples, of observations, sum of all pixels.
CPU time is that of all threads of the process, user and system. Only the reader ``s2ct`` imports s2ct_convert, so the
others may run in another environment. ``litdata-write`` makes the input of ``litdata`` from that of ``webdataset``.

usage: python scripts/bench_epoch_child.py READER MODE FOLDER
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Readers by name and mode: "loop", or "loader" (DataLoader with no workers).
Pair = tuple[Any, Any]  # pixels and labels of a sample
Epoch = Callable[[int], Iterable[Pair]]
UNIT = "train/50SMG"
CHUNK_BYTES = "64MB"  # of litdata; its default and documentation suggest this size
SHUFFLE = 100  # samples in the buffer of webdataset
PAGE_VALUES = 2048  # uint16 in a page of 4 kB


def s2ct(folder: Path, mode: str) -> Epoch:
    import s2ct_convert
    from s2ct_convert.reading.epoch import read_epoch

    store = s2ct_convert.open_store(folder / "store.zarr")
    if mode == "loop":
        return lambda epoch: (
            (one.sample.image, one.sample.label) for one in read_epoch(store, store.samples, seed=epoch)
        )
    from s2ct_convert.torch import ShuffledDataset

    dataset = ShuffledDataset(folder / "store.zarr", 1)

    def loaded(epoch: int) -> Iterator[Pair]:
        dataset.set_epoch(epoch)
        return ((one["image"], one["label"]) for one in _loader(dataset))

    return loaded


class Rows:
    """Samples of a unit by number; ``read`` gives the pixels of rows. A map-style dataset for PyTorch."""

    def __init__(self, folder: Path, read: Callable[[slice], Any]) -> None:
        import zarr

        unit: Any = zarr.open_group(folder / "store.zarr", mode="r")[UNIT]
        self.starts, self.label, self.read = unit["row_start"][...].tolist(), unit["label"][...], read

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> Pair:
        rows = slice(self.starts[i], self.starts[i + 1])
        return self.read(rows), self.label[rows]

    def epoch(self, mode: str) -> Epoch:
        if mode == "loader":
            return lambda epoch: _loader(self, shuffle=True)
        return lambda epoch: map(self.__getitem__, np.random.default_rng(epoch).permutation(len(self)).tolist())


def zarr_python(folder: Path, mode: str) -> Epoch:
    import zarr

    image: Any = zarr.open_group(folder / "store.zarr", mode="r")[f"{UNIT}/image"]
    return Rows(folder, lambda rows: image[rows]).epoch(mode)


def tensorstore(folder: Path, mode: str) -> Epoch:
    import tensorstore as package

    driver = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder / "store.zarr" / UNIT / "image")}}
    image = package.open(driver, read=True).result()
    return Rows(folder, lambda rows: image[rows].read().result()).epoch(mode)


def webdataset(folder: Path, mode: str) -> Epoch:
    import webdataset as wds

    shards = sorted(map(str, (folder / "webdataset").glob("*.tar")))

    def epoch(number: int) -> Iterable[Pair]:
        dataset = wds.WebDataset(shards, shardshuffle=len(shards), select_files=_is_wanted, seed=number)
        items = dataset.shuffle(SHUFFLE).decode().to_tuple("image.npy", "label.npy")
        return items if mode == "loop" else _loader(items)

    return epoch


def _is_wanted(name: str) -> bool:
    return name.endswith(("image.npy", "label.npy"))


def litdata(folder: Path, mode: str) -> Epoch:
    from litdata import StreamingDataLoader, StreamingDataset

    def epoch(number: int) -> Iterator[Pair]:
        dataset: Any = StreamingDataset(str(folder / "litdata"), shuffle=True, seed=number)
        if mode == "loader":
            dataset = StreamingDataLoader(dataset, batch_size=1, num_workers=0, collate_fn=_only)
        return ((one["image"], one["label"]) for one in dataset)

    return epoch


def litdata_write(folder: Path) -> None:
    """Write the samples of the tar files with the writer of litdata."""
    from litdata import optimize

    shards = sorted((folder / "webdataset").glob("*.tar"))
    optimize(_samples, list(map(str, shards)), str(folder / "litdata"), chunk_bytes=CHUNK_BYTES, num_workers=1)


def _samples(shard: str) -> Iterator[dict[str, Any]]:
    with tarfile.open(shard) as tar:
        item: dict[str, Any] = {}
        for member in tar:
            name = member.name.partition(".")[2]
            if name in ("image.npy", "label.npy"):
                file = tar.extractfile(member)
                assert file is not None
                item[name.removesuffix(".npy")] = np.load(io.BytesIO(file.read()))
            if len(item) == 2:
                yield item
                item = {}


def _only(batch: list[Any]) -> Any:
    return batch[0]


def _loader(dataset: Any, **options: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset, batch_size=None, num_workers=0, **options)


READERS: dict[str, Callable[[Path, str], Epoch]] = {
    "s2ct": s2ct, "zarr-python": zarr_python, "tensorstore": tensorstore, "webdataset": webdataset, "litdata": litdata,
}  # fmt: skip


def measure(epoch: Epoch) -> dict[str, Any]:
    """Read twice; what the first pass found, and the seconds of the second."""
    samples = observations = pixels = 0
    for image, label in epoch(0):
        assert len(image) == len(label)
        samples, observations = samples + 1, observations + len(image)
        pixels += int(np.asarray(image).sum(dtype=np.uint64))
    began, cpu, n, seen = time.perf_counter(), _cpu(), 0, 0
    for image, _ in epoch(1):
        n += 1
        seen += int(np.asarray(image).ravel()[::PAGE_VALUES].sum(dtype=np.uint64))  # a reader may give mapped files
    wall, cpu = time.perf_counter() - began, _cpu() - cpu
    assert n == samples and seen
    return {"wall": wall, "cpu": cpu, "samples": samples, "observations": observations, "pixels": pixels}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    reader, mode, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # it would ask a server
    if reader == "litdata-write":
        litdata_write(folder)
    else:
        print(json.dumps(measure(READERS[reader](folder, mode))))


if __name__ == "__main__":
    main()
