"""Stores that are written to a bucket: the same objects as on a disk, whatever fails, and none sent twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers.made_bucket import ADDRESS, environment, same_as_on_disk, sent_twice
from servers.objects import Handler, lose_answer, refusing

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch
from s2ct_convert.errors import DestinationExists, StoreDamaged, WrongUsage
from s2ct_convert.events import Message
from s2ct_convert.objects import service
from s2ct_convert.units.options import NO_OPTIONS
from s2ct_convert.units.plan import make_plan_to

pytest.importorskip("obstore")


def test_a_store_in_a_bucket_has_the_bytes_of_one_on_disk(bucket, made_sources, made):
    summary = s2ct_convert.convert(made_sources, ADDRESS)
    assert str(summary.store) == ADDRESS
    assert same_as_on_disk(bucket, made["zarr"])
    assert sent_twice(bucket) == []
    assert not any(key.endswith("/") or "?" in key for _, key, _ in bucket.requests), "nothing is listed"
    assert not Path("made.zarr.scratch").exists()
    records = bucket.folder / "b" / "made.zarr.s2ct" / "units"
    assert sorted(path.stem for path in records.iterdir()) == ["train_49RGN", "train_50SMG", "val_50SMG"]
    text = b"".join(path.read_bytes() for path in (bucket.folder / "b" / "made.zarr.s2ct").rglob("*.json"))
    assert b"SECRET" not in text


@pytest.mark.slow
def test_another_run_sends_no_object_of_the_store(bucket, made_sources, made):
    s2ct_convert.convert(made_sources[:2], ADDRESS)
    s2ct_convert.convert(made_sources[:2], ADDRESS)
    before = len(bucket.puts())
    s2ct_convert.convert(made_sources[:2], ADDRESS)
    assert [key for key in bucket.puts()[before:] if "probe-" not in key] == []
    s2ct_convert.convert(made_sources[2:], ADDRESS)  # without the scratch folder of the first run
    assert sent_twice(bucket) == []
    with s2ct_convert.open_store(ADDRESS) as store:
        assert list(store.units) == ["train/49RGN", "train/50SMG", "val/50SMG"]
    assert same_as_on_disk(bucket, made["zarr"])


@pytest.mark.slow
@pytest.mark.every_variant
@pytest.mark.parametrize("number", [2, 7, 11, 17, 23, 40, 41, 47, 53, 61, 65, 66, 67])
def test_a_killed_run_resumes_and_sends_nothing_twice(bucket, made_sources, tmp_path, number):
    killed: list[int] = []
    process: list[subprocess.Popen[bytes]] = []

    def kill(handler: Handler) -> None:
        handler.write()
        killed.append(1)
        os.kill(process[0].pid, signal.SIGKILL)

    command = [sys.executable, "-m", "s2ct_convert", "convert", str(made_sources[0]), ADDRESS, "-j1"]
    bucket.after_writes = (number, kill)
    process.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
    process[0].wait(timeout=120)
    assert killed or process[0].returncode == 0
    bucket.after_writes = None
    if number % 4 == 3:  # as on another machine
        shutil.rmtree("made.zarr.scratch", ignore_errors=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sent_twice(bucket) == []
    s2ct_convert.convert(made_sources[:1], tmp_path / "here" / "local.zarr")
    assert same_as_on_disk(bucket, tmp_path / "here" / "local.zarr")


@pytest.mark.slow
def test_two_runs_at_once_end_with_one_record_and_one_store(bucket, made_sources, tmp_path):
    command = [
        sys.executable,
        "-m",
        "s2ct_convert",
        "convert",
        *map(str, made_sources[:2]),
        ADDRESS,
        "-j1",
        "--scratch",
    ]
    runs = [subprocess.Popen([*command, str(tmp_path / name)], stderr=subprocess.PIPE, text=True) for name in "ab"]
    for one in runs:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said
    assert s2ct_convert.verify_store(ADDRESS).findings == []
    s2ct_convert.convert(made_sources[:2], tmp_path / "local.zarr")
    assert same_as_on_disk(bucket, tmp_path / "local.zarr")


@pytest.mark.slow
def test_lost_answers_and_busy_ones_give_the_same_store(bucket, made_sources, tmp_path):
    bucket.vices = {
        "image/c/0": [lose_answer],
        "PUT b/made.zarr.s2ct/units/train_50SMG": [lose_answer],
        "label/c": [refusing(503, "SlowDown"), lose_answer],
        "index/tile": [lose_answer],
    }
    s2ct_convert.convert(made_sources[:1], ADDRESS)
    assert not any(bucket.vices.values())
    s2ct_convert.convert(made_sources[:1], tmp_path / "local.zarr")
    assert same_as_on_disk(bucket, tmp_path / "local.zarr")


@pytest.mark.slow
def test_a_service_that_fails_for_good_is_exit_code_7(bucket, made_sources, s2ct):
    bucket.vices = {"weight": [refusing(400, "ExpiredToken")] * 1000}
    done = s2ct("convert", made_sources[0], ADDRESS, env={**os.environ, **environment(bucket)})
    assert done.returncode == 7, done.stderr
    assert "the credentials have expired" in done.stderr + done.stdout
    assert not (bucket.folder / "b" / "made.zarr.s2ct" / "units").exists()
    assert "SECRET" not in done.stderr + done.stdout


@pytest.mark.slow
def test_a_refused_object_fails_its_unit_at_once(bucket, made_sources):
    bucket.vices = {"PUT b/made.zarr/train/50SMG/label": [refusing(403, "AccessDenied")] * 1000}
    began = time.monotonic()
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        s2ct_convert.convert(made_sources[:1], ADDRESS)
    assert time.monotonic() - began < service.RETRY_SECONDS / 2
    assert "these credentials may not write" in caught.value.summary.failures[0].message
    assert caught.value.exit_code == 7


def test_a_scratch_folder_of_something_else_is_not_touched(bucket, made_sources, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    with pytest.raises(DestinationExists, match="the scratch folder holds something else"):
        s2ct_convert.convert(made_sources[:1], ADDRESS, scratch=tmp_path / "mine")
    with pytest.raises(WrongUsage, match="--scratch is for a store in a bucket"):
        s2ct_convert.convert(made_sources[:1], tmp_path / "x.zarr", scratch=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]
    assert bucket.requests == []


@pytest.mark.slow
def test_a_foreign_object_fails_its_unit_and_stays(bucket, made_sources):
    foreign = bucket.folder / "b" / "made.zarr" / "train" / "50SMG" / "label" / "c" / "0"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"of somebody else")
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        s2ct_convert.convert(made_sources[:1], ADDRESS)
    assert "already, with other content" in caught.value.summary.failures[0].message
    assert foreign.read_bytes() == b"of somebody else"


@pytest.mark.slow
def test_a_service_that_ignores_conditions_is_said_so(bucket, made_sources):
    bucket.conditions = False
    said: list[str] = []
    s2ct_convert.convert(
        made_sources[:1],
        ADDRESS,
        on_event=lambda event: said.append(event.text) if isinstance(event, Message) else None,
    )
    assert any("ignores If-None-Match" in text for text in said)


@pytest.mark.slow
def test_a_store_deleted_without_its_ledger_is_not_complete(bucket, made_sources):
    s2ct_convert.convert(made_sources[:2], ADDRESS)
    bucket.vices["PUT b/made.zarr/train/49RGN"] = [refusing(403, "AccessDenied")] * 99
    with pytest.raises(s2ct_convert.UnitsFailed):  # its scratch folder stays
        s2ct_convert.convert(made_sources, ADDRESS)
    assert Path("made.zarr.scratch").exists()
    bucket.vices.clear()
    shutil.rmtree(bucket.folder / "b" / "made.zarr")
    with pytest.raises(StoreDamaged, match="is missing, according to the record of its unit"):
        s2ct_convert.convert(made_sources, ADDRESS)
    assert s2ct_convert.convert(made_sources, ADDRESS, overwrite=True).missing == ()
    assert s2ct_convert.verify_store(ADDRESS).findings == []


@pytest.mark.slow
def test_a_batch_writes_to_a_bucket_from_a_shared_folder(bucket, made_sources, made, s2ct):
    def batch(*words: object) -> str:
        done = s2ct("batch", *words, env={**os.environ, **environment(bucket)})
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    said = batch("init", *made_sources, ADDRESS, "--scratch", "shared")
    assert f"{ADDRESS} is initialised: units 1 to 3" in said
    for number in (3, 1, 2):
        batch("run", "shared/made.zarr", number)
    batch("finalise", "shared/made.zarr")
    assert batch("run", "shared/made.zarr", 1) == f"next: s2ct verify store {ADDRESS}\n"
    with pytest.raises(WrongUsage, match=f"s2ct verify store {ADDRESS}"):
        s2ct_convert.verify_store("shared/made.zarr")
    assert s2ct_convert.verify_store(ADDRESS).findings == []
    assert same_as_on_disk(bucket, made["zarr"])
    assert sent_twice(bucket) == []


def test_a_batch_needs_a_service_that_honours_conditions(bucket, made_sources):
    bucket.conditions = False
    plan = make_plan_to(made_sources[:1], ADDRESS, NO_OPTIONS, unit=None, scratch=None)
    with pytest.raises(WrongUsage, match="ignores If-None-Match and replaces objects"):
        init_batch(plan, command="")
    assert not (bucket.folder / "b" / "made.zarr").exists()


@pytest.mark.slow
def test_overwrite_deletes_what_the_ledger_names_and_no_more(bucket, made_sources, made):
    s2ct_convert.convert(made_sources, ADDRESS, codec="fast")
    other = bucket.folder / "b" / "made.zarr" / "README.md"
    other.write_bytes(b"of somebody else")
    with pytest.raises(DestinationExists, match="with other options"):
        s2ct_convert.convert(made_sources, ADDRESS)
    s2ct_convert.convert(made_sources, ADDRESS, overwrite=True)
    assert other.read_bytes() == b"of somebody else"
    other.unlink()
    assert same_as_on_disk(bucket, made["zarr"])


def test_a_store_without_a_ledger_is_not_touched(bucket, made_sources):
    root = bucket.folder / "b" / "made.zarr" / "zarr.json"
    root.parent.mkdir(parents=True)
    root.write_bytes(b"{}")
    with pytest.raises(DestinationExists, match="no ledger beside it"):
        s2ct_convert.convert(made_sources[:1], ADDRESS, overwrite=True)
    assert root.read_bytes() == b"{}"


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("address", "options", "words"),
    [
        ("s3://b/made.h5", {}, "HDF5 files work only on this machine"),
        (ADDRESS, {"format": "hdf5"}, "HDF5 files work only on this machine"),
        ("https://b/made.zarr", {}, "a web server can only be read"),
        ("s3://b", {}, "a store in a bucket needs a name"),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_reason(bucket, made_sources, address, options, words):
    with pytest.raises(WrongUsage, match=words):
        s2ct_convert.convert(made_sources[:1], address, **options)
    assert bucket.requests == []


@pytest.mark.slow
def test_a_store_in_a_bucket_holds_its_statistics(bucket, made_sources, tmp_path):
    for store in (ADDRESS, tmp_path / "made.zarr"):
        s2ct_convert.convert(made_sources, store, statistics=True)
    assert same_as_on_disk(bucket, tmp_path / "made.zarr")
    with s2ct_convert.open_store(ADDRESS) as there, s2ct_convert.open_store(tmp_path / "made.zarr") as here:
        before = len(bucket.requests)
        found, expected = there.statistics(), here.statistics(from_pixels=True)
        assert (found.all.histogram == expected.all.histogram).all() and (found.clear.std == expected.clear.std).all()
        assert not [key for _, key, _ in bucket.requests[before:] if "/image/c/" in key]
