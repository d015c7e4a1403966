"""What is whole in a damaged archive is unpacked, with or without its headers, and nothing else counts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from damaged import NAME, archive_bytes, flipped, groups, packed_blocks, put, records, without_headers
from makers import write_archive

from s2ct_convert.archives.lzma2_search import find_starts
from s2ct_convert.archives.pieces import FileBytes
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.names import UnitName
from s2ct_convert.source.found import Source
from s2ct_convert.source.salvage import open_salvaged

from .sevenzip import handmade, needs_7zip, seven_zip

BLOCK = 150_000
RECORDS = records(groups())
DATA = b"".join(RECORDS)
STARTS = [sum(map(len, RECORDS[:k])) for k in range(len(RECORDS) + 1)]
ARCHIVE = archive_bytes(DATA, block=BLOCK)
BLOCKS = packed_blocks(DATA, BLOCK)
PAYLOADS = {record[12:-4]: k for k, record in enumerate(RECORDS)}


def salvage(path: Path, member: str = NAME) -> tuple[list[int], list[int | None], list]:
    """True numbers of the records found, their numbers as stated, and the gaps."""
    with open_salvaged(Source(UnitName("train", "50SMG"), None, path, member)) as found:
        true = [PAYLOADS[payload] for payload in found.payloads()]  # a wrong payload is a KeyError
    assert true == sorted(set(true))
    assert all(stated in (None, k) for stated, k in zip(found.numbers, true, strict=True))
    return true, found.numbers, found.gaps


def outside(*blocks: int) -> list[int]:
    """The examples of which no byte is in these blocks."""
    lost = [range(block * BLOCK, (block + 1) * BLOCK) for block in blocks]
    return [k for k in range(len(RECORDS)) if all(STARTS[k + 1] <= one.start or STARTS[k] >= one.stop for one in lost)]


def begin(block: int) -> int:
    """Offset of a block in the archive."""
    return 32 + sum(map(len, BLOCKS[:block]))


def test_a_whole_archive_gives_all_and_no_gap(tmp_path):
    assert salvage(put(tmp_path, ARCHIVE)) == (list(range(12)), list(range(12)), [])


def test_a_wrong_bit_costs_the_examples_of_its_block(tmp_path):
    true, numbers, (gap,) = salvage(put(tmp_path, flipped(ARCHIVE, begin(2) + 40)))
    assert set(true) >= set(outside(2))
    k = gap.after  # whole examples before the gap have their numbers; later ones have none
    assert numbers == [*range(k), *[None] * (len(true) - k)]
    assert (gap.begin, gap.end) == (STARTS[k], STARTS[true[k]])
    assert gap.packed_begin < begin(2) + 40 < gap.packed_end <= begin(3) + len(BLOCKS[3])


def test_a_missing_byte_moves_the_end_header_which_is_found(tmp_path):
    at = begin(2) + 40
    true, _, (gap,) = salvage(put(tmp_path, ARCHIVE[:at] + ARCHIVE[at + 1 :]))
    assert set(true) >= set(outside(2))
    assert gap.end == STARTS[true[gap.after]]  # known, since the header tells the size


def test_an_added_byte_is_as_a_missing_one(tmp_path):
    at = begin(1) + 99
    assert set(salvage(put(tmp_path, ARCHIVE[:at] + b"\x55" + ARCHIVE[at:]))[0]) >= set(outside(1))


def test_a_cut_archive_gives_every_whole_example_in_it(tmp_path):
    true, numbers, (gap,) = salvage(put(tmp_path, ARCHIVE[: begin(3) + 5]), "")
    assert true == numbers == [k for k in range(12) if STARTS[k + 1] <= 3 * BLOCK]
    assert (gap.begin, gap.end) == (STARTS[len(true)], None)


def test_without_headers_all_is_found_and_the_end_is_unknown(tmp_path):
    true, numbers, (gap,) = salvage(put(tmp_path, without_headers(ARCHIVE)), "")
    assert true == numbers == list(range(12))
    assert (gap.after, gap.examples, gap.begin, gap.end) == (12, None, STARTS[12], None)


def test_a_damaged_chunk_header_costs_one_block(tmp_path):
    true, _, gaps = salvage(put(tmp_path, ARCHIVE[: begin(1)] + bytes(8) + ARCHIVE[begin(1) + 8 :]))
    assert set(true) >= set(outside(1))
    assert gaps[0].end == STARTS[true[gaps[0].after]]  # counted from the end


def test_a_damaged_start_of_the_archive_costs_the_first_block(tmp_path):
    for start in (bytes(600), b"\xff" * 600):  # a first byte of 0 is as of LZMA1
        true, numbers, _ = salvage(put(tmp_path, start + ARCHIVE[600:]), "")
        assert set(true) >= set(outside(0))
        assert set(numbers) == {None}


@pytest.mark.slow
def test_lzma1_and_one_block_give_all_before_the_damage(tmp_path):
    import py7zr

    for filters in ([{"id": py7zr.FILTER_LZMA, "preset": 0}], [{"id": py7zr.FILTER_LZMA2, "preset": 0}]):
        path = write_archive(tmp_path / "a.7z", {NAME: DATA}, filters=filters)
        whole = path.read_bytes()
        path.write_bytes(flipped(whole, len(whole) // 2))
        true, numbers, (gap,) = salvage(path)
        assert true == numbers == list(range(len(true)))
        assert 4 <= len(true) <= 7
        assert gap.end == len(DATA)
        path.write_bytes(whole[: len(whole) // 2])
        assert len(salvage(path, "")[0]) in (len(true), len(true) + 1)
        path.unlink()


def test_stored_members_lose_only_what_is_hit(tmp_path):
    stored = handmade({"notes.txt": b"x" * 77, NAME: DATA})
    at = stored.index(RECORDS[3]) + 500
    true, numbers, (gap,) = salvage(put(tmp_path, flipped(stored, at)))
    assert true == numbers == [k for k in range(12) if k != 3]
    assert (gap.examples, gap.begin, gap.end) == (1, STARTS[3], STARTS[4])
    assert salvage(put(tmp_path, without_headers(stored)), "")[0] == list(range(12))


@pytest.mark.slow
def test_other_methods_give_what_unpacks_from_the_front(tmp_path):
    import py7zr

    filters = [{"id": py7zr.FILTER_BZIP2}]
    path = write_archive(tmp_path / "a.7z", {NAME: DATA}, filters=filters)
    whole = path.read_bytes()
    assert salvage(path) == (list(range(12)), list(range(12)), [])
    path.write_bytes(flipped(whole, len(whole) * 9 // 10))
    assert len(salvage(path)[2]) == 1


def test_the_search_finds_every_block(tmp_path):
    path = put(tmp_path, ARCHIVE)
    with SourceReader(path, with_md5=False) as file:
        data = FileBytes(file)
        end = begin(len(BLOCKS)) + 1
        found = find_starts(data, 32, end, end - 1).tolist()
    assert {begin(k) for k in range(len(BLOCKS))} <= set(found)


@needs_7zip
@pytest.mark.slow
def test_blocks_of_7zip_are_found(tmp_path):
    many = DATA * 8  # 7-Zip makes no block below 1 MiB
    path = seven_zip(tmp_path / "a.7z", {NAME: many}, "-m0=LZMA2:d=64k:c=1m", "-mx1", "-mmt4")
    data = path.read_bytes()
    path.write_bytes(flipped(data, len(data) // 2))
    with open_salvaged(Source(UnitName("train", "50SMG"), None, path, NAME)) as found:
        n = sum(payload in PAYLOADS for payload in found.payloads())
    assert n == len(found.numbers) > len(RECORDS) * 8 * 0.6
    assert found.numbers[-1] is None  # so the part after the damage was read


def damage(rng: random.Random, data: bytes) -> bytes:
    """One hit of any kind."""
    at = rng.randrange(len(data))
    kind = rng.choice(("bit", "zeros", "noise", "missing", "added", "cut", "headers"))
    if kind == "bit":
        return flipped(data, at)
    if kind in ("zeros", "noise"):
        n = min(4096 if kind == "zeros" else 50_000, len(data) - at)
        return data[:at] + (bytes(n) if kind == "zeros" else rng.randbytes(n)) + data[at + n :]
    if kind == "missing":
        return data[:at] + data[at + rng.choice((1, 7, 512)) :]
    if kind == "added":
        return data[:at] + rng.randbytes(rng.choice((1, 7, 512))) + data[at:]
    if kind == "cut":
        return data[: max(at, 64)]
    return without_headers(data) if len(data) == len(ARCHIVE) else data


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["archive", "tfrecord"])
def test_no_damage_of_200_gives_a_wrong_record(tmp_path, packing):
    found = 0
    for seed in range(200):
        rng = random.Random(seed)
        source = ARCHIVE if packing == "archive" else DATA
        for _ in range(rng.choice((1, 1, 2, 3))):
            source = damage(rng, source)
        path = put(tmp_path, source, f"{seed}.7z" if packing == "archive" else str(seed))
        found += len(salvage(path, "" if packing == "archive" else None)[0])
    assert found > 200 * 12 * 0.5


@pytest.mark.slow
def test_each_of_200_wrong_bits_costs_no_more_than_its_block(tmp_path):
    ends = [begin(k + 1) for k in range(len(BLOCKS))]
    for seed in range(200):
        at = random.Random(seed).randrange(32, ends[-1])
        block = next(k for k, end in enumerate(ends) if at < end)
        true = salvage(put(tmp_path, flipped(ARCHIVE, at)))[0]
        assert set(true) >= set(outside(block)), seed
