"""Records with repeated fields: the arrays have what TensorFlow reads, and the store keeps the record."""

from __future__ import annotations

import json

import numpy as np
import pytest
from makers import example_bytes, feature_bytes, random_group, record_bytes

import s2ct_convert
from s2ct_convert.source.example import Kind, decode_example
from s2ct_convert.source.repeats import settle_repeats
from s2ct_convert.source.tfrecord import RawRecord

BYTES, INT64 = bytes.fromhex("0a030a0178"), bytes.fromhex("1a030a0105")
FIRST, LATER = [736696, 736701], [737696, 737701]
REFUSED = "InvalidArgumentError"


def plain(rng, without: str = "") -> bytes:
    group = random_group(rng, 3, 2)
    if without:
        setattr(group, without, None)
    return example_bytes(group)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def days(*dates: int) -> bytes:
    """A Feature with one bytes value: these dates."""
    return field(1, field(1, np.array(dates, "<i8").tobytes()))


def entry(*parts: bytes) -> bytes:
    """An example with one entry of the map of features."""
    return field(1, field(1, b"".join(parts)))


REPEATS = {
    "two features with one name": lambda rng: plain(rng) + feature_bytes("localid", INT64),
    "two lists in one feature": lambda rng: plain(rng) + feature_bytes("other", INT64 + BYTES),
    "two examples, one after the other": lambda rng: plain(rng) + plain(rng),
    "two lists of dates": lambda rng: plain(rng, "dates") + feature_bytes("dates", days(*FIRST) + days(*LATER)),
}

# record -> localid and dates by the authors' parser in TensorFlow 2.21
BY_TENSORFLOW = {
    "dates twice": (lambda rng: plain(rng) + feature_bytes("dates", days(*LATER)), 3, LATER),
    "localid twice": (lambda rng: plain(rng) + feature_bytes("localid", INT64), 5, FIRST),
    "dates, then int64": (lambda rng: plain(rng) + feature_bytes("dates", INT64), 3, REFUSED),
    "dates, then no kind": (lambda rng: plain(rng) + feature_bytes("dates", b""), 3, FIRST),
    "dates, then an empty list": (lambda rng: plain(rng) + feature_bytes("dates", b"\x0a\0"), 3, REFUSED),
    "two lists": (lambda rng: plain(rng, "dates") + feature_bytes("dates", days(*FIRST) + days(*LATER)), 3, FIRST),
    "bytes, then int64": (lambda rng: plain(rng, "dates") + feature_bytes("dates", days(*FIRST) + INT64), 3, FIRST),
    "int64, then bytes": (lambda rng: plain(rng, "dates") + feature_bytes("dates", INT64 + days(*FIRST)), 3, REFUSED),
    "two lists of int64": (lambda rng: plain(rng, "localid") + feature_bytes("localid", INT64 + INT64), 5, FIRST),
    "two packed blocks": (
        lambda rng: plain(rng, "localid") + feature_bytes("localid", bytes.fromhex("1a060a01050a0106")), 5, FIRST
    ),
    "two values of one name": (
        lambda rng: plain(rng, "dates") + entry(field(1, b"dates"), field(2, days(*FIRST)), field(2, days(*LATER))),
        3, REFUSED,
    ),
    "two names of one value": (
        lambda rng: plain(rng, "dates") + entry(field(1, b"x"), field(1, b"dates"), field(2, days(*LATER))), 3, REFUSED
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_TENSORFLOW)
def test_a_record_with_repeats_has_the_values_of_tensorflow(rng, case):
    make, localid, dates = BY_TENSORFLOW[case]
    example = decode_example(RawRecord(0, 0, make(rng)))
    assert bool(example.refusal) == (dates == REFUSED)
    assert (example.localid, example.dates.tolist()) == (localid, dates) or example.refusal


@pytest.mark.parametrize("case", REPEATS)
def test_a_record_with_repeats_is_kept_whole_and_noted(tmp_path, rng, case):
    payload = REPEATS[case](rng)
    assert settle_repeats(payload)
    kept = decode_example(RawRecord(0, 0, payload)).kept
    assert [one.data for one in kept if one.kind is Kind.RECORD] == [payload]
    source = tmp_path / "train_50SMG_1"
    source.write_bytes(record_bytes(payload))
    summary = s2ct_convert.convert(source, tmp_path / "x.zarr")
    assert "records_unknown" in [note.kind for note in summary.converted[0].notes]
    with s2ct_convert.open_store(tmp_path / "x.zarr") as store:
        example = decode_example(RawRecord(0, 0, payload))
        assert store["train/50SMG"].localid.tolist() == [example.localid]
        assert store["train/50SMG"]["date"][...].tolist() == example.dates.tolist() == FIRST
        (back,) = s2ct_convert.export_tfrecord(store, tmp_path / "back")
    assert back.path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("payload", [b"", b"\x0a\x00", b"\xff\xff", BYTES])
def test_a_record_without_repeats_has_none(rng, payload):
    assert not settle_repeats(payload)
    assert not settle_repeats(plain(rng))


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
