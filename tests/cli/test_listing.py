"""``s2ct list`` and ``s2ct urls``: the files of the record, their local state, and URLs for other programs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from record.test_fetching import flipped, status
from servers.zenodo import RECORD, serving

from s2ct_convert.errors import EXIT_NETWORK, EXIT_USAGE

from .helpers import assert_says, tree

TRAIN, OTHER, VAL, ABOUT = "train_50SMG_2.7z", "train_51SMG_2.7z", "val_50SMG_2.7z", "about.txt"
ALL = [ABOUT, TRAIN, OTHER, VAL]


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.fixture
def half(run, zenodo, archives, tmp_path) -> Path:
    """A folder with a checked file, one of the right size, one that is too long, and a partial one."""
    folder = tmp_path / "half"
    assert run("download", folder, "--record", RECORD, "--file", ABOUT).returncode == 0
    (folder / TRAIN).write_bytes(bytes(len(archives[TRAIN])))
    (folder / OTHER).write_bytes(archives[OTHER] + b"more")
    (folder / f"{VAL}.{md5(archives[VAL])[:8]}.part").write_bytes(archives[VAL][: len(archives[VAL]) // 2])
    zenodo.requests.clear()
    return folder


STATES = {ABOUT: "ok", TRAIN: "unchecked", OTHER: "wrong size", VAL: "partial"}


def test_the_table_shows_every_file_and_its_state(run, zenodo, archives, half):
    before = tree(half)
    done = run("list", half, "--record", RECORD)
    assert done.returncode == 0, done.stderr
    header, *rows, total = done.stdout.splitlines()
    assert header.split() == ["file", "split", "tile", "examples", "size", "md5", "here"]
    cells = [re.split(r"  +", row, maxsplit=6) for row in rows]
    units = [["-", "-", "-"], ["train", "50SMG", "2"], ["train", "51SMG", "2"], ["val", "50SMG", "2"]]
    assert [row[0] for row in cells] == ALL
    assert [row[1:4] for row in cells] == units
    assert [row[5] for row in cells] == [md5(archives[key]) for key in ALL]
    percent = 100 * (len(archives[VAL]) // 2) // len(archives[VAL])
    assert [row[6].strip() for row in cells] == ["ok", "unchecked", "wrong size", f"partial {percent} %"]
    assert re.fullmatch(r"4 files, [\d.]+ kB; 2 here", total)
    assert max(len(row) for row in rows) <= 100
    assert zenodo.requests == [], "the lock has the list"
    assert tree(half) == before, "nothing is changed"


def test_json_has_the_same_values(run, half, archives):
    document = json.loads(run("list", half, "--record", RECORD, "--json").stdout)
    assert (document["record"], document["doi"]) == (RECORD, f"10.5281/zenodo.{RECORD}")
    assert {row["key"]: row["state"] for row in document["files"]} == STATES
    assert document["bytes"] == sum(map(len, archives.values()))
    assert [row["have"] for row in document["files"]] == [
        len(archives[ABOUT]),
        len(archives[TRAIN]),
        len(archives[OTHER]) + 4,
        len(archives[VAL]) // 2,
    ]
    row = document["files"][1]
    expected = {"split": "train", "tile": "50SMG", "examples": 2, "size": len(archives[TRAIN])}
    assert {name: row[name] for name in expected} == expected
    assert row["md5"] == md5(archives[TRAIN])


def test_a_cut_file_is_partial_and_a_touched_one_is_unchecked(run, half, archives):
    (half / TRAIN).write_bytes(archives[TRAIN][:-1])
    (half / ABOUT).write_bytes(archives[ABOUT].swapcase())
    document = json.loads(run("list", half, "--record", RECORD, "--json").stdout)
    assert {row["key"]: row["state"] for row in document["files"]} == {**STATES, TRAIN: "partial", ABOUT: "unchecked"}


def test_without_a_lock_the_service_is_asked_and_nothing_is_written(run, zenodo, tmp_path):
    for folder in (tmp_path, tmp_path / "not there"):
        document = json.loads(run("list", folder, "--record", RECORD, "--json").stdout)
        assert {row["key"]: (row["state"], row["have"]) for row in document["files"]} == dict.fromkeys(
            ALL, ("missing", 0)
        )
    assert [request.path for request in zenodo.requests] == [f"/api/records/{RECORD}"] * 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--tile", "50SMG"], [TRAIN, VAL]),
        (["--split", "val"], [VAL]),
        (["--file", "*.txt"], [ABOUT]),
        (["--tile", "50SMG", "--tile", "51SMG", "--split", "train"], [TRAIN, OTHER]),
    ],
)
def test_the_selection_options_work_as_for_download(run, zenodo, tmp_path, options, chosen):
    document = json.loads(run("list", tmp_path, "--record", RECORD, "--json", *options).stdout)
    assert [row["key"] for row in document["files"]] == chosen
    urls = run("urls", tmp_path, "--record", RECORD, *options).stdout.splitlines()
    assert [url.split("/")[-2] for url in urls] == chosen
    for command in ("list", "urls"):
        assert_says(run(command, tmp_path, "--record", RECORD, "--tile", "31TCJ"), EXIT_USAGE, "31TCJ", "50SMG, 51SMG")


def test_offline_shows_the_bundled_list_without_names(run, zenodo, tmp_path):
    done = run("list", tmp_path, "--offline")
    assert done.returncode == 0, done.stderr
    header, *rows, last = done.stdout.splitlines()
    assert header.split() == ["position", "size", "md5"]
    assert [int(row.split()[0]) for row in rows] == list(range(1, 73))
    assert all(re.fullmatch("[0-9a-f]{32}", row.split()[-1]) for row in rows)
    assert last.startswith("72 files")
    document = json.loads(run("list", tmp_path, "--offline", "--json").stdout)
    assert [one["md5"] for one in document["published"]] == [row.split()[-1] for row in rows]
    assert zenodo.requests == []


def test_offline_without_a_list_or_names_is_wrong_usage(run, zenodo, tmp_path):
    assert_says(
        run("list", tmp_path, "--offline", "--record", RECORD), EXIT_USAGE, "no bundled list", "leave out --offline"
    )
    assert_says(run("list", tmp_path, "--offline", "--tile", "50SMG"), EXIT_USAGE, "no names", "leave out --offline")
    assert zenodo.requests == []


def test_offline_uses_the_lock(run, zenodo, half, monkeypatch):
    monkeypatch.setenv("S2CT_ZENODO_URL", "http://zenodo.invalid")
    document = json.loads(run("list", half, "--record", RECORD, "--json", "--offline").stdout)
    assert {row["key"]: row["state"] for row in document["files"]} == STATES


@pytest.mark.parametrize("command", ["list", "urls"])
def test_failures_are_reported_with_advice(hasty, zenodo, tmp_path, monkeypatch, command):
    assert_says(hasty(command, tmp_path, "--record", "4712"), EXIT_NETWORK, "does not have this record", "--record")
    mine = tmp_path / "mine"
    mine.write_bytes(b"")
    assert_says(hasty(command, mine, "--record", RECORD), EXIT_USAGE, "a file, not a folder")
    (tmp_path / f"{RECORD}.lock.json").write_text('{"s2ct_lock": 1, "files"')
    assert_says(hasty(command, tmp_path, "--record", RECORD), EXIT_USAGE, f"{RECORD}.lock.json", "not a lock")
    monkeypatch.setenv("S2CT_ZENODO_URL", "http://zenodo.invalid")
    done = hasty(command, tmp_path / "new", "--record", RECORD)
    assert_says(done, EXIT_NETWORK, "cannot be resolved", "check the network")


ODD = {"a b'c$(touch x).txt": b"odd\n", "below/deep/train_31TCJ_1.7z": b"7z" * 5000, "ümläut & co;.bin": b"\0" * 777}
RUN = {
    "wget": ["sh", "commands"],
    "curl": ["sh", "commands"],
    "aria2": ["aria2c", "-q", "-c", "-j", "3", "-i", "commands"],
}


@pytest.mark.parametrize("program", RUN)
def test_other_downloaders_accept_the_output_and_get_every_file(run, archives, tmp_path, monkeypatch, program, zenodo):
    name = RUN[program][0] if program == "aria2" else program
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not here")
    files = {**archives, **ODD}
    with serving(files) as service:
        monkeypatch.setenv("S2CT_ZENODO_URL", service.url)
        (tmp_path / "commands").write_text(run("urls", tmp_path, "--record", RECORD, "--format", program).stdout)
        for again in (False, True):  # the same commands resume, or find all files
            if again:
                (tmp_path / TRAIN).write_bytes(archives[TRAIN][:100])
                service.requests.clear()
            done = subprocess.run(RUN[program], cwd=tmp_path, capture_output=True, text=True)
            if not (again and program == "curl"):  # curl reports an error if a file is already whole
                assert done.returncode == 0, done.stderr
            brought = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
            assert brought == {*files, "commands"}
            assert {key: md5((tmp_path / key).read_bytes()) for key in files} == {k: md5(v) for k, v in files.items()}
        if program != "aria2":
            assert service.asked(TRAIN) == [100]
        service.requests.clear()
        done = run("download", tmp_path, "--record", RECORD)
        assert done.returncode == 0, done.stderr
        assert "kept        7 files" in done.stdout
        assert [request for request in service.requests if "/files/" in request.path] == []


@pytest.mark.skipif(shutil.which("aria2c") is None, reason="aria2c is not here")
def test_aria2_gets_the_md5_and_both_urls(run, zenodo, tmp_path, archives):
    text = run("urls", tmp_path, "--record", RECORD, "--format", "aria2").stdout
    (tmp_path / "urls").write_text(text)
    zenodo.vices = {TRAIN: [flipped] * 9, VAL: [status(404)]}
    done = subprocess.run(["aria2c", "-q", "-j1", "-s1", "-i", "urls"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0, "the md5 of one file is wrong"
    assert (tmp_path / VAL).read_bytes() == archives[VAL], "from its other URL"
    assert (tmp_path / OTHER).read_bytes() == archives[OTHER]


def test_plain_output_is_one_url_per_line(run, zenodo, archives, tmp_path):
    """wget names the files ``content``, ``content.1``; download recognises them by their md5."""
    if shutil.which("wget") is None:
        pytest.skip("wget is not here")
    text = run("urls", tmp_path, "--record", RECORD).stdout
    assert text.splitlines() == [f"{zenodo.url}/api/records/{RECORD}/files/{key}/content" for key in ALL]
    subprocess.run(["wget", "-q", "-i", "-"], cwd=tmp_path, input=text, check=True, text=True)
    brought = {md5(path.read_bytes()) for path in tmp_path.iterdir()}
    assert brought == {md5(data) for data in archives.values()}
    zenodo.requests.clear()
    done = run("download", tmp_path, "--record", RECORD)
    assert done.returncode == 0, done.stderr
    assert {key: (tmp_path / key).read_bytes() for key in ALL} == archives
    assert len(zenodo.requests) == 1, "only the list is requested"


def test_urls_come_from_the_lock_if_there_is_one(run, half, zenodo):
    assert len(run("urls", half, "--record", RECORD).stdout.splitlines()) == 4
    assert zenodo.requests == []


def test_an_unknown_format_is_wrong_usage(run, zenodo, tmp_path):
    assert_says(run("urls", tmp_path, "--format", "axel"), EXIT_USAGE, "plain", "aria2", "wget", "curl")
