"""Checks against a lock, an md5sum file or the bundled list: all states, counts and exit codes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from s2ct_convert.errors import EXIT_DIFFERENCE, EXIT_INCOMPLETE, EXIT_USAGE, WrongUsage
from s2ct_convert.record import checksums as module
from s2ct_convert.record.checksums import Check, check_files
from s2ct_convert.record.manifest import (
    Manifest,
    Published,
    RecordFile,
    find_lock,
    md5sum_line,
    read_manifest,
    write_lock,
)
from s2ct_convert.record.partial import partial_path

RNG = np.random.default_rng(64)
FILES = {f"train_{zone}SMG_2.7z": RNG.bytes(4000 + zone) for zone in range(10, 18)}
OK, WRONG, LONGER, SHORT, EMPTY, PARTIAL, MISSING, BELOW = FILES
SHIFTED = FILES[WRONG][:-1] + bytes([FILES[WRONG][-1] ^ 1])
UNKNOWN = "val_50SMG_7.7z"
MD5 = {key: hashlib.md5(data).hexdigest() for key, data in FILES.items()}
RECORD = Manifest.of("4711", [RecordFile(key, MD5[key], len(data)) for key, data in FILES.items()])
STATES = {
    OK: Check.OK,
    WRONG: Check.WRONG,
    LONGER: Check.WRONG,
    SHORT: Check.SHORT,
    EMPTY: Check.SHORT,
    PARTIAL: Check.SHORT,
    MISSING: Check.MISSING,
    BELOW: Check.MISSING,  # the record has no folders, so the copy in a folder does not count
    UNKNOWN: Check.UNKNOWN,
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a file in each state."""
    folder = tmp_path / "archives"
    (folder / "below").mkdir(parents=True)
    contents = {
        OK: FILES[OK],
        WRONG: SHIFTED,
        LONGER: FILES[LONGER] + b"x",
        SHORT: FILES[SHORT][:-1],
        EMPTY: b"",
        UNKNOWN: b"of another record",
        "notes.txt": b"of no record",
        "train_50SMG_462": b"what was extracted",
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    partial_path(folder / PARTIAL, RECORD.find(PARTIAL)).write_bytes(FILES[PARTIAL][:700])
    return folder


def states(found: list[module.Checksum], folder: Path) -> dict[str, Check]:
    return {one.path.relative_to(folder).as_posix(): one.state for one in found}


def as_lock(folder: Path) -> Path:
    return write_lock(folder, RECORD)


def as_md5sum(folder: Path) -> Path:
    path = folder / "md5sums.txt"
    path.write_text("".join(md5sum_line(md5, key) for key, md5 in MD5.items()))
    return path


class TestFolder:
    def test_a_folder_is_checked_with_its_lock(self, folder):
        as_lock(folder)
        found = check_files([folder])
        assert states(found, folder) == STATES
        assert [one.path for one in found] == sorted(one.path for one in found)
        by_name = {one.path.name: one for one in found}
        assert by_name[OK] == module.Checksum(folder / OK, Check.OK, MD5[OK], MD5[OK], len(FILES[OK]))
        assert by_name[WRONG].found == hashlib.md5(SHIFTED).hexdigest()
        assert (by_name[PARTIAL].size, by_name[PARTIAL].found) == (700, None)
        assert (by_name[MISSING].expected, by_name[MISSING].found, by_name[MISSING].size) == (MD5[MISSING], None, None)
        assert (by_name[UNKNOWN].expected, by_name[UNKNOWN].found) == (None, None)

    def test_a_folder_without_a_lock_is_checked_with_those_below_it(self, folder, tmp_path):
        as_lock(folder)
        other = tmp_path / "other" / "deep"
        other.mkdir(parents=True)
        (other / "a.bin").write_bytes(b"abc")
        write_lock(other, Manifest.of("77", [RecordFile("a.bin", hashlib.md5(b"abc").hexdigest(), 3)]))
        stray = tmp_path / "other" / OK
        stray.write_bytes(b"not of the bundled list")
        found = states(check_files([tmp_path]), tmp_path)
        assert {name: found.pop(f"{folder.name}/{name}") for name in STATES} == STATES
        assert found == {"other/deep/a.bin": Check.OK, f"other/{OK}": Check.WRONG}

    def test_a_folder_is_checked_with_a_given_lock(self, folder, tmp_path):
        manifest = read_manifest(as_lock(tmp_path))
        assert states(check_files([folder], manifest=manifest), folder) == STATES

    def test_an_md5sum_file_has_no_sizes(self, folder, tmp_path):
        manifest = read_manifest(as_md5sum(tmp_path))
        without = {SHORT: Check.WRONG, EMPTY: Check.WRONG}
        assert states(check_files([folder], manifest=manifest), folder) == {**STATES, **without}

    def test_without_a_lock_any_bundled_md5_is_correct(self, folder, monkeypatch):
        known = tuple(Published(i, md5, "1 kB") for i, md5 in enumerate(MD5.values()))
        monkeypatch.setattr(module, "published", lambda record: known if record == "10613705" else ())
        (folder / "below" / BELOW).write_bytes(FILES[OK])  # the names are not known
        assert states(check_files([folder]), folder) == {
            OK: Check.OK,
            f"below/{BELOW}": Check.OK,
            **dict.fromkeys((WRONG, LONGER, SHORT, EMPTY, UNKNOWN), Check.WRONG),
        }

    def test_the_real_bundled_list_has_none_of_these(self, folder):
        found = check_files([folder])
        assert {one.state for one in found} == {Check.WRONG}
        assert {one.path.name for one in found} == {OK, WRONG, LONGER, SHORT, EMPTY, UNKNOWN}

    def test_progress_callbacks_count_all_bytes(self, folder):
        as_lock(folder)
        totals, read = [], []
        check_files([folder], on_total=totals.append, on_bytes=read.append)
        there = sum((folder / key).stat().st_size for key in (OK, WRONG, LONGER, SHORT, EMPTY))
        assert totals == [there]
        assert sum(read) == there

    def test_files_in_folders_of_a_record_are_checked(self, tmp_path):
        manifest = Manifest.of("1", [RecordFile(f"{name}/{OK}", MD5[OK], len(FILES[OK])) for name in ("a", "b")])
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / OK).write_bytes(FILES[OK])
        assert states(check_files([tmp_path], manifest=manifest), tmp_path) == {
            f"a/{OK}": Check.OK,
            f"b/{OK}": Check.MISSING,
        }
        assert [one.state for one in check_files([tmp_path / "a" / OK], manifest=manifest)] == [Check.OK]


