"""Damage is named in place of the picture: no wrong pixel is ever shown."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import Group, flip, write_tfrecord
from servers.nginx import NGINX, nginx_serving

import s2ct_convert
from s2ct_convert.pictures.palette import TRUE_COLOUR
from s2ct_convert.pictures.stretch import stretch_for

from .pages import alerts, body, pictures, rows

pytestmark = pytest.mark.slow
SHARD = "image/c/0/0/0/0"


@pytest.fixture
def store(sample_stores, tmp_path) -> Path:
    return Path(shutil.copytree(sample_stores["zarr"], tmp_path / "copy.zarr"))


def damaged(page: Any) -> dict[int, str]:
    """The visible texts of damaged dates, by row; none of them has a picture."""
    found = page.locator("[data-damaged]")
    texts = {}
    for i in range(found.count()):
        one = found.nth(i)
        assert one.locator("canvas, img").count() == 0
        assert one.locator(".broken").is_visible()
        texts[int(one.get_attribute("data-obs"))] = one.inner_text()
    return texts


def place_of(shard: Path, chunk: int) -> tuple[int, int]:
    """Offset and size of a chunk in a shard, from the index at its end."""
    data = shard.read_bytes()
    entries = np.frombuffer(data[-(128 * 16 + 4) : -4], "<u8").reshape(128, 2)
    return int(entries[chunk, 0]), int(entries[chunk, 1])


def test_a_flipped_chunk_damages_its_own_rows_alone(open_page, store):
    shard = store / "train/34VFN" / SHARD
    offset, size = place_of(shard, 2)
    flip(shard, offset + size // 2)
    with s2ct_convert.open_store(store) as opened:
        unit = opened["train/34VFN"]
        here = unit.rows(222)
    page = open_page(store, "?unit=train/34VFN&sample=222")
    texts = damaged(page)
    assert sorted(texts) == [row for row in range(here.start, here.stop) if row // 32 == 2]
    assert all(f"train/34VFN, {SHARD}, chunk 2: CRC-32C does not match" in text for text in texts.values())
    assert rows(page) == list(range(here.start, here.stop))
    assert body(page)["ready"] == "true" and alerts(page) == []
    good = [row for row in range(here.start, here.stop) if row not in texts]
    shown = pictures(page)
    assert list(shown) == good
    parts = [slice(good[0], min(texts)), slice(max(texts) + 1, good[-1] + 1)]
    with s2ct_convert.open_store(store) as opened:
        image = np.concatenate(opened["train/34VFN"].images([part for part in parts if part.start < part.stop]))
        stretch = stretch_for(image, opened["train/34VFN"].label[good])
    assert np.array_equal(np.stack(list(shown.values())), stretch.rgb(image, TRUE_COLOUR))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda shard: shard.unlink(), f"{SHARD}: the file is missing"),
        (lambda shard: os.truncate(shard, shard.stat().st_size - 500), "CRC-32C does not match"),
        (lambda shard: os.truncate(shard, 100), f"{SHARD}: "),
        (lambda shard: flip(shard, -100), "CRC-32C does not match"),
        (lambda shard: drop_first_chunk(shard), "the pixels do not match their CRC-32C in image_crc32c"),
    ],
    ids=["missing", "cut", "nothing left", "its index", "a chunk that is not there"],
)
def test_a_damaged_shard_is_named_and_no_picture_is_shown(open_page, store, change, words):
    change(store / "train/31TCJ" / SHARD)
    page = open_page(store, "?unit=train/31TCJ&sample=16")
    texts = damaged(page)
    assert sorted(texts) == rows(page) and len(texts) == 28
    assert all("train/31TCJ" in text and "image/c/0/0/0/0" in text and words in text for text in texts.values())
    assert pictures(page) == {}
    page.goto(page.view.url + "?unit=val/31TCJ&sample=90")
    page.wait_for_selector('body[data-ready="true"][data-sample="90"]')
    assert damaged(page) == {} and len(pictures(page)) == 22


def drop_first_chunk(shard: Path) -> None:
    """Say in a valid index that the first chunk was never written: zarr readers show zeros."""
    import google_crc32c

    data = bytearray(shard.read_bytes())
    index = len(data) - 128 * 16 - 4
    data[index : index + 16] = b"\xff" * 16
    data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[index:-4])))
    shard.write_bytes(bytes(data))


def test_a_shard_of_another_sample_is_found_by_the_checksums_of_the_images(open_page, store):
    shutil.copy(store / "val/31TCJ" / SHARD, store / "train/31TCJ" / SHARD)
    page = open_page(store, "?unit=train/31TCJ&sample=16")
    assert len(damaged(page)) == 28


@pytest.mark.parametrize("name", ["label", "time", "localid", "row_start", "image_crc32c"])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_damaged_tables_are_one_alert_and_no_picture(open_page, store, name, how):
    chunk = store / "train/31TCJ" / name / "c/0"
    flip(chunk, chunk.stat().st_size // 2) if how == "flipped" else chunk.unlink()
    page = open_page(store, "?unit=train/31TCJ&sample=16")
    (text,) = alerts(page)
    assert text.startswith("The tables of train/31TCJ cannot be read") and name in text
    assert pictures(page) == {} and rows(page) == []
    assert body(page)["ready"] == "true"
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_selector('body[data-ready="true"][data-unit="train/34VFN"]')
    assert alerts(page) == [] and len(pictures(page)) == 14


@pytest.mark.parametrize("name", ["example", "weight"])
def test_a_damaged_table_that_is_read_later_takes_the_pictures_away(open_page, store, name):
    (store / "train/31TCJ" / name / "c/0").unlink()
    page = open_page(store, "?unit=train/31TCJ&sample=16")
    assert len(pictures(page)) == 28
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[role=alert]")
    assert len(alerts(page)) == 1 and pictures(page) == {}


def test_a_damaged_index_is_one_alert(open_page, store):
    flip(store / "index/localid/c/0", 20)
    page = open_page(store)
    (text,) = alerts(page)
    assert "index/localid" in text and "CRC-32C does not match" in text
    assert rows(page) == []


def test_tables_of_another_unit_do_not_pass(open_page, store):
    for name in ("label", "time"):
        shutil.copytree(store / "val/31TCJ" / name, store / "train/31TCJ" / name, dirs_exist_ok=True)
    page = open_page(store, "?unit=train/31TCJ&sample=16")
    assert len(alerts(page)) == 1 and pictures(page) == {}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class Shifted(Quiet):
    """Answers every range with 206 and other bytes than asked for."""

    def do_GET(self) -> None:
        if "Range" not in self.headers:
            super().do_GET()
            return
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.mark.parametrize(
    ("handler", "words"), [(Quiet, "does not answer a Range request"), (Shifted, "another range than asked")]
)
def test_a_server_without_ranges_is_named(open_url, sample_stores, tmp_path, handler, words):
    s2ct_convert.export_view(sample_stores["zarr"], tmp_path / "site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=tmp_path / "site"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = open_url(f"http://127.0.0.1:{server.server_port}/")
    texts = damaged(page)
    assert len(texts) == 28 and all(words in text for text in texts.values())
    assert words in page.locator("#message").inner_text().replace("The server", "the server")
    assert pictures(page) == {}
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "incomplete"}, "has not finished"),
        ({"s2ct_layout_version": 7}, "layout 7"),
        ({"s2ct_dataset": "{}", "doi": "https://doi.org/10.1/lakes"}, "holds another: https://doi.org/10.1/lakes"),
        ({"number_of_units": 9}, "names 9 units and describes 4"),
    ],
)
def test_a_store_that_the_page_cannot_show_is_explained(open_url, sample_stores, tmp_path, change, words):
    site = tmp_path / "site"
    s2ct_convert.export_view(sample_stores["zarr"], site)
    root = json.loads((site / "store/zarr.json").read_bytes())
    root["attributes"] |= change
    (site / "store/zarr.json").write_text(json.dumps(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = open_url(f"http://127.0.0.1:{server.server_port}/")
    (text,) = alerts(page)
    assert words in text
    (site / "store/zarr.json").unlink()
    page.reload()
    page.wait_for_selector("[role=alert]")
    assert "zarr.json: the file is missing" in alerts(page)[0]
    server.shutdown()
    server.server_close()


CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  types {{ text/html html; text/javascript js; }}
  server {{ listen 127.0.0.1:{port}; location /talks/ {{ alias {folder}/site/; }} }}
}}
"""


