"""Whole records of a damaged TFRecord: both checksums decide, nothing is joined over a gap, no number is invented."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from makers import masked_crc, record_bytes

from s2ct_convert.archives.pieces import Piece
from s2ct_convert.source.resync import find_header
from s2ct_convert.source.whole_records import WholeRecords

PAYLOADS = [bytes([65 + k]) * (1000 + 37 * k) for k in range(6)]
RECORDS = [record_bytes(one) for one in PAYLOADS]
DATA = b"".join(RECORDS)
STARTS = [sum(map(len, RECORDS[:k])) for k in range(7)]


def read(data: bytes, *, whole_end: bool = True) -> tuple[list[tuple[int | None, int]], list[tuple]]:
    """Number in the file and true number of each record found, and the holes."""
    pieces = [Piece(data[low : low + 700], True, low) for low in range(0, len(data), 700)]
    found = WholeRecords(iter([*pieces, Piece(b"", whole_end, len(data))]))
    numbers = [(one.number, PAYLOADS.index(one.payload)) for one in found]
    return numbers, [(hole.after, hole.examples, hole.begin, hole.end) for hole in found.holes]


def known(*numbers: int) -> list[tuple[int, int]]:
    return [(k, k) for k in numbers]


def test_a_good_file_has_no_gap():
    assert read(DATA) == (known(*range(6)), [])


def test_one_wrong_record_is_skipped_and_later_numbers_are_known():
    wrong = bytearray(DATA)
    wrong[STARTS[2] + 100] ^= 1
    wrong[STARTS[3] + 100] ^= 1
    assert read(bytes(wrong)) == (known(0, 1, 4, 5), [(2, 2, STARTS[2], STARTS[4])])


def test_after_a_wrong_length_the_next_record_is_found_and_its_number_is_unknown():
    wrong = bytearray(DATA)
    wrong[STARTS[2] + 1] ^= 1
    numbers, holes = read(bytes(wrong))
    assert numbers == [*known(0, 1), (None, 3), (None, 4), (None, 5)]
    assert holes == [(2, None, STARTS[2], STARTS[3])]


def test_a_missing_byte_costs_one_record():
    at = STARTS[2] + 50
    numbers, holes = read(DATA[:at] + DATA[at + 1 :])
    assert [true for _, true in numbers] == [0, 1, 3, 4, 5]
    assert holes == [(2, None, STARTS[2], STARTS[3] - 1)]


def test_a_cut_file_gives_all_whole_records_and_a_gap_to_the_end():
    cut = STARTS[4] + 500
    assert read(DATA[:cut]) == (known(0, 1, 2, 3), [(4, None, STARTS[4], cut)])


def test_a_file_whose_end_is_unknown_has_a_gap_after_its_last_record():
    numbers, holes = read(DATA, whole_end=False)
    assert numbers == known(*range(6))
    assert holes == [(6, None, STARTS[6], STARTS[6])]


def test_halves_of_records_are_not_joined_over_a_gap():
    same = [record_bytes(bytes(500))] * 2  # the halves of two equal records would make a whole one
    pieces = [Piece(same[0][:200], True, 0), Piece(same[1][200:], False, None), Piece(RECORDS[5], True, None)]
    found = WholeRecords(iter([*pieces, Piece(b"", True, None)]))
    assert [(one.number, one.payload) for one in found] == [(None, PAYLOADS[5])]
    (hole,) = found.holes
    assert (hole.after, hole.examples, hole.begin) == (0, None, 0)


@pytest.mark.parametrize("length", [0, 5, 255, 256, 70_000, 2**31 - 1, 2**32 - 1])
def test_a_header_is_found_by_the_checksum_of_its_length(length):
    head = struct.pack("<Q", length)
    noise = np.random.default_rng(1).bytes(5000)
    assert find_header(noise + head + masked_crc(head) + noise) == 5000
    assert find_header(noise + head + masked_crc(head)[::-1] + noise) is None


def test_zeros_and_short_data_hold_no_header():
    assert find_header(bytes(100_000)) is None
    assert find_header(bytes(11)) is None
