"""A record that differs from the lock or from the bundled list is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import zenodo as server
from servers.zenodo import StandIn, serving

from s2ct_convert.errors import EXIT_DIFFERENCE, Difference
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import download
from s2ct_convert.record.live import settle_manifest
from s2ct_convert.record.manifest import (
    DEFAULT_RECORD,
    Manifest,
    RecordFile,
    lock_path,
    published,
    read_lock,
    write_lock,
)

from .test_fetching import QUICK

pytestmark = pytest.mark.every_variant  # all are quick

A, B, C = (hashlib.md5(name.encode()).hexdigest() for name in "abc")
LIVE = Manifest.of("4711", [RecordFile("a", A, 1), RecordFile("b", B, 2)], "10.5281/zenodo.4711")


def settle(folder: Path, live: Manifest) -> list[object]:
    events: list[object] = []
    assert settle_manifest(folder, live, events.append).files == live.files
    return events


def test_the_first_file_list_becomes_the_lock(tmp_path):
    folder = tmp_path / "new"
    (note,) = settle(folder, LIVE)
    assert "the list of 2 files is saved as 4711.lock.json" in note.text
    before = lock_path(folder, "4711").read_bytes()
    assert settle(folder, LIVE) == []
    assert settle(folder, Manifest.of("4711", reversed(LIVE.files))) == []
    assert lock_path(folder, "4711").read_bytes() == before


CHANGES = {
    "gone": ([RecordFile("a", A, 1)], "b is gone"),
    "new": ([*LIVE.files, RecordFile("c", C, 3)], "c is new"),
    "another md5": ([RecordFile("a", A, 1), RecordFile("b", C, 2)], "b has another md5 or size"),
    "another size": ([RecordFile("a", A, 1), RecordFile("b", B, 3)], "b has another md5 or size"),
    "another name": ([RecordFile("a", A, 1), RecordFile("c", B, 2)], "b is gone; c is new"),
    "names swapped": (
        [RecordFile("a", B, 2), RecordFile("b", A, 1)],
        "a has another md5 or size; b has another md5 or size",
    ),
    "many": ([RecordFile(str(i), C, i) for i in range(9)], "a is gone; b is gone; 0 is new; 1 is new; 2 is new"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_difference_from_the_lock_is_an_error(tmp_path, case):
    settle(tmp_path, LIVE)
    files, words = CHANGES[case]
    with pytest.raises(Difference, match="differs from the lock") as caught:
        settle(tmp_path, Manifest.of("4711", files))
    assert caught.value.exit_code == EXIT_DIFFERENCE
    assert caught.value.found == words
    assert caught.value.where == str(lock_path(tmp_path, "4711"))
    assert read_lock(tmp_path, "4711") == LIVE


@pytest.mark.parametrize("case", CHANGES)
def test_an_accepted_difference_becomes_the_lock_and_the_old_one_is_kept(tmp_path, case):
    before = write_lock(tmp_path, LIVE).read_bytes()
    live = Manifest.of("4711", CHANGES[case][0])
    for turn in (1, 2):  # the second finds nothing to accept
        notes: list[object] = []
        assert settle_manifest(tmp_path, live, notes.append, accept=True) == live
        assert len(notes) == (2 if turn == 1 else 0)
    assert read_lock(tmp_path, "4711") == live
    assert (tmp_path / "4711.lock.json.before").read_bytes() == before
    assert settle_manifest(tmp_path, LIVE, notes.append, accept=True) == LIVE
    assert (tmp_path / "4711.lock.json.before").read_bytes() == before


MD5S = [one.md5 for one in published(DEFAULT_RECORD)]


def bundled(md5s: list[str]) -> Manifest:
    """The bundled record, with arbitrary names."""
    return Manifest.of(DEFAULT_RECORD, [RecordFile(f"name {i}", md5, i) for i, md5 in enumerate(md5s)])


def test_the_bundled_record_is_recognised_by_its_md5_sums(tmp_path):
    settle(tmp_path, bundled(MD5S[::-1]))
    assert len(read_lock(tmp_path, DEFAULT_RECORD).files) == 72


@pytest.mark.parametrize(
    ("md5s", "files", "missing"),
    [
        ([*MD5S[:-1], A], 72, 1),
        (MD5S[1:], 71, 1),
        ([*MD5S, A], 73, 0),
        ([*MD5S, MD5S[0]], 73, 0),
        ([*MD5S[1:], MD5S[1]], 72, 1),
        ([A], 1, 72),
    ],
)
def test_a_difference_from_the_bundled_list_is_an_error(tmp_path, md5s, files, missing):
    with pytest.raises(Difference, match="the list that s2ct was made with") as caught:
        settle(tmp_path / "new", bundled(md5s))
    assert caught.value.found == f"{files} files; {missing} of those md5 sums are missing"
    assert not (tmp_path / "new").exists()


def test_a_lock_from_the_user_is_trusted(tmp_path):
    """A user who replaced the lock wants the current record."""
    changed = bundled([*MD5S[:-1], A])
    write_lock(tmp_path, changed)
    assert settle(tmp_path, changed) == []


def test_a_record_that_is_not_bundled_is_accepted(tmp_path):
    settle(tmp_path, replace(bundled([A]), record="4712"))


@pytest.fixture
def zenodo(monkeypatch) -> Iterator[StandIn]:
    """A service with another file in the bundled record."""
    monkeypatch.setattr(server, "RECORD", DEFAULT_RECORD)
    with serving({"train_50SMG_2.7z": b"not what it was"}) as stand_in:
        yield stand_in


def test_a_changed_record_is_fetched_if_it_is_accepted(zenodo, tmp_path):
    download(tmp_path, base_url=zenodo.url, policy=QUICK, budget=Budget(1000), accept_record=True)
    assert {path.name for path in tmp_path.glob("*.7z")} == set(zenodo.files)


def test_a_changed_record_is_not_fetched(zenodo, tmp_path):
    with pytest.raises(Difference, match="the list that s2ct was made with"):
        download(tmp_path / "new", base_url=zenodo.url, policy=QUICK, budget=Budget(1000))
    assert len(zenodo.requests) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("command", "code"), [("download", EXIT_DIFFERENCE), ("urls", EXIT_DIFFERENCE), ("list", 0)])
def test_commands_check_the_bundled_list(s2ct, zenodo, tmp_path, command, code):
    """``list`` always shows the current files of the service."""
    done = s2ct(command, tmp_path, "--base-url", zenodo.url)
    assert done.returncode == code, done.stderr
    assert ("the list that s2ct was made with" in done.stderr) == (code != 0)
    assert ("train_50SMG_2.7z" in done.stdout) == (code == 0)
    assert list(tmp_path.iterdir()) == []