@pytest.fixture
def nginx(sample_stores, tmp_path) -> Iterator[str]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    s2ct_convert.export_view(sample_stores["zarr"], tmp_path / "site")
    with nginx_serving(tmp_path, CONFIGURATION) as port:
        yield f"http://127.0.0.1:{port}/talks/"


def test_an_export_works_below_a_path_of_nginx(open_url, nginx, sample_stores):
    page = open_url(f"{nginx}?unit=train/34VFN&sample=222")
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        sample = store["train/34VFN"].sample(222)
    shown = np.stack(list(pictures(page).values()))
    assert np.array_equal(shown, stretch_for(sample.image, sample.label).rgb(sample.image, TRUE_COLOUR))
    assert page.complaints == [] and all(url.startswith(nginx) for url in page.requests)


def test_two_stores_do_not_mix(browser, open_url, sample_stores, tmp_path, rng):
    """One origin, one browser, two stores: pictures and reviews are those of each."""
    groups = []
    for localid in (16, 86):
        n = 20
        image = rng.integers(0, 4000, (n, 4, 42, 42)).astype(np.uint16)
        groups.append(
            Group(localid, image, rng.integers(0, 6, n, np.int8), 737000 + 5 * np.arange(n), np.ones(n, "f4"))
        )
    s2ct_convert.convert([write_tfrecord(tmp_path, groups, unit="train_31TCJ")], tmp_path / "b.zarr")
    stores = {"a": sample_stores["zarr"], "b": tmp_path / "b.zarr"}
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    with s2ct_convert.view(stores["a"]) as one, s2ct_convert.view(stores["b"]) as two:
        # One origin for both: requests to the host "both" go to the server of the store that the path names.
        def forward(route: Any) -> None:
            name, _, rest = route.request.url.removeprefix("http://both.test/").partition("/")
            url = (one if name == "a" else two).url + rest
            headers = {key: value for key, value in route.request.headers.items() if key != "host"}
            route.fulfill(response=route.fetch(url=url, headers=headers))

        context.route("http://both.test/**", forward)
        for name, reviewed in (("a", 0), ("b", 0), ("a", 1), ("b", 0)):
            page = open_url(f"http://both.test/{name}/?unit=train/31TCJ&sample=16", context=context)
            with s2ct_convert.open_store(stores[name]) as store:
                sample = store["train/31TCJ"].sample(16)
            shown = np.stack(list(pictures(page).values()))
            assert np.array_equal(shown, stretch_for(sample.image, sample.label).rgb(sample.image, TRUE_COLOUR))
            assert page.locator(".reviewed").count() == reviewed
            if name == "a" and not reviewed:
                page.keyboard.press("ArrowRight")
                page.keyboard.press("f")
