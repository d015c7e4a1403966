"""``s2ct peek`` and ``s2ct info URL``: archives are looked at, not downloaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives.sevenzip import handmade
from makers import tfrecord_bytes
from servers.zenodo import RECORD, StandIn, serving

import s2ct_convert

from .helpers import assert_says, groups, tree

NAMES = ["train_31TCJ_4.7z", "train_34VFN_5.7z", "val_31TCJ_3.7z", "val_34VFN_2.7z"]


@pytest.fixture
def zenodo(monkeypatch) -> Iterator[StandIn]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "ZENODO" in name:
            monkeypatch.delenv(name)
    with serving({path.name: path.read_bytes() for path in s2ct_convert.sample_sources()}) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


def of(zenodo: StandIn) -> list[str]:
    return ["--record", RECORD, "--base-url", zenodo.url]


def test_peek_all_gives_one_object_a_file(run, zenodo, tmp_path):
    done = run("peek", "--all", "--json", *of(zenodo), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    rows = [(one["file"], one["observations"], one["requests"], one["bytes"]) for one in document["files"]]
    assert rows == [(name, n, 2, 66_560) for name, n in zip(NAMES, (81, 152, 47, 29), strict=True)]
    assert (document["requests"], document["bytes"]) == (len(zenodo.requests), zenodo.sent) == (9, 4 * 66_560)
    assert (document["verified"], document["observations"]) == (False, 309)
    assert [one["lzma2_blocks"] for one in document["files"]] == [None] * 4
    assert tree(tmp_path) == {}


def test_peek_all_prints_a_table_and_totals(run, zenodo):
    done = run("peek", "--all", *of(zenodo))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:5] == ["train_31TCJ_4.7z", "735.4", "kB", "LZMA2", "examples"]
    for words in ("observations  309", "9 requests, 266.2 kB received", "not verified: ", "4711: 4 of 4 files"):
        assert words in done.stdout


def test_peek_shows_examples_and_what_holds(run, zenodo):
    done = run("peek", "--tile", "34VFN", "--split", "val", *of(zenodo))
    assert done.returncode == 0, done.stderr
    for words in ("val_34VFN_2.7z, 285.2 kB", "number of LZMA2 blocks: not known", "29, by the unpacked size"):
        assert words in done.stdout
    assert [line.split()[:4] for line in done.stdout.splitlines() if line.startswith("val/34VFN")] == [
        ["val/34VFN", "0", "110", "17"],
        ["val/34VFN", "1", "348", "12"],
    ]
    assert [line.split("yes")[0].strip() for line in done.stdout.splitlines() if "  yes  " in line][-1] == (
        "only the five known features"
    )


def test_info_looks_at_a_url(run, zenodo, tmp_path):
    url = f"{zenodo.url}/records/{RECORD}/files/{NAMES[3]}?download=1"
    done = run("info", url, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["file"], document["observations"], document["verified"]) == (NAMES[3], 29, False)
    assert document["examples"][0]["time_first"] == "2018-03-08"
    assert (len(zenodo.requests), zenodo.sent) == (document["requests"], document["bytes"])
    assert_says(run("info", url, "--as", "train/50SMG"), 2, "--as cannot be combined with a URL")


def test_a_server_without_ranges_is_exit_code_7(run, zenodo):
    zenodo.vices[NAMES[3]] = [lambda handler, data, start: handler.answer(200, data)] * 8
    done = run("peek", "--file", NAMES[3], *of(zenodo))
    assert_says(done, 7, f"{NAMES[3]}: the service does not send parts of this file", "s2ct download")


def test_some_files_that_fail_are_exit_code_3(run, zenodo):
    zenodo.files["val_50SMG_1.7z"] = b"7z\xbc\xaf\x27\x1c" + bytes(90)
    done = run("peek", "--all", *of(zenodo))
    assert_says(done, 3, "1 of 5 files could not be looked at")
    assert "val_50SMG_1.7z: the checksum of the start header does not match" in done.stdout


def test_control_characters_in_names_are_escaped(run, zenodo):
    data = handmade({"\x1b[31mtrain_50SMG_2\x07": tfrecord_bytes(groups(7, 3))})
    zenodo.files = {"train_50SMG_2.7z": data}
    done = run("peek", *of(zenodo))
    assert done.returncode == 0, done.stderr
    assert "\\x1b[31mtrain_50SMG_2\\x07" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_picture_is_drawn(run, zenodo, tmp_path):
    pytest.importorskip("matplotlib")
    done = run("peek", "--file", NAMES[3], "--picture", "first.png", *of(zenodo), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert_says(run("peek", "--picture", "first.png", *of(zenodo), cwd=tmp_path), 2, "the picture exists already")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--all", "--tile", "50SMG"], "--all cannot be combined"),
        (["https://a.org/x.7z", "--all"], "a URL cannot be combined"),
        (["archives/x.7z"], "for a file on this machine: s2ct info PATH"),
        (["--all", "--picture", "x.png"], "--picture needs an example"),
    ],
)
def test_what_cannot_be_combined_is_wrong_usage(run, words, says):
    done = run("peek", *words)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())


def test_the_path_of_an_archive_is_no_url(run):
    assert_says(run("info", str(Path("missing.7z"))), 2, "no such file or folder")
