"""What the page writes as a review, Python reads as it was; and two tabs keep one review."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import s2ct_convert

from .conftest import ready

REVIEW = Path(__file__).resolve().parents[2] / "web" / "src" / "review.js"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
DIGEST = "sha256:one"
ROW = {"unit": "val/31TCJ", "localid": "7", "date": "2018-06-01", "label": 0, "suggested": None, "flag": True}
COLUMNS = ["unit", "localid", "obs", "date", "label", "suggested", "flag", "note", "store_digest"]


def of_the_page(code: str, value: object) -> str:
    """What the page's own code prints; ``review`` is an empty review and ``given`` the value."""
    script = f"""import {{ Review }} from "{REVIEW}";
const given = {json.dumps(value)}, review = new Review("{DIGEST}");
{code}"""
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@needs_node
def test_notes_of_every_kind_come_back_as_they_were(tmp_path):
    notes = [
        "=1+1",
        "-1+cmd",
        "-5",
        "+x",
        "@x",
        "'=1",
        "''-a",
        "'quoted'",
        "it is '=1' here",
        "a '-b",
        'x,"y"',
        "<b>1</b>",
    ]
    rows = [{**ROW, "obs": obs, "note": note} for obs, note in enumerate(notes)]
    for one in ("csv", "json"):
        code = f"for (const row of given) review.set(row, row); process.stdout.write(review.{one}());"
        text = of_the_page(code, rows)
        assert json.loads(of_the_page("review.load(given); console.log(review.json());", text)) == [
            {**row, "store_digest": DIGEST} for row in rows
        ]
        (tmp_path / "review").write_text(text, newline="")
        assert [row.note for row in s2ct_convert.read_review(tmp_path / "review")] == notes
    assert "'-1+cmd" in of_the_page(code.replace("json()", "csv()"), rows), "a spreadsheet must not compute a note"


@pytest.mark.slow
@needs_node
def test_a_flag_that_a_spreadsheet_wrote_is_read_and_odd_rows_are_refused():
    head = ",".join(COLUMNS)
    good = f"{head}\nval/31TCJ,7,3,2018-06-01,0,,TRUE,,{DIGEST}\n"
    assert json.loads(of_the_page("review.load(given); console.log(review.json());", good))[0]["flag"] is True
    odd = [good.replace("TRUE", "yes"), good.replace("2018-06-01", "6/1/2018"), good.replace(",3,", ",,")]
    odd += [json.dumps([None]), json.dumps([1])]
    for text in odd:
        code = "try { review.load(given); console.log('read') } catch (error) { console.log(error.message) }"
        said = of_the_page(code, text)
        assert "of a row is not" in said or "is of another store" in said, text


@pytest.mark.slow
def test_two_tabs_keep_one_review(browser, open_url, sample_stores):
    context = browser.new_context()
    with s2ct_convert.view(sample_stores["zarr"], port=0) as view:
        first, second = (open_url(f"{view.url}?unit=train/31TCJ&sample=86", context=context) for _ in range(2))
        for page, key in ((first, "3"), (second, "f")):
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowRight") if key == "f" else None
            page.keyboard.press(key)
        first.wait_for_selector("#reviewed >> text=2 dates reviewed")
        second.reload()
        ready(second)
        assert second.locator(".reviewed").all_inner_texts() == ["≈ 3", "⚑"]


@pytest.mark.slow
def test_a_page_says_which_units_were_salvaged(open_page, tmp_path):
    source = Path(shutil.copy(s2ct_convert.sample_sources()[1], tmp_path))
    data = bytearray(source.read_bytes())
    data[len(data) // 2] ^= 1
    source.write_bytes(data)
    s2ct_convert.convert([source], tmp_path / "part.zarr", salvage=True)
    page = open_page(tmp_path / "part.zarr")
    assert "partial: salvaged, with gaps: train/34VFN" in page.locator("#store").inner_text()
