from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import py7zr
import pytest
from makers import flip, write_archive

from s2ct_convert.archives.extract import Extracted, extract_archive, unpacked_size
from s2ct_convert.errors import (
    EXIT_SOURCE,
    EXIT_USAGE,
    ArchiveDamaged,
    ArchiveUnsupported,
    DestinationExists,
    NotAnArchive,
    NotATFRecord,
    SourceError,
    WrongUsage,
)

from .native_programs import PROGRAM
from .sevenzip import handmade, put, with_start_header

NAME = "train_50SMG_1"
FILES = {NAME: b"one" * 1000, "deep/val_49RGN_2": b"two" * 2000, "deep/empty": b""}
LZMA2 = [{"id": py7zr.FILTER_LZMA2, "preset": 1}]


@pytest.fixture
def archive(tmp_path) -> Path:
    return write_archive(tmp_path / "a.7z", FILES, filters=LZMA2)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out" / "put"


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wrong_checksum(files: dict[str, bytes], name: str) -> bytes:
    """An archive in which only the CRC32 of one file is wrong."""
    whole, packed = handmade(files), b"".join(files.values())
    crc = zlib.crc32(files[name])
    return with_start_header(packed, whole[32 + len(packed) :].replace(_u32(crc), _u32(crc ^ 1)))


def _u32(value: int) -> bytes:
    return struct.pack("<I", value)


class TestExtracting:
    def test_every_file_is_extracted_with_its_folders(self, archive, out):
        reported: list[Extracted] = []
        done = extract_archive(archive, out, on_file=reported.append)
        assert done == [Extracted(out / name, len(data), was_there=False) for name, data in FILES.items()]
        assert reported == done
        assert files_below(out) == FILES

    def test_equal_files_are_kept(self, archive, out):
        extract_archive(archive, out)
        before = {path: path.stat() for path in out.rglob("*")}
        done = extract_archive(archive, out)
        assert [file.was_there for file in done] == [True] * len(FILES)
        for path, status in before.items():
            assert (path.stat().st_mtime_ns, path.stat().st_ino) == (status.st_mtime_ns, status.st_ino)

    def test_only_what_is_missing_is_extracted_again(self, archive, out):
        extract_archive(archive, out)
        (out / NAME).unlink()
        assert [file.was_there for file in extract_archive(archive, out)] == [False, True, True]
        assert files_below(out) == FILES

    def test_equal_files_are_kept_with_only_a_block_checksum(self, tmp_path, out):
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}, file_crc=False, folder_crc=True))
        assert [file.was_there for file in extract_archive(path, out)] == [False]
        assert [file.was_there for file in extract_archive(path, out)] == [True]

    @pytest.mark.parametrize(
        "there", [b"", b"short", b"ONE" * 1000, b"one" * 1001], ids=["empty", "short", "same size", "long"]
    )
    def test_another_file_is_never_replaced_by_default(self, archive, out, there):
        put(out / NAME, there)
        with pytest.raises(DestinationExists, match="a file with other content exists") as caught:
            extract_archive(archive, out)
        assert caught.value.exit_code == EXIT_USAGE
        assert caught.value.where == str(out / NAME)
        assert "--overwrite" in caught.value.todo
        assert files_below(out) == {NAME: there}

    def test_a_folder_is_never_replaced_by_a_file(self, archive, out):
        put(out / NAME / "inside", b"mine")
        with pytest.raises(DestinationExists):
            extract_archive(archive, out)
        assert files_below(out) == {f"{NAME}/inside": b"mine"}

    def test_overwrite_replaces_other_files(self, archive, out):
        put(out / NAME, b"another")
        assert not any(file.was_there for file in extract_archive(archive, out, overwrite=True))
        assert files_below(out) == FILES

    @pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
    def test_reported_bytes_add_up_to_the_unpacked_size(self, archive, out, again):
        for _ in range(1 + again):
            reported: list[int] = []
            extract_archive(archive, out, on_bytes=reported.append)
        assert sum(reported) == unpacked_size([archive, out / NAME]) == sum(map(len, FILES.values()))

    @pytest.mark.parametrize("unpacker", ["python", "7zz"])
    def test_blocks_are_unpacked_by_several_threads_or_a_program(self, tmp_path, rng, out, unpacker):
        if unpacker == "7zz" and not PROGRAM.program:
            pytest.skip("7-Zip is not installed")
        data = rng.integers(0, 4, 3 << 20, np.uint8).tobytes()
        path = write_archive(tmp_path / "a.7z", {NAME: data}, filters=LZMA2)
        (done,) = extract_archive(path, out, jobs=3, unpacker=unpacker)
        assert done.path.read_bytes() == data

    def test_an_unknown_unpacker_is_wrong_usage(self, archive, out):
        with pytest.raises(WrongUsage, match="no unpacker 'rar'"):
            extract_archive(archive, out, unpacker="rar")
        assert not out.exists()

    def test_links_in_an_archive_are_not_created(self, tmp_path, out):
        outside = tmp_path / "outside"
        outside.mkdir()
        link = tmp_path / "link"
        link.symlink_to(outside, target_is_directory=True)
        with py7zr.SevenZipFile(tmp_path / "a.7z", "w", filters=LZMA2) as archive:
            archive.write(link, "link")
            archive.writestr(b"abc", f"link/{NAME}")
        extract_archive(tmp_path / "a.7z", out)
        assert files_below(outside) == {}
        assert files_below(out) == {f"link/{NAME}": b"abc"}
        assert not any(path.is_symlink() for path in out.rglob("*"))


