"""Archives that are truncated, damaged, encrypted or packed with unknown methods are errors."""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import py7zr
import pytest
from makers import flip, write_archive

from s2ct_convert.archives.archive import open_member, read_archive
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.errors import (
    EXIT_SOURCE,
    ArchiveDamaged,
    ArchiveUnsupported,
    NotAnArchive,
    SourceError,
)

from .sevenzip import handmade, needs_7zip, put, read_member, seven_zip, with_start_header

NAME = "train_50SMG_1"
UNKNOWN_CODERS = {
    "LZ4": b"\x04\x04\xf7\x11\x04",
    "an unknown id": b"\x03\x7f\x7f\x7f",
}


@pytest.fixture(scope="module")
def data() -> bytes:
    return np.random.default_rng(7).integers(0, 40, 300, dtype=np.uint16).tobytes()


def outcome(path: Path, data: bytes) -> SourceError | None:
    """The error, or None if the archive gives the right bytes."""
    try:
        (member,) = read_archive(path).members
        assert member.name == NAME
        assert read_member(path, NAME) == data
    except SourceError as error:
        assert error.exit_code == EXIT_SOURCE
        assert path.name in error.where
        return error
    finally:
        assert all(thread.name != "s2ct-unpack" for thread in threading.enumerate())
    return None


class TestNoArchive:
    @pytest.mark.every_variant
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"7",
            b"7z\xbc\xaf\x27",
            b"PK\x03\x04" + bytes(100),
            b"Rar!\x1a\x07\x01\x00" + bytes(100),
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1\n",
            b"<!DOCTYPE html><html></html>",
            bytes(512) + handmade({NAME: b"abc"}),
        ],
        ids=["empty", "1 byte", "5 bytes", "zip", "rar", "git-lfs pointer", "HTML", "an archive after other bytes"],
    )
    def test_a_file_without_the_signature_is_not_an_archive(self, tmp_path, content):
        path = put(tmp_path / "a.7z", content)
        for read in (read_archive, read_member):
            with pytest.raises(NotAnArchive) as caught:
                read(path)
            assert caught.value.where == "a.7z"
            assert caught.value.found.startswith(content[:6].hex(" ") or "an empty file")


def test_a_file_without_a_block_is_empty_or_refused(tmp_path):
    header = b"\x01\x05\x01\x11\x05\x00a\x00\x00\x00\x00\x00"  # a list of one file, and nothing about packed streams
    path = put(tmp_path / "a.7z", with_start_header(b"", header))
    assert [member.name for member in read_archive(path).members] == ["a"]
    try:
        assert read_member(path, "a") == b""
    except SourceError as error:
        assert "a.7z" in error.where


CRASH = """
import sys
from pathlib import Path
from s2ct_convert.archives.archive import read_archive
from s2ct_convert.errors import ArchiveUnsupported
try:
    read_archive(Path(sys.argv[1]))
except ArchiveUnsupported as error:
    print(error)
"""


def test_a_header_in_ppmd_is_refused_before_a_decoder_sees_it(tmp_path):
    """In a process of its own: the decoder crashed it."""
    whole = write_archive(tmp_path / "b.7z", {NAME: bytes(99)}).read_bytes()
    offset, size = struct.unpack_from("<QQ", whole, 12)
    header = whole[32 + offset : 32 + offset + size]
    lzma2, ppmd = b"\x21\x21\x01", b"\x23\x03\x04\x01\x05\x5d\x00\x10\x00\x00"
    assert header[:1] == b"\x17" and header.count(lzma2) == 1, "py7zr packs headers with LZMA2"
    at = header.index(lzma2)
    changed = header[:at] + ppmd + header[at + 4 :]
    path = put(tmp_path / "a.7z", with_start_header(whole[32 : 32 + offset], changed))
    done = subprocess.run([sys.executable, "-c", CRASH, str(path)], capture_output=True, text=True)
    assert "a.7z: a compression method of this archive cannot be decoded here (its header is packed with PPMd" in (
        done.stdout
    ), done.stderr


