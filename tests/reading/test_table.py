"""The index as a table, and its filters."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import plain
import pytest

from s2ct_convert.errors import Incomplete
from s2ct_convert.reading.opening import open_store
from s2ct_convert.reading.table import days


@pytest.fixture(params=["zarr", "h5", "linked"])
def store(request, made):
    with open_store(made[request.param]) as opened:
        yield opened


@pytest.mark.every_variant
def test_the_table_has_a_row_for_every_sample(store, made):
    rows = store.samples
    assert [(r["split"], r["tile"], int(r["localid"])) for r in rows] == [
        *(("train", "49RGN", i) for i in (8, 9)),
        *(("train", "50SMG", i) for i in (-5, 37, 412)),
        *(("val", "50SMG", i) for i in (1, 2)),
    ]
    for row in rows:
        unit = store[f"{row['split']}/{row['tile']}"]
        own = slice(int(row["row_start"]), int(row["row_start"] + row["row_size"]))
        assert unit.rows(row["localid"]) == own
        assert row["time_first"] == unit.time[own].min().astype("M8[D]")
        assert row["time_last"] == unit.time[own].max().astype("M8[D]")
        assert row["label_count"].tolist() == [int((unit.label[own] == k).sum()) for k in range(6)]


@pytest.mark.every_variant
def test_the_table_converts_to_a_numpy_array(store):
    assert np.asarray(store.samples).dtype.names[:3] == ("split", "tile", "localid")
    assert store.samples["localid"].sum() == 8 + 9 - 5 + 37 + 412 + 1 + 2
    assert len(store.samples[1:3]) == 2


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("filters", "localids"),
    [
        ({}, [8, 9, -5, 37, 412, 1, 2]),
        ({"tile": "50SMG"}, [-5, 37, 412, 1, 2]),
        ({"tile": ["50SMG", "49RGN"], "split": "train"}, [8, 9, -5, 37, 412]),
        ({"split": ("val",)}, [1, 2]),
        ({"localid": 37}, [37]),
        ({"localid": np.array([1, 412, 99])}, [412, 1]),
        ({"localid": []}, []),
        ({"time": slice(None, "2018-01-02")}, [8, 9, -5, 37, 412, 1, 2]),
        ({"time": slice("2019-06-01", None)}, []),
        ({"time": slice("2018-12", None)}, [412]),
        ({"time": "2018-05"}, [8, 9, 412]),
        ({"time": np.datetime64("2018-01-03")}, [8, 9, 37, 412, 1, 2]),
    ],
)
def test_filters_return_matching_samples(store, filters, localids):
    # First days are 2018-01-02; lengths 25, 25, 1, 20, 100 and 30 (the same days), 20, 20, five days apart.
    assert store.samples.where(**filters)["localid"].tolist() == localids


@pytest.mark.every_variant
def test_labels_may_be_names_or_numbers(store):
    for label in (5, "snow", ["snow"], np.int8(5)):
        found = store.samples.where(label=label)
        assert found["localid"].tolist() == [r["localid"] for r in store.samples if r["label_count"][5]]
    assert len(store.samples.where(label=[0, "snow"])) >= len(store.samples.where(label="snow"))


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"tile": "50SMH"}, "no tile '50SMH'; the store has 49RGN, 50SMG"),
        ({"split": "test"}, "no split 'test'; the store has train, val"),
        ({"label": "cloud"}, "no class 'cloud'; the store has clear, opaque_cloud"),
        ({"label": 200}, r"no class 200; .*\(0 to 5\)"),
    ],
)
def test_an_unknown_value_raises_key_error_with_the_known_ones(store, filters, message):
    with pytest.raises(KeyError, match=message):
        store.samples.where(**filters)
    with pytest.raises(KeyError, match=message):
        store.select(**filters)


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("time", "first", "last"),
    [
        ("2018", "2018-01-01", "2018-12-31"),
        ("2020-02", "2020-02-01", "2020-02-29"),
        ("2018-06-05", "2018-06-05", "2018-06-05"),
        ("2018-06-05T10:00", "2018-06-05", "2018-06-05"),
        (slice("2018-03", "2018-05"), "2018-03-01", "2018-05-31"),
        (slice("2018", None), "2018-01-01", "9999-12-31"),
        (slice(None, "2018"), "0001-01-01", "2018-12-31"),
    ],
)
def test_a_month_or_year_includes_all_its_days(time, first, last):
    assert tuple(map(str, days(time))) == (first, last)


def test_an_incomplete_store_has_no_table(made, tmp_path):
    from .test_store import set_root_attribute

    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    set_root_attribute(own, "state", "incomplete")
    with open_store(own, allow_incomplete=True) as store, pytest.raises(Incomplete, match="no index"):
        len(store.samples)


class TestSelect:
    def test_a_selection_of_everything_has_every_observation_once(self, store, made):
        found = list(store.select())
        assert [s.localid for s in found] == store.samples["localid"].tolist()
        for sample in found:
            unit = store[sample.unit]
            rows = unit.rows(sample.localid)
            assert sample.rows.tolist() == list(range(rows.start, rows.stop))
            for name in ("image", "label", "time", "weight"):
                plain.assert_same({name: getattr(sample, name)}, {name: np.asarray(unit[name][rows])})

    @pytest.mark.parametrize(
        "filters",
        [
            {"time": slice("2018-02-01", "2018-03-15")},
            {"label": "snow"},
            {"label": [1, "thin_cloud"], "time": "2018-04", "tile": "50SMG"},
            {"split": "train", "localid": [412, 8], "label": 0},
        ],
    )
    def test_a_selection_has_only_matching_observations(self, store, filters, monkeypatch):
        from s2ct_convert.reading import select

        monkeypatch.setattr(select, "BLOCK_OBS", 40)  # several reads per unit
        expected = []
        labels = np.atleast_1d(filters.get("label", range(6))).tolist()
        numbers = [{"snow": 5, "thin_cloud": 2, "1": 1}.get(one, one) for one in labels]
        first, last = days(filters.get("time", slice(None)))
        for row in store.samples.where(**{k: v for k, v in filters.items() if k in ("split", "tile", "localid")}):
            unit = store[f"{row['split']}/{row['tile']}"]
            for k in range(int(row["row_start"]), int(row["row_start"] + row["row_size"])):
                if first <= unit.time[k].astype("M8[D]") <= last and np.isin(unit.label[k], numbers).any():
                    expected.append((str(unit.name), int(row["localid"]), k))
        selection = store.select(**filters)
        found = list(selection.observations())
        assert [(o.unit, o.localid, o.row) for o in found] == expected
        assert selection.count() == len(expected) > 0
        for one in found[:: max(1, len(found) // 20)]:
            np.testing.assert_array_equal(one.image, np.asarray(store[one.unit]["image"][one.row]))
            assert one.time == store[one.unit].time[one.row]
        sizes = [len(sample.rows) for sample in selection]
        assert sum(sizes) == len(expected)
        assert 0 not in sizes

    def test_labels_may_come_from_a_generator(self, store):
        selection = store.select(label=(name for name in ("snow", "haze")))
        assert selection.count() == store.select(label=["snow", "haze"]).count() > 0

    def test_images_are_read_only_during_iteration(self, made, tmp_path):
        own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
        with open_store(own) as store:
            selection = store.select(tile="50SMG")
            for shard in own.rglob("c/*/0/0/0"):
                shard.unlink()
            assert len(selection.table) == 5
            with pytest.raises(Exception, match="shard is missing"):
                next(iter(selection))


class TestXarray:
    def test_to_xarray_has_the_values_of_the_unit(self, store):
        xarray = pytest.importorskip("xarray")
        unit = store["train/50SMG"]
        with store.to_xarray("train/50SMG") as dataset:
            assert isinstance(dataset, xarray.Dataset)
            assert dataset["image"].dtype == np.uint16
            np.testing.assert_array_equal(dataset["image"][:40].values, unit.images([slice(0, 40)])[0])
            assert dataset["time"].values[0] == unit.time[0].astype("M8[D]")

    def test_to_datatree_has_all_groups(self, store):
        pytest.importorskip("xarray")
        with store.to_datatree() as tree:
            assert set(store.units) <= {path.lstrip("/") for path in tree.groups}
            np.testing.assert_array_equal(tree["val/50SMG/label"].values, store["val/50SMG"].label)

    def test_an_unknown_unit_raises_key_error(self, store):
        with pytest.raises(KeyError, match="no unit 'x/y'"):
            store.to_xarray("x/y")


@pytest.mark.every_variant
def test_a_generator_selects_as_a_list_does(store):
    tile, split = store.samples.tiles[0], store.samples.splits[0]
    assert len(store.samples.where(tile=(one for one in [tile]))) == len(store.samples.where(tile=[tile])) > 0
    assert store.select(split=(one for one in [split])).count() == store.select(split=[split]).count() > 0


@pytest.mark.every_variant
@pytest.mark.parametrize("label", ["no_label", 9, ["clear", -1]])
def test_labels_without_a_count_in_the_index_are_refused(store, label):
    with pytest.raises(ValueError, match=r"the index has no count of label .*store\.select\(label="):
        store.samples.where(label=label)
    assert store.select(label=label).count() == (store.select(label="clear").count() if label == ["clear", -1] else 0)


@pytest.mark.every_variant
@pytest.mark.parametrize("wrong", [86.9, "86", None])
def test_a_localid_is_a_whole_number(store, wrong):
    unit = next(iter(store.units.values()))
    with pytest.raises(TypeError):
        unit.sample(wrong)
    with pytest.raises(TypeError):
        store.samples.pick([(str(unit.name), wrong)])
    if wrong is not None:
        with pytest.raises(TypeError):
            store.select(localid=wrong)


@pytest.mark.every_variant
def test_what_readers_share_cannot_be_written_to(store):
    unit = next(iter(store.units.values()))
    for array in (unit.label, unit.time, unit.localid, store.samples.rows):
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = array[1:2]
    unit.sample(unit.localid[0]).label[...] = 0  # a copy


@pytest.mark.every_variant
def test_rows_without_a_date_are_in_the_table(store):
    rows = store.samples.rows.copy()
    rows["time_first"] = np.datetime64("NaT", "s")
    samples = dataclasses.replace(store.samples, rows=rows)
    assert rows[0] in samples
    assert store.samples[0] not in samples