class TestFile:
    @pytest.mark.every_variant
    @pytest.mark.parametrize("key", [OK, WRONG, LONGER, SHORT, EMPTY, UNKNOWN])
    def test_a_file_is_checked_with_the_lock_beside_it(self, folder, key):
        as_lock(folder)
        (found,) = check_files([folder / key])
        assert found.state is STATES[key]

    def test_several_files_are_checked_one_by_one(self, folder):
        as_lock(folder)
        found = check_files([folder / key for key in (WRONG, OK, UNKNOWN)])
        assert Counter(one.state for one in found) == {Check.OK: 1, Check.WRONG: 1, Check.UNKNOWN: 1}

    def test_a_file_given_twice_or_with_its_folder_counts_once(self, folder):
        as_lock(folder)
        assert len(check_files([folder, folder / OK, folder / UNKNOWN])) == len(STATES)
        assert len(check_files([folder / OK, folder / OK])) == 1

    @pytest.mark.every_variant
    @pytest.mark.parametrize(
        ("name", "state"), [(OK, Check.WRONG), ("train_50SMG_462", Check.WRONG), ("notes.txt", Check.UNKNOWN)]
    )
    def test_without_a_lock_a_file_needs_an_md5_of_the_record(self, folder, name, state):
        (found,) = check_files([folder / name])
        assert (found.state, found.expected) == (state, None)

    def test_a_missing_path_is_wrong_usage(self, folder):
        with pytest.raises(WrongUsage, match="no such file"):
            check_files([folder / OK, folder / MISSING])

    def test_nothing_to_check_is_wrong_usage(self, tmp_path):
        with pytest.raises(WrongUsage, match="nothing to check"):
            check_files([tmp_path])


def counts(text: str) -> dict[str, int]:
    """Counts from the last line, ``1 ok, 2 wrong``."""
    return {word: int(n) for n, word in (part.split() for part in text.splitlines()[-1].split(", "))}