class TestDamage:
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_damaged_archive_leaves_no_file(self, tmp_path, rng, out, overwrite):
        whole = write_archive(tmp_path / "whole.7z", {NAME: rng.bytes(200_000)}, filters=LZMA2)
        size = whole.stat().st_size
        changed = [flip(whole, at, to=tmp_path / f"changed{at}.7z") for at in (5, 20, 40, size // 2, size - 5)]
        cut = [put(tmp_path / f"cut{end}.7z", whole.read_bytes()[:end]) for end in (0, 20, 40, size // 2, size - 1)]
        for path in changed + cut:
            with pytest.raises((ArchiveDamaged, NotAnArchive)) as caught:
                extract_archive(path, out, overwrite=overwrite)
            assert caught.value.exit_code == EXIT_SOURCE
            assert files_below(tmp_path / "out") == {}

    def test_only_files_before_a_wrong_checksum_are_extracted(self, tmp_path, out):
        path = put(tmp_path / "a.7z", wrong_checksum({"one": b"1" * 99, "two": b"2" * 99, "three": b"3" * 99}, "two"))
        with pytest.raises(ArchiveDamaged, match="CRC"):
            extract_archive(path, out)
        assert files_below(out) == {"one": b"1" * 99}

    def test_a_damaged_archive_does_not_replace_a_file(self, tmp_path, out):
        put(out / NAME, b"mine")
        path = put(tmp_path / "a.7z", wrong_checksum({NAME: b"1" * 99}, NAME))
        with pytest.raises(ArchiveDamaged):
            extract_archive(path, out, overwrite=True)
        assert files_below(out) == {NAME: b"mine"}

    def test_a_stop_in_the_middle_leaves_no_file(self, tmp_path, rng, out):
        path = put(tmp_path / "a.7z", handmade({NAME: rng.bytes(5 << 20)}))
        read = 0

        def stop_half_way(n: int) -> None:
            nonlocal read
            read += n
            if read > 2 << 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            extract_archive(path, out, on_bytes=stop_half_way)
        assert files_below(tmp_path / "out") == {}

    def test_an_encrypted_archive_is_refused(self, tmp_path, out):
        path = write_archive(tmp_path / "a.7z", {NAME: b"abc"}, password="secret")
        with pytest.raises(ArchiveUnsupported, match="encrypted"):
            extract_archive(path, out)
        assert not out.exists()

    def test_an_archive_without_files_is_refused(self, tmp_path, out):
        (tmp_path / "folder").mkdir()
        with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
            archive.writeall(tmp_path / "folder", "folder")
        with pytest.raises(NotATFRecord, match="no file in this archive"):
            extract_archive(tmp_path / "a.7z", out)


class TestNames:
    @pytest.mark.every_variant
    @pytest.mark.parametrize(
        "name",
        [
            "..",
            "../evil",
            "../../evil",
            "a/../../evil",
            "a/..",
            "a/../b",
            "/evil",
            "//evil",
            "/",
            "",
            ".",
            "..\\evil",
            "a\\..\\..\\evil",
            "\\evil",
            "\\\\server\\share\\evil",
            "C:\\evil",
            "C:/evil",
            "C:evil",
            "c:",
        ],
    )
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_name_that_leads_out_of_the_destination_is_refused(self, tmp_path, out, name, overwrite):
        path = put(tmp_path / "a.7z", handmade([("good", b"abc"), (name, b"evil")]))
        with pytest.raises(SourceError, match="leads out of the destination") as caught:
            extract_archive(path, out, overwrite=overwrite)
        assert caught.value.where == "a.7z"
        assert [*tmp_path.iterdir()] == [path]

    @pytest.mark.every_variant
    @pytest.mark.parametrize(
        "name", ["..a", "a..", "...", "a/.b/c", "./a", "a//b", "a\\b", "ä ö.☃", "x" * 180, "a:b.txt2"]
    )
    def test_an_odd_name_stays_below_the_destination_or_is_refused(self, tmp_path, out, name):
        path = put(tmp_path / "a.7z", handmade({name: b"abc"}))
        try:
            (done,) = extract_archive(path, out)
        except SourceError:
            assert not out.exists()
        else:
            assert done.path.resolve().is_relative_to(out.resolve())
            assert files_below(tmp_path / "out") == {done.path.relative_to(tmp_path / "out").as_posix(): b"abc"}

    @pytest.mark.every_variant
    @pytest.mark.parametrize("name", ["a\0b", "\ud800", "a/"])
    def test_an_impossible_file_name_never_gives_other_bytes(self, tmp_path, out, name):
        path = put(tmp_path / "a.7z", handmade({name: b"abc"}))
        try:
            extract_archive(path, out)
        except SourceError as error:
            assert error.exit_code == EXIT_SOURCE
        assert set(files_below(tmp_path / "out").values()) <= {b"abc"}

    @pytest.mark.every_variant
    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("other", [NAME, f"./{NAME}", f"x//../{NAME}"])
    def test_two_files_with_the_same_path_are_refused(self, tmp_path, out, other, overwrite):
        path = put(tmp_path / "a.7z", handmade([(NAME, b"abc"), (other, b"def")]))
        with pytest.raises(SourceError):
            extract_archive(path, out, overwrite=overwrite)
        assert not out.exists()
