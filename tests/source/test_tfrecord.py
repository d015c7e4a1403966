from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from archives.streams import Trickle
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import masked_crc, record_bytes

from s2ct_convert.archives.bounds import Bounds
from s2ct_convert.errors import EXIT_SOURCE, NotATFRecord, TFRecordDamaged
from s2ct_convert.hashing import masked_crc32c
from s2ct_convert.source.tfrecord import MAX_RECORD_BYTES, is_header, read_raw_records

PAYLOADS = [b"first", b"", b"x" * 1100, b"the last one"]
FILE = b"".join(map(record_bytes, PAYLOADS))
OFFSETS = [0, *itertools.accumulate(len(payload) + 16 for payload in PAYLOADS)]  # last: the end of the file


def read(data: bytes, piece: int = 1 << 30, **options):
    """Payloads up to the end or the error, and the error."""
    payloads = []
    try:
        for record in read_raw_records(Trickle(data, piece), where="file", **options):
            payloads.append(record.payload)
    except (NotATFRecord, TFRecordDamaged) as error:
        return payloads, error
    return payloads, None


def place(number: int) -> str:
    return f"file: example {number}, byte {OFFSETS[number]:,}"


class TestReading:
    @settings(derandomize=True, deadline=None, database=None, max_examples=200)
    @given(payloads=st.lists(st.binary(max_size=80), max_size=8), piece=st.integers(1, 40))
    def test_written_records_are_read_with_numbers_and_offsets(self, payloads, piece):
        records = list(read_raw_records(Trickle(b"".join(map(record_bytes, payloads)), piece), where="file"))
        assert [record.payload for record in records] == payloads
        assert [record.number for record in records] == list(range(len(payloads)))
        assert [record.offset for record in records] == [
            16 * i + len(b"".join(payloads[:i])) for i in range(len(payloads))
        ]

    @pytest.mark.parametrize("piece", [*range(1, 8), 11, 12, 13, 1000])
    def test_short_reads_change_nothing(self, piece):
        assert read(FILE, piece) == (PAYLOADS, None)

    def test_an_empty_file_has_no_records(self):
        assert read(b"") == ([], None)

    def test_a_record_is_yielded_before_the_next_one_is_read(self):
        records = read_raw_records(Trickle(FILE[: OFFSETS[1] + 3]), where="file")
        assert next(records).payload == b"first"

    def test_bytes_written_by_tensorflow_are_read(self):
        # tf.io.TFRecordWriter of TensorFlow 2, the records b"abc", b"" and bytes(range(10))
        written = bytes.fromhex(
            "0300000000000000b099490e6162636e57f1210000000000000000 29039807d8ea82a2"
            "0a00000000000000aea3bf3a0001020304050607080930efe4e4"
        )
        assert read(written) == ([b"abc", b"", bytes(range(10))], None)

    @pytest.mark.parametrize(
        ("data", "crc"),
        [
            (struct.pack("<Q", 24), 0x224B7FA3),  # a test vector of TensorBoard
            (struct.pack("<Q", 3), 0x0E4999B0),  # this one and the others: by TensorFlow
            (b"abc", 0x21F1576E),
            (b"", 0xA282EAD8),
            (bytes(range(10)), 0xE4E4EF30),
        ],
    )
    def test_checksums_are_those_of_tensorflow(self, data, crc):
        assert masked_crc32c(data) == crc

    def test_a_header_is_recognised_by_its_checksum(self):
        assert is_header(FILE[:12])
        assert not is_header(FILE[:11])
        assert not is_header(FILE[:13])
        assert not is_header(bytes(12))
        assert not is_header(FILE[1:13])


