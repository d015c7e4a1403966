"""``s2ct batch``: init once, run units by number in any order, twice or after a kill, finalise once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import plain
import pytest

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch, run_units
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.conversion.convert import convert_plan
from s2ct_convert.conversion.ranges import ARRAY_VARIABLES, from_ranges, to_ranges
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_SOURCE, EXIT_USAGE, WrongUsage
from s2ct_convert.units.options import RunOptions
from s2ct_convert.units.plan import make_plan

from .helpers import Done, assert_says, assert_tidy, right_source, state, tree

UNITS = ("train_31TCJ", "train_50SMG", "val_50SMG")
NAMES = ["val/50SMG", "train/50SMG", "train/31TCJ"]  # by number: each is larger than the next


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("in")
    return [right_source(folder, unit, (7, 3, *range(20, 20 + n))) for n, unit in enumerate(UNITS)]


@pytest.fixture(autouse=True)
def outside_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the task numbers, as on a login node, and fix the time that is written."""
    for name in ARRAY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def store(run, sources, tmp_path, suffix) -> Path:
    """A store after ``s2ct batch init``."""
    store = tmp_path / f"x.{suffix}"
    done = run("batch", "init", *sources, store)
    assert done.returncode == 0, done.stderr
    assert f"{store} is initialised: units 1 to 3" in done.stdout
    return store


@pytest.fixture
def zarr(run, sources, tmp_path) -> Path:
    """The same, for tests that need only one container."""
    assert run("batch", "init", *sources, tmp_path / "x.zarr").returncode == 0
    return tmp_path / "x.zarr"


def good(done: Done) -> Done:
    assert done.returncode == 0, done.stderr
    return done


def status_of(run: Any, store: Path) -> dict[str, Any]:
    return json.loads(good(run("batch", "status", store, "--json")).stdout)


def states(run: Any, store: Path) -> list[str]:
    return [unit["state"] for unit in status_of(run, store)["units"]]


