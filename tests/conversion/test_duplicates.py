"""Another source of a finished unit is refused and replaces it only on request; equal content is the same source."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import plain
import pytest
from makers import flip, random_group, tfrecord_bytes, write_archive, write_tfrecord
from twins import SUFFIXES

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch, run_units
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.conversion.batch_status import batch_status
from s2ct_convert.conversion.plan_file import read_files
from s2ct_convert.errors import EXIT_INCOMPLETE, DuplicateUnit, Incomplete, WrongUsage
from s2ct_convert.events import Message
from s2ct_convert.show.summary import check_complete
from s2ct_convert.units.events import UnitDone
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.plan import make_plan
from s2ct_convert.verify.sources import verify_sources
from s2ct_convert.verify.store import verify_store

UNIT = "train/50SMG"


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(tmp_path, suffix) -> Path:
    return tmp_path / f"x.{suffix}"


@pytest.fixture
def two(tmp_path, rng) -> list[Path]:
    """Two archives of one unit with different content."""
    out = []
    for n in (1, 2):
        data = tfrecord_bytes([random_group(rng, localid, 3) for localid in range(n)])
        out.append(write_archive(tmp_path / f"in{n}" / f"train_50SMG_{n}.7z", {f"train_50SMG_{n}": data}))
    return out


@pytest.fixture
def other(tmp_path, rng) -> Path:
    """A source of another unit."""
    return write_tfrecord(tmp_path / "in", [random_group(rng, 4, 2)], unit="val_50SMG")


def refused(work: Callable[[], object]) -> s2ct_convert.Summary:
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        work()
    assert caught.value.exit_code == EXIT_INCOMPLETE
    assert "1 source was refused" in str(caught.value)
    return caught.value.summary


def test_a_second_source_is_refused_and_other_units_are_made(two, other, store):
    first = s2ct_convert.convert(two[0], store).digest
    summary = refused(lambda: s2ct_convert.convert([two[1], other], store))
    (failure,) = summary.failures
    assert (failure.unit, failure.source, failure.exit_code, failure.refused) == (UNIT, str(two[1]), 5, True)
    for word in ("train_50SMG_2.7z", "was made from ", "train_50SMG_1.7z", f"--overwrite-unit {UNIT}"):
        assert word in failure.message
    assert [entry.unit for entry in summary.converted] == ["val/50SMG"]
    root = plain.attributes(store)
    assert (root["state"], root["refused_sources"]) == ("partial", "train_50SMG_2.7z")
    assert "missing_units" not in root
    assert plain.attributes(store, UNIT)["source_file"] == "train_50SMG_1.7z"
    assert summary.digest == plain.store_digest(store) != first
    whole = s2ct_convert.convert([two[0], other], store)
    assert (whole.state, plain.attributes(store)["state"], whole.digest) == ("complete", "complete", summary.digest)
    assert "refused_sources" not in plain.attributes(store)


@pytest.mark.slow
def test_a_refused_source_is_remembered_until_its_unit_is_settled(two, other, tmp_path):
    store = tmp_path / "x.zarr"
    s2ct_convert.convert(two[0], store)
    refused(lambda: s2ct_convert.convert(two[1], store))
    summary = s2ct_convert.convert(other, store)  # a run that has nothing to do with the unit
    assert (summary.state, summary.refused) == ("partial", ("train_50SMG_2.7z",))
    with pytest.raises(Incomplete, match="refused in an earlier run"):
        check_complete(summary)
    root = plain.attributes(store)
    assert (root["state"], root["refused_sources"]) == ("partial", "train_50SMG_2.7z")
    assert verify_store(store).remarks == ["the store is partial: refused sources: train_50SMG_2.7z"]
    assert s2ct_convert.convert(two[0], store).state == "complete"
    assert plain.attributes(store)["state"] == "complete"
    refused(lambda: s2ct_convert.convert(two[1], store))
    init_batch(make_plan([two[1]], store), overwrite_units=[UNIT], command="s2ct")
    run_units(store, [1])
    finalise_batch(store, command="s2ct")  # a task of a batch settles it too
    assert plain.attributes(store)["state"] == "complete"


def test_a_source_refused_beside_another_is_remembered(two, other, tmp_path):
    store = tmp_path / "x.zarr"
    refused(lambda: s2ct_convert.convert(two, store))
    assert s2ct_convert.convert(other, store).refused == ("train_50SMG_2.7z",)
    assert s2ct_convert.convert(two[0], store).refused == ()


def test_overwrite_unit_replaces_a_unit(two, store):
    s2ct_convert.convert(two[0], store)
    refused(lambda: s2ct_convert.convert(two[1], store))
    summary = s2ct_convert.convert(two[1], store, overwrite_units=[UNIT])
    assert [entry.source_file for entry in summary.converted] == ["train_50SMG_2.7z"]
    assert plain.attributes(store)["state"] == "complete"
    assert plain.attributes(store, UNIT)["source_file"] == "train_50SMG_2.7z"
    again = s2ct_convert.convert(two[1], store, overwrite_units=["train/T50SMG"])  # the way to repair a damaged unit
    assert [entry.source_file for entry in again.converted] == ["train_50SMG_2.7z"]


def test_overwrite_unit_needs_a_source_of_that_unit(two, store):
    with pytest.raises(WrongUsage, match="--overwrite-unit val/50SMG"):
        s2ct_convert.convert(two[0], store, overwrite_units=["val/50SMG"])
    assert not store.exists()


def forms(folder: Path, data: bytes) -> dict[str, Path]:
    """One TFRecord in five forms."""
    name = "train_50SMG_2"
    bare, copy = folder / name, folder / "copy" / "train_50SMG_9"
    copy.parent.mkdir()
    bare.write_bytes(data)
    archive = write_archive(folder / f"{name}.7z", {name: data})
    shutil.copy(archive, folder / "train_50SMG_3.7z")
    copied = write_archive(folder / "packed" / "train_50SMG_4.7z", {name: data}, filters=[{"id": 33, "preset": 1}])
    shutil.copy(bare, folder / "train_50SMG_7")
    return {
        "bare": bare,
        "archive": archive,
        "copy of it": folder / "train_50SMG_3.7z",
        "packed otherwise": copied,
        "copy of the bare one": folder / "train_50SMG_7",
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("archive", "bare"),
        ("bare", "archive"),
        ("archive", "copy of it"),
        ("archive", "packed otherwise"),
        ("packed otherwise", "bare"),
        ("bare", "copy of the bare one"),
    ],
)
def test_equal_content_counts_as_the_same_source_with_a_note(tmp_path, rng, first, second):
    data = tfrecord_bytes([random_group(rng, localid, 3) for localid in (1, 2)])
    made, store, events = forms(tmp_path, data), tmp_path / "x.zarr", []
    right = s2ct_convert.convert(made[first], store).digest
    before = plain.file_bytes(store)
    summary = s2ct_convert.convert(made[second], store, on_event=events.append)
    assert (len(summary.converted), len(summary.skipped), summary.digest) == (0, 1, right)
    (note,) = (event for event in events if isinstance(event, Message))
    assert note.text == f"{made[second].name}: the same content as {made[first].name}, the source of {UNIT}"
    assert plain.file_bytes(store) == before


def test_a_copy_of_a_deleted_tfrecord_is_known_by_its_checksum(tmp_path, rng):
    data = tfrecord_bytes([random_group(rng, localid, 3) for localid in (1, 2)])
    made, store = forms(tmp_path, data), tmp_path / "x.zarr"
    s2ct_convert.convert(made["bare"], store)
    made["bare"].unlink()
    assert s2ct_convert.convert(made["copy of the bare one"], store).converted == ()
    made["copy of the bare one"].write_bytes(tfrecord_bytes([random_group(rng, localid, 3) for localid in (1, 2)]))
    refused(lambda: s2ct_convert.convert(made["copy of the bare one"], store))


def test_content_decides_between_files_with_equal_name_size_and_time(tmp_path, rng, store):
    paths = [tmp_path / folder / "train_50SMG_2" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(tfrecord_bytes([random_group(rng, localid, 3) for localid in (1, 2)]))
        os.utime(path, ns=(10**18, 10**18))
    s2ct_convert.convert(paths[0], store)
    refused(lambda: s2ct_convert.convert(paths[1], store))
    paths[0].rename(tmp_path / paths[0].name)  # the source itself may be moved
    assert s2ct_convert.convert(tmp_path / paths[0].name, store).converted == ()


def test_overwrite_unit_repairs_a_damaged_unit(two, store):
    s2ct_convert.convert(two[0], store)
    path, offset, _ = plain.chunk_place(store, UNIT, 0)
    flip(path, offset + 20)
    assert not verify_store(store).ok
    s2ct_convert.convert(two[0], store, overwrite_units=[UNIT])
    assert verify_store(store).ok


def test_a_lost_index_is_written_again(two, store):
    s2ct_convert.convert(two[0], store)
    if store.is_dir():
        shutil.rmtree(store / "index")
    else:
        with h5py.File(store, "r+") as file:
            del file["index"]
    s2ct_convert.convert(two[0], store)
    assert verify_store(store).ok


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_copy_is_read_if_the_first_source_is_damaged(tmp_path, rng, store, jobs):
    data = tfrecord_bytes([random_group(rng, localid, 3) for localid in (1, 2)])
    bad = write_archive(tmp_path / "train_50SMG_2.7z", {"train_50SMG_2": data})
    good = Path(shutil.copy(bad, tmp_path / "train_50SMG_2 (1).7z"))
    write_archive(tmp_path / "val_50SMG_2.7z", {"val_50SMG_2": data})  # a second unit, for a second job
    flip(bad, 60)
    reports = verify_sources([tmp_path])
    assert [(one.path, one.state) for one in reports if one.state != "ok"] == [(bad, "damaged")]
    events: list[object] = []
    summary = s2ct_convert.convert(tmp_path, store, jobs=jobs, on_event=events.append)
    assert {entry.source_file for entry in summary.converted} == {good.name, "val_50SMG_2.7z"}
    assert any(f"reading its copy {good} instead" in str(event) for event in events)


def test_a_changed_source_is_converted_again_with_a_note(two, store, tmp_path, rng):
    s2ct_convert.convert(two[0], store)
    changed, events = two[0], []
    changed.unlink()
    write_archive(changed, {two[0].stem: tfrecord_bytes([random_group(rng, 8, 1)])})
    summary = s2ct_convert.convert(changed, store, on_event=events.append)
    assert [entry.unit for entry in summary.converted] == [UNIT]
    (note,) = (event for event in events if isinstance(event, Message))
    assert note.text == f"train_50SMG_1.7z has changed since {UNIT} was made; converting it again"


def test_a_file_with_the_same_name_elsewhere_is_another_source(two, store, tmp_path, rng):
    right = s2ct_convert.convert(two[0], store).digest
    elsewhere = tmp_path / "elsewhere" / two[0].name
    write_archive(elsewhere, {two[0].stem: tfrecord_bytes([random_group(rng, 8, 1)])})
    summary = refused(lambda: s2ct_convert.convert(elsewhere, store))
    assert (summary.state, summary.digest) == ("partial", right)
    moved = tmp_path / "moved" / two[0].name
    moved.parent.mkdir()
    two[0].rename(moved)
    assert s2ct_convert.convert(moved, store).digest == right, "the same bytes are the same source in any folder"


class TestBatch:
    def plan(self, sources: list[Path], store: Path):
        return make_plan(sources, store)

    def test_init_refuses_another_source_and_writes_nothing(self, two, other, store):
        s2ct_convert.convert(two[0], store)
        before = plain.file_bytes(store)
        with pytest.raises(DuplicateUnit, match=f"another source of {UNIT}") as caught:
            init_batch(self.plan([two[1], other], store), command="s2ct")
        assert f"--overwrite-unit {UNIT}" in caught.value.todo
        assert plain.file_bytes(store) == before
        assert plain.attributes(store)["state"] == "complete"

    def test_init_with_overwrite_units_lets_a_task_replace_a_unit(self, two, store):
        s2ct_convert.convert(two[0], store)
        init_batch(self.plan([two[1]], store), overwrite_units=[UNIT], command="s2ct")
        assert plain.attributes(store, UNIT)["source_file"] == "train_50SMG_1.7z", "until the task has made the new one"
        events = []
        run_units(store, [1], on_event=events.append)
        assert sum(isinstance(event, UnitDone) for event in events) == 1
        finalise_batch(store, command="s2ct")
        assert plain.attributes(store, UNIT)["source_file"] == "train_50SMG_2.7z"
        assert run_units(store, [1])[0].source_file == "train_50SMG_2.7z"

    def test_a_task_makes_a_unit_again_from_the_same_source(self, two, store):
        s2ct_convert.convert(two[0], store)
        path, offset, _ = plain.chunk_place(store, UNIT, 0)
        flip(path, offset + 20)
        init_batch(self.plan([two[0]], store), overwrite_units=[UNIT], command="s2ct")
        assert batch_status(store).missing == "1"
        with pytest.raises(Incomplete, match="1 unit not replaced yet"):
            finalise_batch(store, command="s2ct")
        run_units(store, [1])
        finalise_batch(store, command="s2ct")
        assert verify_store(store).ok
        events: list[object] = []
        run_units(store, [1], on_event=events.append)
        assert not any(isinstance(event, UnitDone) for event in events), "once is enough"

    def test_a_finished_batch_may_be_followed_by_another(self, two, other, store):
        init_batch(self.plan([two[0]], store), command="s2ct")
        with pytest.raises(WrongUsage, match="another plan was started here, and is not finished"):
            init_batch(self.plan([two[0], other], store), command="s2ct")
        run_units(store, [1])
        finalise_batch(store, command="s2ct")
        init_batch(self.plan([two[0], other], store), command="s2ct")
        run_units(store, [1, 2])
        finalise_batch(store, command="s2ct")
        assert plain.unit_names(store) == [UNIT, "val/50SMG"]

    def test_a_partial_finalise_names_the_source_that_was_not_taken(self, two, store):
        s2ct_convert.convert(two[0], store)
        init_batch(self.plan([two[1]], store), overwrite_units=[UNIT], command="s2ct")
        finalise_batch(store, partial=True, command="s2ct")
        root = plain.attributes(store)
        assert (root["state"], root["refused_sources"]) == ("partial", "train_50SMG_2.7z")

    @pytest.mark.slow
    def test_a_unit_replaced_after_the_batch_is_no_refusal_of_its_plan(self, two, store):
        init_batch(self.plan([two[0]], store), command="s2ct")
        run_units(store, [1])
        finalise_batch(store, command="s2ct")
        s2ct_convert.convert(two[1], store, overwrite_units=[UNIT])
        digest, _ = finalise_batch(store, command="s2ct")
        root = plain.attributes(store)
        assert (root["state"], root["content_digest"]) == ("complete", digest)
        refused(lambda: run_units(store, [1]))  # asked for again, the source of the plan is refused
        with pytest.raises(Incomplete, match="sources that were given are not in the store"):
            finalise_batch(store, command="s2ct")

    def test_a_plan_keeps_the_copies_of_its_sources(self, two, store):
        copy = Path(shutil.copy(two[0], two[0].with_name("train_50SMG_1 (1).7z")))
        init_batch(self.plan([two[0].parent], store), command="s2ct")
        (file,) = read_files(Ledger(store).plan_path)
        assert [one.path for one in file.source.copies] == [copy]

    def test_a_task_refuses_a_unit_made_from_another_source_since_init(self, two, other, store):
        init_batch(self.plan([two[1], other], store), command="s2ct")
        assert s2ct_convert.convert(two[0], store).missing == ("val/50SMG",)
        made = refused(lambda: run_units(store, [1, 2]))
        assert [failure.refused for failure in made.failures] == [True]
        with pytest.raises(Incomplete, match="sources that were given are not in the store") as caught:
            finalise_batch(store, command="s2ct")
        assert caught.value.found == "train_50SMG_2.7z"
        finalise_batch(store, partial=True, command="s2ct")
        root = plain.attributes(store)
        assert (root["state"], root["refused_sources"]) == ("partial", "train_50SMG_2.7z")


def test_convert_and_batch_finalise_agree_on_a_partial_store(two, other, store, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    s2ct_convert.convert(two[0], store)
    refused(lambda: s2ct_convert.convert([two[1], other], store))
    before = plain.file_bytes(store)
    with pytest.raises(Incomplete):
        finalise_batch(store, command="s2ct")
    digest, missing = finalise_batch(store, partial=True, command="s2ct")
    assert (digest, missing) == (plain.attributes(store)["content_digest"], ())
    assert plain.file_bytes(store) == before


def test_a_tfrecord_and_its_gzip_are_one_source_over_several_runs(tmp_path, rng, store):
    data = tfrecord_bytes([random_group(rng, localid, 3) for localid in (1, 2)])
    packed, bare = tmp_path / "a" / "train_50SMG_2.gz", tmp_path / "b" / "train_50SMG_2"
    archive = write_archive(tmp_path / "c" / "train_50SMG_2.7z", {"train_50SMG_2": data})
    for path, content in ((packed, gzip.compress(data)), (bare, data)):
        path.parent.mkdir()
        path.write_bytes(content)
    for order in ((packed, archive, bare), (archive, packed), (bare, packed)):
        for i, source in enumerate(order):
            assert len(s2ct_convert.convert(source, store, overwrite=not i).converted) == (not i), source


def test_copies_of_shards_are_read(tmp_path, rng, store):
    shards = [tfrecord_bytes([random_group(rng, localid, 3)]) for localid in (1, 2)]
    members = {f"train_50SMG_2-0000{i}-of-00002": data for i, data in enumerate(shards)}
    bad = write_archive(tmp_path / "in" / "train_50SMG_2.7z", members)
    Path(shutil.copy(bad, bad.with_name("train_50SMG_2 (1).7z")))
    flip(bad, 60)
    assert [one.state for one in verify_sources([bad.parent])] == ["damaged", "ok"]
    s2ct_convert.convert(bad.parent, store)
    assert plain.arrays(store, UNIT)["localid"].tolist() == [1, 2]


class TestShardsOverSeveralRuns:
    @pytest.fixture
    def shards(self, tmp_path):
        def write(folder: str, localids: tuple[int, int], *, packed: bool = False) -> Path:
            pieces = [tfrecord_bytes([random_group(np.random.default_rng(i), i, 3)]) for i in localids]
            names = [f"train_50SMG_2-0000{i}-of-00002" for i in range(2)]
            (tmp_path / folder).mkdir()
            if packed:
                write_archive(tmp_path / folder / "train_50SMG_2.7z", dict(zip(names, pieces, strict=True)))
            else:
                for name, piece in zip(names, pieces, strict=True):
                    (tmp_path / folder / name).write_bytes(piece)
            return tmp_path / folder

        return write

    def test_other_shards_of_the_same_names_are_refused(self, shards, store):
        s2ct_convert.convert(shards("a", (1, 2)), store)
        before = plain.store_digest(store)
        with pytest.raises(s2ct_convert.UnitsFailed):
            s2ct_convert.convert(shards("b", (3, 4)), store)
        assert plain.arrays(store, UNIT)["localid"].tolist() == [1, 2]
        assert plain.store_digest(store) == before

    @pytest.mark.slow
    def test_one_shard_alone_leaves_a_complete_store_complete(self, shards, store, tmp_path):
        folder = shards("a", (1, 2))
        s2ct_convert.convert(folder, store)
        before = plain.file_bytes(store)
        for shard in (*sorted(folder.iterdir()), sorted(shards("b", (3, 4)).iterdir())[0]):
            with pytest.raises(s2ct_convert.UnitsFailed) as caught:
                s2ct_convert.convert(shard, store)
            assert "1 of 2 shards of unit train/50SMG are missing" in caught.value.summary.failures[0].message
            assert (caught.value.exit_code, caught.value.summary.state) == (5, "complete")
            assert plain.file_bytes(store) == before

    def test_the_same_content_is_one_source(self, shards, store, tmp_path):
        folder = shards("a", (1, 2))
        s2ct_convert.convert(folder, store)
        whole = tmp_path / "whole" / "train_50SMG_2"
        whole.parent.mkdir()
        whole.write_bytes(b"".join(path.read_bytes() for path in sorted(folder.iterdir())))
        for path in folder.iterdir():
            os.utime(path)
        archive = write_archive(tmp_path / "x" / "train_50SMG_2.7z", {"train_50SMG_2": whole.read_bytes()})
        for source in (folder, shards("b", (1, 2)), shards("c", (1, 2), packed=True), whole, archive):
            assert not s2ct_convert.convert(source, store).converted, source

    def test_the_printed_command_names_all_shards(self, shards, store):
        folder = shards("a", (1, 2))
        flip(sorted(folder.iterdir())[1], 40)
        with pytest.raises(s2ct_convert.UnitsFailed) as caught:
            s2ct_convert.convert(folder, store)
        assert all(str(path) in caught.value.todo for path in folder.iterdir())