class TestDamage:
    @pytest.mark.parametrize("piece", [1, 7, 1 << 30])
    def test_a_cut_inside_a_record_names_the_example_and_the_byte(self, piece):
        for end in range(len(FILE)):
            payloads, error = read(FILE[:end], piece)
            whole = sum(offset <= end for offset in OFFSETS) - 1
            assert payloads == PAYLOADS[:whole], end
            if end in OFFSETS:
                assert error is None, end
                continue
            assert isinstance(error, TFRecordDamaged), end
            inside = end - OFFSETS[whole]
            part = "header" if inside < 12 else "data" if inside < 12 + len(PAYLOADS[whole]) else "data checksum"
            needed = {"header": 12, "data": len(PAYLOADS[whole]), "data checksum": 4}[part]
            begin = {"header": 0, "data": 12, "data checksum": 12 + len(PAYLOADS[whole])}[part]
            assert error.where == place(whole)
            assert error.what == f"the file ends inside the {part} of a record"
            assert (error.expected, error.found) == (f"{needed:,} bytes", f"{inside - begin:,} bytes")
            assert error.exit_code == EXIT_SOURCE

    @pytest.mark.parametrize("number", range(len(PAYLOADS)))
    @pytest.mark.parametrize("part", ["length", "checksum of the length", "data", "checksum of the data"])
    def test_a_flipped_bit_is_found_in_its_record_after_the_earlier_ones(self, number, part):
        n = len(PAYLOADS[number])
        begin, end = {
            "length": (0, 8),
            "checksum of the length": (8, 12),
            "data": (12, 12 + n),
            "checksum of the data": (12 + n, 16 + n),
        }[part]
        for bit in range(8 * begin, 8 * end):
            data = bytearray(FILE)
            data[OFFSETS[number] + bit // 8] ^= 1 << bit % 8
            payloads, error = read(bytes(data))
            assert payloads == PAYLOADS[:number]
            assert error is not None
            assert error.where == place(number)
            if begin >= 12:
                assert type(error) is TFRecordDamaged
                assert error.what == "the checksum of the data does not match"
            elif number:
                assert type(error) is TFRecordDamaged
                assert error.what == "the checksum of a record's length does not match"
            else:
                assert type(error) is NotATFRecord

    @pytest.mark.parametrize(
        "data",
        [
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1\n",
            b"<!DOCTYPE html><html><body>429 Too Many Requests</body></html>",
            b"\x89HDF\r\n\x1a\n" + bytes(100),
            bytes(1000),
            b"\xff" * 1000,
        ],
    )
    def test_another_format_is_refused_at_byte_0_with_the_bytes_found(self, data):
        payloads, error = read(data)
        assert payloads == []
        assert type(error) is NotATFRecord
        assert error.where == "file: example 0, byte 0"
        assert error.found == data[:12].hex(" ")

    @pytest.mark.parametrize("tail", [bytes(12), bytes(500), b"\xff" * 12])
    def test_padding_after_the_last_record_is_an_error(self, tail):
        payloads, error = read(FILE + tail)
        assert payloads == PAYLOADS
        assert type(error) is TFRecordDamaged
        assert error.where == f"file: example {len(PAYLOADS)}, byte {len(FILE):,}"

    def test_swapped_records_are_not_a_framing_error(self):
        assert read(record_bytes(b"b") + record_bytes(b"a")) == ([b"b", b"a"], None)


class TestLength:
    @pytest.mark.parametrize("length", [MAX_RECORD_BYTES + 1, 2**32, 2**63, 2**64 - 1])
    @pytest.mark.parametrize("before", [[], PAYLOADS])
    def test_a_too_long_record_is_refused_before_it_is_read(self, length, before):
        head = struct.pack("<Q", length)
        stream = Trickle(b"".join(map(record_bytes, before)) + head + masked_crc(head) + bytes(100))
        records = read_raw_records(stream, where="file")
        assert [next(records).payload for _ in before] == before
        with pytest.raises(TFRecordDamaged, match="too long to be an example") as caught:
            next(records)
        assert caught.value.where == f"file: example {len(before)}, byte {len(b''.join(map(record_bytes, before))):,}"
        assert caught.value.found == f"{length:,} bytes"
        assert stream.most_asked <= 1100

    def test_the_longest_allowed_record_is_read_and_one_byte_more_is_not(self):
        assert read(record_bytes(b"x" * 50), max_bytes=50) == ([b"x" * 50], None)
        assert "at most 50 bytes" in str(read(record_bytes(b"x" * 51), max_bytes=50)[1])

    def test_a_length_with_a_wrong_checksum_is_not_used(self):
        head = struct.pack("<Q", MAX_RECORD_BYTES)
        stream = Trickle(FILE + head + bytes(4) + bytes(100))
        with pytest.raises(TFRecordDamaged, match="length does not match"):
            list(read_raw_records(stream, where="file"))
        assert stream.most_asked <= 1100

    def test_a_truncated_long_record_needs_no_more_memory_than_its_bytes(self):
        head = struct.pack("<Q", MAX_RECORD_BYTES)
        stream = Trickle(head + masked_crc(head) + bytes(1 << 20), 1 << 16)
        tracemalloc.start()
        try:
            with pytest.raises(TFRecordDamaged, match="ends inside the data"):
                list(read_raw_records(stream, where="file", bounds=Bounds(max_decoding=8 << 30)))
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()
        assert stream.most_asked <= 16 << 20

    def test_a_record_longer_than_one_read_is_whole(self, rng):
        payload = rng.bytes(17 << 20)
        stream = Trickle(record_bytes(payload), 5 << 20)
        assert [record.payload for record in read_raw_records(stream, where="file")] == [payload]
