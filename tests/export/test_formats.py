"""Selections of a store as Parquet, WebDataset and netCDF: other libraries read every value back."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from makers import flip, random_group, write_tfrecord
from plain import chunk_place
from twins import first_quick
from variations import group

import s2ct_convert
from s2ct_convert import ExportedFolder, export_netcdf, export_parquet, export_webdataset, open_store
from s2ct_convert.errors import DestinationExists, MissingPackage, StoreDamaged, WrongUsage

EXPORTS = {"parquet": export_parquet, "webdataset": export_webdataset, "netcdf": export_netcdf}
EVERY = pytest.mark.parametrize("to", EXPORTS)
FIRST = pytest.mark.parametrize("to", first_quick(list(EXPORTS)))
OBS = 14_112


@pytest.fixture
def store(made):
    with open_store(made["zarr"]) as opened:
        yield opened


def selected(store, **where):
    """Every selected observation by unit and row, from the reader of stores."""
    return {(one.unit, one.row): one for one in store.select(**where).observations()}


def of_parquet(done: ExportedFolder):
    from pyarrow import parquet

    for file in done.files:
        for row in parquet.read_table(file.path, page_checksum_verification=True).to_pylist():
            image = np.array(row["image"], np.uint16)
            weight = np.nan if row["weight"] is None else row["weight"]
            yield f"{row['split']}/{row['tile']}", row | {"image": image, "weight": weight}


def of_webdataset(done: ExportedFolder):
    import webdataset

    for item in webdataset.WebDataset([str(file.path) for file in done.files], shardshuffle=False).decode():
        about = item["json"]
        for i, row in enumerate(about["row"]):
            lists = {name: about[name][i] for name in ("example", "position")}
            own = {name: item[f"{name}.npy"][i] for name in ("image", "label", "weight", "image_crc32c")}
            date = None if about["dates"][i] is None else np.datetime64(about["dates"][i]).item()
            yield (
                f"{about['split']}/{about['tile']}",
                {"row": row, "localid": about["localid"], "date": date, "date_published": about["dates_published"][i]}
                | own
                | lists,
            )


def of_netcdf(done: ExportedFolder):
    import xarray

    for file in done.files:
        with xarray.open_dataset(file.path, engine="netcdf4") as dataset:
            assert dataset["row_size"].attrs["sample_dimension"] == "obs"
            localids = np.repeat(dataset["localid"].values, dataset["row_size"].values)
            names = ("row", "image", "label", "weight", "image_crc32c", "example", "position")
            columns = {name: dataset[name].values for name in names}
            columns |= {"localid": localids, "date_published": dataset["date"].values}
            for i, time in enumerate(dataset["time"].values.astype("M8[D]").tolist()):
                row = {name: values[i] for name, values in columns.items()}
                yield f"{dataset.attrs['split']}/{dataset.attrs['tile']}", row | {"date": time}


READ = {"parquet": of_parquet, "webdataset": of_webdataset, "netcdf": of_netcdf}


def assert_equal(store, found, **where):
    """Assert that an export has the selected observations, each with every value of the store, and no others."""
    wanted, seen = selected(store, **where), set()
    for unit, row in found:
        one = wanted[unit, int(row["row"])]
        assert (row["image"].dtype, row["image"].shape) == (np.uint16, (4, 42, 42))
        assert google_crc32c.value(row["image"].astype("<u2").tobytes()) == row["image_crc32c"]
        assert np.array_equal(row["image"], one.image)
        assert np.array_equal(row["label"], one.label)
        assert np.array_equal(row["weight"], one.weight, equal_nan=True)
        assert (row["localid"], row["date"]) == (one.localid, one.date.item())
        for name, column in (("example", "example"), ("position", "position"), ("date_published", "date")):
            assert row[name] == store[unit][column][one.row], name
        assert (unit, one.row) not in seen
        seen.add((unit, one.row))
    assert seen == set(wanted)


@EVERY
def test_every_value_of_every_observation_is_read_back(store, tmp_path, to):
    counted: list[int] = []
    done = EXPORTS[to](store.select(tile="50SMG"), tmp_path / "out", on_bytes=counted.append)
    assert_equal(store, READ[to](done), tile="50SMG")
    assert (done.format, done.samples, done.observations) == (to, 5, 191)
    assert sum(counted) == 191 * OBS
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"export.json", *(f.path.name for f in done.files)}
    assert [file.bytes for file in done.files] == [file.path.stat().st_size for file in done.files]


SELECTIONS = [
    {"tile": "50SMG", "label": ["haze", 0], "time": slice("2018-01", "2018-06")},
    {"split": "val", "months": (1, 3)},
    {"tile": "50SMG", "localid": [412, 1], "max_length": 7, "seed": 3},
    {"tile": "49RGN", "localid": 9},
]


@pytest.mark.parametrize("where", first_quick(SELECTIONS))
@FIRST
def test_only_selected_observations_are_exported(store, tmp_path, to, where):
    done = EXPORTS[to](store.select(**where), tmp_path / "out")
    assert 0 < done.observations < 191
    assert_equal(store, READ[to](done), **where)


@pytest.mark.slow
@EVERY
def test_a_path_of_a_store_exports_all_of_it(made, tmp_path, to):
    """Not the unit with k x k labels: Parquet has one type of label in a file."""
    s2ct_convert.convert(s2ct_convert.sample_sources(), tmp_path / "x.h5")
    done = EXPORTS[to](str(tmp_path / "x.h5"), tmp_path / "out")
    with open_store(tmp_path / "x.h5") as store:
        assert_equal(store, READ[to](done))
        assert EXPORTS[to](store, tmp_path / "again").observations == done.observations == 309


@pytest.mark.slow
@EVERY
def test_a_selection_exports_the_same_bytes_twice(store, tmp_path, to):
    for name in ("one", "two"):
        EXPORTS[to](store.select(split="val"), tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if to != "netcdf" or path.suffix != ".nc"}
        for name in ("one", "two")
    )
    assert one == two


@pytest.mark.parametrize("to", first_quick(list(EXPORTS)))
def test_missing_dates_labels_and_weights_are_missing(tmp_path, to):
    zero = group(1, weights=None)
    zero.dates[0], zero.labels[1] = 0, -1
    s2ct_convert.convert([write_tfrecord(tmp_path, [zero, group(2, dates=None)])], tmp_path / "x.zarr")
    with open_store(tmp_path / "x.zarr") as store:
        found = list(READ[to](EXPORTS[to](store, tmp_path / "out")))
        assert_equal(store, found)
    assert sum(row["date"] is None for _, row in found) == 1 + sum(row["localid"] == 2 for _, row in found)
    assert sum(np.isnan(row["weight"]) for _, row in found) == sum(row["localid"] == 1 for _, row in found)
    assert sum(int(row["label"]) == -1 for _, row in found) == 1


@pytest.mark.slow
@EVERY
def test_a_store_of_layout_1_is_exported_without_what_it_lacks(tmp_path, to):
    shutil.unpack_archive(Path(__file__).parents[1] / "data" / "layout_1.zarr.zip", tmp_path)
    with open_store(tmp_path / "layout_1.zarr") as store:
        done = EXPORTS[to](store, tmp_path / "out")
        assert (done.samples, done.observations) == (len(store.select()), store.select().count())
    if to == "parquet":
        from pyarrow import parquet

        assert "date_published" not in parquet.read_schema(done.files[0].path).names


class TestShards:
    @pytest.mark.parametrize("to", first_quick(["webdataset", "parquet"]))
    def test_a_shard_has_one_split_whole_samples_and_bounded_size(self, store, tmp_path, to):
        most = 60 * OBS
        done = EXPORTS[to](store.select(tile="50SMG"), tmp_path / "out", shard_size=most)
        names = [file.path.stem for file in done.files]
        assert names == ["train-00000", "train-00001", "val-00000"]
        assert [(file.samples, file.observations) for file in done.files] == [(2, 21), (1, 130), (2, 40)]
        for file in done.files:
            assert file.observations * OBS <= most or file.samples == 1
        assert_equal(store, READ[to](done), tile="50SMG")

    def test_a_size_that_is_not_positive_is_refused(self, store, tmp_path):
        with pytest.raises(WrongUsage, match="the size of a shard is 0 bytes"):
            export_parquet(store.select(split="val"), tmp_path / "out", shard_size=0)
        assert list(tmp_path.iterdir()) == []

    def test_samples_without_a_localid_have_keys_of_their_own(self, tmp_path, rng):
        groups = [random_group(rng, localid, 2) for localid in (None, None, 5, -1)]
        s2ct_convert.convert(write_tfrecord(tmp_path, groups), tmp_path / "x.zarr")
        done = export_webdataset(tmp_path / "x.zarr", tmp_path / "out")
        assert done.samples == 4
        with open_store(tmp_path / "x.zarr") as store:
            assert_equal(store, of_webdataset(done))


class TestIndex:
    def test_the_index_is_the_table_of_samples(self, store, tmp_path):
        from pyarrow import parquet

        done = export_parquet(store, tmp_path / "out", index=True)
        (file,) = done.files
        table = parquet.read_table(file.path)
        assert (file.path.name, len(table), "image" in table.schema.names) == (
            "index.parquet",
            len(store.samples),
            False,
        )
        for name in ("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last"):
            assert table[name].to_pylist() == store.samples[name].tolist(), name
        for i, name in enumerate(store.samples.classes):
            assert table[f"n_{name}"].to_pylist() == store.samples["label_count"][:, i].tolist()
        assert table["selected"].to_pylist() == store.samples["row_size"].tolist()

    def test_the_index_of_a_selection_counts_its_observations(self, store, tmp_path):
        from pyarrow import parquet

        where = {"label": "snow", "time": slice("2018-01", "2018-02")}
        export_parquet(store.select(**where), tmp_path / "out", index=True)
        rows = parquet.read_table(tmp_path / "out" / "index.parquet").to_pylist()
        found = {(f"{row['split']}/{row['tile']}", row["localid"]): row["selected"] for row in rows}
        assert found == {(one.unit, one.localid): len(one.rows) for one in store.select(**where)}
        assert 0 < len(found) < len(store.samples)


class TestParquet:
    def test_units_with_labels_of_different_shapes_are_refused(self, store, tmp_path):
        with pytest.raises(WrongUsage, match="labels of different shapes"):
            export_parquet(store, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_the_schema_says_bands_classes_and_source(self, store, tmp_path):
        from pyarrow import parquet

        done = export_parquet(store.select(split="val", label="snow"), tmp_path / "out")
        about = json.loads(parquet.read_schema(done.files[0].path).metadata[b"s2ct"])
        assert about["bands"] == ["B2", "B3", "B4", "B8"]
        assert about["classes"][5] == "snow"
        assert about["image_shape"] == [4, 42, 42]
        assert about["selected"] == {"label": ["snow"]}
        assert about["store_digest"] == store.digest
        listed = json.loads((tmp_path / "out" / "export.json").read_text())
        assert {name: listed[name] for name in about} == about
        assert list(listed["files"]) == ["val-00000.parquet"]


class TestFolder:
    def test_a_folder_with_other_files_is_kept_also_with_overwrite(self, store, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(DestinationExists, match=r"not empty|not only an export"):
                export_parquet(store, tmp_path, index=True, overwrite=overwrite)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_overwrite_replaces_an_earlier_export_but_not_what_was_added(self, store, tmp_path):
        folder = tmp_path / "out"
        folder.mkdir()  # empty
        export_parquet(store, folder, index=True)
        with pytest.raises(DestinationExists, match="not empty"):
            export_parquet(store.select(split="val"), folder)
        export_parquet(store.select(split="val"), folder, overwrite=True)
        assert sorted(path.name for path in folder.iterdir()) == ["export.json", "val-00000.parquet"]
        (folder / "mine.txt").write_text("mine")
        with pytest.raises(DestinationExists, match="not only an export") as caught:
            export_parquet(store, folder, index=True, overwrite=True)
        assert caught.value.found == "mine.txt"
        assert (folder / "mine.txt").read_text() == "mine"

    def test_a_file_a_store_and_the_current_folder_are_refused(self, made, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("mine")
        monkeypatch.chdir(tmp_path)
        for folder in (tmp_path / "file", made["zarr"], ".", tmp_path.parent):
            with pytest.raises(WrongUsage, match=r"a file, not a folder|not only an export|the current folder"):
                export_parquet(made["zarr"], folder, index=True, overwrite=True)
        assert made["zarr"].is_dir()
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_nothing_selected_is_wrong_usage_and_writes_nothing(self, store, tmp_path):
        with pytest.raises(WrongUsage, match="no observation matches"):
            export_parquet(store.select(time="1999"), tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


@FIRST
@pytest.mark.parametrize("suffix", first_quick(["zarr", "h5"]))
def test_a_damaged_chunk_stops_the_export_and_leaves_nothing(made, tmp_path, suffix, to):
    own = tmp_path / made[suffix].name
    (shutil.copytree if suffix == "zarr" else shutil.copy)(made[suffix], own)
    path, offset, _ = chunk_place(own, "train/50SMG", 1)
    flip(path, offset + 300)
    with open_store(own) as store, pytest.raises(StoreDamaged, match="rows 32 to 63 of image are damaged"):
        EXPORTS[to](store.select(tile="50SMG"), tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == [own.name]


KILLED = """
import sys
import s2ct_convert
def wait(n):
    print("writing", flush=True)
    sys.stdin.read()  # until the test closes stdin
