"""The output of ``convert`` and the options that the command line handles itself."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import hdf5plugin  # noqa: F401  # registers the Blosc filter
import plain
import pytest
from makers import FIRST_DAY, tfrecord_bytes, write_archive
from proc import read_terminal

import s2ct_convert
from s2ct_convert.errors import EXIT_USAGE

from .helpers import RECORDS, assert_says, assert_tidy, groups, iso, right_source, state

UNITS = ["train/31TCJ", "train/50SMG", "val/50SMG"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources with 2 + 2 + 3 samples of 2 timestamps. Tests must not change them."""
    folder = tmp_path_factory.mktemp("in")
    right_source(folder, "train_31TCJ")
    write_archive(folder / "train_50SMG_2.7z", {"train_50SMG_2": RECORDS})
    right_source(folder, "val_50SMG", (9, 5, 1))
    return folder


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("x.zarr", "balanced"), ("x.h5", "gzip"), ("x.h5", "blosc")),
        *(pytest.param("x.zarr", codec, marks=pytest.mark.slow) for codec in ("fast", "small")),
    ],
)
def test_each_codec_is_named_in_the_result_and_keeps_every_bit(run, tmp_path, folder, name, codec):
    done = run("convert", folder, tmp_path / name, "--codec", codec, "-j1")
    assert done.returncode == 0, done.stderr
    assert f", {codec})\n" in done.stdout.splitlines(keepends=True)[0]
    assert plain.store_digest(tmp_path / name) == done.stdout.split()[-1]
    s2ct_convert.convert(folder, tmp_path / "other.zarr")
    assert state(tmp_path / name) == state(tmp_path / "other.zarr")


def test_the_json_document_agrees_with_the_sources_and_the_store(run, tmp_path, folder, suffix):
    store = tmp_path / f"x.{suffix}"
    done = run("convert", folder, store, "--json", "-j1")
    document = json.loads(done.stdout)
    assert {key: document[key] for key in ("store", "complete", "missing", "failed", "skipped", "units")} == {
        "store": str(store), "complete": True, "missing": [], "failed": [], "skipped": [], "units": 3,
    }  # fmt: skip
    assert (document["samples"], document["observations"]) == (7, 14)
    assert document["bytes_pixels"] == 14 * 4 * 42 * 42 * 2
    assert document["bytes_in"] == sum(path.stat().st_size for path in folder.iterdir())
    assert document["bytes_out"] == sum(entry["bytes"] for entry in document["converted"])
    assert document["ratio"] == pytest.approx(document["bytes_out"] / document["bytes_pixels"])
    assert document["seconds"] >= 0
    assert document["mb_per_second"] > 0
    assert document["digest"] == plain.store_digest(store)
    entries = {entry["unit"]: entry for entry in document["converted"]}
    assert sorted(entries) == UNITS
    for unit, entry in entries.items():
        arrays = plain.arrays(store, unit)
        assert entry["samples"] == len(arrays["localid"])
        assert entry["observations"] == len(arrays["time"])
        assert entry["label_count"] == [int((arrays["label"] == k).sum()) for k in range(6)]
        assert entry["time_first"] == iso(FIRST_DAY - 719_163)
        assert entry["time_last"] == iso(FIRST_DAY - 719_163 + 5)
        assert entry["digest"] == plain.unit_digest(arrays)


def test_the_summary_has_one_line_per_fact_with_its_unit(run, tmp_path, folder):
    done = run("convert", folder, tmp_path / "x.zarr", "-j1", "--unpacker", "python")
    shapes = [
        rf"store +{re.escape(str(tmp_path))}/x\.zarr \(zarr, balanced\)",
        r"units +3 converted",
        r"samples +7",
        r"observations +14",
        r"read +\d+\.\d kB",
        r"written +\d+\.\d kB, [01]\.\d{3} of the pixels",
        r"time +\d+\.\d s, \d+(\.\d)? (B|kB|MB)/s of pixels",
        r"unpacked by +python",
        r"digest +sha256:[0-9a-f]{64}",
    ]
    lines = done.stdout.splitlines()
    assert len(lines) == len(shapes), done.stdout
    for line, shape in zip(lines, shapes, strict=True):
        assert re.fullmatch(shape, line), line


def test_a_second_run_reports_that_all_units_are_done(run, tmp_path, folder):
    store = tmp_path / "x.zarr"
    first = run("convert", folder, store, "-j1")
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    second = run("convert", folder, store, "-j1")
    assert second.returncode == 0
    assert "0 converted, 3 done before" in second.stdout
    assert "0 units to convert, 0 B, 3 done before" in second.stderr
    assert "writing the index" not in second.stderr
    assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


@pytest.mark.parametrize("kind", ["archive", "TFRecord"])
def test_a_changed_source_replaces_the_old_samples(run, tmp_path, suffix, kind):
    store = tmp_path / f"x.{suffix}"

    def write(localids: tuple[int, ...]) -> Path:
        name = "val_50SMG_2"
        if kind == "TFRecord":
            return right_source(tmp_path, "val_50SMG", localids)
        (tmp_path / f"{name}.7z").unlink(missing_ok=True)
        return write_archive(tmp_path / f"{name}.7z", {name: tfrecord_bytes(groups(*localids))})

    assert run("convert", write((1, 2)), store).returncode == 0
    source = write((1, 3))
    os.utime(source, ns=(0, 0))  # older than before, like a copy that keeps its time
    done = run("convert", source, store)
    assert done.stdout.splitlines()[1] == "units         1 converted"
    assert plain.arrays(store, "val/50SMG")["localid"].tolist() == [1, 3]
    with s2ct_convert.open_store(store) as opened:
        assert opened.digest == plain.store_digest(store)
    assert_tidy(store)


