"""What a reviewer does with the page: keys, filters, review, long series, small screens."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import Group, write_tfrecord
from variations import group

import s2ct_convert
from s2ct_convert.viewer.view import PORT

from .conftest import ready
from .pages import body, pictures, rows

pytestmark = pytest.mark.slow
WEB = Path(__file__).resolve().parents[2] / "web"
DATA = Path(__file__).resolve().parents[1] / "data"


def chosen(page: Any) -> list[int]:
    return rows(page, "[data-obs][aria-selected=true]")


def shown_sample(page: Any, sample: object) -> None:
    page.wait_for_selector(f'body[data-ready="true"][data-sample="{sample}"]', timeout=20_000)


def test_everything_is_reached_by_keys(open_page, sample_stores):
    page = open_page(sample_stores["zarr"])
    press = page.keyboard.press
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowLeft")
    assert chosen(page) == [0]
    assert page.evaluate("document.activeElement.dataset.obs") == "0"
    press("End")
    assert chosen(page) == [27] and "obs=27" in page.url
    press("ArrowDown")
    shown_sample(page, 86)
    press("Shift+ArrowDown")
    shown_sample(page, 20)
    press("ArrowUp")
    shown_sample(page, 143)
    press("c")
    assert "colour=false" in page.url
    width = page.locator("canvas").first.bounding_box()["width"]
    press("+")
    assert page.locator("canvas").first.bounding_box()["width"] > width
    press("?")
    assert page.locator("dialog").is_visible()
    assert "unlike both neighbours" in page.locator("dialog").inner_text()
    press("Escape")
    assert not page.locator("dialog").is_visible()
    press("/")
    assert page.evaluate("document.activeElement.id") == "unit"
    press("Escape")
    press("s")
    page.wait_for_function('document.getElementById("passing").textContent.includes("most suspicious first")')


def test_n_goes_to_the_next_sample_with_haze_and_its_first_such_date(open_page, sample_stores):
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=142&label=haze")
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        order = [(one.unit, one.localid, int(one.rows[0])) for one in store.select(label="haze")]
    at = [one[1] for one in order].index(142)
    for unit, localid, row in [*order[at + 1 :], order[0]]:
        page.keyboard.press("n")
        shown_sample(page, localid)
        page.wait_for_selector(f'[data-obs="{row}"][aria-selected=true]')
        assert body(page)["unit"] == unit


def test_the_keyboard_reaches_every_control_in_order(open_page, sample_stores):
    page = open_page(sample_stores["zarr"])
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
        )
        if seen[-1] == "BODY":
            break
    stops = ["help-button", "unit", "split", "sort", "list", "larger", "save-csv", "load"]
    assert [one for one in seen if one in stops] == stops


def saved(page: Any, button: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_a_review_is_kept_saved_and_loaded_again(open_page, open_url, sample_stores, tmp_path):
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=86")
    first = rows(page)[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("3")
    assert chosen(page) == [first + 1], "a suggestion goes on to the next date"
    page.keyboard.press("f")
    page.keyboard.press("m")
    page.keyboard.type('=1+1, "5" or\ttab')
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("0")
    page.keyboard.press("u")
    page.reload()
    ready(page)
    marks = page.locator(".reviewed").all_inner_texts()
    assert marks == ["≈ 3", "⚑", "✎"]
    text = saved(page, "Save CSV")
    found = list(csv.DictReader(io.StringIO(text)))
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        unit, digest = store["train/31TCJ"], store.digest
    assert [int(row["obs"]) for row in found] == [first, first + 1, first + 2]
    for row in found:
        obs = int(row["obs"])
        assert (row["unit"], row["localid"], row["store_digest"]) == ("train/31TCJ", "86", digest)
        assert (row["date"], int(row["label"])) == (str(unit.dates[obs]), unit.label[obs])
    assert found[0]["suggested"] == "3" and found[1]["flag"] == "true"
    assert found[2]["note"].startswith("'=1+1"), "a spreadsheet must not compute a note"
    document = json.loads(saved(page, "Save JSON"))
    assert [row["suggested"] for row in document] == [3, None, None]
    for name, content in (("r.csv", text), ("r.json", json.dumps(document))):
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        other = open_url(page.view.url + "?unit=train/31TCJ&sample=86")
        assert other.locator(".reviewed").count() == 0
        other.set_input_files("#load", tmp_path / name)
        other.wait_for_selector(".reviewed")
        assert other.locator(".reviewed").all_inner_texts() == marks
        assert json.loads(saved(other, "Save JSON")) == document
    (tmp_path / "r.json").write_text(json.dumps([{**document[0], "store_digest": "sha256:other"}]))
    other.set_input_files("#load", tmp_path / "r.json")
    other.wait_for_selector("#reviewed >> text=is of another store")


def test_a_review_is_there_again_when_the_server_is(browser, open_url, sample_stores):
    """The browser keeps it for host and port, so the port stays the same."""
    context = browser.new_context()
    for number in range(2):
        with s2ct_convert.view(sample_stores["zarr"]) as view:
            if f":{PORT}/" not in view.url:
                pytest.skip(f"port {PORT} is in use")
            page = open_url(view.url, context=context)
            assert page.locator(".reviewed").count() == number
            page.keyboard.press("ArrowRight")
            page.keyboard.press("f")
            page.close()


def test_samples_without_dates_days_or_ids_are_shown(open_page, tmp_path):
    groups = [
        group(1, dates=np.arange(4)),
        Group(2, np.zeros((0, 4, 42, 42), "u2"), np.zeros(0, "i1"), np.zeros(0, "i8"), np.zeros(0, "f4")),
        group(None), group(None),
    ]  # fmt: skip
    s2ct_convert.convert([write_tfrecord(tmp_path, groups)], tmp_path / "x.zarr")
    page = open_page(tmp_path / "x.zarr", "?unit=train/50SMG&sample=1")
    assert page.locator("[data-obs]").all_inner_texts()[0].startswith("no date")
    assert page.get_attribute("[data-obs]", "data-date") == ""
    page = open_page(tmp_path / "x.zarr", "?unit=train/50SMG&sample=2")
    assert rows(page) == [] and "no dates" in page.locator("#message").inner_text()
    assert page.complaints == []
    with s2ct_convert.open_store(tmp_path / "x.zarr") as store:
        table = store.samples
        nameless = [i for i, row in enumerate(table) if row["localid"] == -1]
        starts = [int(table[i]["row_start"]) for i in nameless]
    assert len(nameless) == 2
    for i, start in zip(nameless, starts, strict=True):
        page = open_page(tmp_path / "x.zarr", f"?unit=train/50SMG&sample=-1&row={i}")
        assert rows(page)[0] == start and f"row={i}" in page.url


def test_stores_of_the_first_layout_are_shown(open_page, tmp_path):
    with zipfile.ZipFile(DATA / "layout_1.zarr.zip") as packed:
        packed.extractall(tmp_path)
    (root,) = (path.parent for path in tmp_path.rglob("zarr.json") if b"s2ct_layout_version" in path.read_bytes())
    page = open_page(root)
    assert len(pictures(page)) == len(rows(page)) > 0
    assert page.complaints == []


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 700), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_is_too_small_and_axe_finds_nothing_serious(open_page, sample_stores, width, height, scheme):
    page = open_page(
        sample_stores["zarr"], "?unit=train/34VFN&sample=222&obs=85",
        viewport={"width": width, "height": height}, color_scheme=scheme,
    )  # fmt: skip
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = page.locator("[data-obs]").first.bounding_box()
    assert first["x"] >= 0 and first["x"] + first["width"] <= width
    if width < 700:
        page.get_by_role("button", name="Samples").click()
        assert page.locator("#list").is_visible()
    axe = WEB / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        pytest.skip("axe-core is not installed: npm ci --prefix web")
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        (one["id"], one["help"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.fixture(scope="module")
def long_store(tmp_path_factory) -> Path:
    """500 samples of 130 dates; equal images pack small."""
    folder, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(130)
    base = rng.integers(0, 4000, (130, 4, 42, 1)).astype(np.uint16).repeat(42, axis=3)
    groups = []
    for localid in range(500):
        for first, n in ((0, 100), (100, 30)):
            dates = 736_700 + 5 * (first + np.arange(n))
            labels = rng.integers(0, 6, n, np.int8)
            groups.append(Group(localid, base[first : first + n], labels, dates, np.ones(n, np.float32)))
    s2ct_convert.convert([write_tfrecord(folder, groups)], folder / "long.zarr")
    return folder / "long.zarr"


def test_long_series_are_quick_and_memory_is_bounded(open_page, long_store):
    page = open_page(long_store)
    assert len(rows(page)) == 130
    assert page.locator("#list [role=option]").count() < 60
    last = 59  # the chunks of 60 samples are 110 MB, and the page keeps 96 MiB of them
    for localid in range(1, last + 1):
        page.keyboard.press("ArrowDown")
        shown_sample(page, localid)
    page.keyboard.press("ArrowUp")
    shown_sample(page, last - 1)
    begin = time.monotonic()
    page.keyboard.press("ArrowUp")
    shown_sample(page, last - 2)
    assert time.monotonic() - begin < 1, "0.3 s on a machine with nothing else to do"
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    assert heap < 300e6