class TestCut:
    def test_a_truncated_archive_reports_the_expected_size(self, tmp_path, data):
        whole = handmade({NAME: data})
        for end in range(6, len(whole)):
            error = outcome(put(tmp_path / "a.7z", whole[:end]), data)
            assert type(error) is ArchiveDamaged, end
            assert error.expected == f"{len(whole) if end >= 32 else 32:,} bytes"
            assert error.found == f"{end:,} bytes"

    @needs_7zip
    @pytest.mark.parametrize("method", ["LZMA2", "Copy"])
    def test_a_truncated_archive_of_7_zip_is_damaged(self, tmp_path, data, method):
        whole = seven_zip(tmp_path / "whole.7z", {NAME: data}, f"-m0={method}").read_bytes()
        for end in range(6, len(whole), 3):
            assert type(outcome(put(tmp_path / "a.7z", whole[:end]), data)) is ArchiveDamaged, end

    def test_an_unfinished_archive_is_damaged(self, tmp_path, data):
        path = put(tmp_path / "a.7z", handmade({NAME: data})[:8] + bytes(24) + data)
        assert type(outcome(path, data)) is ArchiveDamaged

    @pytest.mark.every_variant
    @pytest.mark.parametrize("claimed", [0, 1, 599, 601, 5000, 1 << 31])
    def test_a_file_with_another_size_than_in_the_header_is_damaged(self, tmp_path, data, claimed):
        path = put(tmp_path / "a.7z", handmade({NAME: data}, claimed=claimed))
        assert type(outcome(path, data)) is ArchiveDamaged

    def test_a_short_file_is_damaged_even_without_checksums(self, tmp_path, data):
        path = put(tmp_path / "a.7z", handmade({NAME: data}, claimed=601, file_crc=False))
        assert type(outcome(path, data)) is ArchiveDamaged

    def test_a_header_beyond_the_end_means_a_truncated_archive(self, tmp_path):
        start = struct.pack("<QQI", 2**63, 2**64 - 1, 0)
        path = put(tmp_path / "a.7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start)
        assert "the archive is truncated" in str(outcome(path, b""))


class TestChanged:
    @needs_7zip
    @pytest.mark.parametrize(
        "option", ["-m0=LZMA2", "-m0=LZMA", "-m0=Copy", "-m0=Deflate", "-m0=Deflate64", "-m0=BZip2"]
    )
    def test_a_flipped_bit_in_any_byte_is_an_error_or_harmless(self, tmp_path, data, option):
        whole, errors = seven_zip(tmp_path / "whole.7z", {NAME: data}, option), 0
        size = whole.stat().st_size
        for at in range(size):
            errors += outcome(flip(whole, at, to=tmp_path / "a.7z", bit=at % 8), data) is not None
        assert errors >= size - 20, "only the version and a few bits at the end of a packed stream are unused"

    def test_a_flipped_bit_in_the_start_header_is_an_error(self, tmp_path, data):
        whole = put(tmp_path / "whole.7z", handmade({NAME: data}))
        for at in range(8, 32):
            error = outcome(flip(whole, at, to=tmp_path / "a.7z", bit=at % 8), data)
            assert error.what == "the checksum of the start header does not match"

    @pytest.mark.parametrize("method", ["zstd", "brotli"])
    def test_a_flipped_bit_of_other_methods_is_an_error_or_harmless(self, tmp_path, data, method):
        filters = [{"id": py7zr.FILTER_ZSTD if method == "zstd" else py7zr.FILTER_BROTLI}]
        whole, errors = write_archive(tmp_path / "whole.7z", {NAME: data}, filters=filters), 0
        for at in range(32, 200):  # the packed header follows; py7zr writes no checksum of it
            errors += outcome(flip(whole, at, to=tmp_path / "a.7z", bit=at % 8), data) is not None
        assert errors > 150

    @pytest.mark.parametrize(("file_crc", "folder_crc"), [(True, False), (False, True)])
    def test_a_flipped_bit_of_stored_data_reports_both_checksums(self, tmp_path, data, file_crc, folder_crc):
        changed = bytes([data[0] ^ 4]) + data[1:]
        whole = handmade({NAME: data}, file_crc=file_crc, folder_crc=folder_crc)
        path = put(tmp_path / "a.7z", whole.replace(data, changed))
        with SourceReader(path) as file, open_member(file, NAME) as stream:
            assert stream.read(len(data)) == changed
            with pytest.raises(ArchiveDamaged, match="CRC32 of the unpacked data does not match") as caught:
                stream.read(1)
        assert caught.value.expected == f"{zlib.crc32(data):#010x}"
        assert caught.value.found == f"{zlib.crc32(changed):#010x}"

    @pytest.mark.slow
    def test_damage_in_a_large_archive_is_an_error(self, tmp_path, rng):
        data = (rng.normal(0, 30, 1_000_000).cumsum()).astype("<i2").tobytes()
        whole = write_archive(tmp_path / "whole.7z", {NAME: data}, filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}])
        size = whole.stat().st_size
        for at in range(40, size - 200, size // 8):
            assert type(outcome(flip(whole, at, to=tmp_path / "a.7z"), data)) is ArchiveDamaged, at

    def test_damage_to_one_file_does_not_affect_earlier_files(self, tmp_path):
        one, two = b"one" * 100, b"two" * 100
        whole = handmade({"one": one, "two": two}).replace(b"twotwo", b"twotwi", 1)
        path = put(tmp_path / "a.7z", whole)
        assert read_member(path, "one") == one
        with pytest.raises(ArchiveDamaged, match=r"a\.7z: two: the CRC32"):
            read_member(path, "two")

    @pytest.mark.every_variant
    @pytest.mark.parametrize("header", [b"\x00", b"\x01", b"\x17", b"\x01\x04\x06", b"\x01\x05\xff" + b"\xff" * 8])
    def test_a_nonsense_header_with_a_right_checksum_is_damage(self, tmp_path, header):
        path = put(tmp_path / "a.7z", with_start_header(b"abc", header))
        try:
            assert read_archive(path).members == ()
        except ArchiveDamaged as error:
            assert error.where == "a.7z"

    def test_a_flipped_bit_in_the_header_never_gives_other_bytes(self, tmp_path, data):
        whole = handmade({NAME: data}, written=132_000_000_000_000_000)
        packed, header = data, whole[32 + len(data) :]
        for bit in range(8 * len(header)):
            changed = bytearray(header)
            changed[bit // 8] ^= 1 << bit % 8
            path = put(tmp_path / "a.7z", with_start_header(packed, bytes(changed)))
            try:
                for member in read_archive(path).members:
                    assert read_member(path, member.name) in (data, b""), bit
            except SourceError:
                continue

    @pytest.mark.every_variant
    @pytest.mark.parametrize("name", ["no such file", "train_50SMG_", "TRAIN_50SMG_1", f"{NAME}/", ""])
    def test_a_missing_member_is_an_error(self, tmp_path, data, name):
        path = put(tmp_path / "a.7z", handmade({NAME: data}))
        with pytest.raises(SourceError):
            read_member(path, name)

    def test_a_file_name_with_a_final_slash_is_read_or_refused(self, tmp_path, data):
        path = put(tmp_path / "a.7z", handmade({f"{NAME}/": data}))
        try:
            assert read_member(path, f"{NAME}/") == data
        except SourceError as error:
            assert error.where  # refusing it is fine too


class TestUnsupported:
    @pytest.mark.parametrize("hidden", [False, True])
    def test_an_encrypted_archive_is_an_error(self, tmp_path, data, hidden):
        path = write_archive(tmp_path / "a.7z", {NAME: data}, password="secret", header_encryption=hidden)
        for read in (read_archive, lambda path: read_member(path, NAME)):
            with pytest.raises(ArchiveUnsupported, match=r"a\.7z: the archive is encrypted") as caught:
                read(path)
            assert caught.value.todo

    @pytest.mark.every_variant
    @needs_7zip
    @pytest.mark.parametrize("options", [["-psecret"], ["-psecret", "-mhe=on"], ["-psecret", "-m0=Copy"]])
    def test_an_archive_encrypted_by_7_zip_is_an_error(self, tmp_path, data, options):
        path = seven_zip(tmp_path / "a.7z", {NAME: data}, *options)
        assert "encrypted" in str(outcome(path, data))

    @pytest.mark.parametrize("coder", UNKNOWN_CODERS.values(), ids=UNKNOWN_CODERS.keys())
    def test_an_unknown_method_is_reported_as_unsupported(self, tmp_path, data, coder):
        error = outcome(put(tmp_path / "a.7z", handmade({NAME: data}, coder=coder)), data)
        assert type(error) is ArchiveUnsupported
        assert "cannot be decoded here" in error.what
        assert "7-Zip" in error.todo


DAMAGED_PPMD = """
import sys
from pathlib import Path
from s2ct_convert.errors import S2ctError
from s2ct_convert.archives.archive import open_member
from s2ct_convert.archives.stream import SourceReader

whole, changed = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
for at in range(32, 120):
    changed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
    try:
        with SourceReader(changed) as file, open_member(file, "train_50SMG_1") as stream:
            while stream.read(1 << 20):
                pass
    except S2ctError:  # a damaged stream may ask for more memory than there is
        continue
    sys.exit(f"the flipped bit at {at} was not found")
"""


def test_a_damaged_ppmd_stream_does_not_crash_the_process(tmp_path):
    filters = [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}]
    content = np.random.default_rng(20180102).integers(0, 40, 2000, dtype=np.uint16).tobytes()
    path = write_archive(tmp_path / "whole.7z", {NAME: content}, filters=filters)
    command = [sys.executable, "-c", DAMAGED_PPMD, path, tmp_path / "a.7z"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or f"ended by signal {-done.returncode}"