def test_a_resumed_run_must_have_the_same_linked_option(run, tmp_path, folder):
    store = tmp_path / "x.h5"
    assert run("convert", folder, store, "--linked", "-j1").returncode == 0
    assert sorted(path.name for path in (tmp_path / "x.h5.units").iterdir()) == [
        f"{unit.replace('/', '_')}.h5" for unit in UNITS
    ]
    assert_says(run("convert", folder, store), EXIT_USAGE, "expected: --format hdf5 --codec gzip --linked")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("x.h5", "x.h5.units"):
        (tmp_path / name).rename(moved / name)
    assert list(state(moved / "x.h5")) == UNITS, "links are relative"


def test_quiet_keeps_failures_and_notes(run, tmp_path, folder):
    bad = right_source(tmp_path, "train_49RGN").rename(tmp_path / "train_49RGN_55")
    done = run("convert", folder, bad, tmp_path / "x.zarr", "-q", "-j1")
    lines = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    assert lines == [
        "train/49RGN: FAILED",
        "train_49RGN_55: the file has fewer examples, samples and images than the number in its name: it may be cut",
        f"s2ct: {tmp_path / 'x.zarr'}: 1 of 4 units failed",
    ]


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback_and_the_same_message(run, tmp_path, folder, place):
    options = ["--debug"] if place == "before" else []
    done = run("convert", *options, folder, tmp_path / "x", *([] if options else ["--debug"]))
    assert done.returncode == EXIT_USAGE
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert f"\ns2ct: {tmp_path / 'x'}: the name of the store does not give its format\n" in done.stderr


def test_debug_shows_where_damage_was_found(run, tmp_path):
    source = right_source(tmp_path)
    source.write_bytes(source.read_bytes()[:-1])
    done = run("convert", source, tmp_path / "x.zarr", "--debug")
    assert "tfrecord.py" in done.stderr, "the traceback starts where the damage was found"


@pytest.mark.parametrize("options", [[], ["-v"], ["-q"]], ids=["plain", "-v", "-q"])
def test_a_terminal_gets_a_bar_unless_quiet_and_stdout_stays_plain(tmp_path, folder, options):
    done, seen = on_terminal("convert", folder, tmp_path / "x.zarr", "--json", "-j1", *options)
    assert done.returncode == 0
    assert json.loads(done.stdout)["units"] == 3
    if options == ["-q"]:
        assert seen == ""
        return
    assert re.search(r"\d of \d+\.\d kB", seen), "bytes"
    assert re.search(r"(B|kB|MB)/s", seen), "rate"
    assert re.search(r"\d:\d\d:\d\d left", seen), "time left"
    assert seen.count(": done, ") == 3
    assert seen.count(": started, ") == (3 if options == ["-v"] else 0)


@pytest.mark.parametrize(("name", "columns"), [("in :cloud: [red]x[/red]", 300), ("a folder", 40)], ids=["odd", "long"])
def test_a_terminal_shows_names_unchanged(tmp_path, name, columns):
    """Names have no markup and no emoji codes. A note that is too long for the terminal breaks between words."""
    right_source(tmp_path / name)
    (tmp_path / name / "notes").write_text("nothing")
    done, seen = on_terminal("convert", tmp_path / name, tmp_path / "x.zarr", columns=columns)
    assert done.returncode == 0
    assert f"note: {tmp_path / name}: skipped notes, " in " ".join(seen.split())


def on_terminal(*arguments: object, columns: int = 150) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """Run with a terminal for stderr; return also its text, without colours and cursor movements."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "s2ct_convert", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, env=environment) as process:
        os.close(slave)
        seen = read_terminal(master)
        stdout, _ = process.communicate()
    done = subprocess.CompletedProcess(command, process.returncode, stdout)
    return done, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


def test_names_with_brackets_and_non_ascii_letters_are_shown_unchanged(run, tmp_path):
    place = tmp_path / "a b 'c' [red]雲[/red] *"
    source = write_archive(place / "train_50SMG_2.7z", {"train_50SMG_2": RECORDS[:-1]})
    done = run("convert", place, place / "größe.zarr")
    assert_says(done, 5, f"s2ct: {place / 'größe.zarr'}: 1 of 1 unit failed")
    source.unlink()
    write_archive(source, {"train_50SMG_2": RECORDS})
    done = run("convert", place, place / "größe.zarr")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"store         {place / 'größe.zarr'} (zarr, balanced)\n")
    assert list(state(place / "größe.zarr")) == ["train/50SMG"]


@pytest.mark.slow
def test_the_c_locale_can_print_everything(s2ct, tmp_path):
    source = right_source(tmp_path / "größe")
    done = s2ct("convert", source, tmp_path / "größe" / "x.zarr", env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    assert list(state(tmp_path / "größe" / "x.zarr")) == ["train/50SMG"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems require Unicode names")
@pytest.mark.parametrize("where", ["source", "store"])
def test_a_name_that_is_not_utf_8_is_accepted(run, tmp_path, where, suffix):
    folder = tmp_path / os.fsdecode(b"gr\xf6\xdfe")
    folder.mkdir()
    source = right_source(folder if where == "source" else tmp_path)
    store = (folder if where == "store" else tmp_path) / f"x.{suffix}"
    done = run("convert", source, store)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert list(state(store)) == ["train/50SMG"]


def test_only_the_selected_sources_are_read(run, tmp_path, folder):
    bad = tmp_path / "val_31TCJ_1.7z"
    bad.write_bytes(b"no archive")
    done = run("convert", folder, bad, tmp_path / "x.zarr", "--split", "train", "--tile", "T50SMG")
    assert done.returncode == 0, done.stderr
    assert list(state(tmp_path / "x.zarr")) == ["train/50SMG"]
