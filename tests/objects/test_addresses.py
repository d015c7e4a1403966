"""Addresses of stores: what they may hold, and which credentials are used."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from servers.objects import serve

from s2ct_convert.errors import MissingPackage, NetworkError, WrongUsage
from s2ct_convert.objects import service
from s2ct_convert.objects.address import ObjectPath, place_of
from s2ct_convert.objects.reads import read_object
from s2ct_convert.objects.remote import given_sources


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("s3://bucket/a/b.zarr/", "s3://bucket/a/b.zarr"),
        ("S3://bucket/b.zarr", "s3://bucket/b.zarr"),
        ("gs://bucket/b.zarr", "gs://bucket/b.zarr"),
        ("az://container/b.zarr", "az://container/b.zarr"),
        ("https://host:8443/x/b.zarr", "https://host:8443/x/b.zarr"),
    ],
)
def test_an_address_names_a_store(given, root):
    place = place_of(given)
    assert isinstance(place, ObjectPath)
    assert (str(place), place.name, place.stem) == (root, "b.zarr", "b")
    assert str(place / "train" / "zarr.json") == f"{root}/train/zarr.json"
    assert pickle.loads(pickle.dumps(place)) == place


def test_a_path_is_no_address(tmp_path):
    assert place_of(tmp_path / "b.zarr") == tmp_path / "b.zarr"


@pytest.mark.every_variant
@pytest.mark.parametrize(
    "given",
    [
        "s3://AKIA:SECRET@bucket/b.zarr",
        "https://host/b.zarr?sig=SECRET",
        "s3://bucket/b.zarr#SECRET",
        "s3://",
        "ftp://h/b.zarr",
    ],
)
def test_an_address_with_a_secret_is_refused_without_it(given):
    with pytest.raises(WrongUsage) as caught:
        place_of(given)
    assert "SECRET" not in str(caught.value)


@pytest.mark.every_variant
@pytest.mark.parametrize(
    "given", ["s3://bucket//b.zarr", "s3://bucket/a//b.zarr", "s3://bucket/./b.zarr", "s3://bucket/a/../b.zarr",
              "s3://bucket/a\nb.zarr", "https://host/a\tb.zarr"]
)  # fmt: skip
def test_an_address_that_reads_as_that_of_another_object_is_refused(given):
    with pytest.raises(WrongUsage, match=r"empty part|control characters"):
        place_of(given)
    with pytest.raises(WrongUsage, match=r"empty part|control characters"):
        given_sources(given)


def test_hdf5_at_an_address_is_refused_with_the_reason():
    with pytest.raises(WrongUsage, match="HDF5 files work only on this machine"):
        place_of("s3://bucket/b.h5")


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No credentials, no profile, and no service that gives credentials to a machine in the cloud."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SKIP_SIGNATURE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(service, "_METADATA", ("127.0.0.1", 9))
    service._client.cache_clear()
    return monkeypatch


def test_no_credentials_is_one_sentence(nothing_set):
    pytest.importorskip("obstore")
    with pytest.raises(NetworkError, match="there are no credentials for this bucket"):
        service.client("s3://bucket/b.zarr")


def test_a_profile_without_boto3_names_it(nothing_set):
    pytest.importorskip("obstore")
    nothing_set.setenv("AWS_PROFILE", "work")
    nothing_set.setattr(service, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="profiles of AWS need boto3"):
        service.client("s3://bucket/b.zarr")


@pytest.mark.slow
def test_a_profile_gives_its_keys_through_boto3(nothing_set, tmp_path):
    pytest.importorskip("obstore")
    pytest.importorskip("boto3")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = SECRET\n")
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "x").write_bytes(b"1")
    with serve(tmp_path) as bucket:
        for name, value in {
            "AWS_PROFILE": "work",
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_ENDPOINT_URL": bucket.url,
        }.items():
            nothing_set.setenv(name, value)
        assert read_object(ObjectPath("s3://bucket", "x")) == b"1"
    assert "AKIAWORK" in bucket.signed[0]


def test_half_of_the_credentials_is_one_sentence(nothing_set):
    pytest.importorskip("obstore")
    nothing_set.setenv("AWS_ACCESS_KEY_ID", "AKIAONLY")
    with pytest.raises(NetworkError, match="the credentials are not complete") as caught:
        service.client("s3://bucket/b.zarr")
    assert "AKIAONLY" not in str(caught.value)
