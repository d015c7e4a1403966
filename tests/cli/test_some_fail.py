"""Good and bad sources together: the good ones are converted, and the printed command retries the others."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import plain
import pytest
from archives.sevenzip import put
from makers import flip
from twins import first_quick

import s2ct_convert
from s2ct_convert import PartialStoreWarning
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_SOURCE

from .helpers import Done, assert_says, assert_tidy, closing_message, failure_messages, right_source, state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sources, the last one damaged; its valid content is in ``mended``."""
    for unit in ("train_31TCJ", "train_50SMG", "val_50SMG"):
        right_source(tmp_path / "all of it", unit)
    (tmp_path / "mended").mkdir()
    shutil.copy(tmp_path / "all of it" / "val_50SMG_2", tmp_path / "mended")
    flip(tmp_path / "all of it" / "val_50SMG_2", -1000)
    return tmp_path


def partial(store: Path) -> list[str]:
    """Units of a partial store, which opens with one warning that names the missing unit."""
    with (
        pytest.warns(PartialStoreWarning, match="without val/50SMG") as warned,
        s2ct_convert.open_store(store) as found,
    ):
        assert len(warned) == 1
        return list(found)


def to_do(done: Done) -> list[str]:
    """The arguments of the command in the closing message, split like in a shell."""
    found = re.search(r"^  to do:    (s2ct .*)$", closing_message(done), re.MULTILINE)
    assert found, done.stderr
    return shlex.split(found[1])[1:]


@pytest.mark.parametrize(
    ("store", "options"),
    first_quick(
        [
            ("my clouds.zarr", ["-j", "2", "--codec", "fast"]),
            ("clouds", ["-j", "1", "--format", "hdf5", "--split", "val", "--split", "train"]),
            ("x.zarr", ["-j", "1"]),
            ("it's.h5", ["-j", "1", "--codec", "blosc"]),
            ("x.h5", ["-j", "1", "--linked"]),
        ],
        quick=2,
    ),
)
def test_the_printed_command_completes_the_store_after_the_repair(run, folder, store, options):
    done = run("convert", "all of it", store, *options, cwd=folder)
    assert_says(done, EXIT_INCOMPLETE, f"s2ct: {store}: 1 of 3 units failed", "val_50SMG_2: example 1, byte 28,372: ")
    assert "2 converted, 1 failed" in done.stdout
    assert partial(folder / store) == ["train/31TCJ", "train/50SMG"]
    records = sorted(path.stem for path in (folder / f"{store}.s2ct" / "units").iterdir())
    assert records == ["train_31TCJ", "train_50SMG"]

    again = to_do(done)
    assert again[:2] == ["convert", "all of it/val_50SMG_2"], "only the failed source is retried"
    assert_says(run(*again, cwd=folder), EXIT_SOURCE, "checksum of the data")

    shutil.copy(folder / "mended" / "val_50SMG_2", folder / "all of it")
    done = run(*again, cwd=folder)
    assert done.returncode == 0, done.stderr
    whole = right_whole(folder)
    assert state(folder / store) == whole
    if "." in store and "--linked" not in options:
        assert_tidy(folder / store)


def right_whole(folder: Path) -> dict[str, str]:
    """Digests of the same three units from an undisturbed run."""
    s2ct_convert.convert(folder / "all of it", folder / "whole.zarr")
    return state(folder / "whole.zarr")


def test_every_failure_is_reported_once_with_its_reason(run, folder):
    put(folder / "all of it" / "train_34VFN_1.7z", b"no archive at all")
    put(folder / "all of it" / "val_34VFN_900", (folder / "mended" / "val_50SMG_2").read_bytes())
    done = run("convert", "all of it", "x.zarr", "-j1", cwd=folder)
    assert_says(done, EXIT_INCOMPLETE, "3 of 5 units failed")
    first_lines = sorted(message.splitlines()[0] for message in failure_messages(done))
    assert first_lines == [
        "train_34VFN_1.7z: this is not a 7z archive",
        "val_34VFN_900: the file has fewer examples, samples and images than the number in its name: it may be cut",
        "val_50SMG_2: example 1, byte 28,372: the checksum of the data does not match",
    ]
    assert sorted(to_do(done)[1:4]) == [f"all of it/{n}" for n in ("train_34VFN_1.7z", "val_34VFN_900", "val_50SMG_2")]


def test_json_includes_failures_and_is_alone_on_stdout(run, folder):
    done = run("convert", "all of it", "x.zarr", "--json", "-q", "-j1", cwd=folder)
    assert_says(done, EXIT_INCOMPLETE, "val_50SMG_2: example 1")
    document = json.loads(done.stdout)
    (failed,) = document["failed"]
    assert (failed["unit"], failed["source"], failed["exit_code"]) == ("val/50SMG", "all of it/val_50SMG_2", 5)
    assert failed["message"] in done.stderr
    assert (document["state"], document["complete"], document["missing"]) == ("partial", False, ["val/50SMG"])
    assert document["digest"] == plain.store_digest(folder / "x.zarr")
    assert [record["unit"] for record in document["converted"]] == ["train/31TCJ", "train/50SMG"]


def test_a_missing_unit_of_an_earlier_run_keeps_the_store_partial(run, folder):
    assert run("convert", "all of it", "x.zarr", "-j1", cwd=folder).returncode == EXIT_INCOMPLETE
    done = run("convert", "all of it/train_50SMG_2", "x.zarr", cwd=folder)
    assert_says(done, EXIT_INCOMPLETE, "x.zarr: the store is not complete", "found:    val/50SMG", "to do:")
    assert partial(folder / "x.zarr") == ["train/31TCJ", "train/50SMG"]


def test_a_source_damaged_later_leaves_all_units_unchanged(run, folder):
    shutil.copy(folder / "mended" / "val_50SMG_2", folder / "all of it")
    assert run("convert", "all of it", "x.zarr", "-j1", cwd=folder).returncode == 0
    before = state(folder / "x.zarr")
    source = folder / "all of it" / "val_50SMG_2"
    source.write_bytes(source.read_bytes()[:-1])
    done = run("convert", "all of it", "x.zarr", "-j1", cwd=folder)
    assert_says(done, EXIT_INCOMPLETE, "the file ends inside the data checksum")
    assert "0 converted, 2 done before, 1 failed" in done.stdout
    with pytest.warns(PartialStoreWarning, match="refused sources: val_50SMG_2"):
        assert state(folder / "x.zarr") == before, "the unit stays until a new one replaces it"
    shutil.copy(folder / "mended" / "val_50SMG_2", folder / "all of it")
    assert run("convert", "all of it", "x.zarr", "-j1", cwd=folder).returncode == 0
    assert state(folder / "x.zarr") == before
