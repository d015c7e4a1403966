from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from archives.streams import bytes_list, example, field, int64_list
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import Group, example_bytes, random_group

from s2ct_convert.dataset import DATASET
from s2ct_convert.errors import EXIT_SOURCE, ExampleError
from s2ct_convert.source.example import Example, Kept, Kind, decode_example
from s2ct_convert.source.tfrecord import RawRecord

KNOWN, OBS_BYTES = DATASET.features.names, DATASET.obs_bytes
FLOATS = field(2, b"\x0d\x00\x00\x80\x3f")  # a Feature with a float_list of 1.0
NO_KIND = b""


def decode(payload: bytes) -> Example:
    return decode_example(RawRecord(7, 12_345, payload))


def kept(payload: bytes) -> dict[str, tuple[Kind, bytes | None]]:
    """The kept features of an example, without those that are missing."""
    return {one.name: (one.kind, one.data) for one in decode(payload).kept if one.data is not None}


def absent(example: Example) -> set[str]:
    """The missing features of an example."""
    return {one.name for one in example.kept if one.data is None}


def refusal(payload: bytes) -> str:
    """Why the authors' parser refuses a record."""
    with pytest.raises(ExampleError) as caught:
        decode(payload).check("train_50SMG_462")
    assert caught.value.where == "train_50SMG_462: example 7, byte 12,345"
    assert caught.value.exit_code == EXIT_SOURCE
    return caught.value.what


class TestAsPublished:
    @pytest.mark.parametrize("n", [0, 1, 2, 100])
    def test_every_feature_has_its_dtype_and_shape(self, rng, n):
        group = random_group(rng, 411, n)
        got = decode(example_bytes(group))
        assert (got.number, got.offset, got.localid, got.kept, got.refusal) == (7, 12_345, 411, (), "")
        assert (got.image.dtype, got.image.shape) == (np.uint16, (n, 4, 42, 42))
        assert (got.labels.dtype, got.labels.shape) == (np.int8, (n,))
        assert (got.dates.dtype, got.dates.shape) == (np.int64, (n,))
        assert (got.weights.dtype, got.weights.shape) == (np.float32, (n,))
        assert np.array_equal(got.image, group.image)
        assert np.array_equal(got.labels, group.labels)
        assert np.array_equal(got.dates, group.dates)
        assert np.array_equal(got.weights, group.weights)

    def test_decoded_arrays_are_read_only(self, rng):
        got = decode(example_bytes(random_group(rng, 1, 2)))
        assert not any(array.flags.writeable for array in (got.image, got.labels, got.dates, got.weights))

    def test_bytes_are_little_endian_in_the_order_of_timestamp_band_row_column(self):
        raw = bytearray(2 * OBS_BYTES)
        raw[OBS_BYTES + 2 * (3 * 42 * 42 + 41 * 42 + 5)] = 0x34
        raw[OBS_BYTES + 2 * (3 * 42 * 42 + 41 * 42 + 5) + 1] = 0x12
        got = decode(example(("image_raw_ldseries", bytes_list(bytes(raw)))))
        assert got.image[1, 3, 41, 5] == 0x1234
        assert np.count_nonzero(got.image) == 1

    def test_every_bit_of_labels_dates_and_weights_is_kept(self, rng):
        labels, dates, weights = rng.bytes(64), rng.bytes(64), rng.bytes(64) + b"\x01\x02\xa0\x7f"  # ends in a NaN
        got = decode(
            example(("labels", bytes_list(labels)), ("dates", bytes_list(dates)), ("weights", bytes_list(weights)))
        )
        assert got.labels.tobytes() == labels
        assert got.dates.tobytes() == dates
        assert got.weights.tobytes() == weights

    def test_extreme_pixels_are_kept(self):
        image = np.array([0, 1, 255, 256, 65534, 65535] * 1176, np.uint16).reshape(1, 4, 42, 42)
        assert np.array_equal(decode(example_bytes(Group(1, image, None, None))).image, image)


