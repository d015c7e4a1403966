"""Records with repeated fields: a parser keeps the last value, the store keeps the record."""

from __future__ import annotations

import json

import pytest
from makers import example_bytes, feature_bytes, random_group, record_bytes

import s2ct_convert
from s2ct_convert.source.example import Kind, decode_example
from s2ct_convert.source.tfrecord import RawRecord
from s2ct_convert.source.wire import has_repeats

BYTES, INT64 = bytes.fromhex("0a030a0178"), bytes.fromhex("1a030a0105")


def plain(rng) -> bytes:
    return example_bytes(random_group(rng, 3, 2))


REPEATS = {
    "two features with one name": lambda rng: plain(rng) + feature_bytes("localid", INT64),
    "two lists in one feature": lambda rng: plain(rng) + feature_bytes("other", INT64 + BYTES),
    "two examples, one after the other": lambda rng: plain(rng) + plain(rng),
}


@pytest.mark.parametrize("case", REPEATS)
def test_a_record_with_repeats_is_kept_whole_and_noted(tmp_path, rng, case):
    payload = REPEATS[case](rng)
    assert has_repeats(payload)
    kept = decode_example(RawRecord(0, 0, payload)).kept
    assert [one.data for one in kept if one.kind is Kind.RECORD] == [payload]
    source = tmp_path / "train_50SMG_1"
    source.write_bytes(record_bytes(payload))
    summary = s2ct_convert.convert(source, tmp_path / "x.zarr")
    assert "records_unknown" in [note.kind for note in summary.converted[0].notes]
    with s2ct_convert.open_store(tmp_path / "x.zarr") as store:
        (back,) = s2ct_convert.export_tfrecord(store, tmp_path / "back")
    assert back.path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("payload", [b"", b"\x0a\x00", b"\xff\xff", BYTES])
def test_a_record_without_repeats_has_none(rng, payload):
    assert not has_repeats(payload)
    assert not has_repeats(plain(rng))


def test_info_shows_the_note(run_info, tmp_path, rng):
    source = tmp_path / "train_50SMG_1"
    source.write_bytes(record_bytes(REPEATS["two features with one name"](rng)))
    s2ct_convert.convert(source, tmp_path / "x.h5")
    (unit,) = json.loads(run_info(tmp_path / "x.h5"))["units"]
    assert unit["notes"][0].startswith("records_unknown: 1 record")
    assert (unit["name_count"], unit["name_counts"]) == (1, "examples")


@pytest.fixture
def run_info():
    import subprocess
    import sys

    def run(store) -> str:
        command = [sys.executable, "-m", "s2ct_convert", "info", "--json", str(store)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run
