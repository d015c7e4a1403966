"""``--overwrite``: the old store stays until a new one is finished, whatever happens before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import plain
import pytest
from makers import flip, random_group, write_tfrecord
from twins import SUFFIXES

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch, run_units
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.errors import DestinationExists, Incomplete, TFRecordDamaged, WrongUsage
from s2ct_convert.events import Message
from s2ct_convert.units.plan import make_plan
from s2ct_convert.units.swap import new_folder, start_new
from s2ct_convert.verify.store import verify_store


@pytest.fixture(params=SUFFIXES)
def store(request, tmp_path, sources) -> Path:
    path = tmp_path / f"x.{request.param}"
    s2ct_convert.convert(sources, path)
    return path


@pytest.fixture
def sources(tmp_path, rng) -> list[Path]:
    folder = tmp_path / "in"
    return [
        write_tfrecord(folder, [random_group(rng, i, 2) for i in (1, 2)]),
        write_tfrecord(folder, [random_group(rng, 3, 3)], unit="val_50SMG"),
    ]


@pytest.fixture
def others(tmp_path, rng) -> list[Path]:
    """Sources of the same units with other content."""
    folder = tmp_path / "new"
    return [
        write_tfrecord(folder, [random_group(rng, i, 4) for i in (5, 6)]),
        write_tfrecord(folder, [random_group(rng, 7, 1)], unit="val_50SMG"),
    ]


def names(store: Path) -> list[str]:
    return sorted(path.name for path in store.parent.iterdir() if path.name.startswith("x."))


def test_a_failed_unit_keeps_the_old_store_and_the_command_goes_on(store, others):
    before, there = plain.file_bytes(store), names(store)
    good = others[0].read_bytes()
    flip(others[0], -1)
    with pytest.raises(s2ct_convert.UnitsFailed, match="is unchanged, and the new store goes on") as caught:
        s2ct_convert.convert(others, store, overwrite=True)
    assert caught.value.exit_code == 3
    assert plain.file_bytes(store) == before
    assert names(store) == sorted([*there, f"{store.name}.new"])
    others[0].write_bytes(good)
    summary = s2ct_convert.convert(others, store, overwrite=True)
    assert [entry.unit for entry in summary.converted] == ["train/50SMG"], "the other unit was made before"
    assert (summary.store, summary.state, names(store)) == (store, "complete", there)
    assert summary.digest == plain.store_digest(store)
    assert verify_store(store).ok
    assert not s2ct_convert.convert(others, store).converted, "the ledger is that of the new store"


@pytest.mark.slow
def test_a_wrong_path_and_foreign_files_keep_the_old_store(store, sources, tmp_path):
    before = plain.file_bytes(store)
    with pytest.raises(WrongUsage):
        s2ct_convert.convert(tmp_path / "inn", store, overwrite=True)
    new_folder(store).mkdir()
    (new_folder(store) / "mine").write_text("mine")
    with pytest.raises(DestinationExists, match="something else has this name"):
        s2ct_convert.convert(sources, store, overwrite=True)
    assert (new_folder(store) / "mine").read_text() == "mine"
    assert plain.file_bytes(store) == before


@pytest.mark.parametrize("name", [".git/config", "swap.json"])
def test_a_folder_of_the_user_with_the_name_of_the_new_store_stays(tmp_path, sources, name):
    store = tmp_path / "x.zarr"
    s2ct_convert.convert(sources, store)
    mine = new_folder(store) / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(DestinationExists, match="something else has this name"):
        s2ct_convert.convert(sources, store, overwrite=True)
    assert mine.read_text() == "mine"
    assert not s2ct_convert.convert(sources, store).converted


@pytest.mark.slow
def test_a_file_with_the_name_of_the_new_store_stays(store, sources):
    new_folder(store).write_text("mine")
    with pytest.raises(DestinationExists, match="something else has this name"):
        s2ct_convert.convert(sources, store, overwrite=True)
    assert new_folder(store).read_text() == "mine"


@pytest.mark.slow
def test_a_link_is_not_replaced(store, sources, others):
    link, before = store.with_name(f"link{store.suffix}"), plain.file_bytes(store)
    link.symlink_to(store)
    with pytest.raises(DestinationExists, match="a symbolic link") as caught:
        s2ct_convert.convert(others, link, overwrite=True)
    assert caught.value.todo and caught.value.todo.endswith(f" {store}")
    assert link.is_symlink()
    assert plain.file_bytes(store) == before


@pytest.mark.slow
def test_other_sources_or_options_start_a_new_store_again(store, sources, others):
    damaged = flip(others[0], -1, to=others[0].parent / "bad" / others[0].name)
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.convert([damaged, others[1]], store, overwrite=True)
    notes: list[str] = []
    s2ct_convert.convert(sources, store, on_event=lambda event: notes.append(str(getattr(event, "text", ""))))
    assert f"{new_folder(store)} holds an unfinished new store" in "".join(notes)
    summary = s2ct_convert.convert(others[1], store, overwrite=True)
    assert ([entry.unit for entry in summary.converted], summary.state) == (["val/50SMG"], "complete")
    assert plain.unit_names(store) == ["val/50SMG"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"store": ["/../in"], "ledger": []}', '{"store": [], "ledger": ["../in"]}']
)
def test_a_damaged_list_of_parts_moves_nothing(store, sources, content):
    start_new(store)
    (new_folder(store) / "swap.json").write_text(content)
    before = plain.file_bytes(store), plain.file_bytes(sources[0].parent)
    with pytest.raises(DestinationExists, match="cannot read which store is to take the place of another"):
        s2ct_convert.convert(sources, store)
    assert (plain.file_bytes(store), plain.file_bytes(sources[0].parent)) == before


@pytest.mark.slow
def test_the_new_store_goes_on_after_the_old_one_was_deleted_to_make_room(store, sources, others):
    good, old = others[0].read_bytes(), [path for path in store.parent.iterdir() if path.name.startswith("x.")]
    flip(others[0], -1)
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.convert(others, store, overwrite=True)
    subprocess.run(["rm", "-r", *map(str, old)], check=True)
    others[0].write_bytes(good)
    summary = s2ct_convert.convert(others, store, overwrite=True)
    assert [entry.unit for entry in summary.converted] == ["train/50SMG"], "the other unit was made before"
    assert (summary.store, summary.state) == (store, "complete")
    assert not new_folder(store).exists()
    assert verify_store(store).ok


@pytest.mark.slow
def test_a_new_store_of_other_sources_is_dropped_if_the_old_one_is_gone(store, sources, others):
    old = [path for path in store.parent.iterdir() if path.name.startswith("x.")]
    flip(others[0], -1)
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.convert(others, store, overwrite=True)
    subprocess.run(["rm", "-r", *map(str, old)], check=True)
    assert len(s2ct_convert.convert(sources, store, overwrite=True).converted) == 2
    assert not new_folder(store).exists()


@pytest.mark.slow
def test_too_little_room_is_said_before_the_start(store, others, monkeypatch):
    import shutil

    usage = shutil.disk_usage(store.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    texts: list[str] = []
    s2ct_convert.convert(
        others, store, overwrite=True, on_event=lambda e: texts.append(e.text) if isinstance(e, Message) else None
    )
    (text,) = (text for text in texts if "room for 1.0 kB" in text)
    assert f"delete the old one first: rm -r {store}" in text


@pytest.mark.slow
def test_a_batch_reads_examples_before_it_deletes_a_store(store, others):
    before = plain.file_bytes(store)
    data = bytearray(others[1].read_bytes())
    data[100] ^= 1
    others[1].write_bytes(data)
    with pytest.raises(TFRecordDamaged):
        init_batch(make_plan(others, store), overwrite=True, command="s2ct")
    assert plain.file_bytes(store) == before


KILLED = """
import os, signal, sys
import s2ct_convert
real, left = os.rename, int(sys.argv[1])
def rename(old, new, **more):
    global left
    if os.path.exists(sys.argv[2] + ".new/swap.json"):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    real(old, new, **more)
