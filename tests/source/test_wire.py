"""``locate`` finds the same values as protobuf, and leaves every other form than the plain one to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from makers import Group, example_bytes, random_group

from s2ct_convert.dataset import DATASET
from s2ct_convert.source import example as module
from s2ct_convert.source.example import decode_example
from s2ct_convert.source.tfrecord import RawRecord
from s2ct_convert.source.wire import locate

NAMES = frozenset({"image_raw_ldseries", "labels", "dates", "weights"})


def plain(localid: int = 7, n: int = 2) -> bytes:
    return example_bytes(random_group(np.random.default_rng(1), localid, n))


def small() -> bytes:
    """All features, without pixels: few bytes, all of which matter."""
    return example_bytes(
        Group(-3, *(np.array(v, t) for v, t in (([], "<u2"), ([1], "i1"), ([5], "<i8"), ([1], "<f4"))))
    )


def by_protobuf(payload: bytes) -> dict | None:
    """The values of a record by protobuf; None if it holds anything else."""
    values, kept, refusal = module._parse(payload, DATASET.features)
    return None if kept or refusal else values


@pytest.mark.parametrize("localid", [0, 1, 127, 128, 2**31, 2**63 - 1, -1, -(2**63)])
def test_the_plain_form_is_located(localid):
    payload = plain(localid)
    found = locate(payload, NAMES, "localid")
    assert {name: value if name == "localid" else bytes(value) for name, value in found.items()} == by_protobuf(payload)
    assert found["localid"] == localid


@settings(derandomize=True, deadline=None, database=None, max_examples=1500)
@given(st.data())
def test_a_changed_example_gives_protobufs_answer_or_none(data):
    payload = bytearray(small())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        change = data.draw(st.sampled_from(("byte", "insert", "delete", "cut", "repeat")))
        if change == "byte":
            payload[at] = data.draw(st.integers(0, 255))
        elif change == "insert":
            payload.insert(at, data.draw(st.integers(0, 255)))
        elif change == "delete" and len(payload) > 1:
            del payload[at]
        elif change == "cut":
            payload = payload[: at + 1]
        elif change == "repeat":
            payload += payload[at:]
    found = locate(bytes(payload), NAMES, "localid")
    if found is not None:
        assert {k: v if k == "localid" else bytes(v) for k, v in found.items()} == by_protobuf(bytes(payload))


@settings(derandomize=True, deadline=None, database=None, max_examples=500)
@given(st.binary(max_size=60))
@example(b"")
@example(b"\x0a\x00")
@example(b"\x0a")
@example(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_any_bytes_give_protobufs_answer_or_none(payload):
    found = locate(payload, NAMES, "localid")
    if found is not None:
        assert {k: v if k == "localid" else bytes(v) for k, v in found.items()} == by_protobuf(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        plain() + b"\x12\x00",  # a field after the features
        plain() + plain(),  # protobuf merges repeats
        small()[:-1],
    ],
    ids=["nothing", "an extra field", "a repeat", "cut"],
)
def test_other_forms_are_left_to_protobuf(payload):
    assert locate(payload, NAMES, "localid") is None


def test_a_feature_with_another_name_is_left_to_protobuf():
    assert locate(plain(), NAMES - {"weights"}, "localid") is None


def test_locate_and_protobuf_give_the_same_example(monkeypatch):
    payloads = [plain(7, 3), plain(-1, 1), example_bytes(Group(None, *(None,) * 3)), small()]
    located = [decode_example(RawRecord(0, 0, payload)) for payload in payloads]
    monkeypatch.setattr(module, "locate", lambda *_: None)
    parsed = [decode_example(RawRecord(0, 0, payload)) for payload in payloads]
    for one, other in zip(located, parsed, strict=True):
        assert (one.localid, one.kept, one.refusal) == (other.localid, other.kept, other.refusal)
        for name in ("image", "labels", "dates", "weights"):
            first, second = getattr(one, name), getattr(other, name)
            assert (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes())
            assert not first.flags.writeable
            assert not second.flags.writeable


def test_small_arrays_do_not_keep_the_pixels_in_memory():
    one = decode_example(RawRecord(0, 0, plain(1, 3)))
    assert one.image.base is not None
    for name in ("labels", "dates", "weights"):
        assert getattr(one, name).base is None