class TestLocalid:
    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("value", [0, 1, 13, 499, 2**31, 2**63 - 1, -1, -5, -(2**63)])
    def test_packed_and_unpacked_localids_are_read(self, value, packed):
        got = decode(example(("localid", int64_list(value, packed=packed))))
        assert (got.localid, got.has_localid) == (value, True)
        assert absent(got) == set(KNOWN) - {"localid"}

    @pytest.mark.parametrize(
        "wire",
        [
            "0a120a100a076c6f63616c696412051a030a010d",  # as in the test of TensorFlow's own parser, packed
            "0a110a0f0a076c6f63616c696412041a02080d",  # not packed
            "0a110a0f12041a02080d0a076c6f63616c6964",  # the value before its key
        ],
    )
    def test_known_wire_bytes_are_decoded(self, wire):
        assert decode(bytes.fromhex(wire)).localid == 13

    @pytest.mark.parametrize("wire", ["0a0e0a0c0a0361676512051a030a010d", "0a0d0a0b0a0361676512041a02080d"])
    def test_features_of_other_datasets_are_kept(self, wire):
        got = decode(bytes.fromhex(wire))
        assert (absent(got), got.localid, len(got.image)) == (set(KNOWN), -1, 0)
        assert kept(bytes.fromhex(wire)) == {"age": (Kind.INT64, (13).to_bytes(8, "little"))}

    @settings(derandomize=True, deadline=None, database=None)
    @given(value=st.integers(-(2**63), 2**63 - 1), packed=st.booleans())
    def test_any_64_bit_localid_is_read(self, value, packed):
        assert decode(example(("localid", int64_list(value, packed=packed)))).localid == value


class TestMissing:
    @pytest.mark.parametrize("name", ["localid", "image_raw_ldseries", "labels", "dates", "weights"])
    def test_a_missing_feature_has_the_default_of_the_authors_parser(self, rng, name):
        group = random_group(rng, 3, 2)
        setattr(group, {"image_raw_ldseries": "image"}.get(name, name), None)
        got = decode(example_bytes(group))
        kind = Kind.INT64 if name == "localid" else Kind.BYTES
        assert got.kept == (Kept(name, kind, None),)
        assert got.has_localid == (name != "localid")
        assert got.localid == (-1 if name == "localid" else 3)
        lengths = {"image_raw_ldseries": len(got.image), "labels": len(got.labels)}
        lengths |= {"dates": len(got.dates), "weights": len(got.weights)}
        assert lengths == {key: 0 if key == name else 2 for key in lengths}

    @pytest.mark.parametrize("payload", [b"", field(1, b""), example(("other", FLOATS))])
    def test_an_example_without_features_has_all_defaults(self, payload):
        got = decode(payload)
        assert (absent(got), got.localid, got.has_localid, got.refusal) == (set(KNOWN), -1, False, "")
        assert got.image.shape == (0, 4, 42, 42)
        assert (got.labels.shape, got.dates.shape, got.weights.shape) == ((0,), (0,), (0,))
        assert (got.image.dtype, got.labels.dtype) == (np.uint16, np.int8)
        assert (got.dates.dtype, got.weights.dtype) == (np.int64, np.float32)

    @pytest.mark.parametrize("name", ["localid", "labels"])
    def test_a_feature_without_a_kind_counts_as_missing(self, name):
        got = decode(example((name, NO_KIND)))
        assert (absent(got), got.localid, len(got.labels)) == (set(KNOWN) - {name}, -1, 0)
        assert got.refusal == ""
        assert kept(example((name, NO_KIND))) == {name: (Kind.FEATURE, b"")}

    def test_an_empty_value_is_not_missing(self):
        got = decode(example(("weights", bytes_list(b""))))
        assert (absent(got), len(got.weights)) == (set(KNOWN) - {"weights"}, 0)

    def test_unknown_features_are_kept_unchanged(self):
        more = (("other", FLOATS), ("ids", int64_list(1, -2)), ("list", bytes_list(b"a", b"b")), ("", bytes_list(b"x")))
        payload = example(more[0], ("localid", int64_list(4)), *more[1:])
        assert (decode(payload).localid, decode(payload).refusal) == (4, "")
        assert kept(payload) == {
            "other": (Kind.FLOAT, np.float32(1).tobytes()),
            "ids": (Kind.INT64, np.array([1, -2], "<i8").tobytes()),
            "list": (Kind.FEATURE, bytes_list(b"a", b"b")),
            "": (Kind.BYTES, b"x"),
        }


