"""The page in a browser: what it shows is what Python reads."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
import zarr

import s2ct_convert
from s2ct_convert.pictures.palette import FALSE_COLOUR, TRUE_COLOUR
from s2ct_convert.pictures.stretch import stretch_for

from .conftest import ready
from .pages import alerts, body, pictures, rows

pytestmark = pytest.mark.slow


def test_the_page_is_ready_with_few_requests_and_no_complaints(open_page, sample_stores):
    begin = time.monotonic()
    page = open_page(sample_stores["zarr"])
    assert time.monotonic() - begin < 3
    page.wait_for_load_state("networkidle")
    assert len(page.requests) <= 15
    assert all(url.startswith(page.view.url) for url in page.requests)
    assert page.complaints == []
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        first = store.samples[0]
        unit = f"{first['split']}/{first['tile']}"
        assert body(page) == {
            "ready": "true",
            "unit": unit,
            "sample": str(first["localid"]),
            "samples": str(len(store.samples)),
        }
        assert rows(page) == list(range(first["row_start"], first["row_start"] + first["row_size"]))


def samples_of(store):
    return [(f"{row['split']}/{row['tile']}", int(row["localid"])) for row in store.samples]


def test_every_picture_of_every_sample_is_that_of_python(open_page, sample_stores):
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        page = open_page(sample_stores["zarr"])
        for unit, localid in samples_of(store):
            for colouring, composite in (("true", TRUE_COLOUR), ("false", FALSE_COLOUR)):
                page.goto(f"{page.view.url}?unit={unit}&sample={localid}&colour={colouring}")
                ready(page)
                assert (body(page)["unit"], body(page)["sample"]) == (unit, str(localid))
                sample, here = store[unit].sample(localid), store[unit].rows(localid)
                shown = pictures(page)
                assert list(shown) == list(range(here.start, here.stop))
                stretch = stretch_for(sample.image, sample.label)
                assert np.array_equal(np.stack(list(shown.values())), stretch.rgb(sample.image, composite))
                dates = page.eval_on_selector_all("[data-obs]", "(all) => all.map((one) => one.dataset.date)")
                labels = page.eval_on_selector_all("[data-obs]", "(all) => all.map((one) => Number(one.dataset.label))")
                assert dates == [str(date) for date in sample.dates]
                assert labels == sample.label.tolist()
        assert page.complaints == []


def test_snow_is_not_saturated(open_page, sample_stores):
    page = open_page(sample_stores["zarr"], "?unit=train/34VFN&sample=222")
    snow = rows(page, '[data-obs][data-class="snow"]')
    shown = pictures(page)
    assert len(snow) > 20
    assert np.mean([(shown[row] == 255).mean() for row in snow]) < 0.1


def test_single_bands_are_grey_and_ndvi_is_green_over_plants(open_page, sample_stores):
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        sample = store["train/31TCJ"].sample(16)
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=16&colour=b8")
    shown = np.stack(list(pictures(page).values()))
    assert (shown == shown[..., :1]).all()
    grey = stretch_for(sample.image, sample.label).rgb(sample.image, FALSE_COLOUR)[..., 0]
    assert np.array_equal(shown[..., 0], grey)
    page.keyboard.press("c")
    assert body(page)["ready"] == "true" and "colour" not in page.url
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=16&colour=ndvi")
    shown = np.stack(list(pictures(page).values())).astype(int)
    red, near = sample.image[:, 2].astype(float), sample.image[:, 3].astype(float)
    plants = (near - red) / (near + red) > 0.6
    assert plants.any() and (shown[plants][:, 1] > shown[plants][:, 0]).all()


FILTERS = [
    ("?label=haze", {"label": "haze"}),
    ("?label=3,snow", {"label": ["haze", "snow"]}),
    ("?split=val", {"split": "val"}),
    ("?month=7", {"months": 7}),
    ("?month=1,12&label=snow", {"months": (1, 12), "label": "snow"}),
    ("?month=8&label=clear&split=train", {"months": 8, "label": "clear", "split": "train"}),
    ("?label=no_label", {"label": "no_label"}),
]


@pytest.mark.parametrize(("query", "arguments"), FILTERS)
def test_filters_equal_select(open_page, sample_stores, query, arguments):
    page = open_page(sample_stores["zarr"], query)
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        selection = store.select(**arguments)
        assert body(page)["samples"] == str(len(selection))
        shown = rows(page, "[data-obs]:not(.dim)")
        for sample in selection:
            if (sample.unit, str(sample.localid)) == (body(page)["unit"], body(page)["sample"]):
                assert shown == sample.rows.tolist()
        assert page.locator("#list [role=option]").count() == len(selection)


def test_filters_of_the_controls_equal_select_without_pixels(open_page, sample_stores):
    page = open_page(sample_stores["zarr"])
    before = len([url for url in page.requests if "/image/" in url])
    page.get_by_label("≈ haze").check(force=True)
    page.get_by_label("Jun").check(force=True)
    ready(page)
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        assert body(page)["samples"] == str(len(store.select(label="haze", months=6)))
    assert len([url for url in page.requests if "/image/" in url]) == before
    assert "label=haze&month=6" in page.url
    page.get_by_role("button", name="Clear filters").click()
    ready(page)
    assert body(page)["samples"] == "13"


def test_the_address_holds_the_state_and_back_returns(open_page, sample_stores):
    page = open_page(sample_stores["zarr"], "?unit=val/34VFN&sample=110&obs=3&colour=false&label=snow")
    assert rows(page, "[aria-selected=true][data-obs]") == [3]
    page.keyboard.press("ArrowDown")
    page.wait_for_function('document.body.dataset.ready === "true" && document.body.dataset.sample === "348"')
    assert page.url.endswith("?unit=val/34VFN&sample=348&colour=false&label=snow")
    page.go_back()
    page.wait_for_function('document.body.dataset.ready === "true" && document.body.dataset.sample === "110"')
    assert rows(page, "[aria-selected=true][data-obs]") == [3]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?unit=train/99ZZZ&sample=1", "There is no unit train/99ZZZ. The store has train/31TCJ"),
        ("?unit=train/31TCJ&sample=999", "There is no sample 999 in train/31TCJ."),
        ("?unit=%3Cimg%20src=x%3E", "There is no unit <img src=x>."),
    ],
)
def test_an_address_of_nothing_is_explained(open_page, sample_stores, query, words):
    page = open_page(sample_stores["zarr"], query)
    (text,) = alerts(page)
    assert text.startswith(words)
    assert rows(page) == []


def test_pointing_at_a_patch_shows_its_values_and_its_place_in_the_source(open_page, sample_stores):
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=86")
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        unit, here = store["train/31TCJ"], store["train/31TCJ"].rows(86)
        obs = here.start + 4
        image = unit.sample(86).image[4]
        example, position = (int(unit[name][obs]) for name in ("example", "position"))
    box = page.locator(f'[data-obs="{obs}"] canvas').bounding_box()
    page.mouse.move(box["x"] + box["width"] * 30.5 / 42, box["y"] + box["height"] * 7.5 / 42)
    page.wait_for_function(
        f'document.getElementById("info").textContent.includes("example {example}, position {position}")'
    )
    text = page.locator("#info").inner_text()
    values = "  ".join(f"{band} {value}" for band, value in zip(("B2", "B3", "B4", "B8"), image[:, 7, 30], strict=True))
    assert f"pixel 30, 7: {values.replace('  ', ' ')}" in text.replace("  ", " ")
    assert f"row {obs}" in text
    assert page.locator("#timeline .cursor").get_attribute("visibility") == "visible"


def test_pointing_at_the_timeline_marks_the_patch(open_page, sample_stores):
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=86")
    box = page.locator("#timeline").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 14, box["y"] + 40)
    assert rows(page, ".pointed") == [rows(page)[-1]]
    page.mouse.click(box["x"] + 55, box["y"] + 40)
    assert rows(page, "[aria-selected=true][data-obs]") == [rows(page)[0]]


def test_sorting_by_suspicion_equals_find_suspicious(open_page, sample_stores):
    page = open_page(sample_stores["zarr"], "?unit=train/34VFN&sample=70&sort=suspicion")
    page.wait_for_function('document.getElementById("passing").textContent.includes("most suspicious first")')
    found: dict[str, int] = {}
    for one in s2ct_convert.find_suspicious(sample_stores["zarr"], tiles=["34VFN"], splits=["train"]):
        found[str(one.localid)] = found.get(str(one.localid), 0) + one.points
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        order = sorted(map(str, store["train/34VFN"].localid.tolist()), key=lambda one: (-found.get(one, 0), int(one)))
    assert page.locator("#list .id").all_inner_texts() == order
    assert page.locator("#list .size").first.inner_text() == f"! {found[order[0]]}"


def test_stores_of_every_codec_of_both_kinds_of_labels_and_without_dates_are_shown(open_page, made_sources, tmp_path):
    for codec in ("fast", "balanced", "small"):
        store = tmp_path / f"{codec}.zarr"
        s2ct_convert.convert(made_sources, store, codec=codec)
        with s2ct_convert.open_store(store) as opened:
            for unit, localid in (("train/50SMG", 37), ("train/49RGN", 8)):
                sample = opened[unit].sample(localid)
                page = open_page(store, f"?unit={unit}&sample={localid}")
                shown = np.stack(list(pictures(page).values()))
                stretch = stretch_for(sample.image, sample.label)
                assert np.array_equal(shown, stretch.rgb(sample.image, TRUE_COLOUR)), codec
                assert page.complaints == []


def test_a_partial_store_says_what_it_lacks(open_page, sample_stores, tmp_path):
    source = shutil.copy(s2ct_convert.sample_sources()[0], tmp_path)
    broken = tmp_path / "val_31TCJ_3.7z"
    broken.write_bytes(b"not an archive")
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.convert([source, broken], tmp_path / "part.zarr")
    page = open_page(tmp_path / "part.zarr")
    assert "partial: " in page.locator("#store").inner_text()
    assert "val/31TCJ" in page.locator("#store").inner_text()
    assert len(rows(page)) > 0


def test_chunks_of_plain_zstd_are_shown(open_page, sample_stores, tmp_path):
    """No store of today has them; a store may tomorrow."""
    store = shutil.copytree(sample_stores["zarr"], tmp_path / "zstd.zarr")
    unit = store / "val/31TCJ"
    with s2ct_convert.open_store(sample_stores["zarr"]) as opened:
        sample, image = opened["val/31TCJ"].sample(90), opened["val/31TCJ"]["image"][...]
        label = opened["val/31TCJ"].label
    codecs = [zarr.codecs.ZstdCodec(level=3), zarr.codecs.Crc32cCodec()]
    for name, values, options in (
        ("image", image, {"chunks": (32, 4, 42, 42), "shards": (4096, 4, 42, 42)}),
        ("label", label, {"chunks": label.shape}),
    ):
        shutil.rmtree(unit / name)
        array = zarr.create_array(
            unit / name, shape=values.shape, dtype=values.dtype, compressors=codecs, fill_value=0, **options
        )
        array[...] = values
    root = json.loads((store / "zarr.json").read_bytes())
    for name in ("image", "label"):
        root["consolidated_metadata"]["metadata"][f"val/31TCJ/{name}"] = json.loads(
            (unit / name / "zarr.json").read_bytes()
        )
    (store / "zarr.json").write_text(json.dumps(root))
    page = open_page(store, "?unit=val/31TCJ&sample=90")
    shown = np.stack(list(pictures(page).values()))
    assert np.array_equal(shown, stretch_for(sample.image, sample.label).rgb(sample.image, TRUE_COLOUR))


def test_other_codecs_are_named(open_page, sample_stores, tmp_path):
    store = shutil.copytree(sample_stores["zarr"], tmp_path / "other.zarr")
    root = json.loads((store / "zarr.json").read_bytes())
    node = root["consolidated_metadata"]["metadata"]["train/31TCJ/image"]
    node["codecs"][0]["configuration"]["codecs"][1] = {"name": "gzip", "configuration": {"level": 1}}
    (store / "zarr.json").write_text(json.dumps(root))
    page = open_page(store, "?unit=train/31TCJ&sample=16")
    assert "gzip" in page.locator("#message").inner_text()
    assert pictures(page) == {} and len(rows(page)) == 28
