from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert import durable
from s2ct_convert.errors import EXIT_MACHINE
from s2ct_convert.names import UnitName

from .conftest import empty_group
from .units import container, expected, table, work, write, write_work

SHUFFLE, DEFLATE, FLETCHER32, BLOSC = (
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_FLETCHER32,
    32001,
)
CHUNK = (32, 4, 42, 42)
DIMENSIONS = {
    "image": ["obs", "band", "y", "x"],
    **{key: ["obs"] for key in ("date", "time", "weight", "sample_index", "image_crc32c", "example", "position")},
    **{key: ["sample"] for key in ("localid", "row_size")},
    "row_start": ["sample_bound"],
    **{key: ["band"] for key in ("band", "wavelength")},
}
UNIT_DIMENSIONS = {
    "train/50SMG": DIMENSIONS | {"label": ["obs"]},
    "train/49RGN": DIMENSIONS | {"label": ["obs", "label_y", "label_x"]},
    "val/50SMG": DIMENSIONS | {"label": ["obs"]},
}
INDEX_COLUMNS = ("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last")
OTHER_DIMENSIONS = {
    "index": {key: ["sample"] for key in INDEX_COLUMNS} | {"label_count": ["sample", "class"]},
    "train/50SMG/published/weights": {
        "state": ["source_example"],
        "offset": ["source_example_bound"],
        "data": ["byte"],
    },
}


