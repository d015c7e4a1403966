"""Decoding and re-encoding any example gives the same features."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import records
from archives.streams import bytes_list, example, field, int64_list
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import Group, example_bytes, random_group

from s2ct_convert.dataset import DATASET
from s2ct_convert.source.example import Kind, decode_example, encode_example
from s2ct_convert.source.tfrecord import RawRecord

KNOWN = DATASET.features.names


def float_list(*bits: int, packed: bool = True) -> bytes:
    """A Feature with a float_list, from the bits of its floats."""
    floats = [struct.pack("<I", one) for one in bits]
    return field(2, field(1, b"".join(floats)) if packed else b"".join(b"\x0d" + one for one in floats))


def again(payload: bytes) -> bytes:
    """Decode a record, then encode the result."""
    got = decode_example(RawRecord(0, 0, payload))
    arrays = {"image_raw_ldseries": got.image, "labels": got.labels, "dates": got.dates, "weights": got.weights}
    features = {name: (Kind.BYTES, array.tobytes()) for name, array in arrays.items()}
    features["localid"] = (Kind.INT64, got.localid.to_bytes(8, "little", signed=True))
    for one in got.kept:
        if one.kind is Kind.RECORD:
            assert one.data is not None
            return one.data
        if one.data is None:
            del features[one.name]
        else:
            features[one.name] = (one.kind, one.data)
    return encode_example(features)


NANS = (0x7FC00000, 0x7FA00001, 0xFFC12345, 0xFF800001, 0x7F800001)  # quiet and signalling
FORMS = {
    "empty": bytes_list(b""),
    "not a multiple of any size": bytes_list(b"abc"),
    "several values": bytes_list(b"a", b"", b"b"),
    "no value": bytes_list(),
    "one int64": int64_list(-1),
    "int64": int64_list(0, 1, -1, 2**63 - 1, -(2**63)),
    "int64, not packed": int64_list(5, -5, packed=False),
    "no int64": int64_list(),
    "floats": float_list(0, 0x80000000, 0x3F800000, 0x7F800000, 1),
    "NaN": float_list(*NANS),
    "NaN, not packed": float_list(*NANS, packed=False),
    "many floats": float_list(*range(5000)),
    "no float": field(2, b""),
    "no kind": b"",
    "two kinds": int64_list(1) + bytes_list(b"x"),
}
RECORDS = {
    "nothing": b"",
    "no features": field(1, b""),
    "no Example": b"\xff\xff\xff hello",
    "text": b"this is no protobuf at all",
    "an unknown field": example(("labels", bytes_list(b"a"))) + field(7, b"x"),
    "an unknown field in a feature": example(("labels", field(9, b"x") + bytes_list(b"a"))),
    "a sequence": field(2, field(1, field(1, b"image_raw_ldseries") + field(2, field(1, bytes_list(b"a"))))),
    "a feature twice": example(("labels", bytes_list(b"a")), ("labels", bytes_list(b"b"))),
}


@pytest.mark.parametrize("name", [*KNOWN, "other", "", "A/b \N{SNOWMAN}", "x" * 70_000])
@pytest.mark.parametrize("form", FORMS)
def test_a_feature_in_any_form_round_trips(name, form):
    for payload in (example((name, FORMS[form])), example(("weights", bytes_list(bytes(8))), (name, FORMS[form]))):
        assert records.features(again(payload)) == records.features(payload)


@pytest.mark.parametrize("form", RECORDS)
def test_any_record_round_trips(form):
    assert records.features(again(RECORDS[form])) == records.features(RECORDS[form])
    if "unknown" in form or form in ("no Example", "text", "a sequence"):
        assert again(RECORDS[form]) == RECORDS[form]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_the_plain_form_round_trips(rng, n):
    payload = example_bytes(random_group(rng, -7, n))
    assert records.features(again(payload)) == records.features(payload)


@pytest.mark.parametrize("left_out", KNOWN)
def test_an_absent_feature_stays_absent(rng, left_out):
    group = random_group(rng, 3, 2)
    setattr(group, {"image_raw_ldseries": "image"}.get(left_out, left_out), None)
    assert set(records.features(again(example_bytes(group)))) == set(KNOWN) - {left_out}


@pytest.mark.parametrize("kind", list(Kind))
def test_absent_and_empty_features_differ(kind):
    if kind is Kind.RECORD:
        with pytest.raises(ValueError, match="not a feature"):
            encode_example({"x": (kind, b"")})
    else:
        assert set(records.features(encode_example({"x": (kind, b"")}))) == {"x"}
    assert records.features(encode_example({})) == {}


FEATURES = st.one_of(
    st.lists(st.binary(max_size=20), max_size=3).map(lambda values: bytes_list(*values)),
    st.tuples(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), st.booleans()).map(
        lambda given: int64_list(*given[0], packed=given[1])
    ),
    st.tuples(st.lists(st.integers(0, 2**32 - 1), max_size=4), st.booleans()).map(
        lambda given: float_list(*given[0], packed=given[1])
    ),
    st.just(b""),
)
NAMES = st.sampled_from(KNOWN) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.lists(st.tuples(NAMES, FEATURES), max_size=6))
def test_any_features_round_trip(features):
    payload = example(*features)
    assert records.features(again(payload)) == records.features(payload)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.data())
def test_a_changed_record_round_trips(data):
    """A record that is no longer an Example round-trips byte for byte; an Example, feature by feature."""
    arrays = (np.array(v, t) for v, t in (([], "<u2"), ([1], "i1"), ([5], "<i8"), ([1], "<f4")))
    payload = bytearray(example_bytes(Group(-3, *arrays)))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    got = again(bytes(payload))
    if got != payload:
        assert records.features(got) == records.features(bytes(payload))
