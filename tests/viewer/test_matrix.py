"""The predictions of a model on the page: the matrix, its cells and parts, and the map of the tiles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import s2ct_convert

from .conftest import ready
from .pages import alerts, body, rows
from .test_bundle import WEB

pytestmark = pytest.mark.slow


class Truth(NamedTuple):
    """All observations of the store, one row each, and the file with their predictions."""

    path: Path
    unit: np.ndarray
    localid: np.ndarray
    obs: np.ndarray
    month: np.ndarray
    label: np.ndarray
    predicted: np.ndarray

    def matrix(self, keep: Any = slice(None)) -> list[list[int]]:
        out = np.zeros((6, 6), int)
        np.add.at(out, (self.label[keep], self.predicted[keep]), 1)
        return out.tolist()

    def samples(self, keep: np.ndarray) -> int:
        return len(set(zip(self.unit[keep], self.localid[keep], strict=True)))


@pytest.fixture(scope="module")
def truth(sample_stores, tmp_path_factory) -> Truth:
    rng = np.random.default_rng(11)
    path = tmp_path_factory.mktemp("model") / "predictions.csv"
    columns: list[tuple[Any, ...]] = []
    lines = ["unit,localid,date,obs,prediction"]
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        for one in store.select().observations():
            predicted = int(one.label) if rng.random() < 0.7 else int(rng.integers(0, 4))
            columns.append((one.unit, one.localid, one.row, int(str(one.date)[5:7]), int(one.label), predicted))
            lines.append(f"{one.unit},{one.localid},{one.date},{one.row},{predicted}")
    path.write_text("\n".join([*lines, "train/99ZZZ,1,2018-01-01,,0"]) + "\n")
    return Truth(path, *map(np.array, zip(*columns, strict=True)))


# Text of a cell for eyes: of a button without its hidden words and its share.
_NUMBERS = """(rows) => rows.map((row) => [...row.querySelectorAll("td:not(.total)")].map((cell) => {
  const texts = [...(cell.firstElementChild ?? cell).childNodes].filter((one) => one.nodeType === Node.TEXT_NODE);
  return Number(texts.map((one) => one.data).join(""));
}))"""


def shown(page: Any) -> list[list[int]]:
    """The numbers of the matrix."""
    return list(page.eval_on_selector_all("#matrix tbody tr", _NUMBERS))


def cell(page: Any, label: int, prediction: int) -> Any:
    return page.locator(f'#matrix [data-key="{label}:{prediction}"]')


def bright(page: Any) -> list[int]:
    """Rows in the unit of the dates that are not dimmed."""
    return rows(page, "[data-obs]:not(.dim)")


def test_the_matrix_has_the_counts_of_python(open_page, sample_stores, truth):
    page = open_page(sample_stores["zarr"], predictions=truth.path)
    assert shown(page) == truth.matrix()
    same = round(100 * np.mean(truth.label == truth.predicted))
    assert page.locator("#predictions-facts").inner_text() == (
        f"{same} % of {len(truth.label)} predictions are the label."
    )
    assert "there is no unit train/99ZZZ" in page.locator("#predictions-note").inner_text()
    by_month = (truth.unit == "train/34VFN") & np.isin(truth.month, (3, 9))
    page.goto(f"{page.view.url}?tile=34VFN&split=train&month=3,9")
    ready(page)
    assert shown(page) == truth.matrix(by_month)
    assert page.complaints == [] and alerts(page) == []


def test_a_cell_shows_its_dates_and_is_in_the_address(open_page, sample_stores, truth):
    page = open_page(sample_stores["zarr"], predictions=truth.path)
    keep = (truth.label == 0) & (truth.predicted == 1)
    assert keep.any()
    cell(page, 0, 1).click()
    ready(page)
    page.wait_for_selector("[data-obs][aria-selected=true]")
    assert "cell=clear:opaque_cloud" in page.url
    assert body(page)["samples"] == str(truth.samples(keep))
    here = keep & (truth.unit == body(page)["unit"]) & (truth.localid == int(body(page)["sample"]))
    assert bright(page) == truth.obs[here].tolist()
    assert rows(page, "[aria-selected=true][data-obs]") == [truth.obs[here][0]]
    assert cell(page, 0, 1).get_attribute("aria-pressed") == "true"
    page.reload()
    ready(page)
    assert body(page)["samples"] == str(truth.samples(keep)) and bright(page) == truth.obs[here].tolist()
    page.get_by_role("button", name="Clear cell").click()
    ready(page)
    assert body(page)["samples"] == "13" and "cell=" not in page.url


def test_all_that_differ_within_a_tile_and_a_month_are_found(open_page, sample_stores, truth):
    page = open_page(sample_stores["zarr"], predictions=truth.path)
    page.locator("#by-tile button", has_text="31TCJ").click()
    page.locator("#by-month button", has_text="Sep").click()
    page.locator("#wrong").click()
    ready(page)
    here = np.char.endswith(truth.unit, "31TCJ") & (truth.month == 9)
    wrong = here & (truth.label != truth.predicted)
    assert shown(page) == truth.matrix(here)
    assert body(page)["samples"] == str(truth.samples(wrong))
    assert page.locator("#wrong").inner_text() == f"All {wrong.sum()} that differ"
    assert {"tile=31TCJ", "month=9", "cell=wrong"} <= set(page.url.partition("?")[2].split("&"))
    page.get_by_role("button", name="Clear filters").click()
    ready(page)
    assert shown(page) == truth.matrix() and body(page)["samples"] == "13"


def test_each_date_says_what_is_predicted(open_page, sample_stores, truth):
    page = open_page(sample_stores["zarr"], "?unit=train/31TCJ&sample=86", predictions=truth.path)
    here = (truth.unit == "train/31TCJ") & (truth.localid == 86)
    found = page.eval_on_selector_all("[data-obs]", "(all) => all.map((one) => Number(one.dataset.prediction))")
    assert found == truth.predicted[here].tolist()
    names = ("clear", "opaque cloud", "thin cloud", "haze")
    texts = page.locator("[data-obs] .predicted").all_inner_texts()
    differs = page.locator("[data-obs] .predicted.differs").count()
    assert differs == int((truth.label[here] != truth.predicted[here]).sum())
    for text, predicted in zip(texts, truth.predicted[here].tolist(), strict=True):
        assert predicted >= len(names) or names[predicted] in text


def test_the_keyboard_reaches_the_matrix_and_stays_there(open_page, sample_stores, truth):
    page = open_page(sample_stores["zarr"], predictions=truth.path)
    page.keyboard.press("p")
    assert not page.locator("#predictions").is_visible() and "panel=closed" in page.url
    page.keyboard.press("p")
    assert page.locator("#predictions").is_visible() and "panel" not in page.url
    page.locator("#close-predictions").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.key") == "0:0"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    ready(page)
    page.wait_for_function("location.search.includes('cell=clear:opaque_cloud')")
    assert page.evaluate("document.activeElement.dataset.key") == "0:1"
    assert page.evaluate("document.activeElement.textContent").startswith("label clear, predicted opaque cloud: ")


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [(1024, 700, "light"), (1024, 700, "dark"), (1920, 1080, "light"), (390, 800, "dark")],
)
def test_the_panel_fits_the_screen_and_axe_finds_nothing_serious(
    open_page, sample_stores, truth, width, height, scheme
):  # fmt: skip
    page = open_page(
        sample_stores["zarr"], "?unit=train/34VFN&sample=222&cell=wrong", predictions=truth.path,
        viewport={"width": width, "height": height}, color_scheme=scheme,
    )  # fmt: skip
    if width < 700:
        assert not page.locator("#predictions").is_visible()
        page.get_by_role("button", name="Predictions").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    panel, table = (page.locator(one).bounding_box() for one in ("#predictions", "#matrix"))
    assert table["x"] >= panel["x"] and table["x"] + table["width"] <= panel["x"] + panel["width"] <= width
    axe = WEB / "node_modules/axe-core/axe.min.js"
    if not axe.exists():
        pytest.skip("axe-core is not installed: npm ci --prefix web")
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        (one["id"], one["help"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_predictions_of_another_store_are_not_shown(open_page, sample_stores, truth, tmp_path):
    page = open_page(sample_stores["zarr"], predictions=truth.path)
    page.route("**/predictions.json", lambda route: route.fulfill(body=json.dumps({"format": 1, "store_digest": "x"})))
    page.reload()
    ready(page)
    assert "of another store" in page.locator("#warning").inner_text()
    assert not page.locator("#predictions-button").is_visible() and len(rows(page)) == 28


@pytest.fixture
def unplaced(sample_stores, tmp_path) -> Iterator[Path]:
    """A store whose units do not say where they are."""
    copy = shutil.copytree(sample_stores["zarr"], tmp_path / "unplaced.zarr")
    root = json.loads((copy / "zarr.json").read_bytes())
    for node in root["consolidated_metadata"]["metadata"].values():
        node["attributes"] = {key: one for key, one in node["attributes"].items() if not key.startswith("geospatial")}
    (copy / "zarr.json").write_text(json.dumps(root))
    return copy


def test_a_tile_of_the_map_is_chosen_by_a_click(open_page, sample_stores, unplaced):
    page = open_page(sample_stores["zarr"])
    assert page.locator("#map .tile").count() == 2
    boxes = {one: page.locator(f'#map [data-tile="{one}"]').bounding_box() for one in ("31TCJ", "34VFN")}
    assert boxes["31TCJ"]["x"] < boxes["34VFN"]["x"] and boxes["31TCJ"]["y"] > boxes["34VFN"]["y"]
    page.locator('#map [data-tile="34VFN"]').click()
    page.wait_for_selector('body[data-unit="train/34VFN"][data-ready="true"]')
    assert page.locator("#map .chosen").get_attribute("data-tile") == "34VFN"
    page.locator('#map [data-tile="34VFN"]').click()
    page.wait_for_selector('body[data-unit="val/34VFN"][data-ready="true"]')
    assert not open_page(unplaced).locator("#map").is_visible()