def datasets(path):
    """Every dataset of a file, by path."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, node: found.__setitem__(name, node) if isinstance(node, h5py.Dataset) else None)
        yield from found.items()


def filters(dataset):
    plist = dataset.id.get_create_plist()
    return [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]


def raw_chunks(images):
    return [images.id.read_direct_chunk((row, 0, 0, 0)) for row in range(0, len(images), 32)]


@pytest.mark.every_variant
@pytest.mark.parametrize("group", [*UNIT_DIMENSIONS, *OTHER_DIMENSIONS])
def test_every_axis_of_every_dataset_has_its_dimension_scale(made, group):
    expected_dims = (UNIT_DIMENSIONS | OTHER_DIMENSIONS)[group]
    found = {}
    with h5py.File(made["h5"]) as file:
        for name, dataset in file[group].items():
            if isinstance(dataset, h5py.Group):
                continue
            if plain.is_pure_dimension(dataset):
                assert dataset.is_scale and len(dataset.shape) == 1
                continue
            scales = [[dataset] if dataset.is_scale else list(axis.values()) for axis in dataset.dims]
            assert all(len(of_axis) == 1 and of_axis[0].is_scale for of_axis in scales), name
            assert [of_axis[0].shape[0] for of_axis in scales] == list(dataset.shape), name
            found[name] = [of_axis[0].name.rpartition("/")[2] for of_axis in scales]
    assert found == expected_dims


@pytest.mark.parametrize(
    ("kind", "ids"), [("h5", [SHUFFLE, DEFLATE, FLETCHER32]), ("blosc", [BLOSC, FLETCHER32])], ids=["gzip", "blosc"]
)
def test_images_have_the_chunks_and_filters_of_the_design(made, kind, ids):
    with h5py.File(made[kind]) as file:
        for unit in UNIT_DIMENSIONS:
            image = file[unit]["image"]
            assert image.chunks == CHUNK
            assert image.dtype == np.dtype("<u2")
            assert filters(image) == ids
            assert image.id.get_num_chunks() == -(-len(image) // 32)
            assert {mask for mask, _ in raw_chunks(image)} == {0}  # no filter was skipped


def test_every_other_array_with_data_has_a_checksum(made):
    for name, dataset in datasets(made["h5"]):
        if dataset.size and not plain.is_pure_dimension(dataset) and not name.endswith("/image"):
            assert filters(dataset) == [SHUFFLE, DEFLATE, FLETCHER32], name


@pytest.mark.parametrize("kind", ["h5", "blosc"])
def test_only_the_number_of_images_has_no_fixed_extent(made, kind):
    """HDF5 allows no limit below the chunk length, which a unit of fewer than 32 observations would need."""
    for name, dataset in datasets(made[kind]):
        is_image = name.endswith("/image")
        assert dataset.maxshape == ((None, *dataset.shape[1:]) if is_image else dataset.shape), name


def test_arrays_are_numeric_without_mask_or_scale_attributes(made):
    for name, dataset in datasets(made["h5"]):
        assert dataset.dtype.kind in "iuf", name
        assert not {"_FillValue", "missing_value", "scale_factor", "add_offset"} & set(dataset.attrs), name


@pytest.mark.every_variant
@pytest.mark.parametrize("name", ["train/50SMG/label", "train/50SMG/band", "index/split", "index/tile"])
def test_flag_values_have_the_type_of_their_variable(made, name):
    with h5py.File(made["h5"]) as file:
        values, meanings = (file[name].attrs[key] for key in ("flag_values", "flag_meanings"))
        assert values.dtype == file[name].dtype
        assert len(values) == len(meanings.split())


@pytest.mark.every_variant
@pytest.mark.parametrize("kind", ["h5", "blosc", "linked"])
def test_files_have_the_format_version_that_detects_a_crash(made, kind):
    files = [made[kind], *made[kind].parent.glob("*.units/*.h5")]
    assert [path.read_bytes()[8] for path in files] == [3] * len(files)  # superblock version of HDF5 1.10


def test_no_object_stores_its_time_of_writing(made):
    for path in (made["h5"], made["linked"], *made["linked"].parent.glob("*.units/*.h5")):
        with h5py.File(path) as file:
            names = []
            file.visit(names.append)
            times = {name: h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in names}
        assert {name for name, time in times.items() if time} == set(), path.name


def test_the_same_sources_give_the_same_file(made_sources, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    for folder in ("a", "b"):
        s2ct_convert.convert(made_sources, tmp_path / folder / "x.h5")
    assert (tmp_path / "a/x.h5").read_bytes() == (tmp_path / "b/x.h5").read_bytes()


def test_units_are_copied_into_the_file_without_reencoding_chunks(made):
    with h5py.File(made["h5"]) as file, h5py.File(made["linked"]) as linked:
        for unit in UNIT_DIMENSIONS:
            assert raw_chunks(file[unit]["image"]) == raw_chunks(linked[unit]["image"])


def test_a_complete_store_is_one_file_without_left_overs(made):
    assert not list(made["h5"].parent.glob("made.h5.units"))


def test_a_linked_store_keeps_its_unit_files_and_nothing_else(made):
    units = made["linked"].parent / "made.h5.units"
    assert sorted(path.name for path in units.iterdir()) == ["train_49RGN.h5", "train_50SMG.h5", "val_50SMG.h5"]
    with h5py.File(made["linked"]) as file:
        for unit in UNIT_DIMENSIONS:
            link = file.get(unit, getlink=True)
            assert (link.filename, link.path) == (f"made.h5.units/{unit.replace('/', '_')}.h5", "/")


def test_a_linked_store_opens_after_a_move_with_its_units(made, tmp_path):
    there = tmp_path / "another folder"
    shutil.copytree(made["linked"].parent, there)
    moved = there / "made.h5"
    for unit in UNIT_DIMENSIONS:
        plain.assert_same(plain.arrays(moved, unit), plain.arrays(made["h5"], unit))
    plain.assert_same(plain.arrays(moved, "index"), plain.arrays(made["h5"], "index"))


def test_a_unit_file_contains_the_whole_unit(made, tmp_path):
    alone = Path(shutil.copy(made["linked"].parent / "made.h5.units" / "train_50SMG.h5", tmp_path))
    plain.assert_same(plain.arrays(alone), plain.arrays(made["h5"], "train/50SMG"))
    assert plain.attributes(alone) == plain.attributes(made["h5"], "train/50SMG")


def test_a_unit_file_does_not_depend_on_time_or_on_other_units(made, made_sources, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    s2ct_convert.convert(made_sources[:1], tmp_path / "other.h5", linked=True)
    ours, others = (
        path / "train_50SMG.h5" for path in (made["linked"].with_suffix(".h5.units"), tmp_path / "other.h5.units")
    )
    assert ours.read_bytes() == others.read_bytes()


@pytest.mark.every_variant
@pytest.mark.parametrize("codec", ["gzip", "blosc"])
@pytest.mark.parametrize("place", [0.01, 0.5, 0.99])
def test_hdf5_refuses_a_chunk_with_a_changed_byte(tmp_path, rng, codec, place):
    unit = write(container("hdf5", tmp_path / "store", codec), tmp_path / "unit.h5", table(rng, [(1, range(64))])).path
    with h5py.File(unit) as file:
        chunk = file["image"].id.get_chunk_info(1)
    data = bytearray(unit.read_bytes())
    data[chunk.byte_offset + int(place * chunk.size)] ^= 1
    unit.write_bytes(data)
    with h5py.File(unit) as file:
        assert file["image"][:32].any()
        with pytest.raises(OSError):
            file["image"][32:]


NETCDF4_FIRST = """
import sys
import netCDF4
import s2ct_convert
s2ct_convert.convert(sys.argv[1], sys.argv[2], codec=sys.argv[3])
"""


@pytest.mark.parametrize("codec", ["blosc", "zstd"])
def test_a_filter_is_written_after_an_import_of_netcdf4(made, made_sources, tmp_path, codec):
    """The wheel of netCDF4 puts its own filters on HDF5_PLUGIN_PATH. That of Blosc can read but fails to write."""
    pytest.importorskip("netCDF4")
    command = [sys.executable, "-c", NETCDF4_FIRST, made_sources[1], tmp_path / "x.h5", codec]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    plain.assert_same(plain.arrays(tmp_path / "x.h5", "val/50SMG"), plain.arrays(made["zarr"], "val/50SMG"))


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
@pytest.mark.parametrize("sizes", [(1,), (31,), (32,), (0, 5), (40, 1)], ids=str)
def test_a_store_may_have_any_number_of_observations(tmp_path, rng, suffix, sizes):
    groups = [random_group(rng, i, n) if n else empty_group(i) for i, n in enumerate(sizes)]
    store = tmp_path / f"x.{suffix}"
    s2ct_convert.convert(write_tfrecord(tmp_path, groups), store)
    unit = plain.arrays(store, "train/50SMG")
    assert unit["row_size"].tolist() == list(sizes)
    assert unit["image"].tobytes() == b"".join(group.image.tobytes() for group in groups)


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
@pytest.mark.parametrize("examples", [0, 1, 2])
def test_a_store_may_have_a_unit_without_observations(tmp_path, rng, suffix, examples):
    sources = [
        write_tfrecord(tmp_path, [empty_group(-i) for i in range(examples)], unit="train_49RGN"),
        write_tfrecord(tmp_path, [random_group(rng, 3, 40)], unit="train_50SMG"),
    ]
    store = tmp_path / f"x.{suffix}"
    s2ct_convert.convert(sources, store)
    unit = plain.arrays(store, "train/49RGN")
    assert unit["localid"].tolist() == sorted(-i for i in range(examples))
    assert unit["row_start"].tolist() == [0] * (examples + 1)
    assert unit["image"].shape == (0, 4, 42, 42)
    assert plain.arrays(store, "index")["row_size"].tolist() == [0] * examples + [40]


def test_a_unit_can_be_published_found_and_dropped(tmp_path, rng):
    store, name = container("hdf5", tmp_path / "x.h5", linked=True), UnitName("train", "50SMG")
    source = table(rng, [(1, range(3))])
    assert not store.exists()
    store.begin([name], {})
    assert store.exists() and not store.path.exists()
    content = write_work(store, source)
    assert not store.has(name) and not store.stands_alone(name)
    store.publish(name, content.key)
    assert store.has(name) and store.stands_alone(name) and not work(store, content).exists()
    assert store.files(name) == content.files
    columns = store.columns(name, ("time", "localid"))
    plain.assert_same(columns, {key: expected(source)[key] for key in columns})
    store.drop(name)
    assert not store.has(name)
    store.destroy()
    assert not store.exists()


@pytest.fixture
def eager_disk(monkeypatch):
    """Sync after every chunk."""
    monkeypatch.setattr(durable, "BEHIND_BYTES", 1)


@pytest.mark.usefixtures("eager_disk")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of open files are in /proc")
def test_units_and_store_are_synced_while_they_grow_and_at_the_end(tmp_path, rng, monkeypatch):
    synced, fsync = [], os.fsync

    def record(fd):
        synced.append((threading.current_thread().name, Path(f"/proc/self/fd/{fd}").readlink().name))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record)
    s2ct_convert.convert(write_tfrecord(tmp_path, [random_group(rng, 1, 70)]), tmp_path / "x.h5")
    for name in ("train_50SMG.", ".x.h5."):
        threads = [thread for thread, file in synced if file.startswith(name)]
        assert threads[0].startswith("s2ct-fsync"), threads
        assert threads[-1] == threading.current_thread().name, threads


@pytest.mark.usefixtures("eager_disk")
def test_a_sync_error_fails_the_unit_and_leaves_no_files(tmp_path, rng, monkeypatch):
    fsync = os.fsync

    def broken(fd):
        if threading.current_thread().name.startswith("s2ct-fsync"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(s2ct_convert.UnitsFailed) as failed:
        s2ct_convert.convert(write_tfrecord(tmp_path, [random_group(rng, 1, 70)]), tmp_path / "x.h5")
    assert failed.value.exit_code == EXIT_MACHINE
    assert "Input/output error" in failed.value.summary.failures[0].message
    assert not list(tmp_path.rglob("*.h5*/*.h5")) and not (tmp_path / "x.h5").exists()
    assert not list((tmp_path / "x.h5.s2ct" / "work").iterdir())
