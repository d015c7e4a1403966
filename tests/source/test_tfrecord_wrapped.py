"""TFRecords packed with gzip or zlib, and TFRecords that only look packed."""

from __future__ import annotations

import gzip
import zlib

import pytest
from archives.streams import Trickle, drain
from makers import record_bytes

from s2ct_convert.errors import S2ctError, TFRecordDamaged
from s2ct_convert.source.tfrecord import read_raw_records, unwrap
from s2ct_convert.source.wrapped import Gunzip, Inflate, find_wrapper

PAYLOADS = [b"first", b"x" * 1100, b"the last one"]
FILE = b"".join(map(record_bytes, PAYLOADS))


def packed_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def read(data: bytes, piece: int = 1 << 30):
    payloads = []
    try:
        for record in read_raw_records(unwrap(Trickle(data, piece), where="file"), where="file"):
            payloads.append(record.payload)
    except S2ctError as error:
        return payloads, error
    return payloads, None


PACKERS = pytest.mark.parametrize("pack", [packed_gzip, zlib.compress, bytes], ids=["gzip", "zlib", "bare"])


@PACKERS
@pytest.mark.parametrize("piece", [*range(1, 8), 1 << 30])
def test_records_are_the_same_in_every_wrapper_for_any_read_size(pack, piece):
    assert read(pack(FILE), piece) == (PAYLOADS, None)


@PACKERS
@pytest.mark.parametrize("piece", [1, 7, 1 << 30])
def test_an_empty_record_is_read_in_every_wrapper(pack, piece):
    payloads = [b"", b"abc", b"", b"", b"x" * 500, b""]
    assert read(pack(b"".join(map(record_bytes, payloads))), piece) == (payloads, None)


@PACKERS
def test_an_empty_tfrecord_has_no_records_in_any_wrapper(pack):
    assert read(pack(b"")) == ([], None)


@pytest.mark.parametrize("level", range(10))
def test_every_zlib_level_is_recognised(level):
    assert isinstance(unwrap(Trickle(zlib.compress(FILE, level)), where="file"), Inflate)
    assert read(zlib.compress(FILE, level)) == (PAYLOADS, None)


def test_gzip_members_may_split_a_record():
    packed = b"".join(packed_gzip(FILE[at : at + 13]) for at in range(0, len(FILE), 13))
    assert read(packed) == (PAYLOADS, None)
    assert read(packed, 5) == (PAYLOADS, None)


@pytest.mark.parametrize(
    "written",
    [
        # tf.io.TFRecordWriter of TensorFlow 2 with GZIP and ZLIB, the records b"abc", b"" and bytes(range(10))
        "1f8b0800000000000003636680800d333df9129392f3c23f2a424518349967b0df78d5b4880bca5fb778bf15032313330b2b1b3b07"
        "a7c1fb274f00aaff28c43d000000",
        "789c636680800d333df9129392f3c23f2a424518349967b0df78d5b4880bca5fb778bf15032313330b2b1b3b07a7c1fb274f007abb"
        "0dba",
    ],
    ids=["gzip", "zlib"],
)
def test_wrapped_files_written_by_tensorflow_are_read(written):
    assert read(bytes.fromhex(written)) == ([b"abc", b"", bytes(range(10))], None)


@pytest.mark.parametrize("length", [0x8B1F, 0x0178, 0x9C78, 0xDA78])
def test_a_length_that_looks_like_a_gzip_or_zlib_header_is_read(length):
    payload = b"p" * length
    data = record_bytes(payload)
    assert find_wrapper(data[:12])
    assert read(data) == ([payload], None)
    assert not isinstance(unwrap(Trickle(data), where="file"), (Gunzip, Inflate))


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f", b"\x1f\x8c\x08", b"\x78", b"\x78\x00", b"BZh91AY", FILE[:11]])
def test_an_unwrapped_stream_is_unchanged(data):
    assert find_wrapper(data) is None
    assert drain(unwrap(Trickle(data, 1), where="file")) == data


@pytest.mark.parametrize("pack", [packed_gzip, zlib.compress])
def test_a_cut_at_any_byte_of_a_wrapped_file_raises_after_whole_records(pack):
    packed, most = pack(FILE), 0
    for end in range(1, len(packed)):
        payloads, error = read(packed[:end])
        assert payloads == PAYLOADS[: len(payloads)]
        assert isinstance(error, S2ctError), end
        most = max(most, len(payloads))
    assert most == len(PAYLOADS), "a cut in the checksum of the wrapper is found after all records"


@pytest.mark.parametrize("pack", [packed_gzip, zlib.compress])
def test_a_flipped_bit_in_a_wrapped_file_never_changes_a_record(pack):
    packed, ended_well = pack(FILE), 0
    for bit in range(8 * len(packed)):
        data = bytearray(packed)
        data[bit // 8] ^= 1 << bit % 8
        payloads, error = read(bytes(data))
        assert payloads == PAYLOADS[: len(payloads)]
        ended_well += error is None
        assert error is not None or payloads == PAYLOADS
    assert ended_well < len(packed), "only bits of the gzip header and a few of deflate have no meaning"


@pytest.mark.parametrize("pack", [packed_gzip, zlib.compress])
def test_bytes_after_a_wrapped_file_raise_after_all_records(pack):
    payloads, error = read(pack(FILE) + b"tail")
    assert payloads == PAYLOADS
    assert isinstance(error, TFRecordDamaged)


@pytest.mark.parametrize("pack", [packed_gzip, zlib.compress])
def test_damage_in_a_wrapper_names_the_offset_in_the_unwrapped_file(pack):
    payloads, error = read(pack(FILE[:-1]))
    assert payloads == PAYLOADS[:-1]
    assert error.where == f"file: example 2, byte {5 + 1100 + 2 * 16:,}"
