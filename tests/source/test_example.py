from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import FIRST_DAY, Group, example_bytes, random_group

from s2ct_convert.errors import EXIT_SOURCE, ExampleError
from s2ct_convert.source.example import OBS_BYTES, decode_example
from s2ct_convert.source.tfrecord import Record

from .streams import bytes_list, example, field, int64_list

FLOATS = field(2, b"\x0d\x00\x00\x80\x3f")  # a Feature of the second kind with 1.0 in it
NO_KIND = b""


def decode(payload: bytes):
    return decode_example(Record(7, 12_345, payload), where="train_50SMG_462")


def refusal(payload: bytes) -> ExampleError:
    with pytest.raises(ExampleError) as caught:
        decode(payload)
    assert caught.value.where == "train_50SMG_462: example 7, byte 12,345"
    assert caught.value.exit_code == EXIT_SOURCE
    return caught.value


class TestAsPublished:
    @pytest.mark.parametrize("n", [0, 1, 2, 100])
    def test_every_feature_comes_back_with_its_dtype_and_shape(self, rng, n):
        group = random_group(rng, 411, n)
        got = decode(example_bytes(group))
        assert (got.number, got.offset, got.known, got.localid) == (7, 12_345, 5, 411)
        assert (got.image.dtype, got.image.shape) == (np.uint16, (n, 4, 42, 42))
        assert (got.labels.dtype, got.labels.shape) == (np.int8, (n,))
        assert (got.dates.dtype, got.dates.shape) == (np.int64, (n,))
        assert (got.weights.dtype, got.weights.shape) == (np.float32, (n,))
        assert np.array_equal(got.image, group.image)
        assert np.array_equal(got.labels, group.labels)
        assert np.array_equal(got.dates, group.dates)
        assert np.array_equal(got.weights, group.weights)

    def test_arrays_cannot_be_written_to(self, rng):
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
    def test_packed_or_not_positive_or_not(self, value, packed):
        got = decode(example(("localid", int64_list(value, packed=packed))))
        assert got.localid == value
        assert got.known == 1

    @pytest.mark.parametrize(
        "wire",
        [
            "0a120a100a076c6f63616c696412051a030a010d",  # as TensorFlow's own parser test has it, packed
            "0a110a0f0a076c6f63616c696412041a02080d",  # and not
            "0a110a0f12041a02080d0a076c6f63616c6964",  # the value before its key
        ],
    )
    def test_wire_bytes_written_down_are_understood(self, wire):
        assert decode(bytes.fromhex(wire)).localid == 13

    @pytest.mark.parametrize("wire", ["0a0e0a0c0a0361676512051a030a010d", "0a0d0a0b0a0361676512041a02080d"])
    def test_features_of_other_datasets_are_none_of_ours(self, wire):
        got = decode(bytes.fromhex(wire))
        assert (got.known, got.localid, len(got.image)) == (0, -1, 0)

    @settings(derandomize=True, deadline=None, database=None)
    @given(value=st.integers(-(2**63), 2**63 - 1), packed=st.booleans())
    def test_any_number_of_64_bits(self, value, packed):
        assert decode(example(("localid", int64_list(value, packed=packed)))).localid == value


class TestMissing:
    @pytest.mark.parametrize("name", ["localid", "image_raw_ldseries", "labels", "dates", "weights"])
    def test_a_missing_feature_has_the_default_of_the_authors_parser(self, rng, name):
        group = random_group(rng, 3, 2)
        setattr(group, {"image_raw_ldseries": "image"}.get(name, name), None)
        got = decode(example_bytes(group))
        assert got.known == 4
        assert got.localid == (-1 if name == "localid" else 3)
        lengths = {"image_raw_ldseries": len(got.image), "labels": len(got.labels)}
        lengths |= {"dates": len(got.dates), "weights": len(got.weights)}
        assert lengths == {key: 0 if key == name else 2 for key in lengths}

    @pytest.mark.parametrize("payload", [b"", field(1, b""), example(("other", FLOATS))])
    def test_an_example_without_features_is_all_defaults_and_says_so(self, payload):
        got = decode(payload)
        assert (got.known, got.localid) == (0, -1)
        assert got.image.shape == (0, 4, 42, 42)
        assert (got.labels.shape, got.dates.shape, got.weights.shape) == ((0,), (0,), (0,))
        assert (got.image.dtype, got.labels.dtype) == (np.uint16, np.int8)
        assert (got.dates.dtype, got.weights.dtype) == (np.int64, np.float32)

    @pytest.mark.parametrize("name", ["localid", "labels"])
    def test_a_feature_of_no_kind_counts_as_missing(self, name):
        got = decode(example((name, NO_KIND)))
        assert (got.known, got.localid, len(got.labels)) == (0, -1, 0)

    def test_an_empty_value_is_there(self):
        got = decode(example(("weights", bytes_list(b""))))
        assert (got.known, len(got.weights)) == (1, 0)

    def test_features_beyond_ours_are_passed_over(self):
        got = decode(example(("other", FLOATS), ("localid", int64_list(4)), ("more", bytes_list(b"a", b"b"))))
        assert (got.known, got.localid) == (1, 4)