class TestCommand:
    def test_all_states_are_printed(self, s2ct, folder):
        as_lock(folder)
        done = s2ct("verify", "checksums", folder)
        named = " ".join(f"--file {name}" for name in (WRONG, LONGER, SHORT, EMPTY, PARTIAL))
        assert (
            f"fetch only the damaged parts again: s2ct download {folder} --record 4711 {named} --repair" in done.stderr
        )
        assert done.returncode == EXIT_DIFFERENCE
        wanted = {state.value: n for state, n in Counter(STATES.values()).items()}
        assert counts(done.stdout) == wanted
        lines = {Path(line.split()[1]).name: line.split()[0] for line in done.stdout.splitlines()[:-1]}
        assert lines == {key: state.value for key, state in STATES.items()}
        assert "6 of 9 files do not match" in done.stderr
        document = json.loads(s2ct("verify", "checksums", folder, "--json").stdout)
        assert document["ok"] is False
        assert document["counts"] == wanted
        assert {Path(one["path"]).name: one["state"] for one in document["files"]} == lines
        (wrong,) = (one for one in document["files"] if one["path"].endswith(WRONG))
        found = hashlib.md5(SHIFTED).hexdigest()
        size = len(SHIFTED)
        assert wrong == {
            "path": str(folder / WRONG),
            "state": "wrong",
            "expected_md5": MD5[WRONG],
            "md5": found,
            "size": size,
        }

    @pytest.mark.parametrize(
        ("names", "code"),
        [
            (["ok"], 0),
            (["ok", "missing"], EXIT_INCOMPLETE),
            (["missing"], EXIT_INCOMPLETE),
            (["ok", "partial"], EXIT_DIFFERENCE),
            (["wrong", "missing"], EXIT_DIFFERENCE),
            (["ok", "unknown"], EXIT_DIFFERENCE),
        ],
    )
    @pytest.mark.parametrize("source", ["lock", "manifest that is a lock", "manifest of md5sum"])
    def test_exit_codes_match_the_states(self, s2ct, folder, tmp_path, names, code, source):
        keys = {"ok": OK, "missing": MISSING, "partial": PARTIAL, "wrong": WRONG}
        known = Manifest.of("4711", [RECORD.find(keys[name]) for name in names if name in keys])
        for path in folder.glob("*.7z"):
            if path.name not in (UNKNOWN if "unknown" in names else "", *(file.key for file in known.files)):
                path.unlink()
        if source == "manifest of md5sum":
            (tmp_path / "known").write_text("".join(md5sum_line(file.md5, file.key) for file in known.files))
        else:
            write_lock(folder, known).rename(tmp_path / "known")
        if source == "lock":
            (tmp_path / "known").rename(folder / "4711.lock.json")
            arguments = [folder]
        else:
            arguments = [folder, "--manifest", tmp_path / "known"]
        done = s2ct("verify", "checksums", *arguments, "--json", "-q")
        assert done.returncode == code, done.stderr
        document = json.loads(done.stdout)
        assert document["ok"] is (code == 0)
        assert sum(document["counts"].values()) == len(document["files"]) == len(names)

    def test_the_current_folder_is_the_default(self, s2ct, folder):
        write_lock(folder, Manifest.of("1", [RECORD.find(OK)]))
        done = s2ct("verify", "checksums", "--json", cwd=folder)
        assert {one["path"]: one["state"] for one in json.loads(done.stdout)["files"]}[OK] == "ok"

    def test_the_advice_names_a_file_that_was_given_alone_and_its_folder(self, s2ct, folder):
        advice = f"to do:    fetch only the damaged parts again: s2ct download archives --file {WRONG} --repair\n"
        assert advice in s2ct("verify", "checksums", Path("archives", WRONG), cwd=folder.parent).stderr

    @pytest.mark.parametrize("arguments", [["nowhere"], ["--manifest", "nowhere"], ["--write", "nowhere/md5sums.txt"]])
    def test_wrong_usage_is_reported_before_reading(self, s2ct, folder, arguments):
        as_lock(folder)
        done = s2ct("verify", "checksums", *arguments, cwd=folder)
        assert done.returncode == EXIT_USAGE
        assert all(word in done.stderr for word in (arguments[0], "nowhere"))
        assert done.stdout == ""


def test_a_torn_lock_is_an_error(folder):
    whole = as_lock(folder).read_text()
    (folder / "4711.lock.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(WrongUsage, match="not a lock"):
        find_lock(folder)
    with pytest.raises(WrongUsage, match="not a lock"):
        check_files([folder / OK])