with s2ct_convert.open_store(sys.argv[1]) as store:
    getattr(s2ct_convert, sys.argv[2])(store.select(tile="50SMG"), sys.argv[3], on_bytes=wait)
"""


@pytest.mark.slow
@EVERY
def test_a_killed_export_leaves_no_folder_and_the_next_one_tidies_up(made, store, tmp_path, to):
    command = [sys.executable, "-c", KILLED, made["zarr"], f"export_{to}", tmp_path / "out"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.") and left.name.endswith(".s2ct-tmp")
    done = EXPORTS[to](store.select(tile="50SMG"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert done.observations == 191


PACKAGES = {"parquet": "pyarrow", "webdataset": "webdataset", "netcdf": "xarray"}


@EVERY
def test_a_missing_package_is_reported_with_its_extra(store, tmp_path, monkeypatch, to):
    monkeypatch.setitem(sys.modules, PACKAGES[to], None)
    with pytest.raises(MissingPackage, match=f"this needs {PACKAGES[to]}") as caught:
        EXPORTS[to](store, tmp_path / "out")
    assert "[export]" in caught.value.todo
    assert list(tmp_path.iterdir()) == []


MEMORY = """
import resource, sys
import s2ct_convert
export = getattr(s2ct_convert, sys.argv[3])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with s2ct_convert.open_store(sys.argv[1]) as store:
    export(store.select(localid=range(20)), sys.argv[2] + "-first")
    before = peak()
    done = export(store, sys.argv[2])
    print(done.observations, peak() - before)
"""


@pytest.mark.slow
@EVERY
def test_memory_does_not_grow_with_the_store(tmp_path, rng, to):
    """170 MB of pixels in one unit, after the first 28 MB of it."""
    groups = [random_group(rng, localid, 100) for localid in range(120)]
    s2ct_convert.convert(write_tfrecord(tmp_path, groups), tmp_path / "x.zarr")
    command = [sys.executable, "-c", MEMORY, tmp_path / "x.zarr", tmp_path / "out", f"export_{to}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    observations, grown = map(int, done.stdout.split())
    assert observations == 12_000
    assert grown < 60e6


def test_pixels_of_65535_and_0_stay_in_netcdf(store, tmp_path):
    """netCDF4 would mask 65535 on reading; xarray does not."""
    import netCDF4

    done = export_netcdf(store.select(split="train", tile="50SMG", localid=37), tmp_path / "out")
    with netCDF4.Dataset(done.files[0].path) as file:
        file.set_auto_mask(False)
        image = file["image"][...]
        assert file["image"].filters()["fletcher32"]
        assert (image == 65535).all(axis=(1, 2, 3)).sum() == 2
        assert file.featureType == "timeSeries"
    assert Path(done.files[0].path).name == "train_50SMG.nc"
