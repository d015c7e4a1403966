"""Sources in a bucket: the store is that of local archives, and what is done is not fetched again."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from makers import random_group, write_tfrecord
from servers.objects import Bucket, Handler, cut, refusing, serve

import s2ct_convert
from s2ct_convert.errors import NetworkError, WrongUsage
from s2ct_convert.events import Event, Message
from s2ct_convert.objects import ranged, service

pytest.importorskip("obstore")
ARCHIVES = "s3://b/archives/"
SMALL = "val_34VFN_2.7z"  # of the sample
DOUBLE_SLASH = (
    b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>archives//x.7z</Key><Size>9</Size>"
    b"<LastModified>2026-01-02T00:00:00.000Z</LastModified></Contents></ListBucketResult>"
)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket ``b`` with the sample below ``archives/``, in the environment, and a current folder to work in."""
    folder = tmp_path / "served" / "b" / "archives"
    folder.mkdir(parents=True)
    for path in s2ct_convert.sample_sources():
        shutil.copy(path, folder)
    with serve(tmp_path / "served") as served:
        for name, value in environment(served).items():
            monkeypatch.setenv(name, value)
        service._client.cache_clear()
        ranged.ends_of.cache_clear()
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        yield served


def environment(bucket: Bucket) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": bucket.url, "AWS_ACCESS_KEY_ID": "AKIASECRET", "AWS_SECRET_ACCESS_KEY": "SECRETSECRET"}


def fetched(bucket: Bucket) -> set[str]:
    """Names of the objects of which more than the ends were asked for."""
    ends = (f"bytes=0-{ranged.HEAD_BYTES - 1}", "bytes=0-0", "")
    return {
        Path(key).name
        for _, key, asked in bucket.requests
        if asked not in ends and not asked.endswith(f"-{(bucket.folder / key).stat().st_size - 1}")
    } | {Path(key).name for _, key, asked in bucket.requests if asked.startswith("bytes=0-") and asked not in ends}