os.rename = rename
s2ct_convert.convert(sys.argv[3:], sys.argv[2], overwrite=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("store", ["zarr", "h5"], indirect=True)
def test_a_kill_at_any_step_of_the_swap_ends_with_the_new_store(store, sources, others, tmp_path):
    right = s2ct_convert.convert(others, tmp_path / f"right{store.suffix}").digest
    old = plain.store_digest(store)
    there = names(store)
    for step in range(50):
        command = [sys.executable, "-c", KILLED, str(step), str(store), *map(str, others)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode in (0, -9), done.stderr
        if store.exists():
            assert plain.store_digest(store) in (old, right)
        if step % 2:  # the same command, or any other that uses the store
            summary = s2ct_convert.convert(others, store, overwrite=True)
            assert not summary.converted or done.returncode == 0
        else:
            s2ct_convert.convert(others, store)
        assert (plain.store_digest(store), names(store)) == (right, there)
        assert verify_store(store).ok
        if done.returncode == 0:
            break
        s2ct_convert.convert(sources, store, overwrite=True)
    assert step > 8


@pytest.mark.slow
@pytest.mark.parametrize("store", ["zarr"], indirect=True)
def test_a_task_of_a_batch_makes_nothing_in_a_store_that_is_half_replaced(store, sources, others, tmp_path):
    right = s2ct_convert.convert(others, tmp_path / "right.zarr").digest
    init_batch(make_plan(sources, store), command="s2ct")
    command = [sys.executable, "-c", KILLED, "2", str(store), *map(str, others)]
    assert subprocess.run(command, capture_output=True, timeout=100).returncode == -9
    with pytest.raises(Incomplete, match="was about to take the place") as caught:
        run_units(store, [1])
    assert caught.value.todo == f"s2ct batch finalise {store}: it finishes this"
    assert finalise_batch(store, command="s2ct") == (right, ())
    assert plain.store_digest(store) == right