def times(store: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file; folders are left out."""
    files = [path for path in store.parent.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("suffix", ["zarr", "h5"], indirect=True)
def test_units_one_by_one_give_the_bytes_of_one_conversion(sources, tmp_path, suffix):
    """Compare with one job and with two. All use the same command name, which is in the history of a store."""
    stores = [tmp_path / folder / f"x.{suffix}" for folder in ("one", "two", "batch")]
    plans = [make_plan(sources, store) for store in stores]
    for store in stores:
        store.parent.mkdir()
    digests = [
        convert_plan(plan, RunOptions(jobs=jobs), command="s2ct").digest
        for jobs, plan in ((1, plans[0]), (2, plans[1]))
    ]
    init_batch(plans[2], command="s2ct")
    for number in (2, 3, 1):
        run_units(stores[2], [number], threads=2)
    assert finalise_batch(stores[2], command="s2ct") == (digests[0], ())
    assert digests[1] == digests[0] == plain.store_digest(stores[2])
    one, two, batch = map(plain.file_bytes, stores)
    assert one == two == batch
    assert len({plan.hash for plan in plans}) == 1


class TestInit:
    def test_init_makes_an_empty_store_and_prints_the_next_step(self, run, store):
        assert states(run, store) == ["planned"] * 3
        with pytest.raises((s2ct_convert.errors.Incomplete, s2ct_convert.errors.NotAStore)):
            s2ct_convert.open_store(store)

    def test_a_second_init_keeps_finished_units(self, run, store, sources):
        good(run("batch", "run", store, 2))
        before = {name: at for name, at in times(store).items() if "units/" in name}
        assert "2 units to make, 1 done before" in good(run("batch", "init", *sources, store)).stderr
        assert states(run, store) == ["planned", "done", "planned"]
        assert before.items() <= times(store).items()

    def test_init_with_other_sources_is_refused_without_overwrite(self, run, zarr, sources):
        good(run("batch", "run", zarr, 1))
        done = run("batch", "init", *sources[:2], zarr)
        assert_says(done, EXIT_USAGE, "a batch with another plan was started here", "--overwrite")
        assert states(run, zarr) == ["done", "planned", "planned"]
        good(run("batch", "init", *sources[:2], zarr, "--overwrite"))
        assert states(run, zarr) == ["planned", "planned"]

    def test_init_reports_an_unusable_source_before_it_writes_anything(self, run, sources, tmp_path):
        bad = tmp_path / "train_31TCJ_1.7z"
        bad.write_bytes(b"7z no more")
        assert_says(
            run("batch", "init", *sources[1:], bad, tmp_path / "x.zarr"),
            EXIT_SOURCE,
            bad.name,
            "repair or download them again",
        )
        assert [path.name for path in tmp_path.iterdir()] == [bad.name]


class TestRun:
    @pytest.mark.parametrize("variable", ARRAY_VARIABLES)
    def test_a_job_takes_the_number_of_its_task(self, run, zarr, variable, monkeypatch):
        monkeypatch.setenv(variable, "2")
        done = good(run("batch", "run", zarr))
        assert "train/50SMG: done" in done.stderr and done.stdout == f"next: s2ct batch status {zarr}\n"
        assert states(run, zarr) == ["planned", "done", "planned"]

    def test_a_given_number_overrides_the_number_of_the_task(self, run, zarr, monkeypatch):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
        assert good(run("batch", "run", zarr, "1,3")).stdout == f"next: s2ct batch run {zarr} 2\n"
        assert states(run, zarr) == ["done", "planned", "done"]

    def test_run_without_a_number_is_wrong_usage(self, run, zarr, monkeypatch):
        for value in ("0", "undefined", "", "-1"):  # as LSF and SGE set it outside of an array
            for name in ARRAY_VARIABLES:
                monkeypatch.setenv(name, value)
            assert_says(run("batch", "run", zarr), EXIT_USAGE, "no unit number given", *ARRAY_VARIABLES)

    def test_a_number_without_a_unit_is_wrong_usage(self, run, zarr):
        for numbers in ("0", "4", "1-4"):
            assert_says(run("batch", "run", zarr, numbers), EXIT_USAGE, "there is no unit", "numbers from 1 to 3")
        for numbers in ("x", "3-1", "1,,2", "2-"):
            assert_says(run("batch", "run", zarr, numbers), EXIT_USAGE, f"{numbers}: not numbers of units")
        assert states(run, zarr) == ["planned"] * 3

    def test_a_finished_unit_stays_unchanged(self, run, store):
        good(run("batch", "run", store, 1))
        before = times(store)
        done = good(run("batch", "run", store, 1, "--json"))
        assert "val/50SMG is done" in done.stderr
        document = json.loads(done.stdout)
        assert document["store"] == str(store) and [one["unit"] for one in document["units"]] == ["val/50SMG"]
        assert times(store) == before

    def test_the_source_of_a_finished_unit_may_be_deleted(self, run, tmp_path, sources):
        mine = [Path(shutil.copy2(source, tmp_path)) for source in sources]
        store = tmp_path / "x.zarr"
        good(run("batch", "init", *mine, store))
        for number, path in ((1, mine[2]), (2, mine[1]), (3, mine[0])):
            good(run("batch", "run", store, number))
            path.unlink()
        done = good(run("batch", "run", store, "1-3"))
        assert done.stderr.count("is done") == 3 and done.stdout == f"next: s2ct batch finalise {store}\n"
        good(run("batch", "finalise", store))
        assert good(run("batch", "run", store, 1)).stdout == f"next: s2ct verify store {store}\n"
        assert sorted(state(store)) == sorted(NAMES)

    def test_a_failed_unit_leaves_the_others_and_names_the_command_to_retry(self, run, tmp_path, sources):
        mine = [Path(shutil.copy2(source, tmp_path)) for source in sources]
        store = tmp_path / "x.zarr"
        good(run("batch", "init", *mine, store))
        content = mine[1].read_bytes()
        status = mine[1].stat()
        mine[1].write_bytes(content[:-9] + bytes(9))
        os.utime(mine[1], ns=(status.st_atime_ns, status.st_mtime_ns))
        done = run("batch", "run", store, "1-3")
        assert_says(done, EXIT_INCOMPLETE, "1 of 3 units failed", f"s2ct batch run {store} 2")
        assert states(run, store) == ["done", "failed", "done"]
        (failed,) = [unit for unit in status_of(run, store)["units"] if unit["failure"]]
        assert failed["failure"]["exit_code"] == EXIT_SOURCE
        assert mine[1].name in failed["failure"]["message"]
        mine[1].write_bytes(content)
        os.utime(mine[1], ns=(status.st_atime_ns, status.st_mtime_ns))
        good(run("batch", "run", store, 2))
        assert states(run, store) == ["done"] * 3

    def test_a_source_that_changed_since_init_is_refused(self, run, tmp_path, sources):
        mine = Path(shutil.copy2(sources[0], tmp_path))
        good(run("batch", "init", mine, tmp_path / "x.zarr"))
        os.utime(mine, (1, 1))
        done = run("batch", "run", tmp_path / "x.zarr", 1)
        assert done.returncode == EXIT_SOURCE
        assert "the file has changed since the plan was made" in done.stderr

    def test_run_without_init_names_the_command_for_init(self, run, tmp_path):
        for command in (("run", tmp_path / "x.zarr", 1), ("finalise", tmp_path / "x.zarr")):
            assert_says(run("batch", *command), EXIT_USAGE, "was started here")
        assert list(tmp_path.iterdir()) == []


class TestStatus:
    def test_status_works_in_every_state(self, run, store, sources, tmp_path):
        found = [status_of(run, store)]
        for number in (2, 1, 3):
            good(run("batch", "run", store, number))
            found.append(status_of(run, store))
        good(run("batch", "finalise", store))
        found.append(status_of(run, store))
        assert [(one["missing"], one["finished"]) for one in found] == [
            ("1-3", False),
            ("1,3", False),
            ("3", False),
            ("", False),
            ("", True),
        ]
        assert [one["counts"]["done"] for one in found] == [0, 1, 2, 3, 3]
        shutil.rmtree(store) if store.is_dir() else store.unlink()
        assert status_of(run, store)["counts"]["planned"] == 3
        assert_says(run("batch", "status", tmp_path / "y.zarr"), EXIT_USAGE, "no conversion was started here")

    def test_status_has_one_line_per_unit_and_the_next_step(self, run, zarr):
        good(run("batch", "run", zarr, 2))
        lines = good(run("batch", "status", zarr)).stdout.splitlines()
        assert [line.split()[:3] for line in lines[1:4]] == [
            ["1", "val/50SMG", "planned"],
            ["2", "train/50SMG", "done"],
            ["3", "train/31TCJ", "planned"],
        ]
        assert lines[5:] == [
            f"store    {zarr}, not finished",
            "units    2 planned, 1 done",
            "missing  --array=1,3",
        ]
        good(run("batch", "run", zarr, "1,3"))
        assert good(run("batch", "status", zarr)).stdout.splitlines()[-1] == f"next   s2ct batch finalise {zarr}"

    def test_entries_have_every_field_of_the_ledger(self, run, zarr):
        good(run("batch", "run", zarr, 3))
        entry = status_of(run, zarr)["units"][2]["record"]
        plan = json.loads((zarr.with_name("x.zarr.s2ct") / "plan.json").read_text())
        assert entry["plan"] == plan["hash"]
        assert entry["s2ct_version"] == s2ct_convert.__version__
        assert entry["peak_memory"] > 10 << 20
        assert entry["seconds"] > 0
        assert entry["source_bytes"] == plan["units"][2]["bytes"]
        files = {path.relative_to(zarr / "train/31TCJ").as_posix(): path for path in (zarr / "train/31TCJ").rglob("*")}
        assert {file["name"]: file["bytes"] for file in entry["files"]} == {
            name: path.stat().st_size for name, path in files.items() if path.is_file()
        }

    def test_units_of_a_plain_conversion_have_no_numbers(self, run, sources, tmp_path):
        good(run("convert", *sources, tmp_path / "x.zarr", "-j1"))
        found = status_of(run, tmp_path / "x.zarr")
        assert ([unit["number"] for unit in found["units"]], found["finished"]) == ([None] * 3, True)


class TestFinalise:
    def test_finalise_is_refused_while_units_are_missing(self, run, store):
        good(run("batch", "run", store, 2))
        done = run("batch", "finalise", store)
        assert_says(done, EXIT_INCOMPLETE, "2 of 3 units are missing", "--array=1,3", "--partial", "train/31TCJ")
        assert (
            f"to do:    s2ct batch run {store} 1,3 (or jobs with --array=1,3), then s2ct batch finalise" in done.stderr
        )
        assert status_of(run, store)["finished"] is False

    def test_a_partial_store_is_completed_by_later_units(self, run, store, sources, tmp_path):
        good(run("batch", "run", store, 2))
        done = good(run("batch", "finalise", store, "--partial"))
        assert "is partial: without 2 units (train/31TCJ, val/50SMG)" in done.stdout
        attributes = plain.attributes(store)
        assert (attributes["state"], attributes["missing_units"]) == ("partial", "train/31TCJ val/50SMG")
        told = good(run("batch", "status", store)).stdout
        assert "finished, partial: without 2 units (train/31TCJ, val/50SMG)" in told
        assert list(state(store)) == ["train/50SMG"]
        assert states(run, store) == ["planned", "done", "planned"]
        good(run("batch", "run", store, "1,3"))
        good(run("batch", "finalise", store))
        assert plain.attributes(store)["state"] == "complete"
        whole = s2ct_convert.convert(sources, tmp_path / f"whole.{store.suffix[1:]}")
        assert plain.store_digest(store) == whole.digest
        assert_tidy(store)

    def test_finalise_without_any_unit_is_refused(self, run, zarr):
        assert_says(run("batch", "finalise", zarr, "--partial"), EXIT_INCOMPLETE, "3 of 3 units are missing")

    def test_a_second_finalise_prints_the_same_and_writes_nothing(self, run, store):
        good(run("batch", "run", store, "1-3"))
        first = good(run("batch", "finalise", store))
        before = times(store)
        second = good(run("batch", "finalise", store))
        assert (second.stdout, times(store)) == (first.stdout, before)
        assert "digest  sha256:" in first.stdout
        assert_tidy(store)

    def test_convert_resumes_a_batch(self, run, store, sources):
        good(run("batch", "run", store, 2))
        assert "2 converted, 1 done before" in good(run("convert", *sources, store, "-j1")).stdout
        assert status_of(run, store)["finished"] is True
        before = tree(store.parent)
        assert good(run("batch", "finalise", store)).stdout.startswith(f"{store} is complete")
        assert tree(store.parent) == before


def test_ranges_are_short_and_parse_to_the_same_numbers():
    for numbers, text in (([1], "1"), ([1, 2], "1-2"), ([5, 1, 3, 4, 5], "1,3-5"), ([], ""), ([7, 9, 11], "7,9,11")):
        assert to_ranges(numbers) == text
        if text:
            assert from_ranges(text) == sorted(set(numbers))
    with pytest.raises(WrongUsage):
        from_ranges("")
