"""s2ct reads the same rows of image as zarr and h5py, and reports damage with its place."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import struct
import threading
from pathlib import Path

import h5py
import numpy as np
import plain
import pytest

import s2ct_convert
from s2ct_convert import threads
from s2ct_convert.errors import NotAStore, StoreDamaged
from s2ct_convert.export.tfrecord import export_tfrecord
from s2ct_convert.reading.epoch import read_epoch
from s2ct_convert.reading.opening import open_store, open_to_verify

KINDS = ("zarr", "h5", "blosc", "linked")


@pytest.fixture(scope="module")
def long(tmp_path_factory, made_sources) -> dict[str, Path]:
    """One unit with two shards."""
    from makers import random_group, write_tfrecord

    rng = np.random.default_rng(9)
    folder = tmp_path_factory.mktemp("long")
    source = write_tfrecord(folder / "s", [random_group(rng, i, 100) for i in range(43)])
    stores = {"zarr": folder / "long.zarr", "h5": folder / "long.h5"}
    for path in stores.values():
        s2ct_convert.convert([source], path)
    return stores


def shard(path: Path, number: int = 0) -> Path:
    return path / "train/50SMG/image/c" / str(number) / "0/0/0"


@pytest.mark.parametrize("kind", KINDS)
def test_random_ranges_equal_those_of_zarr_or_h5py(made, kind):
    rng = np.random.default_rng(3)
    with open_store(made[kind]) as store:
        for name, unit in store.units.items():
            image, n = plain.arrays(made[kind], name)["image"], unit.observations
            for _ in range(30):
                starts = rng.integers(0, n + 1, 5)
                ranges = [slice(a, int(rng.integers(a, n + 1))) for a in starts.tolist()]
                for rows, found in zip(ranges, unit.images(ranges), strict=True):
                    assert found.dtype == np.uint16
                    np.testing.assert_array_equal(found, image[rows])


KEYS = [
    3,
    (3, 1),
    (3, slice(None), [1, 2]),
    ([0, 1], [2, 3]),
    ([0, 1], slice(None), [1, 2]),
    ([0, 1], slice(None), 2),
    ([0, 1], [2, 3], [4, 5], [6, 7]),
    ([[0, 1], [2, 3]], 0),
    ([[0, 1], [2, 3]],),
    ([5, 2, 5], ..., 1),
    (slice(8, 2, -2), [0, 3]),
    (slice(2, 2), 1),
    ([], 1),
    (np.arange(40) % 3 == 0, 0),
    (..., 0),
    (None, 2),
]


@pytest.mark.every_variant
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_an_image_is_indexed_as_in_numpy(made, key):
    with open_store(made["zarr"]) as store:
        unit = next(unit for unit in store.units.values() if unit.observations >= 40)
        whole = unit["image"][...]
        if isinstance(key, tuple) and isinstance(key[0], np.ndarray):
            key = (np.arange(len(whole)) % 3 == 0, *key[1:])
        found, expected = unit["image"][key], whole[key]
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["zarr", "h5"])
def test_ranges_across_shards_and_the_whole_unit_are_equal(long, kind):
    with open_store(long[kind]) as store:
        unit = store["train/50SMG"]
        image = np.asarray(unit["image"][...])
        assert len(image) == 4300
        ranges = [slice(4090, 4100), slice(0, 4300), slice(4096, 4097), slice(64, 96), slice(60, 100), slice(7, 7)]
        for rows, found in zip(ranges, unit.images(ranges), strict=True):
            np.testing.assert_array_equal(found, image[rows])


@pytest.mark.every_variant
@pytest.mark.parametrize("rows", [slice(0, 5000), slice(-1, 3), slice(5, 3)])
def test_rows_beyond_the_unit_are_refused(made, rows):
    with open_store(made["zarr"]) as store, pytest.raises(IndexError, match=f"rows {rows.start} to {rows.stop} of 151"):
        store["train/50SMG"].images([rows])


def test_returned_arrays_belong_to_the_caller(made):
    with open_store(made["zarr"]) as store:
        unit = store["train/50SMG"]
        first = unit.sample(412)
        for array in first:
            array[...] = 7
        again = unit.sample(412)
        assert not any((array == 7).all() for array in again)
        one, other = unit.images([slice(0, 3), slice(0, 3)])
        assert not np.shares_memory(one, other)


@pytest.fixture(params=["zarr", "h5"])
def own(request, made, tmp_path) -> Path:
    copy = shutil.copytree if request.param == "zarr" else shutil.copy
    return Path(copy(made[request.param], tmp_path / f"own.{request.param}"))


@pytest.mark.parametrize("where", [0.0, 0.3, 0.9999])
def test_a_flipped_bit_raises_with_file_and_rows(own, where):
    file, offset, size = plain.chunk_place(own, "train/50SMG", 2)
    data = bytearray(file.read_bytes())
    data[offset + int(where * size)] ^= 4
    file.write_bytes(data)
    with open_store(own) as store:
        unit = store["train/50SMG"]
        unit.images([slice(0, 64)])
        with pytest.raises(StoreDamaged, match=r"rows 64 to 95 of image") as error:
            unit.images([slice(0, 70)])
        assert str(file) in str(error.value)
        assert error.value.exit_code == 4
        unit.images([slice(96, 151)])


class TestZarr:
    @pytest.fixture
    def store(self, made, tmp_path) -> Path:
        return Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))

    def read(self, path: Path) -> None:
        with open_store(path) as store:
            store["train/50SMG"].sample(412)

    def test_a_missing_shard_raises_store_damaged(self, store):
        shard(store).unlink()
        with pytest.raises(StoreDamaged, match="this shard is missing"):
            self.read(store)

    @pytest.mark.parametrize("left", [0, 5, 2051])
    def test_a_shard_shorter_than_its_index_raises_store_damaged(self, store, left):
        os.truncate(shard(store), left)
        with pytest.raises(StoreDamaged, match="is truncated"):
            self.read(store)

    def test_a_truncated_shard_raises_store_damaged(self, store):
        os.truncate(shard(store), shard(store).stat().st_size - 1000)
        with pytest.raises(StoreDamaged, match="does not match its checksum"):
            self.read(store)

    def test_a_chunk_missing_in_the_index_raises_store_damaged(self, store):
        import google_crc32c

        data = bytearray(shard(store).read_bytes())
        data[-2052 + 16 : -2052 + 32] = b"\xff" * 16
        data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[-2052:-4])))
        shard(store).write_bytes(data)
        with pytest.raises(StoreDamaged, match="chunk 1 is missing in this shard"):
            self.read(store)

    def test_an_index_that_points_beyond_the_file_raises(self, store):
        import google_crc32c

        data = bytearray(shard(store).read_bytes())
        data[-2052:-2044] = struct.pack("<Q", len(data))
        data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[-2052:-4])))
        shard(store).write_bytes(data)
        with pytest.raises(StoreDamaged, match="this file is truncated"), open_store(store) as opened:
            opened["train/50SMG"].images([slice(0, 1)])


def test_the_index_of_a_shard_is_read_once(made, tmp_path):
    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    with open_store(own) as store:
        unit = store["train/50SMG"]
        unit.sample(412)
        data = bytearray(shard(own).read_bytes())
        data[-2052:] = bytes(2052)
        shard(own).write_bytes(data)
        unit.sample(412)


def test_an_open_file_is_still_read_after_it_is_replaced(made, tmp_path):
    own = Path(shutil.copytree(made["linked"].parent, tmp_path / "own")) / made["linked"].name
    with open_store(own) as store:
        unit = store["train/50SMG"]
        expected = unit.sample(412)
        (own.parent / f"{own.name}.units/train_50SMG.h5").unlink()
        shutil.copy(made["zarr"] / "zarr.json", own.parent / f"{own.name}.units/train_50SMG.h5")
        plain.assert_same(unit.sample(412)._asdict(), expected._asdict())


def test_a_missing_hdf5_chunk_raises_store_damaged(made, tmp_path):
    own = tmp_path / "own.h5"
    shutil.copy(made["h5"], own)
    with h5py.File(own, "r+") as file:
        unit = file["train/50SMG"]
        filters, attributes = unit["image"].id.get_create_plist(), dict(unit["image"].attrs)
        chunks = [unit["image"].id.read_direct_chunk((32 * k, 0, 0, 0))[1] for k in range(5)]
        space = unit["image"].id.get_space()
        del unit["image"]
        image = h5py.Dataset(h5py.h5d.create(unit.id, b"image", h5py.h5t.STD_U16LE, space, filters))
        for k in (0, 1, 3, 4):
            image.id.write_direct_chunk((32 * k, 0, 0, 0), chunks[k])
        image.attrs.update({k: v for k, v in attributes.items() if k != "DIMENSION_LIST"})
        assert (image[64:96] == 0).all()  # HDF5 reads zeros
    with open_to_verify(own) as store, pytest.raises(StoreDamaged, match="chunk 2 of image is missing"):
        store["train/50SMG"].images([slice(60, 70)])


def test_an_image_rewritten_with_other_codecs_is_refused(made, tmp_path):
    own = tmp_path / "own.h5"
    shutil.copy(made["h5"], own)
    with h5py.File(own, "r+") as file:
        data = file["train/50SMG/image"][...]
        del file["train/50SMG/image"]
        file["train/50SMG"].create_dataset("image", data=data, chunks=(32, 4, 42, 42), compression="lzf")
    with open_to_verify(own) as store, pytest.raises(NotAStore, match="not encoded as s2ct convert encodes it"):
        store["train/50SMG"].sample(412)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_can_be_pickled(made, kind, monkeypatch, tmp_path):
    monkeypatch.chdir(made[kind].parent)
    with open_store(made[kind].name) as store:
        data = pickle.dumps(store)
        expected = store["val/50SMG"].sample(2)
    monkeypatch.chdir(tmp_path)
    with pickle.loads(data) as again:
        for one, other in zip(again["val/50SMG"].sample(2), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_forked_child_reads_after_its_parent(made):
    with open_store(made["zarr"]) as store:
        unit = store["train/50SMG"]
        expected = unit.sample(412).image  # five chunks, so threads have started
        pid = os.fork()
        if pid == 0:
            os._exit(0 if np.array_equal(unit.sample(412).image, expected) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_every_item_is_done_before_an_error_is_raised():
    done = []

    def work(n: int) -> None:
        if n == 0:
            raise ValueError("the first")
        done.append(n)

    with pytest.raises(ValueError, match="the first"):
        threads.for_each(work, range(20))
    assert sorted(done) == list(range(1, 20))


def test_the_caller_works_beside_the_other_threads(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    both, seen = threading.Barrier(2), set()

    def work(_: int) -> None:
        both.wait(30)
        seen.add(threading.current_thread())

    threads.for_each(work, range(2))
    assert threading.current_thread() in seen and len(seen) == 2


def test_ctrl_c_is_raised_after_work_that_has_begun(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    both, interrupted, done = threading.Barrier(2), threading.Event(), []

    def work(n: int) -> None:
        both.wait(30)
        if threading.current_thread() is threading.main_thread():
            interrupted.set()
            raise KeyboardInterrupt
        assert interrupted.wait(30)
        hashlib.sha256(bytes(10_000_000))
        done.append(n)

    with pytest.raises(KeyboardInterrupt):
        threads.for_each(work, range(20))
    assert len(done) == 1


class TestMisplacedChunks:
    """Damage that the checksum of a chunk cannot detect: the chunk is intact but belongs elsewhere."""

    def test_a_chunk_of_another_unit_raises_store_damaged(self, made, tmp_path):
        own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
        one, other = (own / unit / "image/c/0/0/0/0" for unit in ("train/49RGN", "val/50SMG"))
        one.rename(tmp_path / "shard")
        other.rename(one)
        (tmp_path / "shard").rename(other)
        with open_store(own) as store:
            unit = store["val/50SMG"]
            for read in (
                lambda: unit.sample(1),
                lambda: unit["image"][3:4],
                lambda: list(store.select(split="val")),
                lambda: list(read_epoch(store, store.samples.where(split="val"))),
                lambda: export_tfrecord(store, tmp_path / "back"),
            ):
                with pytest.raises(StoreDamaged, match="of image does not match its checksum"):
                    read()

    def test_an_image_changed_by_another_program_raises_store_damaged(self, made, tmp_path):
        own = Path(shutil.copy(made["h5"], tmp_path / "own.h5"))
        with h5py.File(own, "r+") as file:
            file["train/50SMG/image"][7, 0, 0, 0] ^= 1
        with open_store(own) as store:
            unit = store["train/50SMG"]
            assert unit["image"][6].shape == (4, 42, 42)
            with pytest.raises(StoreDamaged, match="row 7 of image does not match its checksum"):
                _ = unit["image"][5:9]