class TestMerging:
    def test_the_last_value_of_a_repeated_key_counts(self):
        got = decode(example(("localid", int64_list(1)), ("localid", int64_list(2))))
        assert (absent(got), got.localid) == (set(KNOWN) - {"localid"}, 2)

    def test_the_last_value_of_a_key_in_two_kinds_counts(self):
        assert decode(example(("localid", FLOATS), ("localid", int64_list(2)))).localid == 2
        refusal(example(("localid", int64_list(2)), ("localid", FLOATS)))

    def test_concatenated_examples_merge(self, rng):
        group = random_group(rng, 5, 2)
        payload = example_bytes(group) + example(("localid", int64_list(6))) + example(("dates", bytes_list(bytes(16))))
        got = decode(payload)
        assert (kept(payload), got.localid) == ({"": (Kind.RECORD, payload)}, 6)  # the record keeps the earlier values
        assert got.dates.tolist() == [0, 0]
        assert np.array_equal(got.image, group.image)

    @pytest.mark.parametrize("unknown", [field(5, b"abc"), b"\x28\x05", b"\x2dabcd", b"\x29abcdefgh"])
    def test_a_record_with_unknown_fields_of_any_wire_type_is_kept(self, unknown):
        feature = unknown + field(3, unknown + field(1, b"\x09") + unknown) + unknown
        features = unknown + field(1, field(1, b"localid") + field(2, feature)) + unknown
        payload = unknown + field(1, features) + unknown
        assert (decode(payload).localid, decode(payload).refusal) == (9, "")
        assert kept(payload) == {"": (Kind.RECORD, payload)}


I8 = (1).to_bytes(8, "little")