def files(store: Path) -> dict[str, bytes]:
    """All files of a store but the root, whose history differs."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path != store / "zarr.json"
    }


def test_a_unit_from_a_bucket_is_that_of_its_local_archive(bucket, sample_stores):
    summary = s2ct_convert.convert(ARCHIVES, "x.zarr", splits=["val"], tiles=["34VFN"])
    with s2ct_convert.open_store("x.zarr") as store, s2ct_convert.open_store(sample_stores["zarr"]) as local:
        assert store["val/34VFN"].digest == local["val/34VFN"].digest
    assert fetched(bucket) == {SMALL}, "of the others, only the ends are read"
    (entry,) = summary.converted
    assert (entry.unpacker, entry.source_path) == ("python", f"{ARCHIVES}{SMALL}")

    del bucket.requests[:]
    assert len(s2ct_convert.convert(ARCHIVES + SMALL, "x.zarr").skipped) == 1
    assert fetched(bucket) == set()
    local_archive = next(path for path in s2ct_convert.sample_sources() if path.name == SMALL)
    assert len(s2ct_convert.convert(local_archive, "x.zarr").skipped) == 1, "the local archive has the same md5"


@pytest.mark.slow
def test_the_store_from_a_bucket_has_the_bytes_of_the_local_one(bucket, sample_stores, s2ct):
    for n, jobs in enumerate((1, 3)):
        done = s2ct("convert", ARCHIVES, f"{n}.zarr", "-j", jobs, env={**os.environ, **environment(bucket)})
        assert done.returncode == 0, done.stderr
        assert files(Path(f"{n}.zarr")) == files(sample_stores["zarr"])
    text = b"".join(path.read_bytes() for path in Path("0.zarr.s2ct").rglob("*.json"))
    assert b"SECRET" not in text
    assert b"SECRET" not in done.stderr.encode()


@pytest.mark.slow
def test_tfrecords_in_a_bucket_are_read_too(bucket, made_sources, made):
    for path in made_sources:
        shutil.copy(path, bucket.folder / "b")
    shutil.copytree(made["zarr"], bucket.folder / "b" / "old.zarr")
    (bucket.folder / "b" / "notes.txt").write_text("x")
    shutil.rmtree(bucket.folder / "b" / "archives")
    said: list[Event] = []
    summary = s2ct_convert.convert("s3://b", "x.zarr", on_event=said.append)
    notes = "\n".join(one.text for one in said if isinstance(one, Message))
    assert "skipped notes.txt, by name neither .7z nor TFRecord" in notes
    assert "skipped old.zarr, Zarr stores" in notes
    with s2ct_convert.open_store(made["zarr"]) as local:
        assert summary.digest == local.digest
    ends = [one for one in bucket.requests if "old.zarr" in one[1]]
    assert ends == [], "nothing of the store is read"
    assert s2ct_convert.convert(made_sources, "x.zarr").converted == ()


@pytest.mark.slow
def test_from_one_bucket_to_another_place_of_it(bucket, sample_stores):
    summary = s2ct_convert.convert(ARCHIVES, "s3://b/made.zarr", jobs=2)
    with s2ct_convert.open_store(sample_stores["zarr"]) as local:
        assert summary.digest == local.digest
    with pytest.raises(WrongUsage, match="a source is inside the destination"):
        s2ct_convert.convert("s3://b/made.zarr/x.7z", "s3://b/made.zarr")


@pytest.mark.slow
def test_an_object_whose_name_cannot_be_asked_for_is_named(bucket, monkeypatch):
    monkeypatch.setattr(Handler, "list_objects", lambda self, _: self.answer(200, DOUBLE_SLASH, {}))
    with pytest.raises(WrongUsage, match="a name that s2ct cannot ask for") as caught:
        s2ct_convert.convert("s3://b/archives/", "x.zarr")
    assert "archives//x.7z" in str(caught.value)


@pytest.mark.slow
def test_the_advice_after_a_failure_is_a_command_that_works(bucket, s2ct):
    path = bucket.folder / "b" / "archives" / SMALL
    good = path.read_bytes()
    path.write_bytes(good[:100_000] + bytes(1000) + good[101_000:])
    env = {**os.environ, **environment(bucket)}
    del env["AWS_ENDPOINT_URL"]
    given = ("--scratch", "my scratch", "--endpoint-url", bucket.url, "--request-payer", "--max-requests", 900)
    done = s2ct("convert", ARCHIVES, "s3://b/x.zarr", *given, env=env)
    assert done.returncode == 3, done.stderr
    path.write_bytes(good)
    (again,) = (line.partition("to do:")[2] for line in done.stderr.splitlines() if "to do:    s2ct convert" in line)
    words = shlex.split(again)[1:]
    assert {*map(str, given)} <= set(words)
    done = s2ct(*words, env=env)
    assert done.returncode == 0, done.stderr
    assert "1 converted" in done.stdout
    assert list(Path().iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("url", ["http://user:SECRET@h", "http://h?token=SECRET"])
def test_an_endpoint_with_a_secret_is_refused_before_it_is_written(bucket, s2ct, url):
    done = s2ct("convert", ARCHIVES, "x.zarr", "--endpoint-url", url)
    assert done.returncode == 2
    assert "must not hold a user" in done.stderr and "SECRET" not in done.stderr
    assert not Path("x.zarr").exists()


@pytest.mark.slow
def test_a_unit_of_a_local_archive_is_done_for_its_object(bucket):
    s2ct_convert.convert(s2ct_convert.sample_sources(), "x.zarr")
    summary = s2ct_convert.convert(ARCHIVES, "x.zarr")
    assert (len(summary.skipped), summary.converted) == (4, ())
    assert fetched(bucket) == set(), "the headers have a CRC-32"


@pytest.mark.slow
def test_an_object_of_the_same_size_and_time_replaces_its_unit(bucket, tmp_path, rng):
    made = [write_tfrecord(tmp_path / name, [random_group(rng, 1, 20)], unit="val_50SMG") for name in "ab"]
    assert made[0].stat().st_size == made[1].stat().st_size
    digests = []
    for path in made:
        shutil.copy(path, bucket.folder / "b" / path.name)
        (entry,) = s2ct_convert.convert(f"s3://b/{path.name}", "x.zarr").converted
        digests.append(entry.digest)
    assert digests[0] != digests[1]
    assert s2ct_convert.convert(f"s3://b/{made[1].name}", "x.zarr").converted == ()


@pytest.mark.slow
def test_without_etag_and_time_the_content_decides(bucket, tmp_path, rng, monkeypatch, s2ct):
    send = Handler.send_header
    without = ("ETag", "Last-Modified")
    monkeypatch.setattr(Handler, "send_header", lambda self, name, value: name in without or send(self, name, value))
    made = [write_tfrecord(tmp_path / name, [random_group(rng, 1, 20)], unit="val_50SMG") for name in "ab"]
    path = bucket.folder / "b" / made[0].name
    for one in made:
        shutil.copy(one, path)
        for converted in (1, 0):
            done = s2ct("convert", f"{bucket.url}/b/{path.name}", "x.zarr")
            assert f"{converted} converted" in done.stdout, done.stderr


@pytest.mark.slow
def test_an_object_without_etag_that_shrinks_meanwhile_has_changed(bucket, monkeypatch):
    answer, path = Handler.answer, bucket.folder / "b" / "archives" / SMALL

    def answer_without(self: Handler, status: int, body: bytes, headers: dict[str, str]) -> None:
        answer(self, status, body, {name: value for name, value in headers.items() if name != "ETag"})

    def shrink(handler: Handler) -> None:
        path.write_bytes(b"7z")
        handler.serve()

    monkeypatch.setattr(Handler, "answer", answer_without)
    monkeypatch.setattr(ranged, "PART_BYTES", 50_000)
    monkeypatch.setitem(bucket.vices, SMALL, [lambda h: h.serve()] * 5 + [shrink])
    with pytest.raises(s2ct_convert.UnitsFailed, match="1 of 1 unit failed") as caught:
        s2ct_convert.convert(f"{bucket.url}/b/archives/{SMALL}", "x.zarr")
    assert "the object has changed since it was found" in caught.value.summary.failures[0].message
    assert caught.value.exit_code == 5


@pytest.mark.slow
def test_a_unit_whose_object_changes_meanwhile_fails(bucket, monkeypatch):
    path = bucket.folder / "b" / "archives" / SMALL
    monkeypatch.setattr(ranged, "PART_BYTES", 50_000)

    def change(handler: Handler) -> None:
        path.write_bytes(path.read_bytes()[::-1])
        handler.serve()

    monkeypatch.setitem(bucket.vices, SMALL, [lambda h: h.serve()] * 5 + [change])
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        s2ct_convert.convert(ARCHIVES + SMALL, "x.zarr")
    assert "the object has changed since it was found" in caught.value.summary.failures[0].message
    assert caught.value.exit_code == 5
    assert bucket.vices == {SMALL: []}


@pytest.mark.slow
@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("vices", "exit_code", "words"),
    [
        ([cut, cut, refusing(503, "SlowDown")], 0, ""),
        ([refusing(404, "NoSuchKey")] * 99, 5, "the object is gone, or may not be read"),
        ([refusing(400, "ExpiredToken")] * 99, 7, "the credentials have expired"),
        ([refusing(403, "AccessDenied")] * 99, 5, "the object is gone, or may not be read"),
    ],
    ids=["breaks off", "deleted", "expired", "denied"],
)
def test_a_service_that_fails_while_a_unit_is_made(bucket, monkeypatch, vices, exit_code, words):
    monkeypatch.setattr(ranged, "PART_BYTES", 50_000)
    bucket.vices = {SMALL: [*[lambda h: h.serve()] * 4, *vices]}
    try:
        summary = s2ct_convert.convert(ARCHIVES + SMALL, "x.zarr")
    except s2ct_convert.UnitsFailed as error:
        assert error.exit_code == exit_code
        assert words in error.summary.failures[0].message
    else:
        assert (exit_code, len(summary.converted), bucket.vices[SMALL]) == (0, 1, [])


@pytest.mark.slow
@pytest.mark.every_variant
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_nothing_and_resumes(bucket, sample_stores, end):
    reached, released = threading.Event(), threading.Event()

    def hang(handler: Handler) -> None:
        reached.set()
        released.wait(60)

    big = "train_34VFN_5.7z"
    bucket.vices = {f"archives/{big}": [*[lambda h: h.serve()] * 2, hang]}
    command = [sys.executable, "-m", "s2ct_convert", "convert", ARCHIVES, "x.zarr", "-j1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert reached.wait(60)
    process.send_signal(end)
    said = process.communicate(timeout=30)[1]
    released.set()
    assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL), said
    if end == signal.SIGINT:
        assert "0 of 4 units of x.zarr are done and kept" in said
    bucket.vices = {}
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert files(Path("x.zarr")) == files(sample_stores["zarr"])
    assert [path.name for path in Path("x.zarr.s2ct", "work").iterdir()] == []
    assert sorted(path.name for path in Path().iterdir()) == ["x.zarr", "x.zarr.s2ct"]


@pytest.mark.slow
def test_ctrl_c_ends_a_search_although_the_service_hangs(bucket):
    reached, released = threading.Event(), threading.Event()

    def hang(handler: Handler) -> None:
        reached.set()
        released.wait(60)

    bucket.vices = {"archives/train_34VFN": [hang] * 9}
    command = [sys.executable, "-m", "s2ct_convert", "convert", ARCHIVES, "x.zarr"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert reached.wait(60)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    released.set()
    assert (process.returncode, "interrupted" in said) == (130, True), said
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_a_plan_and_a_batch_read_the_planned_objects(bucket, s2ct, sample_stores):
    options = {"env": {**os.environ, **environment(bucket)}}
    assert s2ct("plan", ARCHIVES, "x.zarr", "-o", "plan.json", **options).returncode == 0
    planned = json.loads(Path("plan.json").read_text())["units"]
    assert planned[0]["source"] == f"{ARCHIVES}train_34VFN_5.7z"
    assert s2ct("batch", "init", "--plan", "plan.json", **options).returncode == 0
    assert s2ct("batch", "run", "x.zarr", "1-3", **options).returncode == 0
    path = bucket.folder / "b" / "archives" / SMALL
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    done = s2ct("batch", "run", "x.zarr", "1-4", **options)
    assert "the object has changed since it was found" in done.stderr
    path.write_bytes(content)
    assert s2ct("batch", "run", "x.zarr", "4", **options).returncode == 0
    assert s2ct("batch", "finalise", "x.zarr", **options).returncode == 0
    assert files(Path("x.zarr")) == files(sample_stores["zarr"])


@pytest.mark.slow
def test_verify_reads_sources_in_a_bucket(bucket, s2ct, sample_stores):
    options = {"env": {**os.environ, **environment(bucket)}}
    done = s2ct("verify", "store", sample_stores["zarr"], "--against", ARCHIVES, **options)
    assert "14 examples compared with the sources; no differences" in done.stdout, done.stderr
    assert s2ct("verify", "sources", ARCHIVES, **options).returncode == 0
    path = bucket.folder / "b" / "archives" / SMALL
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)
    done = s2ct("verify", "sources", ARCHIVES, **options)
    assert (done.returncode, "put them in the place of the objects" in done.stderr) == (5, True), done.stderr


@pytest.mark.parametrize(
    ("source", "options", "kind", "words"),
    [
        ("s3://b/none/", {}, WrongUsage, "there is no object here, and none below"),
        ("s3://b/made.zarr/", {}, WrongUsage, "this is a Zarr store, not a source"),
        ("s3://none/archives/", {}, WrongUsage, "there is no such bucket"),
        ("s3://b/archives/none.7z", {}, WrongUsage, "there is no object here, and none below"),
        (ARCHIVES, {"salvage": True}, WrongUsage, "need their sources on this machine"),
        (ARCHIVES, {"tiles": ["50SMG"]}, WrongUsage, "no source matches"),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_made(bucket, source, options, kind, words):
    with pytest.raises(kind, match=words):
        s2ct_convert.convert(source, "x.zarr", **options)
    assert list(Path().iterdir()) == []
    assert fetched(bucket) == set()


@pytest.mark.slow
def test_volumes_in_a_bucket_are_to_be_copied(bucket):
    shutil.copy(bucket.folder / "b" / "archives" / SMALL, bucket.folder / "b" / f"{SMALL}.001")
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        s2ct_convert.convert(f"s3://b/{SMALL}.001", "x.zarr")
    assert "copy all volumes into one folder here" in caught.value.summary.failures[0].message


@pytest.mark.slow
def test_7_zip_is_refused_for_an_archive_in_a_bucket(bucket, monkeypatch):
    from s2ct_convert.archives.unpackers import Unpacker
    from s2ct_convert.conversion import convert as module

    monkeypatch.setattr(module, "find_unpacker", lambda asked: Unpacker("7zz 26.03", "/bin/7zz", required=True))
    with pytest.raises(WrongUsage, match="7-Zip does not read an archive at an address"):
        s2ct_convert.convert(ARCHIVES, "x.zarr", unpacker="7zz")


@pytest.mark.slow
def test_a_service_that_is_away_is_exit_code_7(bucket, s2ct):
    bucket.vices = {"GET b": [refusing(403, "InvalidAccessKeyId")] * 99}
    done = s2ct("convert", ARCHIVES, "x.zarr", env={**os.environ, **environment(bucket)})
    assert done.returncode == NetworkError.exit_code, done.stderr
    assert "the service does not know the access key" in done.stderr
    assert list(Path().iterdir()) == []
