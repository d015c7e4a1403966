"""Stores as xarray datasets: a label selects what it names, and a part can be written."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from makers import random_group, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.errors import StoreDamaged, WrongUsage
from s2ct_convert.reading.opening import open_store

xarray = pytest.importorskip("xarray")


@pytest.fixture(params=first_quick(["zarr", "h5", "linked"], quick=2))
def store(request, made):
    with open_store(made[request.param]) as opened:
        yield opened


def test_a_label_of_sample_is_its_localid(store):
    unit, dataset = store["train/50SMG"], store.to_xarray("train/50SMG")
    assert dataset.sel(sample=412)["row_size"] == 130
    assert dataset.indexes["sample"].tolist() == unit.localid.tolist() == [-5, 37, 412]
    with pytest.raises(KeyError):
        dataset.sel(sample=1)  # there is a sample at position 1


def test_a_label_of_band_is_its_name(store):
    unit, dataset = store["train/50SMG"], store.to_xarray("train/50SMG")
    np.testing.assert_array_equal(dataset["image"].sel(band="B4"), unit["image"][...][:, 2])
    assert dataset.sel(band="B8")["wavelength"] == np.float32(832.8)
    with pytest.raises(KeyError):
        dataset.sel(band=2)


def test_every_observation_knows_its_sample_after_a_cut(store):
    dataset = store.to_xarray("train/50SMG")
    cut = dataset.isel(obs=dataset["obs_localid"] == 37)
    np.testing.assert_array_equal(cut["image"], store["train/50SMG"].sample(37).image)
    assert "whole unit" in cut["row_start"].attrs["comment"]
    assert not {"content_digest", "tables_digest"} & set(cut.attrs)


def test_one_sample_has_time_band_y_and_x(store):
    sample, dataset = store["train/50SMG"].sample(412), store.to_xarray("train/50SMG", localid=412)
    assert dataset["image"].dims == ("time", "band", "y", "x")
    for name in ("image", "label", "weight"):
        np.testing.assert_array_equal(dataset[name], getattr(sample, name))
    np.testing.assert_array_equal(dataset["time"], sample.dates)
    assert (dataset["split"], dataset["tile"], dataset["localid"]) == ("train", "50SMG", 412)
    assert dataset["label"].attrs["flag_meanings"].startswith("no_label clear")
    with pytest.raises(KeyError, match="no sample with localid 99"):
        store.to_xarray("train/50SMG", localid=99)


def test_several_samples_come_in_the_order_given(store):
    dataset = store.to_xarray("train/50SMG", localid=[412, -5])
    assert dataset["localid"].values.tolist() == [412] * 130 + [-5]
    np.testing.assert_array_equal(dataset["image"][130], store["train/50SMG"].sample(-5).image[0])
    assert store.to_xarray("train/50SMG", localid=[]).sizes["time"] == 0


def test_a_selection_becomes_one_series_with_its_places(store):
    selection = store.select(tile="50SMG", label=["clear", "snow"], time=slice("2018-02", "2018-04"))
    dataset, found = selection.to_xarray(), list(selection.observations())
    assert dataset.sizes["time"] == selection.count() == len(found) > 10
    places = zip(*(dataset[name].values.tolist() for name in ("split", "tile", "localid", "row")), strict=True)
    assert [(f"{split}/{tile}", *rest) for split, tile, *rest in places] == [(o.unit, o.localid, o.row) for o in found]
    np.testing.assert_array_equal(dataset["image"], [o.image for o in found])
    np.testing.assert_array_equal(
        dataset["image"][3:9:2, [2, 0], ::-1, 5], [o.image[[2, 0], ::-1, 5] for o in found[3:9:2]]
    )
    np.testing.assert_array_equal(dataset["label"], [o.label for o in found])
    np.testing.assert_array_equal(dataset["time"], [o.date for o in found])
    assert dataset["image"].groupby("localid").mean().sizes["localid"] == len(list(selection))


def test_an_empty_selection_becomes_an_empty_dataset(store):
    dataset = store.select(time=slice("1999", "2000")).to_xarray()
    assert dict(dataset.sizes) == {"time": 0, "band": 4, "y": 42, "x": 42}
    assert dataset["image"].values.shape == (0, 4, 42, 42)


def test_labels_of_different_shapes_are_refused_by_unit(store):
    with pytest.raises(WrongUsage, match=r"train/49RGN \(6, 6\), train/50SMG \(\)"):
        store.select(split="train").to_xarray()


def test_a_datatree_has_the_same_coordinates(store):
    tree = store.to_datatree()
    assert tree["train/50SMG"].sel(sample=37)["row_size"] == 20
    assert tree["val/50SMG"].sel(band="B2")["image"].dims == ("obs", "y", "x")
    assert tree["index"].to_dataset().sel(sample=412)["row_size"] == 130


def test_a_dataset_outlives_its_store_and_can_be_pickled(made):
    for suffix in ("zarr", "h5"):
        with open_store(made[suffix]) as store:
            image = store["val/50SMG"]["image"][...]
            dataset, tree = store.to_xarray("val/50SMG"), store.to_datatree()
            sample = store.select(split="val").to_xarray()
        again = pickle.loads(pickle.dumps(dataset))
        for one in (dataset["image"], again["image"], tree["val/50SMG/image"], sample["image"]):
            np.testing.assert_array_equal(one, image)


@pytest.mark.parametrize("write", ["zarr", "nc"])
@pytest.mark.parametrize("suffix", ["zarr", "h5"], indirect=True)
@pytest.mark.every_variant
def test_a_part_is_written_and_read_back(made, suffix, write, tmp_path):
    with open_store(made[suffix]) as store:
        whole = store.to_xarray("train/50SMG")
        parts = [
            whole.isel(obs=slice(3, 40), x=slice(0, 7)),
            whole.isel(obs=slice(3, 40)).chunk(obs=10) if _has_dask() else whole.isel(obs=[5, 2]),
            store.to_xarray("train/50SMG", localid=37),
            store.select(split="val", label="clear").to_xarray(),
        ]
        for i, part in enumerate(parts):
            path = tmp_path / f"{i}.{write}"
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # such as: this dtype is not in the specification of Zarr
                warnings.filterwarnings("ignore", "numpy.ndarray size changed")  # netCDF4 1.7.2 beside numpy 2.0
                if write == "zarr":
                    part.to_zarr(path, consolidated=False)
                else:
                    part.to_netcdf(path)
            opened = xarray.open_zarr(path, consolidated=False) if write == "zarr" else xarray.open_dataset(path)
            with opened as back:
                xarray.testing.assert_equal(part.load(), back.load())


def test_datasets_have_no_storage_encoding(store):
    index = store.to_datatree()["index"].to_dataset()
    for dataset in (store.to_xarray("train/50SMG"), store.to_xarray("val/50SMG", 1), index):
        for name, variable in dataset.variables.items():
            times = {"units", "calendar", "dtype"} if variable.dtype.kind == "M" else set()
            assert set(variable.encoding) == times, name


def _has_dask() -> bool:
    try:
        import dask.array  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("state", ["complete", "incomplete"])
def test_a_store_without_consolidated_metadata_becomes_a_dataset(made, tmp_path, state):
    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    node = json.loads((own / "zarr.json").read_text())
    del node["consolidated_metadata"]
    node["attributes"]["state"] = state
    (own / "zarr.json").write_text(json.dumps(node))
    with open_store(own, allow_incomplete=True) as store, open_store(made["zarr"]) as whole:
        xarray.testing.assert_identical(store.to_xarray("val/50SMG").load(), whole.to_xarray("val/50SMG").load())
        groups = set(store.to_datatree().groups)
        assert groups | {"/index"} == set(whole.to_datatree().groups)
        assert ("/index" in groups) == (state == "complete")
        assert repr(store).splitlines()[0].startswith(f"<Store {own}: zarr, {state}, 3 units")


def test_a_shard_lost_after_opening_raises_when_it_is_read(made, tmp_path):
    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    with open_store(own) as store:
        dataset = store.to_xarray("val/50SMG")
        (own / "val/50SMG/image/c/0/0/0/0").unlink()
        with pytest.raises(StoreDamaged, match=r"this file is missing|this shard is missing"):
            dataset["image"].load()


def test_a_sample_without_observations_becomes_an_empty_dataset(rng, tmp_path, suffix):
    source = write_tfrecord(tmp_path, [random_group(rng, 7, 0), random_group(rng, 8, 2)])
    s2ct_convert.convert(source, tmp_path / f"x.{suffix}")
    with open_store(tmp_path / f"x.{suffix}") as store:
        assert store.to_xarray("train/50SMG", localid=7)["image"].values.shape == (0, 4, 42, 42)
        assert store.to_xarray("train/50SMG", localid=[7, 8])["localid"].values.tolist() == [8, 8]
        assert [one.localid for one in store.select()] == [8] and len(store.select()) == 1


def test_missing_dates_are_nat_and_can_be_written(rng, tmp_path, suffix):
    group = random_group(rng, 7, 4)
    dates = group.dates.copy()
    dates[0] = 0
    s2ct_convert.convert(write_tfrecord(tmp_path, [replace(group, dates=dates)]), tmp_path / f"x.{suffix}")
    with open_store(tmp_path / f"x.{suffix}") as store:
        for dataset in (store.to_xarray("train/50SMG"), store.to_xarray("train/50SMG", localid=7)):
            assert np.isnat(dataset["time"].values).tolist() == [False, False, False, True]
            dataset.to_netcdf(tmp_path / "x.nc")
            with xarray.open_dataset(tmp_path / "x.nc") as back:
                np.testing.assert_array_equal(back["time"], dataset["time"])
