"""Programs that users read exports with: DuckDB, pandas, Hugging Face's datasets, PyTorch, ncdump."""

from __future__ import annotations

import re
import shutil
import subprocess

import google_crc32c
import numpy as np
import pytest
from readers.test_cf import NO_POSITION, check, needs_checker

from s2ct_convert import export_netcdf, export_parquet, export_webdataset, open_store

pytestmark = pytest.mark.slow


@pytest.fixture
def store(sample_stores):
    with open_store(sample_stores["zarr"]) as opened:
        yield opened


def images(store, split):
    """All images of a split, in the order of an export."""
    return np.concatenate([sample.image for sample in store.select(split=split)])


def crc(image):
    return google_crc32c.value(np.ascontiguousarray(image, "<u2").tobytes())


class TestHuggingFace:
    @pytest.fixture
    def datasets(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        return pytest.importorskip("datasets", reason="datasets is not installed")

    def test_the_folder_loads_with_its_splits_and_images_of_three_dimensions(self, store, datasets, tmp_path):
        export_parquet(store, tmp_path / "out", shard_size=1_500_000)
        loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
        assert {name: len(part) for name, part in loaded.items()} == {"train": 233, "validation": 76}
        image = loaded["train"].features["image"]
        assert (image.shape, image.dtype) == ((4, 42, 42), "uint16")
        for ours, theirs in (("train", "train"), ("val", "validation")):
            part = loaded[theirs].with_format("numpy", columns=["image", "image_crc32c"])[:]
            found = part["image"].astype(np.uint16)
            assert np.array_equal(part["image"], found)  # widened, but with the same values
            assert np.array_equal(found, images(store, ours))
            assert [crc(one) for one in found] == part["image_crc32c"].tolist()

    def test_a_format_with_a_dtype_gives_uint16(self, store, datasets, tmp_path):
        export_parquet(store.select(split="val"), tmp_path / "out")
        part = datasets.load_dataset(
            "parquet", data_files=str(tmp_path / "out/*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
        )
        one = part.select_columns(["image"]).with_format("numpy", dtype=np.uint16)[5]["image"]
        assert (one.dtype, one.shape) == (np.uint16, (4, 42, 42))
        assert np.array_equal(one, images(store, "val")[5])

    def test_streaming_yields_the_rows_in_order(self, store, datasets, tmp_path):
        export_parquet(store.select(split="val"), tmp_path / "out")
        stream = datasets.load_dataset(str(tmp_path / "out"), streaming=True)["validation"]
        found = [np.array(row["image"], np.uint16) for row in stream]
        assert np.array_equal(np.stack(found), images(store, "val"))


def test_duckdb_reads_pixels_and_index_with_sql(store, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    export_parquet(store, tmp_path / "out", shard_size=1_500_000)
    export_parquet(store, tmp_path / "index", index=True)
    query = f"select split, image_crc32c, flatten(flatten(image)) from read_parquet('{tmp_path}/out/*.parquet')"
    rows = duckdb.sql(query).fetchall()
    assert len(rows) == 309
    for split in ("train", "val"):
        mine = [row for row in rows if row[0] == split]
        assert [crc(row[2]) for row in mine] == [row[1] for row in mine]
        assert np.array_equal(
            np.array([row[2] for row in mine], np.uint16).reshape(-1, 4, 42, 42), images(store, split)
        )
    query = f"select tile, sum(n_snow) from '{tmp_path}/index/index.parquet' group by tile order by tile"
    counts = store.samples["label_count"][:, 5]
    wanted = [(tile, counts[store.samples["tile"] == tile].sum()) for tile in store.tiles]
    assert duckdb.sql(query).fetchall() == wanted


def test_pandas_reads_pixels_and_index(store, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    export_parquet(store.select(split="val"), tmp_path / "out")
    frame = pandas.read_parquet(tmp_path / "out" / "val-00000.parquet")
    found = np.array([[[row.tolist() for row in band] for band in image] for image in frame["image"]], np.uint16)
    assert np.array_equal(found, images(store, "val"))
    assert [crc(one) for one in found] == frame["image_crc32c"].tolist()
    export_parquet(store, tmp_path / "index", index=True)
    index = pandas.read_parquet(tmp_path / "index" / "index.parquet")
    ours = store.samples.to_pandas()
    assert index["localid"].tolist() == ours["localid"].tolist()
    assert index.groupby("tile")["n_snow"].sum().tolist() == ours.groupby("tile")["n_snow"].sum().tolist()


def test_webdataset_feeds_a_torch_loader_with_workers(store, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    webdataset = pytest.importorskip("webdataset")
    done = export_webdataset(store.select(split="train"), tmp_path / "out", shard_size=1_000_000)
    files = [str(file.path) for file in done.files]
    assert len(files) > 2
    dataset = (
        webdataset.WebDataset(files, shardshuffle=False).decode().to_tuple("image.npy", "image_crc32c.npy", "json")
    )
    found = {}
    for image, crcs, about in torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2):
        assert [crc(one) for one in np.asarray(image)] == np.asarray(crcs).tolist()
        found[about["tile"], about["localid"]] = len(image)
    assert found == {(one.unit.split("/")[1], one.localid): len(one.rows) for one in store.select(split="train")}


def test_cfdm_reads_a_file_as_a_ragged_array(store, tmp_path):
    try:
        cfdm = pytest.importorskip("cfdm", reason="cfdm is not installed")
    except FileNotFoundError as error:
        pytest.skip(f"cfdm: {error}")  # the UDUNITS-2 library is missing
    done = export_netcdf(store.select(tile="34VFN", split="train"), tmp_path / "out")
    read = cfdm.read(str(done.files[0].path), backend="netCDF4")
    image = {field.nc_get_variable(): field for field in read}["image"]
    assert image.data.get_compression_type() == "ragged contiguous"
    samples = list(store.select(tile="34VFN", split="train"))
    assert image.data.get_count().array.tolist() == [len(one.rows) for one in samples]
    unpacked = image.data.array
    for i, one in enumerate(samples):
        assert np.array_equal(unpacked[i, : len(one.rows)], one.image)


@needs_checker
def test_the_compliance_checker_reports_no_error(store, tmp_path):
    done = export_netcdf(store.select(tile="34VFN", split="train"), tmp_path / "out")
    found = check(done.files[0].path)
    assert found["high"] == found["low"] == []
    assert [message for message in found["medium"] if NO_POSITION not in message] == []


def test_ncdump_shows_dimensions_dates_and_pixels(store, tmp_path):
    if shutil.which("ncdump") is None:
        pytest.skip("ncdump (netcdf-bin) is not installed")
    export_netcdf(store.select(tile="34VFN", split="val", label="snow"), tmp_path / "out")

    def ncdump(*options):
        command = ["ncdump", *options, tmp_path / "out" / "val_34VFN.nc"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    header = ncdump("-h")
    assert "ushort image(obs, band, y, x) ;" in header
    assert 'row_size:sample_dimension = "obs" ;' in header
    assert ':featureType = "timeSeries" ;' in header
    chosen = list(store.select(tile="34VFN", split="val", label="snow"))
    dates = re.findall(r'"(\d{4}-\d\d-\d\d)"', ncdump("-t", "-v", "time").partition("data:")[2])
    assert dates == [str(day) for one in chosen for day in one.dates]
    text = ncdump("-v", "image").partition(" image =")[2].partition(";")[0]
    assert np.array_equal(np.array(text.split(","), int), np.concatenate([one.image for one in chosen]).reshape(-1))