class TestMerging:
    def test_of_a_key_that_is_there_twice_the_last_counts(self):
        got = decode(example(("localid", int64_list(1)), ("localid", int64_list(2))))
        assert (got.known, got.localid) == (1, 2)

    def test_of_a_key_that_is_there_in_two_kinds_the_last_counts(self):
        assert decode(example(("localid", FLOATS), ("localid", int64_list(2)))).localid == 2
        refusal(example(("localid", int64_list(2)), ("localid", FLOATS)))

    def test_examples_one_after_another_merge(self, rng):
        group = random_group(rng, 5, 2)
        got = decode(
            example_bytes(group) + example(("localid", int64_list(6))) + example(("dates", bytes_list(bytes(16))))
        )
        assert (got.known, got.localid) == (5, 6)
        assert got.dates.tolist() == [0, 0]
        assert np.array_equal(got.image, group.image)

    @pytest.mark.parametrize("unknown", [field(5, b"abc"), b"\x28\x05", b"\x2dabcd", b"\x29abcdefgh"])
    def test_unknown_fields_of_every_wire_type_are_skipped(self, unknown):
        feature = unknown + field(3, unknown + field(1, b"\x09") + unknown) + unknown
        features = unknown + field(1, field(1, b"localid") + field(2, feature)) + unknown
        got = decode(unknown + field(1, features) + unknown)
        assert (got.known, got.localid) == (1, 9)


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "feature", "found"),
        [
            ("localid", FLOATS, "1 values in a float_list"),
            ("localid", bytes_list(b"1"), "1 values in a bytes_list"),
            ("localid", int64_list(), "0 values in a int64_list"),
            ("localid", int64_list(1, 2), "2 values in a int64_list"),
            ("localid", int64_list(1, 2, packed=False), "2 values in a int64_list"),
            ("image_raw_ldseries", int64_list(1), "1 values in a int64_list"),
            ("image_raw_ldseries", bytes_list(bytes(OBS_BYTES), bytes(OBS_BYTES)), "2 values in a bytes_list"),
            ("labels", int64_list(0, 1), "2 values in a int64_list"),
            ("labels", bytes_list(), "0 values in a bytes_list"),
            ("dates", int64_list(FIRST_DAY), "1 values in a int64_list"),
            ("weights", FLOATS, "1 values in a float_list"),
            ("weights", bytes_list(b"", b""), "2 values in a bytes_list"),
        ],
    )
    def test_another_kind_or_number_of_values(self, name, feature, found):
        error = refusal(example((name, feature)))
        assert repr(name) in error.what
        assert error.found == found

    @pytest.mark.parametrize("size", [1, OBS_BYTES - 1, OBS_BYTES + 1, OBS_BYTES + 2, 3 * OBS_BYTES // 2, 36 * 14])
    def test_an_image_that_is_no_whole_number_of_timestamps(self, size):
        error = refusal(example(("localid", int64_list(1)), ("image_raw_ldseries", bytes_list(bytes(size)))))
        assert "'image_raw_ldseries' is not a multiple of 14,112 bytes" in error.what
        assert error.found == f"{size:,} bytes"

    @pytest.mark.parametrize(("name", "size", "unit"), [("dates", 12, 8), ("dates", 1, 8), ("weights", 6, 4)])
    def test_dates_and_weights_that_are_no_whole_number_of_values(self, name, size, unit):
        error = refusal(example((name, bytes_list(bytes(size)))))
        assert f"{name!r} is not a multiple of {unit} bytes" in error.what

    def test_a_protobuf_cut_at_any_byte(self):
        payload = example(("localid", int64_list(300)), ("labels", bytes_list(b"abc")))
        for end in range(1, len(payload)):
            assert "is not a tf.train.Example" in refusal(payload[:end]).what, end

    @pytest.mark.parametrize(
        "payload",
        [
            b"this is no protobuf at all",
            b"\x00" * 20,
            b"\xff" * 20,
            b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            example(("localid", int64_list(1))) + b"\x00",
            field(1, field(1, field(1, b"\xff\xfe") + field(2, int64_list(1)))),
        ],
        ids=["text", "zeros", "ones", "a varint of 11 bytes", "a zero after the end", "a key that is not UTF-8"],
    )
    def test_bytes_that_are_no_protobuf(self, payload):
        assert "is not a tf.train.Example" in refusal(payload).what


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
example = decode_example(Record(0, 0, bytes.fromhex("0a120a100a076c6f63616c696412051a030a010d")), where="file")
assert example.localid == 13
"""
OURS = "from s2ct_convert.source.example import decode_example; from s2ct_convert.source.tfrecord import Record"


@pytest.mark.parametrize(("first", "last"), [(OURS, ""), ("", OURS)], ids=["ours first", "ours last"])
def test_another_package_with_a_tensorflow_example_of_its_own_may_be_in_the_process(first, last):
    script = OTHERS_EXAMPLE.format(first=first, last=last)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
