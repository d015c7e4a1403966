"""A look at archives of a record: what it finds, and what it costs, counted at the server."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from archives.sevenzip import handmade, needs_7zip, seven_zip
from conftest import SHARED
from makers import masked_crc, random_group, tfrecord_bytes, write_archive
from py7zr import FILTER_COPY, FILTER_DELTA, FILTER_LZMA, FILTER_LZMA2, FILTER_X86, FILTER_ZSTD
from servers.zenodo import RECORD, Limit, StandIn, serving

import s2ct_convert
from s2ct_convert.errors import ArchiveDamaged, ArchiveUnsupported, NotAnArchive, WrongUsage
from s2ct_convert.peeking.layout import OBS_BYTES
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.policy import RetryPolicy
from s2ct_convert.show.peek import print_peek

HEADERS = 1024 + 65536
OPTIONS = {"record": RECORD, "policy": RetryPolicy(attempts=1, connect=5.0)}


@pytest.fixture
def zenodo(monkeypatch) -> Iterator[StandIn]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "ZENODO" in name:
            monkeypatch.delenv(name)
    with serving({}) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


def peeked(zenodo: StandIn, data: bytes, name: str = "train_50SMG_2.7z", **options: object) -> s2ct_convert.PeekedFile:
    """Look at one archive."""
    zenodo.files = {name: data}
    (one,) = s2ct_convert.peek(**OPTIONS, **options, budget=Budget(1000)).files
    return one


def records(rng: np.random.Generator, *sizes: int, label_pixels: int = 1) -> bytes:
    return tfrecord_bytes([random_group(rng, 7, n, label_pixels=label_pixels) for n in sizes])


def same(found: s2ct_convert.PeekedExample, true: s2ct_convert.source.read.ExampleDict) -> bool:
    pairs = ((found.image, true["imgs"]), (found.label, true["labels"]), (found.date, true["dates"]))
    return found.localid == true["localid"] and all(np.array_equal(a, b) for a, b in pairs)


def test_a_look_at_all_headers_costs_two_requests_and_67_kb_a_file(zenodo):
    zenodo.files = {path.name: path.read_bytes() for path in s2ct_convert.sample_sources()}
    report = s2ct_convert.peek(**OPTIONS, all=True)
    assert (report.requests, report.bytes) == (1 + 2 * 4, 4 * HEADERS)
    assert (len(zenodo.requests), zenodo.sent) == (report.requests, report.bytes)
    for one in report.files:
        assert (one.requests, one.bytes) == (2, HEADERS)
        assert zenodo.asked(one.file) == [0, one.size - 65536]
    truth = {path.name: list(s2ct_convert.read_examples(path)) for path in s2ct_convert.sample_sources()}
    for one in report.files:
        assert one.observations == sum(len(example["imgs"]) for example in truth[one.file])
        assert one.source.counts == "examples"
        assert (one.methods, one.source.dictionary, one.error) == (("LZMA2",), 1 << 24, None)
        assert hashlib.md5(zenodo.files[one.file]).hexdigest() == one.md5
    assert report.observations == 309
    assert [store.format for store in report.stores] == ["zarr", "hdf5"]
    assert json.dumps(report.document(), allow_nan=False)


def test_first_examples_equal_those_of_the_archive(zenodo):
    path = s2ct_convert.sample_sources()[1]
    one = peeked(zenodo, path.read_bytes(), path.name)
    truth = list(s2ct_convert.read_examples(path))
    assert len(one.examples) == 2
    assert all(map(same, one.examples, truth))
    assert (one.date_encoding, one.label_side, one.remark) == ("ordinal", 1, "")
    assert {finding.key for finding in one.findings if finding.holds is not True} == set()
    assert one.requests + 1 == len(zenodo.requests)
    assert one.bytes == zenodo.sent < one.size + 1


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the archives written by TensorFlow and 7-Zip are not here")
@pytest.mark.parametrize(("name", "observations"), [("train_50SMG_11", 840), ("train_49RGN_4", 220)])
def test_an_archive_of_tensorflow_is_read_from_its_front(zenodo, name, observations):
    path = SHARED / f"{name}.7z"
    one = peeked(zenodo, path.read_bytes(), path.name, examples=1)
    assert one.observations == observations
    assert same(one.examples[0], next(s2ct_convert.read_examples(path)))
    assert one.bytes == zenodo.sent < 1_500_000


def test_an_archive_below_64_kib_takes_one_request(zenodo, tmp_path, rng):
    small = tfrecord_bytes([random_group(rng, 1, 3)])
    data = write_archive(tmp_path / "a.7z", {"train_50SMG_1": small}).read_bytes()
    assert len(data) < 65536
    one = peeked(zenodo, data, "train_50SMG_1.7z")
    assert (one.requests, one.bytes, one.observations, len(one.examples)) == (1, len(data), 3, 1)
    assert "file ends" not in one.remark


@pytest.mark.slow
def test_a_header_beyond_the_last_64_kib_is_fetched(zenodo, rng):
    names = [(f"folder/{'long' * 40}_{i}.txt", b"x") for i in range(400)]
    data = handmade([("train_50SMG_2", records(rng, 30, 20)), *names])
    one = peeked(zenodo, data)
    assert (one.error, one.observations, len(one.members)) == (None, 50, 401)
    assert len(one.examples) == 2
    assert {f.key: f.holds for f in one.findings}["one_tfrecord"] is False


CHAINS = {
    "COPY": [{"id": FILTER_COPY}],
    "LZMA": [{"id": FILTER_LZMA}],
    "delta and LZMA2": [{"id": FILTER_DELTA, "dist": 2}, {"id": FILTER_LZMA2, "preset": 1}],
    "x86 and LZMA": [{"id": FILTER_X86}, {"id": FILTER_LZMA}],
    "Zstandard": [{"id": FILTER_ZSTD, "level": 3}],
}


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS)
def test_every_chain_that_streams_gives_examples(zenodo, tmp_path, rng, chain):
    data = records(rng, 9, 8)
    path = write_archive(tmp_path / "train_50SMG_2.7z", {"train_50SMG_2": data}, filters=CHAINS[chain])
    one = peeked(zenodo, path.read_bytes())
    assert (one.error, one.remark, one.observations) == (None, "", 17)
    assert all(map(same, one.examples, s2ct_convert.read_examples(path)))


@pytest.mark.slow
@needs_7zip
@pytest.mark.parametrize("method", ["PPMd", "BCJ2"])
def test_a_method_that_python_lacks_leaves_the_header(zenodo, tmp_path, rng, method):
    option = "-m0=PPMd" if method == "PPMd" else "-mf=BCJ2"
    path = seven_zip(tmp_path / "train_50SMG_2.7z", {"train_50SMG_2": records(rng, 9, 8)}, option)
    one = peeked(zenodo, path.read_bytes())
    assert (one.error, one.observations, one.examples) == (None, 17, ())
    assert method in one.remark
    assert {f.key: f.holds for f in one.findings}["method"] is False


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [False, True], ids=["content", "header too"])
def test_an_encrypted_archive_is_reported(zenodo, tmp_path, rng, hidden):
    path = write_archive(
        tmp_path / "a.7z", {"train_50SMG_2": records(rng, 9, 8)}, password="secret", header_encryption=hidden
    )
    one = peeked(zenodo, path.read_bytes())
    assert isinstance(one.error, ArchiveUnsupported)
    assert "encrypted" in one.error.what
    assert one.observations is None


def test_labels_of_36_pixels_leave_the_observations_unknown(zenodo, tmp_path, rng):
    path = write_archive(tmp_path / "a.7z", {"train_50SMG_2": records(rng, 9, 8, label_pixels=36)})
    one = peeked(zenodo, path.read_bytes())
    assert (one.observations, one.source.counts, one.label_side) == (None, None, 6)
    assert one.examples[0].label.shape == (9, 6, 6)
    assert {f.key: f.holds for f in one.findings}["layout"] is False


def test_examples_of_another_layout_withdraw_a_number_that_fits_by_chance(zenodo, tmp_path, rng):
    plain, other = random_group(rng, 7, 9), random_group(rng, 8, 8)
    other.labels, other.weights = other.labels[:-4], other.weights[:-1]  # 8 bytes less
    plain.weights = np.append(plain.weights, np.float32([0, 0]))  # 8 bytes more
    path = write_archive(tmp_path / "a.7z", {"train_50SMG_2": tfrecord_bytes([plain, other])})
    assert peeked(zenodo, path.read_bytes(), examples=0).observations == 17
    one = peeked(zenodo, path.read_bytes())
    assert (one.observations, one.source.counts, one.source.by_chance) == (None, None, None)


def test_the_tfrecord_is_found_among_other_members(zenodo, rng):
    members = [("__MACOSX/._x", b"m"), ("readme.txt", b"r" * 50), ("train_50SMG_2", records(rng, 9, 8))]
    one = peeked(zenodo, handmade(members))
    assert [(member.name, member.is_source) for member in one.members][-1] == ("train_50SMG_2", True)
    assert (one.observations, one.unpacked) == (17, len(members[-1][1]))
    assert len(one.examples) == 2


def test_a_damaged_front_keeps_the_header(zenodo, rng):
    data = bytearray(handmade({"train_50SMG_2": records(rng, 9, 8)}))
    data[32 + 9 * OBS_BYTES] ^= 1
    one = peeked(zenodo, bytes(data))
    assert one.observations == 17
    assert one.error is not None
    assert one.error.exit_code == 5


@pytest.mark.slow
def test_what_is_no_archive_is_an_error_of_the_file_alone(zenodo, tmp_path, rng):
    good = write_archive(tmp_path / "a.7z", {"train_50SMG_2": records(rng, 9, 8)}).read_bytes()
    zenodo.files = {
        "train_50SMG_2.7z": good,
        "val_50SMG_2.7z": good[:-9],
        "val_51SMG_2.7z": b"x" * 99,
        "val_52SMG_2.7z": b"",
        "about.txt": b"y",
    }
    report = s2ct_convert.peek(**OPTIONS, all=True)
    errors = {one.file: type(one.error) for one in report.files if one.error}
    assert zenodo.asked("val_52SMG_2.7z") == []  # it is empty
    assert errors.pop("val_52SMG_2.7z") is NotAnArchive
    assert errors == {"val_50SMG_2.7z": ArchiveDamaged, "val_51SMG_2.7z": NotAnArchive, "about.txt": NotAnArchive}
    assert [one.file for one in report.failed] == ["val_50SMG_2.7z", "val_51SMG_2.7z", "val_52SMG_2.7z"]
    assert report.observations is None


def test_a_file_that_could_not_be_read_has_no_empty_table(zenodo, capsys):
    print_peek(s2ct_convert.peek_url(f"{zenodo.url}/records/{RECORD}/files/none.7z"))
    said = capsys.readouterr().out
    assert "404" in said and "assumption" not in said


@pytest.mark.slow
def test_few_packed_bytes_that_unpack_to_many_are_not_unpacked(zenodo, tmp_path):
    header = np.array([1 << 27], "<u8").tobytes()
    bomb = header + masked_crc(header) + bytes(17 << 20)
    path = write_archive(tmp_path / "a.7z", {"train_50SMG_1": bomb})
    one = peeked(zenodo, path.read_bytes(), "train_50SMG_1.7z", examples=1)
    assert (one.error, one.examples) == (None, ())
    assert "unpack to too many bytes" in one.remark


@pytest.mark.slow
def test_examples_that_are_far_away_are_not_fetched(zenodo, rng):
    far = handmade([("a.bin", bytes(12 << 20)), ("train_50SMG_2", records(rng, 9, 8))])
    one = peeked(zenodo, far, examples=1)
    assert (one.error, one.examples, one.observations) == (None, (), 17)
    assert one.remark == "0 of 1 examples are in the first 4.2 MB"
    assert one.bytes == zenodo.sent <= HEADERS + (4 << 20)


@pytest.mark.slow
def test_an_example_costs_about_its_own_packed_size(zenodo, rng):
    data = records(rng, *[60] * 12)
    one = peeked(zenodo, handmade({"train_50SMG_12": data}), "train_50SMG_12.7z", examples=2)
    assert len(one.examples) == 2
    assert HEADERS + len(data) / 6 < zenodo.sent < HEADERS + 1.2 * len(data) / 6
    assert one.requests == 3


def test_an_archive_is_looked_at_by_its_url(zenodo):
    path = s2ct_convert.sample_sources()[0]
    zenodo.files = {path.name: path.read_bytes()}
    url = f"{zenodo.url}/records/{RECORD}/files/{path.name}?download=1"
    report = s2ct_convert.peek_url(url, examples=0)
    (one,) = report.files
    assert (one.file, one.url, one.observations) == (path.name, url.partition("?")[0], 81)
    assert (report.record, report.requests, one.requests, one.bytes) == (None, 2, 2, HEADERS)
    with pytest.raises(WrongUsage, match="not the URL"):
        s2ct_convert.peek_url("clouds.7z")


def test_the_first_archive_is_looked_at_by_default(zenodo, tmp_path, rng):
    data = write_archive(tmp_path / "a.7z", {"val_50SMG_1": records(rng, 3)}).read_bytes()
    zenodo.files = {"about.txt": b"x", "val_50SMG_1.7z": data, "val_51SMG_1.7z": data}
    report = s2ct_convert.peek(**OPTIONS)
    assert ([one.file for one in report.files], report.of) == (["val_50SMG_1.7z"], 3)
    with pytest.raises(WrongUsage, match="cannot be combined"):
        s2ct_convert.peek(**OPTIONS, all=True, tiles=["50SMG"])


def test_the_whole_record_takes_145_requests(zenodo):
    data = Path(s2ct_convert.sample_sources()[3]).read_bytes()
    zenodo.files = {f"train_{i:02}SMG_2.7z": data for i in range(72)}
    zenodo.limit = Limit(1000, 60.0)
    report = s2ct_convert.peek(**OPTIONS, all=True, budget=Budget(1000))
    assert (report.requests, len(zenodo.requests), report.bytes) == (145, 145, 72 * HEADERS)
    assert zenodo.sent == report.bytes


@pytest.mark.slow
def test_a_look_stays_below_the_limit_of_the_service(zenodo):
    data = Path(s2ct_convert.sample_sources()[3]).read_bytes()
    zenodo.files = {f"train_{i:02}SMG_2.7z": data for i in range(12)}
    zenodo.limit = Limit(15, 0.3, told=False)
    report = s2ct_convert.peek(**OPTIONS, all=True, budget=Budget(15, window=0.4))
    assert (report.requests, report.failed, zenodo.limit.refused) == (25, (), 0)


def test_a_picture_shows_the_first_sample(zenodo, tmp_path):
    pytest.importorskip("matplotlib")
    path = s2ct_convert.sample_sources()[3]
    one = peeked(zenodo, path.read_bytes(), path.name)
    drawn = s2ct_convert.draw_peeked(one, tmp_path / "first.png")
    assert drawn.read_bytes().startswith(b"\x89PNG")