class TestOtherForms:
    """Forms that the authors' parser refuses are reported and kept byte for byte."""

    @pytest.mark.parametrize(
        ("name", "feature", "kind", "data"),
        [
            ("localid", FLOATS, Kind.FLOAT, np.float32(1).tobytes()),
            ("localid", bytes_list(b"1"), Kind.BYTES, b"1"),
            ("localid", int64_list(), Kind.INT64, b""),
            ("localid", int64_list(1, 2), Kind.INT64, I8 + (2).to_bytes(8, "little")),
            ("localid", int64_list(1, 1, packed=False), Kind.INT64, I8 + I8),
            ("image_raw_ldseries", int64_list(1), Kind.INT64, I8),
            ("image_raw_ldseries", bytes_list(b"a", b"b"), Kind.FEATURE, bytes_list(b"a", b"b")),
            ("labels", int64_list(0, 1), Kind.INT64, bytes(8) + I8),
            ("labels", bytes_list(), Kind.FEATURE, bytes_list()),
            ("dates", int64_list(1), Kind.INT64, I8),
            ("weights", FLOATS, Kind.FLOAT, np.float32(1).tobytes()),
            ("weights", bytes_list(b"", b""), Kind.FEATURE, bytes_list(b"", b"")),
        ],
    )
    def test_another_kind_or_number_of_values_is_kept_and_refused(self, name, feature, kind, data):
        payload = example((name, feature))
        assert kept(payload) == {name: (kind, data)}
        usual = "int64_list" if name == "localid" else "bytes_list"
        assert refusal(payload) == f"feature {name!r} is not one value in a {usual}"
        got = decode(payload)
        assert (got.localid, len(got.image), len(got.labels), len(got.dates), len(got.weights)) == (-1, 0, 0, 0, 0)
        assert name not in absent(got)

    @pytest.mark.parametrize("size", [1, OBS_BYTES - 1, OBS_BYTES + 1, OBS_BYTES + 2, 3 * OBS_BYTES // 2, 36 * 14])
    def test_an_image_with_a_partial_timestamp_is_kept_and_refused(self, size):
        payload = example(("localid", int64_list(1)), ("image_raw_ldseries", bytes_list(b"x" * size)))
        assert kept(payload) == {"image_raw_ldseries": (Kind.BYTES, b"x" * size)}
        assert refusal(payload) == f"the {size:,} bytes of 'image_raw_ldseries' are not a multiple of 14,112"
        assert (decode(payload).localid, decode(payload).image.shape) == (1, (0, 4, 42, 42))

    @pytest.mark.parametrize(("name", "size", "unit"), [("dates", 12, 8), ("dates", 1, 8), ("weights", 6, 4)])
    def test_dates_and_weights_with_a_partial_value_are_kept_and_refused(self, name, size, unit):
        payload = example((name, bytes_list(b"x" * size)))
        assert kept(payload) == {name: (Kind.BYTES, b"x" * size)}
        assert refusal(payload) == f"the {size} bytes of {name!r} are not a multiple of {unit}"

    @pytest.mark.parametrize(
        "payload",
        [
            b"this is no protobuf at all",
            b"\x00" * 20,
            b"\xff" * 20,
            b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            example(("localid", int64_list(1))) + b"\x00",
        ],
        ids=["text", "zeros", "ones", "a varint of 11 bytes", "a zero after the end"],
    )
    def test_bytes_that_are_not_protobuf_are_kept_as_a_record(self, payload):
        assert kept(payload) == {"": (Kind.RECORD, payload)}
        assert absent(decode(payload)) == set(KNOWN)
        assert refusal(payload) == "the record is not a tf.train.Example"

    def test_a_feature_name_that_is_not_utf8_does_not_affect_the_others(self):
        """TensorFlow reads such a record, so it is not refused. The name cannot be stored, so the record is kept."""
        other = field(1, field(1, field(1, b"\xff\xfe") + field(2, int64_list(1))))
        payload = example(("localid", int64_list(5))) + other
        assert (decode(payload).localid, decode(payload).refusal) == (5, "")
        assert kept(payload) == {"": (Kind.RECORD, payload)}

    def test_a_protobuf_cut_at_any_byte_is_kept_and_refused(self):
        payload = example(("localid", int64_list(300)), ("labels", bytes_list(b"abc")))
        for end in range(1, len(payload)):
            assert kept(payload[:end]) == {"": (Kind.RECORD, payload[:end])}, end
            assert refusal(payload[:end]) == "the record is not a tf.train.Example", end


OTHERS_EXAMPLE = """
from google.protobuf import descriptor_pb2, descriptor_pool
{first}
pool = descriptor_pool.Default()
for package in ("tensorflow", "s2ct"):
    file = descriptor_pb2.FileDescriptorProto(name=package + "/example.proto", package=package, syntax="proto3")
    for name in ("Example", "Features", "Feature", "Int64List"):
        file.message_type.add(name=name).field.add(name="mine", number=1, label=1, type=9)
    pool.Add(file)
    assert pool.FindMessageTypeByName(package + ".Example").fields_by_name["mine"]
{last}
example = decode_example(RawRecord(0, 0, bytes.fromhex("0a120a100a076c6f63616c696412051a030a010d")))
assert example.localid == 13
"""
OURS = "from s2ct_convert.source.example import decode_example; from s2ct_convert.source.tfrecord import RawRecord"


@pytest.mark.parametrize(("first", "last"), [(OURS, ""), ("", OURS)], ids=["ours first", "ours last"])
def test_another_tensorflow_example_message_can_be_in_the_process(first, last):
    script = OTHERS_EXAMPLE.format(first=first, last=last)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
