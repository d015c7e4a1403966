"""The numbers of an overview match the arrays, and the sheet shows them."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from makers import Group, random_group, write_tfrecord
from store.conftest import empty_group
from twins import first_quick

import s2ct_convert
from s2ct_convert.errors import WrongUsage
from s2ct_convert.pictures import overview
from s2ct_convert.pictures.overview import StoreOverview, read_overview
from s2ct_convert.pictures.overview_sheet import _month, draw_overview
from s2ct_convert.pictures.palette import CLASSES

from .pictures import find, hex_rgb, read


def store(folder: Path, **units: list[Group]) -> Path:
    sources = [write_tfrecord(folder / "in", groups, unit=unit) for unit, groups in units.items()]
    s2ct_convert.convert(sources, folder / "x.zarr", jobs=1)
    return folder / "x.zarr"


def overview_of(path: Path, **how: int) -> StoreOverview:
    with s2ct_convert.open_store(path) as opened:
        return read_overview(opened, **how)


def test_counts_of_the_bundled_sample_match_its_arrays(sample_stores, suffix):
    found = overview_of(sample_stores[suffix])
    tiles = {tile: np.zeros((2, 7)) for tile in ("31TCJ", "34VFN")}
    months: dict[str, np.ndarray] = {}
    values: list[list[np.ndarray]] = [[] for _ in range(6)]
    with s2ct_convert.open_store(sample_stores[suffix]) as opened:
        for name, unit in opened.units.items():
            split, tile = name.split("/")
            for localid in unit.localid:
                series = unit.sample(localid)
                for image, label, date in zip(series.image, series.label, series.dates, strict=True):
                    tiles[tile][("train", "val").index(split), label] += 1
                    months.setdefault(str(date)[:7], np.zeros(7))[label] += 1
                    values[label].append(image[:, 18:24, 18:24])
    assert (found.samples, found.observations, found.brightness.observations) == (13, 309, 309)
    for tile, counts in tiles.items():
        assert found.tiles[tile].tolist() == counts.tolist()
    for i, counts in enumerate(found.months):
        month = str(np.datetime64(found.first_month + i, "M"))
        assert counts.tolist() == months.get(month, np.zeros(7)).tolist(), month
    assert sum(counts.sum() for counts in months.values()) == found.months.sum() == 309
    end = found.brightness.edges[-1]
    for k, images in enumerate(values):
        assert found.brightness.by_class[k] == len(images)
        for band in range(4):
            pixels = np.minimum(np.array(images)[:, band], end)
            expected = np.histogram(pixels, found.brightness.edges)[0]
            assert found.brightness.counts[band, k].tolist() == expected.tolist()


@pytest.mark.slow
def test_each_of_36_labels_counts_as_1_36_of_an_observation(tmp_path, rng):
    group = random_group(rng, 7, 2, label_pixels=36)
    group.image[:] = 100
    group.image[:, :, 18, 18:24] = 900  # the upper row of the labelled pixels
    labels = np.zeros((2, 6, 6), np.int8)
    labels[:, 0] = 5
    labels[1, 5, 5] = 77
    group.labels = labels
    found = overview_of(store(tmp_path, train_50SMG=[group]))
    expected = np.array([59 / 36, 0, 0, 0, 0, 12 / 36, 1 / 36])
    assert found.months[0] == pytest.approx(expected)
    assert found.tiles["50SMG"][0] == pytest.approx(expected)
    assert found.brightness.by_class == pytest.approx(expected)
    dark, bright = np.searchsorted(found.brightness.edges, (100, 900), "right") - 1
    for band in range(4):
        assert found.brightness.counts[band, 5, bright] == found.brightness.counts[band, 5].sum() == 12
        assert found.brightness.counts[band, 0, dark] == found.brightness.counts[band, 0].sum() == 59
    draw_overview(found, suffix=".png")


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    groups = [random_group(rng, localid, 100) for localid in range(5)]
    return store(tmp_path_factory.mktemp("big"), train_50SMG=groups)


def test_very_bright_pixels_are_in_the_last_bin(tmp_path, rng):
    group = random_group(rng, 7, 20)
    group.image[0, 0, 20, 20] = 60_000
    found = overview_of(store(tmp_path, train_50SMG=[group])).brightness
    assert found.edges[-1] < 10_000
    assert found.counts.sum() == 20 * 4 * 36
    assert found.counts[0, :, -1].sum() >= 1


class TestPart:
    """The histograms of a big store use a bounded part of it."""

    @pytest.fixture(autouse=True)
    def most(self, monkeypatch):
        monkeypatch.setattr(overview, "HISTOGRAM_OBS", 64)

    def test_the_part_is_bounded_and_all_labels_are_counted(self, big):
        found = overview_of(big)
        assert found.brightness.observations <= 64
        assert found.brightness.counts.sum() == found.brightness.observations * 4 * 36
        assert found.months.sum() == 500

    def test_the_seed_selects_the_part(self, big):
        draws = [overview_of(big, seed=seed).brightness.counts.tobytes() for seed in (1, 1, 2, 3, 4)]
        assert draws[0] == draws[1]
        assert len(set(draws)) > 2

    @pytest.mark.slow
    def test_the_sheet_reports_the_part_and_the_seed(self, big, monkeypatch):
        drawn = []
        monkeypatch.setattr("s2ct_convert.pictures.sheet.Sheet.paragraph", lambda self, y, words: drawn.append(words))
        draw_overview(overview_of(big, seed=3), suffix=".png")
        assert "64 of 500 observations, drawn in chunks with seed 3" in drawn[0]


class TestSheet:
    def test_bars_are_as_long_as_their_shares(self, tmp_path, rng):
        labels = [0] * 5 + [1] * 3 + [5] * 2
        group = random_group(rng, 7, 10)
        group.labels = np.array(labels, np.int8)
        picture = read(draw_overview(overview_of(store(tmp_path, train_50SMG=[group])), suffix=".png"))
        row = picture[206 + 3]  # through the bar, above its words
        lengths = [len(find(row[None], hex_rgb(CLASSES[k].color))) for k in range(6)]
        whole = sum(lengths)
        assert whole > 800
        assert np.array(lengths) / whole == pytest.approx([0.5, 0.3, 0, 0, 0, 0.2], abs=0.01)
        starts = [find(row[None], hex_rgb(CLASSES[k].color))[:, 1].min() for k in (0, 1, 5)]
        assert starts == sorted(starts)

    @pytest.mark.parametrize("tiles", first_quick([3, 1, 20]))
    @pytest.mark.slow
    def test_the_sheet_grows_with_the_tiles_and_nothing_is_clipped(self, tmp_path, rng, tiles):
        names = [f"train_{10 + i}SITE" for i in range(tiles)]
        picture = read(
            draw_overview(overview_of(store(tmp_path, **{n: [random_group(rng, 1, 3)] for n in names})), suffix=".png")
        )
        ink = np.argwhere((picture != 255).any(-1))
        assert ink.min() >= 20
        assert (np.array(picture.shape[:2]) - ink.max(0) >= 20).all()
        assert picture.shape[0] == pytest.approx(1010 + 26 * tiles, abs=60)

    @pytest.mark.parametrize("days", first_quick([[0], [0, 40], [0, 2200], [0, 500]]))
    @pytest.mark.slow
    def test_any_span_of_time_can_be_drawn(self, tmp_path, rng, days):
        group = random_group(rng, 7, len(days))
        first = datetime.date(2018, 1, 2).toordinal()
        group.dates = np.array([first + day for day in days])
        found = overview_of(store(tmp_path, val_50SMG=[group]))
        assert found.months.sum() == len(days)
        assert draw_overview(found, suffix=".png") == draw_overview(found, suffix=".png")


def test_months_have_names_and_the_first_has_its_year():
    assert [_month(month, first=month == 578) for month in (578, 579, 588)] == ["Mar\n2018", "Apr", "Jan\n2019"]


def test_a_store_without_observations_raises(tmp_path):
    with pytest.raises(WrongUsage, match="no observations to show"):
        overview_of(store(tmp_path, train_50SMG=[empty_group(1)]))


def test_a_unit_without_observations_is_skipped(tmp_path, rng):
    found = overview_of(store(tmp_path, train_50SMG=[empty_group(1)], val_31TCJ=[random_group(rng, 1, 2)]))
    assert (list(found.tiles), found.samples, found.observations) == (["31TCJ"], 2, 2)
