"""Objects as sources: what is known of them, and that only the content that was found is read."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.objects import Bucket, Handler, cut, etag_of, refusing, serve

from s2ct_convert.errors import NetworkError, SourceError, WrongUsage
from s2ct_convert.objects import ranged, service
from s2ct_convert.objects.address import ObjectPath
from s2ct_convert.objects.ranged import RangedFile, ends_of
from s2ct_convert.objects.remote import RemoteFile, find_object, get_part, given_sources, list_objects

pytest.importorskip("obstore")
CONTENT = bytes(i * 7 % 251 for i in range(100_000))
PART = 10_000


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket ``b`` with the object ``a/x.7z``, in the environment; parts of objects are small."""
    (tmp_path / "b" / "a").mkdir(parents=True)
    (tmp_path / "b" / "a" / "x.7z").write_bytes(CONTENT)
    for name, value in (("PART_BYTES", PART), ("HEAD_BYTES", 100), ("TAIL_BYTES", 1000)):
        monkeypatch.setattr(ranged, name, value)
    with serve(tmp_path) as served:
        for name, value in {"ENDPOINT_URL": served.url, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        service._client.cache_clear()
        ends_of.cache_clear()
        yield served


def found(address: str = "s3://b/a/x.7z") -> RemoteFile:
    (place,) = given_sources(address)
    assert isinstance(place, ObjectPath)
    file = find_object(place)
    assert file is not None
    return file


def ranges(bucket: Bucket) -> list[str]:
    return [asked for method, _, asked in bucket.requests if method == "GET"]


def test_an_object_is_known_by_size_time_and_etag(bucket):
    file = found()
    assert (file.bytes, file.etag, file.mtime_ns) == (100_000, etag_of(CONTENT), 1767312000 * 10**9)
    assert ranges(bucket) == ["bytes=0-0"], "one byte is asked for, not the object"
    assert list_objects(ObjectPath("s3://b", "a/")) == [file], "a list says the same"
    assert pickle.loads(pickle.dumps(file)) == file
    assert str(file) == "s3://b/a/x.7z"


@pytest.mark.slow
def test_a_file_of_a_web_server_is_found_under_its_quoted_name(bucket):
    (bucket.folder / "a b.7z").write_bytes(CONTENT)
    assert found(f"{bucket.url}/a%20b.7z").bytes == 100_000


@pytest.mark.parametrize("address", ["s3://b/a/none.7z", "s3://b/a/", "s3://b"])
def test_what_is_no_object_is_none(bucket, address):
    (place,) = given_sources(address)
    assert isinstance(place, ObjectPath)
    assert find_object(place) is None


@pytest.mark.slow
def test_an_empty_object_is_found(bucket):
    (bucket.folder / "b" / "empty").touch()
    file = found("s3://b/empty")
    assert (file.bytes, RangedFile(file).read()) == (0, b"")


@pytest.mark.slow
def test_any_bytes_are_read_as_from_a_file(bucket, rng):
    with RangedFile(found()) as file:
        for start, n in [(0, 50), (0, 100_000), (99_990, 50), (9_999, 2), (98_990, 200), (50_000, 30_000)]:
            file.seek(start)
            assert file.read(n) == CONTENT[start : start + n], (start, n)
            assert file.tell() == min(start + n, len(CONTENT))
        for start in rng.integers(0, 100_000, 5).tolist():
            file.seek(start - 100_000, os.SEEK_END)
            assert file.read(77) == CONTENT[start : start + 77]


def test_each_part_is_asked_for_once_and_ahead_in_order(bucket):
    with RangedFile(found()) as file:
        del bucket.requests[:]
        file.seek(200)
        file.read(10)
        assert sorted(ranges(bucket)) == ["bytes=0-99", "bytes=0-9999", "bytes=99000-99999"], "nothing ahead"
        file.seek(PART)
        file.read(1)
        assert sorted(file._parts) == [1, 2, 3, 4], "three ahead"
        while file.read(999):
            pass
        assert sorted(ranges(bucket)[3:]) == [f"bytes={n}0000-{n}9999" for n in range(1, 10)]


@pytest.mark.parametrize(
    "etag",
    [etag_of, lambda data: f"W/{etag_of(data)}", lambda data: '"x"' if len(data) > 10 else '"short"'],
    ids=["strong", "weak", "of the size"],
)
def test_a_changed_object_is_an_error_and_is_named(bucket, etag):
    bucket.etag = etag
    file = found()
    assert get_part(file, 5, 9) == CONTENT[5:9]
    (bucket.folder / "b" / "a" / "x.7z").write_bytes(b"other" if etag(b"") == '"short"' else CONTENT[::-1])
    with pytest.raises(SourceError, match="the object has changed since it was found") as caught:
        get_part(file, 0, 4)
    assert caught.value.exit_code == 5


def test_every_part_is_asked_for_with_the_etag(bucket):
    file, conditions = found(), []

    def note(handler: Handler) -> None:
        conditions.append(handler.headers.get("If-Match"))
        handler.serve()

    bucket.vices = {"GET": [note]}
    get_part(file, 0, 4)
    assert conditions == [etag_of(CONTENT)]


def test_a_deleted_object_is_an_error_of_a_source(bucket):
    file = found()
    (bucket.folder / "b" / "a" / "x.7z").unlink()
    with pytest.raises(SourceError, match="the object is gone, or may not be read"):
        get_part(file, 0, 4)


@pytest.mark.slow
def test_an_answer_that_breaks_off_is_asked_for_again(bucket):
    file = found()
    bucket.vices = {"GET": [cut, refusing(503, "SlowDown"), cut]}
    assert get_part(file, 0, 50_000) == CONTENT[:50_000]


def list_denied(handler: Handler) -> None:
    handler.refuse(403, "AccessDenied")


@pytest.mark.parametrize("key", ["a/", ""])
def test_a_list_that_is_denied_says_to_name_the_archives(bucket, key):
    bucket.vices = {"GET b": [list_denied] * 9}
    with pytest.raises(NetworkError, match="may not list this bucket") as caught:
        list_objects(ObjectPath("s3://b", key))
    assert "name the archives one by one: s2ct convert s3://b/" in caught.value.todo
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "InvalidAccessKeyId", NetworkError, "does not know the access key"),
        (403, "AccessDenied", NetworkError, "access is denied, or there is no such object"),
        (404, "NoSuchBucket", WrongUsage, "there is no such bucket"),
        (301, "PermanentRedirect", NetworkError, "the bucket is in another region"),
    ],
)
def test_a_refusal_is_one_sentence(bucket, status, code, kind, words):
    bucket.vices = {"GET b": [refusing(status, code)] * 9}
    with pytest.raises(kind, match=words):
        found()
    with pytest.raises(NetworkError if code == "AccessDenied" else kind):
        list_objects(ObjectPath("s3://b", "a"))


def test_a_server_without_ranges_is_refused(bucket):
    bucket.ranges = False
    with pytest.raises(NetworkError, match="cannot send parts of a file"):
        found(f"{bucket.url}/b/a/x.7z")


@pytest.mark.slow
def test_a_web_server_is_not_listed(bucket):
    with pytest.raises(WrongUsage, match="a web server cannot be listed"):
        list_objects(ObjectPath(bucket.url, "b/a/"))


def test_sources_are_paths_and_addresses(tmp_path: Path) -> None:
    given: Any = [tmp_path, "x.7z", "S3://Bucket/a/", ObjectPath("gs://b", "x")]
    assert given_sources(given) == [tmp_path, Path("x.7z"), ObjectPath("s3://Bucket", "a/"), ObjectPath("gs://b", "x")]
    with pytest.raises(WrongUsage, match="must not hold a user"):
        given_sources("s3://AKIA:SECRET@b/x.7z")
