"""What a person sees and asks first: representations, dates, DataFrames, len and in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from twins import SUFFIXES

from s2ct_convert.errors import MissingPackage
from s2ct_convert.reading.opening import open_store


@pytest.fixture(params=SUFFIXES)
def store(request, made):
    with open_store(made[request.param]) as opened:
        yield opened


def test_every_value_of_a_store_fits_a_screen(store):
    unit, selection = store["train/50SMG"], store.select(label="snow")
    values = (store, unit, store.samples, selection, unit.sample(412), next(iter(selection)), store.statistics())
    for value in values:
        for text in (repr(value), str(value)):
            lines = text.splitlines()
            assert len(lines) <= 23, text
            assert all(len(line) < 80 for line in lines[1:]), text
        assert value._repr_html_().startswith("<div><b>")
    for value in (unit, unit.sample(412), next(iter(selection)), next(selection.observations())):
        assert "\n" not in repr(value)  # they come in lists


def test_a_store_shows_its_units_with_samples_and_dates(store):
    lines = repr(store).splitlines()
    assert lines[0].endswith("complete, 3 units, 7 samples, 241 observations>")
    assert lines[3].split() == ["train/50SMG", "3", "151", "2018-01-02", "2019-05-12"]
    assert "<td>train/50SMG</td><td>3</td>" in store._repr_html_()


def test_names_are_escaped_in_html(made, tmp_path):
    own = Path(shutil.copytree(made["zarr"], tmp_path / "<b>.zarr"))
    with open_store(own) as store:
        assert "&lt;b&gt;.zarr" in store._repr_html_()


def test_a_damaged_index_is_named_and_not_raised(made, tmp_path):
    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    (own / "index/localid/c/0").write_bytes(b"")
    with open_store(own) as store:
        assert "damaged" in repr(store)


def test_a_unit_is_a_mapping_of_its_arrays(store):
    unit = store["train/50SMG"]
    assert list(unit) == list(unit.keys()) and len(unit) == len(list(unit)) > 10
    assert "image" in unit and "localid" in unit and "images" not in unit
    assert unit.get("images") is None
    for ask in (lambda: 37 in unit, lambda: unit[37]):
        with pytest.raises(TypeError, match=r"unit\.sample\(37\)"):
            ask()


def test_a_store_has_the_methods_of_a_mapping(store):
    assert list(store.keys()) == list(store) == [str(unit.name) for unit in store.values()]
    assert dict(store.items()) == dict(store.units)
    assert store.get("val/99XXX") is None and "val/99XXX" not in store
    assert store == store and len({store, store["val/50SMG"]}) == 2


def test_only_a_row_can_be_asked_for_in_samples(store):
    assert store.samples[2] in store.samples
    assert store.samples[2] not in store.samples.where(split="val")
    assert 412 in store.samples["localid"]
    with pytest.raises(TypeError, match=r'412 in samples\["localid"\]|ask for a column'):
        412 in store.samples  # noqa: B015


@pytest.mark.parametrize("filters", [{}, {"label": "snow"}, {"time": "2018-05"}, {"localid": 412, "time": "1999"}])
def test_the_length_of_a_selection_is_that_of_its_iteration(store, filters):
    selection = store.select(**filters)
    assert len(selection) == sum(1 for _ in selection)
    assert bool(selection) == (len(selection) > 0)
    with pytest.raises(TypeError, match="cannot be searched"):
        37 in selection  # noqa: B015


def test_dates_are_beside_the_numbers_of_days(store):
    unit = store["train/50SMG"]
    assert unit.dates.dtype == "datetime64[D]" and unit.dates[0] == np.datetime64("2018-01-02")
    np.testing.assert_array_equal(unit.dates.astype(np.int64), unit.time)
    sample = next(iter(store.select(localid=412)))
    np.testing.assert_array_equal(sample.dates.astype(np.int64), sample.time)
    one = next(store.select(localid=412).observations())
    assert one.date == np.datetime64("2018-01-02") == np.datetime64(int(one.time), "D")


def test_samples_become_a_data_frame_with_a_column_per_class(store):
    pandas = pytest.importorskip("pandas")
    frame, samples = store.samples.to_pandas(), store.samples
    assert isinstance(frame, pandas.DataFrame) and len(frame) == len(samples)
    for name in ("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last"):
        assert frame[name].tolist() == samples[name].tolist() or frame[name].dtype.kind == "M", name
        np.testing.assert_array_equal(frame[name].to_numpy().astype(samples[name].dtype), samples[name])
    for i, name in enumerate(samples.classes):
        assert frame[f"n_{name}"].tolist() == samples["label_count"][:, i].tolist()
    for name in ("tile_lon", "tile_lat"):
        assert frame[name].tolist() == samples[name].tolist()
    assert frame.groupby("tile")[["tile_lon", "tile_lat"]].first().loc["50SMG"].tolist() == [
        *store["train/50SMG"].area.centre
    ]
    assert len(frame.columns) == 7 + 2 + 6


def test_without_pandas_the_message_says_how_to_install_it(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage, match=r"needs pandas(.|\n)*\[xarray\]"):
        store.samples.to_pandas()
