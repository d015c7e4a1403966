from __future__ import annotations

import threading
import zlib

import numpy as np
import py7zr
import pytest
from makers import write_archive

from s2ct_convert.archives.archive import Member, open_member, read_archive
from s2ct_convert.archives.file_kind import read_head
from s2ct_convert.archives.member_stream import BUFFER_BYTES
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.errors import SourceError

from .sevenzip import handmade, needs_7zip, put, read_member, seven_zip

NAME = "train_50SMG_1"
FILTERS = {
    "lzma2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "lzma1": [{"id": py7zr.FILTER_LZMA, "preset": 1}],
    "copy": [{"id": py7zr.FILTER_COPY}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "zstd": [{"id": py7zr.FILTER_ZSTD}],
    "brotli": [{"id": py7zr.FILTER_BROTLI, "level": 3}],
    "delta and lzma2": [{"id": py7zr.FILTER_DELTA, "dist": 2}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "bcj and lzma2": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "bcj and lzma1": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA, "preset": 1}],
}
METHODS = ["LZMA2", "LZMA", "Copy", "BZip2", "Deflate", "Deflate64"]


@pytest.fixture(scope="module")
def data() -> bytes:
    """Pixels of an image and noise: more than one piece, packed or unpacked."""
    dice = np.random.default_rng(7)
    return (2000 + dice.normal(0, 30, 200_000).cumsum()).astype("<u2").tobytes() + dice.bytes(1_100_003)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "s2ct-unpack"]


class TestStreaming:
    @pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS.keys())
    def test_archives_of_py7zr_are_unpacked(self, tmp_path, data, filters):
        path = write_archive(tmp_path / "a.7z", {NAME: data}, filters=filters)
        assert read_member(path) == data

    @needs_7zip
    @pytest.mark.parametrize("method", METHODS)
    def test_archives_of_7_zip_are_unpacked(self, tmp_path, data, method):
        path = seven_zip(tmp_path / "a.7z", {NAME: data}, f"-m0={method}", "-mx=1")
        assert read_archive(path).methods == (method.upper() if "Deflate" in method or method == "Copy" else method,)
        assert read_member(path) == data

    @needs_7zip
    @pytest.mark.parametrize("method", ["Delta:2", "Delta:8", "BCJ", "ARM", "ARMT", "PPC", "SPARC"])
    def test_filters_of_7_zip_are_decoded(self, tmp_path, data, method):
        path = seven_zip(tmp_path / "a.7z", {NAME: data}, f"-mf={method}", "-mx=1")
        assert read_member(path) == data

    @needs_7zip
    def test_several_blocks_of_lzma2_are_read_in_order(self, tmp_path, data):
        path = seven_zip(tmp_path / "a.7z", {NAME: 3 * data}, "-m0=lzma2:d=64k:c=1m", "-mx=1", "-mmt=4")
        assert lzma2_blocks(path.read_bytes()[32:]) >= 4
        assert read_member(path) == 3 * data

    @pytest.mark.every_variant
    @pytest.mark.parametrize("piece", [1, 1000, 1 << 16, 1 << 30])
    def test_reads_of_any_size_give_the_same_bytes(self, tmp_path, data, piece):
        path, some = tmp_path / "a.7z", data if piece > 1 else data[:5000]
        path.write_bytes(handmade({NAME: some}))
        assert read_member(path, piece=piece) == some

    def test_highly_compressible_data_is_read_completely(self, tmp_path):
        path = write_archive(tmp_path / "a.7z", {NAME: bytes(20 << 20)}, filters=FILTERS["lzma2"])
        with SourceReader(path) as file, open_member(file, NAME) as stream:
            n = 0
            while piece := stream.read(1 << 20):
                n += len(piece)
                assert not any(piece[:: 1 << 12])
        assert n == 20 << 20

    @pytest.mark.parametrize("n", [0, 1])
    def test_a_file_of_zero_or_one_byte_is_read(self, tmp_path, n):
        path = put(tmp_path / "a.7z", handmade({NAME: bytes(n), "other": b"abc"}))
        assert read_member(path, NAME) == bytes(n)

    def test_reads_at_the_end_return_nothing(self, tmp_path):
        path = write_archive(tmp_path / "a.7z", {NAME: b"abc"})
        with SourceReader(path) as file, open_member(file, NAME) as stream:
            assert [stream.read(9) for _ in range(3)] == [b"abc", b"", b""]

    def test_bytes_after_the_end_of_an_archive_are_ignored(self, tmp_path, data):
        path = write_archive(tmp_path / "a.7z", {NAME: data}, filters=FILTERS["lzma2"])
        path.write_bytes(path.read_bytes() + bytes(1000))
        assert read_member(path) == data

    def test_an_archive_with_only_a_block_checksum_is_read(self, tmp_path):
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}, folder_crc=True, file_crc=False))
        assert read_member(path) == b"abc"

    def test_an_archive_without_a_substreams_section_is_read_or_refused(self, tmp_path):
        # The section is optional in 7zFormat.txt. 7-Zip reads such archives; py7zr 1.1 does not.
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}, folder_crc=True, substreams=False))
        try:
            assert read_member(path) == b"abc"
        except SourceError as error:
            assert error.where == "a.7z"

    @pytest.mark.every_variant
    @pytest.mark.parametrize("written", [0, 132_000_000_000_000_000, 2_650_467_744_000_000_000, 2**64 - 1])
    def test_a_file_with_any_modification_time_is_read(self, tmp_path, written):
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}, written=written))
        assert read_member(path) == b"abc"


