"""Stores at an address: equal to the store on disk, or an error that names the object; few requests; no hanging."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.objects import Bucket, cut, refusing, serve

from s2ct_convert import open_store, verify_store
from s2ct_convert.errors import NetworkError, NotAStore, S2ctError, StoreDamaged, WrongUsage
from s2ct_convert.objects import service

pytest.importorskip("obstore")


@pytest.fixture
def bucket(made: dict[str, Path], tmp_path: Path) -> Iterator[Bucket]:
    """A server with a copy of the made store, in the bucket ``b``."""
    shutil.copytree(made["zarr"], tmp_path / "b" / "made.zarr")
    with serve(tmp_path) as served:
        yield served


@pytest.fixture
def as_s3(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same store as one of S3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASECRET")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRET")
    service._client.cache_clear()
    return "s3://b/made.zarr"


def address(bucket: Bucket) -> str:
    return f"{bucket.url}/b/made.zarr"


def test_a_store_at_an_address_equals_the_one_on_disk(bucket, made):
    with open_store(address(bucket)) as there, open_store(made["zarr"]) as here:
        assert there.digest == here.digest
        assert list(there.units) == list(here.units)
        remote, unit = there["train/50SMG"], here["train/50SMG"]
        rows = [slice(0, unit.observations)]
        assert np.array_equal(remote.images(rows)[0], unit.images(rows)[0])
        small = [key for key in unit if key != "image"]
        assert all(np.array_equal(remote[key][...], unit[key][...], equal_nan=key == "weight") for key in small)
        assert there.samples.rows.tobytes() == here.samples.rows.tobytes()


@pytest.mark.slow
def test_a_store_at_an_address_verifies(bucket, run):
    found = run("verify", "store", address(bucket))
    assert found.returncode == 0, found.stderr
    assert "no differences" in found.stdout


def test_reading_makes_few_requests_and_lists_nothing(bucket):
    with open_store(address(bucket)) as store:
        assert len(bucket.requests) == 1
        unit = store["train/50SMG"]
        chosen = random.Random(3).choices(unit.localid.tolist(), k=20)
        small = len(bucket.requests)
        assert small == 1 + sum(unit[key].size > 0 for key in unit if key != "image")  # the root, then each small array
        unit.samples(chosen)
    assert len(bucket.requests) - small == 2  # of the one shard: its index, and all chunks together
    assert {method for method, _, _ in bucket.requests} == {"GET"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["flipped", "cut", "deleted"])
@pytest.mark.parametrize("key", ["train/50SMG/image/c/0/0/0/0", "train/50SMG/label/c/0"])
def test_a_damaged_object_is_found_and_named(bucket, how, key, run):
    path = bucket.folder / "b" / "made.zarr" / key
    path = path if path.is_file() else next(path.parent.rglob("0"))
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 3] ^= 1
    path.write_bytes(data[: len(data) // 2] if how == "cut" else data)
    if how == "deleted":
        path.unlink()
    report = verify_store(address(bucket))
    assert any("train/50SMG" in str(one) for one in report.findings), report.findings
    if "image" in key:
        assert any(one.file.endswith(key) and one.rows for one in report.findings), report.findings
    with open_store(address(bucket)) as store, pytest.raises(StoreDamaged, match=r"train/50SMG"):
        store["train/50SMG"].images([slice(0, 151)])
    found = run("verify", "store", address(bucket))
    assert found.returncode == 4
    assert key.rpartition("/c/")[0] in found.stdout


def test_a_server_without_ranges_is_refused(bucket):
    bucket.ranges = False
    with open_store(address(bucket)) as store, pytest.raises(NetworkError, match="no support for Range"):
        store["train/50SMG"].images([slice(0, 5)])


def test_a_server_without_ranges_from_the_end_is_asked_for_sizes(bucket, made):
    bucket.suffixes = False
    with open_store(address(bucket)) as there, open_store(made["zarr"]) as here:
        rows = [slice(0, 40)]
        assert np.array_equal(there["train/50SMG"].images(rows)[0], here["train/50SMG"].images(rows)[0])


def test_no_store_at_an_address_says_so(bucket):
    with pytest.raises(NotAStore, match="there is no store at this address"):
        open_store(f"{bucket.url}/b/none.zarr")


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "NoSuchBucket", "there is no such bucket"),
        (403, "InvalidAccessKeyId", "the service does not know the access key"),
        (403, "SignatureDoesNotMatch", "the secret key does not belong to the access key"),
        (400, "ExpiredToken", "the credentials have expired"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region"),
        (301, "PermanentRedirect", "the bucket is in another region"),
        (403, "AccessDenied", "access is denied, or there is no store"),
    ],
)
def test_a_refusal_of_the_service_is_one_sentence(bucket, as_s3, status, code, words):
    bucket.vices["zarr.json"] = [refusing(status, code)] * 20
    began = time.monotonic()
    with pytest.raises(S2ctError, match=words) as caught:
        open_store(as_s3)
    assert time.monotonic() - began < 10
    assert "SECRET" not in str(caught.value)


@pytest.mark.slow
def test_busy_answers_and_cut_bodies_are_asked_again(bucket, as_s3, made):
    bucket.vices = {
        "zarr.json": [refusing(503, "SlowDown")],
        "label": [cut],
        "image/c": [refusing(503, "SlowDown"), cut],
    }
    with open_store(as_s3) as there, open_store(made["zarr"]) as here:
        rows = [slice(0, 40)]
        assert np.array_equal(there["train/50SMG"].images(rows)[0], here["train/50SMG"].images(rows)[0])
        assert np.array_equal(there["train/50SMG"].label, here["train/50SMG"].label)
    assert not any(bucket.vices.values())


@pytest.mark.slow
def test_a_service_that_fails_is_no_damage(bucket, monkeypatch):
    monkeypatch.setattr(service, "RETRIES", 1)
    service._client.cache_clear()
    with open_store(address(bucket)) as store:
        assert len(store["train/50SMG"].localid)
    bucket.vices["image/c"] = [refusing(503, "SlowDown")] * 1000
    with pytest.raises(NetworkError, match="fewer requests"):
        verify_store(address(bucket))


def test_a_forked_process_is_refused_at_once(bucket):
    with open_store(address(bucket)) as store:
        mine, other = multiprocessing.Pipe()

        def read() -> None:
            try:
                store["train/50SMG"].images([slice(0, 5)])
            except WrongUsage as error:
                other.send(str(error))

        process = multiprocessing.get_context("fork").Process(target=read)
        process.start()
        assert mine.poll(20), "the forked process hangs"
        assert 'multiprocessing_context="spawn"' in mine.recv()
        process.join()


@pytest.mark.slow
def test_commands_take_an_address(bucket, run, tmp_path):
    shown = run("info", address(bucket), cwd=tmp_path)
    assert f"store   {address(bucket)}" in shown.stdout
    assert run("preview", address(bucket), "-o", "x.png", cwd=tmp_path).returncode == 0
    assert (tmp_path / "x.png").stat().st_size
    assert run("export", address(bucket), "back", "--split", "val", cwd=tmp_path).returncode == 0
    for words in (["croissant", address(bucket)], ["batch", "status", address(bucket)]):
        assert run(*words, cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_xarray_reads_images_at_an_address_when_they_are_used(bucket, made):
    pytest.importorskip("xarray")
    with open_store(address(bucket)) as there, open_store(made["zarr"]) as here:
        lazy = there.to_xarray("train/50SMG").image
        before = len(bucket.requests)
        assert np.array_equal(lazy[3:9].values, here["train/50SMG"].images([slice(3, 9)])[0])
        assert len(bucket.requests) > before


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_spawned_workers_of_a_loader_read_and_forked_ones_are_refused(bucket, made):
    pytest.importorskip("torch")
    from torch.utils.data import DataLoader

    from s2ct_convert.torch import SampleDataset

    data, local = SampleDataset(address(bucket)), SampleDataset(made["zarr"])
    spawned = list(DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context="spawn"))
    assert len(spawned) == len(local)
    assert all(np.array_equal(item["image"], local[i]["image"]) for i, item in enumerate(spawned))
    with pytest.raises(WrongUsage, match="spawn"):
        list(DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context="fork"))


def test_a_pickled_store_opens_the_address_again(bucket):
    with open_store(address(bucket)) as store, pickle.loads(pickle.dumps(store)) as again:
        assert again.digest == store.digest
        assert str(again.path) == address(bucket)
