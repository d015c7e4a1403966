"""Stores in services of other people: written, compared object by object, verified, damaged, and written by two."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.relay import Relay, relayed
from servers.services import SERVICES, Service

import s2ct_convert
from s2ct_convert.errors import DestinationExists, S2ctError, SourceError, WrongUsage
from s2ct_convert.names import UnitName
from s2ct_convert.objects import ranged
from s2ct_convert.objects import service as clients
from s2ct_convert.objects.address import ObjectPath
from s2ct_convert.objects.failures import Overtaken
from s2ct_convert.objects.reads import read_object, read_version
from s2ct_convert.objects.remote import get_part, given_sources, list_objects
from s2ct_convert.objects.writes import delete, put_if, put_new, put_over, try_conditions
from s2ct_convert.store.local import crc32_of
from s2ct_convert.units.bucket_records import BucketRecords

pytest.importorskip("obstore")
pytestmark = [pytest.mark.slow, pytest.mark.every_variant]


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service, for all tests here."""
    with SERVICES[request.param](tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.fixture
def address(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a test may make a store. The current folder is its own."""
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    clients._client.cache_clear()
    monkeypatch.chdir(tmp_path)
    return f"{service.bucket}/{tmp_path.name}/made.zarr"


@pytest.fixture
def relay(service: Service, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The same service behind a relay."""
    with relayed(service.port) as relay:
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value.replace(service.url, relay.url))
        clients._client.cache_clear()
        yield relay


def assert_same(address: str, made: Path) -> None:
    """The objects of a store are the files of one on this machine. The roots differ in date and history."""
    for path in sorted(made.rglob("*")):
        name = path.relative_to(made).as_posix()
        if path.is_file() and name != "zarr.json":
            assert read_object(ObjectPath(address, name)) == path.read_bytes(), name
    with s2ct_convert.open_store(made) as here, s2ct_convert.open_store(address) as there:
        assert there.digest == here.digest


def command(address: str, *sources: Path) -> list[str]:
    return [sys.executable, "-m", "s2ct_convert", "convert", *map(str, sources), address, "-j1"]


def test_objects_are_the_files_of_a_store(address, made_sources, made):
    summary = s2ct_convert.convert(made_sources, address)
    with s2ct_convert.open_store(made["zarr"]) as here:
        assert summary.digest == here.digest
    assert_same(address, made["zarr"])
    for name in ("train/49RGN", "train/50SMG", "val/50SMG"):
        entry = BucketRecords(ObjectPath(address)).entry(UnitName.from_path(name))
        objects = {file.name: read_object(ObjectPath(address, f"{name}/{file.name}")) for file in entry.files}
        assert {file.name: file.crc32 for file in entry.files} == {one: crc32_of(objects[one]) for one in objects}
    assert s2ct_convert.verify_store(address).findings == []
    assert not Path("made.zarr.scratch").exists()


def test_damage_to_an_object_is_exit_code_4_with_its_key_and_rows(address, made_sources, s2ct):
    s2ct_convert.convert(made_sources[:1], address)

    def check(key: str, words: str) -> None:
        done = s2ct("verify", "store", address, env=dict(os.environ))
        assert done.returncode == 4, done.stdout + done.stderr
        assert key in done.stdout, done.stdout
        assert words in done.stdout, done.stdout

    unit = "train/50SMG"
    files = BucketRecords(ObjectPath(address)).entry(UnitName.from_path(unit)).files
    for array, words in (("image", ", rows "), ("label", "label")):
        key = next(f"{unit}/{file.name}" for file in files if file.name.startswith(f"{array}/c/"))
        place = ObjectPath(address, key)
        whole = read_object(place)
        flipped = bytearray(whole)
        flipped[len(whole) // 3] ^= 1
        for broken in (bytes(flipped), whole[: len(whole) // 2], None):
            put_over(place, broken) if broken is not None else delete(place)
            check(key, words)
        put_over(place, whole)
    assert s2ct_convert.verify_store(address).findings == []


def test_conditional_puts_are_honoured(service, address):
    honoured = try_conditions(ObjectPath(address))
    assert honoured == (True, service.name != "ceph"), "Ceph 16 refuses every If-Match"
    place = ObjectPath(address, "one")
    assert put_new(place, b"mine")
    assert not put_new(place, b"mine")
    with pytest.raises(DestinationExists, match="with other content"):
        put_new(place, b"of another")
    assert read_object(place) == b"mine"
    if honoured.match:
        _, version = read_version(place)
        put_if(place, b"second", version)
        with pytest.raises(Overtaken):
            put_if(place, b"third", version)
        assert read_object(place) == b"second"


@pytest.mark.parametrize("number", [4, 19, 32, 40, 60, 62])
def test_a_killed_run_resumes_and_sends_nothing_twice(relay, address, made_sources, tmp_path, number):
    process: list[subprocess.Popen[bytes]] = []
    killed: list[int] = []

    def kill() -> bool:
        process[0].kill()
        killed.append(number)
        return False

    relay.acts[number] = kill
    process.append(subprocess.Popen(command(address, made_sources[0]), stderr=subprocess.DEVNULL))
    assert process[0].wait(timeout=120) == -signal.SIGKILL
    assert killed
    if number % 4:  # as on another machine
        shutil.rmtree("made.zarr.scratch")
    done = subprocess.run(command(address, made_sources[0]), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    often = ("made.zarr/zarr.json", "made.zarr/index/", "sending/index.json", "store.json")
    assert [path for path in relay.put_twice() if not any(one in path for one in often)] == []
    s2ct_convert.convert(made_sources[:1], tmp_path / "local.zarr")
    assert_same(address, tmp_path / "local.zarr")


def test_lost_answers_leave_a_right_store(relay, address, made_sources, tmp_path):
    relay.acts = {number: lambda: False for number in (5, 6, 13, 22, 39, 41)}
    s2ct_convert.convert(made_sources[:1], address)
    assert not relay.acts
    s2ct_convert.convert(made_sources[:1], tmp_path / "local.zarr")
    assert_same(address, tmp_path / "local.zarr")


def test_two_runs_at_once_end_with_one_record_and_one_store(address, made_sources, tmp_path):
    begun = [
        subprocess.Popen(
            [*command(address, *made_sources[:2]), "--scratch", str(tmp_path / name)], stderr=subprocess.PIPE
        )
        for name in "ab"
    ]
    for one in begun:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said
    s2ct_convert.convert(made_sources[:2], tmp_path / "local.zarr")
    assert_same(address, tmp_path / "local.zarr")


def test_two_runs_at_once_with_different_units_end_with_both(service, address, made_sources, tmp_path):
    begun = [
        subprocess.Popen([*command(address, one), "--scratch", str(tmp_path / one.name)], stderr=subprocess.PIPE)
        for one in made_sources[:2]
    ]
    for one in begun:
        _, said = one.communicate(timeout=120)
        assert one.returncode in (0, 3), said  # 3: the units of the other run are not there yet
    if service.name == "ceph":  # where the last one may not know of the other
        subprocess.run(command(address, made_sources[0]), check=True, timeout=120, capture_output=True)
    s2ct_convert.convert(made_sources[:2], tmp_path / "local.zarr")
    assert_same(address, tmp_path / "local.zarr")


NO_ACCOUNT = "the service does not accept the credentials"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "the service does not know the access key"),
        ({"AWS_SECRET_ACCESS_KEY": "hidden"}, "the secret key does not belong to the access key"),
        ({"AZURE_STORAGE_ACCOUNT_KEY": "aGlkZGVu"}, NO_ACCOUNT),
        ({"AZURE_STORAGE_ACCOUNT_NAME": ""}, "the credentials are not complete"),
        ({"bucket": "nowhere"}, "there is no such bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot reach the service"),
        ({"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/test"}, "cannot reach the service"),
    ],
)
def test_wrong_credentials_and_addresses_are_one_sentence(service, address, made_sources, monkeypatch, changed, words):
    (name, value), *_ = changed.items()
    if name != "bucket" and name not in service.environment:
        pytest.skip("of another service")
    if service.name == "moto" and "KEY" in name:
        pytest.skip("moto checks no credentials")
    if name == "bucket":
        address = address.replace("://bucket", f"://{value}")
    elif value:
        monkeypatch.setenv(name, value)
    else:
        monkeypatch.delenv(name)
    clients._client.cache_clear()
    for use in (s2ct_convert.open_store, lambda store: s2ct_convert.convert(made_sources[:1], store)):
        began = time.monotonic()
        with pytest.raises(S2ctError, match=words) as caught:
            use(address)
        assert time.monotonic() - began < 10
        assert not any(secret in str(caught.value) for secret in ("test-secret", "hidden", "aGlkZGVu"))


def test_archives_give_the_store_of_local_ones(service, address, monkeypatch, sample_stores):
    folder = f"{address.removesuffix('made.zarr')}archives"
    for path in s2ct_convert.sample_sources():
        put_new(ObjectPath(folder, path.name), path.read_bytes())
    monkeypatch.setattr(ranged, "PART_BYTES", 100_000)
    summary = s2ct_convert.convert(f"{folder}/", "x.zarr")
    with s2ct_convert.open_store(sample_stores["zarr"]) as local:
        assert summary.digest == local.digest
    assert len(s2ct_convert.convert(folder, "x.zarr").skipped) == 4
    files = list_objects(given_sources(f"{folder}/")[0])
    (file,) = [one for one in files if one.name == "val_34VFN_2.7z"]
    put_over(file, b"other")
    with pytest.raises(SourceError, match="the object has changed since it was found"):
        get_part(file, 0, 5)
    missing = service.bucket.replace("://bucket", "://missing")
    for place, words in ((f"{folder}/none/", "no object here"), (f"{missing}/a/", "no such bucket")):
        with pytest.raises(WrongUsage, match=words):
            s2ct_convert.convert(place, "y.zarr")