def lzma2_blocks(packed: bytes) -> int:
    """Number of independent blocks of an LZMA2 stream (Lzma2Dec.c of the LZMA SDK)."""
    at = blocks = 0
    while control := packed[at]:
        blocks += control == 1 or control >= 0xE0
        if control >= 0x80:
            at += 6 + (control >= 0xC0) + int.from_bytes(packed[at + 3 : at + 5], "big")
        else:
            at += 4 + int.from_bytes(packed[at + 1 : at + 3], "big")
    return blocks


class TestHeaders:
    def test_an_archive_lists_its_files_with_size_and_crc32(self, tmp_path):
        files = {"train_50SMG_1": b"abc", "notes.txt": b"defghi"}
        path = write_archive(tmp_path / "a.7z", files)
        archive = read_archive(path)
        assert archive.path == path
        assert archive.bytes == path.stat().st_size
        found = [(member.name, member.size, member.crc32) for member in archive.members]
        assert found == [(name, len(data), zlib.crc32(data)) for name, data in files.items()]

    def test_a_member_has_the_methods_of_its_block(self, tmp_path):
        path = write_archive(tmp_path / "a.7z", {NAME: b"abc"}, filters=FILTERS["delta and lzma2"])
        assert read_archive(path).members == (Member(NAME, 3, zlib.crc32(b"abc"), ("21", "03")),)

    @needs_7zip
    @pytest.mark.parametrize(("option", "blocks", "solid"), [("-ms=on", 1, True), ("-ms=off", 3, False)])
    def test_members_in_folders_are_read_by_name(self, tmp_path, data, option, blocks, solid):
        files = {"a/b/train_50SMG_1": data[:70_000], "a/val_50SMG_2": data[1000:2000], "notes.txt": b"text"}
        path = seven_zip(tmp_path / "a.7z", files, option)
        archive = read_archive(path)
        assert (archive.blocks, archive.solid) == (blocks, solid)
        assert {member.name for member in archive.members} == set(files), "folders are not members"
        for name, content in files.items():
            assert read_member(path, name) == content

    @needs_7zip
    def test_an_archive_with_only_folders_has_no_members(self, tmp_path):
        path = seven_zip(tmp_path / "a.7z", {"folder/x": b""}, "-x!folder/x")
        assert read_archive(path).members == ()


class TestThread:
    @pytest.mark.parametrize("taken", [0, 1, 100_000])
    def test_an_early_stop_leaves_no_thread(self, tmp_path, taken):
        path = put(tmp_path / "a.7z", handmade({NAME: bytes(3 * BUFFER_BYTES)}))
        with SourceReader(path) as file:
            with open_member(file, NAME) as stream:
                assert threads()
                assert len(read_head(stream, taken)) == taken
            assert threads() == []

    def test_an_error_in_the_reader_stops_the_unpacker(self, tmp_path):
        path = put(tmp_path / "a.7z", handmade({NAME: bytes(3 * BUFFER_BYTES)}))
        with SourceReader(path) as file, pytest.raises(ZeroDivisionError), open_member(file, NAME) as stream:
            stream.read(1)
            raise ZeroDivisionError
        assert threads() == []

    def test_no_thread_is_left_after_the_end(self, tmp_path):
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}))
        read_member(path)
        assert threads() == []

    def test_the_unpacker_is_at_most_a_buffer_and_a_piece_ahead(self, tmp_path, rng):
        path, step = tmp_path / "a.7z", 1 << 16
        path.write_bytes(handmade({NAME: rng.bytes(4 * BUFFER_BYTES)}))  # stored: bytes in are bytes out
        consumed = unpacked = largest = lead = 0
        ran_on = threading.Event()

        def on_bytes(n: int) -> None:
            nonlocal unpacked, largest, lead
            unpacked, largest = unpacked + n, max(largest, n)
            lead = max(lead, unpacked - consumed)
            if unpacked > 3 * BUFFER_BYTES:
                ran_on.set()

        with SourceReader(path, on_bytes=on_bytes) as file, open_member(file, NAME) as stream:
            consumed += len(stream.read(1))
            assert not ran_on.wait(0.2), "it continues although no one reads"
            while piece := stream.read(step):
                consumed += len(piece)
        assert consumed == 4 * BUFFER_BYTES
        assert lead <= BUFFER_BYTES + largest + 2 * step  # a step is counted only after it was read
