from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from s2ct_convert.errors import WrongUsage
from s2ct_convert.record.api import file_urls, parse_record, record_id
from s2ct_convert.record.manifest import (
    BadManifest,
    Manifest,
    RecordFile,
    find_lock,
    md5sum_line,
    published,
    read_lock,
    read_manifest,
    write_lock,
)
from s2ct_convert.record.policy import asked_wait, content_range, etag_md5, page_says

pytestmark = pytest.mark.every_variant  # all are quick

MD5 = "0123456789abcdef0123456789abcdef"
LIST = Path(__file__).resolve().parents[3] / "shared" / "reference" / "record_10613705.csv"


@pytest.mark.parametrize(
    "text",
    [
        "4711",
        "10.5281/zenodo.4711",
        "doi:10.5281/zenodo.4711",
        "https://doi.org/10.5281/zenodo.4711",
        "https://zenodo.org/records/4711",
        "https://zenodo.org/record/4711",
        "https://zenodo.org/api/records/4711",
        "https://zenodo.org/records/4711/files/a.7z?download=1",
        " 4711 ",
    ],
)
def test_a_record_can_be_an_id_a_doi_or_a_url(text):
    assert record_id(text) == "4711"


@pytest.mark.parametrize("text", ["", "zenodo", "10.1000/4711", "https://zenodo.org/communities/x", "-1", "47 11"])
def test_an_invalid_record_is_wrong_usage(text):
    with pytest.raises(WrongUsage, match="not a Zenodo record"):
        record_id(text)


def test_names_are_quoted_in_urls():
    one, two = file_urls("https://z", "1", "a b/c#?.7z")
    assert one == "https://z/api/records/1/files/a%20b/c%23%3F.7z/content"
    assert two == "https://z/records/1/files/a%20b/c%23%3F.7z?download=1"


@pytest.mark.parametrize("checksum", [MD5, f"md5:{MD5}", f"md5:{MD5.upper()}"])
def test_an_md5_is_read_strictly(checksum):
    document = {"files": [{"key": "a", "size": 1, "checksum": checksum}]}
    assert parse_record("1", document).files == (RecordFile("a", MD5, 1),)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"checksum": f"sha256:{MD5}"}, "not an md5"),
        ({"checksum": MD5[:-1]}, "not an md5"),
        ({"checksum": None}, "not an md5"),
        ({"size": "1"}, "has no size"),
        ({"size": True}, "has no size"),
        ({"size": -1}, "not a valid size"),
        ({"key": 7}, "has no name"),
        ({"key": "a\nb"}, "leads out"),
        ({"key": "x" * 300}, "leads out"),
    ],
)
def test_an_invalid_entry_is_an_error(change, word):
    with pytest.raises(BadManifest, match=word):
        parse_record("1", {"files": [{"key": "a", "size": 1, "checksum": MD5, **change}]})


@pytest.mark.parametrize("document", [[], {}, {"files": []}, {"id": 2, "files": [1]}, {"files": [1]}])
def test_a_response_without_files_is_an_error(document):
    with pytest.raises(BadManifest):
        parse_record("1", document)


def test_a_repeated_name_is_an_error():
    with pytest.raises(BadManifest, match="the same name"):
        Manifest.of("1", [RecordFile("a", MD5, 1), RecordFile("a", MD5, 2)])


def test_files_are_sorted_and_a_lock_round_trips(tmp_path):
    manifest = Manifest.of("1", [RecordFile("b", MD5, 1), RecordFile("a", MD5, 2)], "10.5281/zenodo.1")
    assert [file.key for file in manifest.files] == ["a", "b"]
    write_lock(tmp_path, manifest)
    assert read_lock(tmp_path, "1") == find_lock(tmp_path) == manifest
    assert read_lock(tmp_path, "2") is None
    write_lock(tmp_path, Manifest.of("2", manifest.files))
    with pytest.raises(BadManifest, match="several records"):
        find_lock(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '{"s2ct_lock": 2}', "hello\n", f"{MD5}\n", f"{MD5}  ../x\n"])
def test_an_invalid_manifest_is_an_error_with_its_path(tmp_path, text):
    (tmp_path / "m").write_text(text)
    with pytest.raises(BadManifest) as caught:
        read_manifest(tmp_path / "m")
    assert caught.value.where == str(tmp_path / "m")


@pytest.mark.parametrize("name", ["plain", "with space", "back\\slash", "new\nline", "*star"])
def test_lines_equal_those_of_md5sum(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    theirs = subprocess.run(["md5sum", name], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    md5 = theirs.lstrip("\\").split()[0]
    assert md5sum_line(md5, name) == theirs


def test_the_bundled_list_equals_the_page():
    known = published("10613705")
    assert len({one.md5 for one in known}) == len(known) == 72
    assert published("1") == ()
    if LIST.exists():
        assert LIST.read_text().splitlines()[1:] == [f"{o.position},{o.md5},{o.listed_size}" for o in known]


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7),
        (503, {"Retry-After": "7"}, 7),
        (200, {"Retry-After": "7"}, None),
        (500, {"Retry-After": "7"}, None),
        (429, {"Retry-After": "Thu, 01 Jan 1970 00:16:50 GMT"}, 10),
        (429, {"Retry-After": "soon"}, None),
        (429, {"X-RateLimit-Reset": "1000000010"}, 1_000_000_010 - 1000),
        (429, {}, None),
    ],
)
def test_retry_after_counts_with_429_and_503_only(status, headers, seconds):
    assert asked_wait(status, headers, 1000.0) == seconds


@pytest.mark.parametrize(
    ("text", "start", "total"),
    [
        ("bytes 5-9/10", 5, 10),
        ("bytes */10", None, 10),
        ("bytes 5-9/*", 5, None),
        ("items 5-9/10", None, None),
        (None, None, None),
    ],
)
def test_a_content_range_is_parsed(text, start, total):
    found = content_range(text)
    assert (found.start, found.total) == (start, total)


@pytest.mark.parametrize(
    ("text", "md5"), [(f'"md5:{MD5}"', MD5), (f'W/"md5:{MD5.upper()}"', MD5), ('"abc"', None), (None, None)]
)
def test_an_md5_in_an_etag_is_found(text, md5):
    assert etag_md5(text) == md5


def test_a_page_is_summarised_by_title_and_reference():
    page = "<html><title> Unusual\n traffic </title><p>Reference ID: <b>abc-123456</b></p></html>"
    assert page_says(page) == "Unusual traffic (reference abc-123456)"
    assert json.dumps(page_says("<b>no title</b>")) == '"no title"'
