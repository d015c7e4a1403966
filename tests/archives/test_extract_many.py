"""Archives of many files are unpacked in one pass; links and long names in them, and links in the destination."""

from __future__ import annotations

from pathlib import Path

import py7zr
import pytest
from makers import write_archive

from s2ct_convert.archives import blocks
from s2ct_convert.archives.blocks import Block
from s2ct_convert.archives.extract import extract_archive
from s2ct_convert.errors import ArchiveDamaged, DestinationExists, NotATFRecord, SourceError

from .native_programs import needs_7zip, script
from .sevenzip import handmade, put
from .test_extract import FILES, LZMA2, files_below, wrong_checksum


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def archive_with_links(tmp_path: Path, *files: str) -> Path:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", filters=LZMA2) as archive:
        archive.write(tmp_path / "link", "deep/link")
        for name in files:
            archive.writestr(name.encode(), name)
    return tmp_path / "a.7z"


@pytest.mark.parametrize("unpacker", ["python", pytest.param("auto", marks=needs_7zip)])
def test_links_are_named_and_the_files_beside_them_extracted(tmp_path, out, unpacker):
    named: list[str] = []
    extract_archive(archive_with_links(tmp_path, "a", "b"), out, unpacker=unpacker, on_link=named.append)
    assert named == ["deep/link"]
    assert files_below(out) == {"a": b"a", "b": b"b"}


def test_an_archive_of_links_alone_is_an_error_that_names_them(tmp_path, out):
    with pytest.raises(NotATFRecord, match="only links: 'deep/link'"):
        extract_archive(archive_with_links(tmp_path), out)


def test_a_link_in_the_destination_is_not_followed(tmp_path, out):
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DestinationExists, match="links are not followed") as caught:
        extract_archive(write_archive(tmp_path / "a.7z", FILES), out)
    assert caught.value.where == str(out / "deep")
    assert files_below(tmp_path / "elsewhere") == files_below(out) == {}


def test_files_and_folders_with_one_path_are_refused_and_nothing_is_left(tmp_path, out):
    for files in ({"d": b"1", "d/e": b"2"}, {"d/e/f": b"1", "d/e": b"2"}):
        with pytest.raises(SourceError, match="a file and a folder with the same path"):
            extract_archive(write_archive(tmp_path / "a.7z", files), out)
        assert not files_below(out)
    archive = write_archive(tmp_path / "a.7z", {"d/e": b"2", "f": b"3"})
    (out / "f").mkdir(parents=True)
    with pytest.raises(DestinationExists, match="f: a folder is where the archive has a file"):
        extract_archive(archive, out, overwrite=True)
    (out / "f").rmdir()
    (out / "d").write_bytes(b"mine")
    with pytest.raises(DestinationExists, match="d: a file is where the archive has a folder"):
        extract_archive(archive, out, overwrite=True)
    assert (out / "d").read_bytes() == b"mine"


def test_the_destination_itself_may_be_a_link(tmp_path, out):
    (tmp_path / "elsewhere").mkdir()
    out.symlink_to(tmp_path / "elsewhere")
    extract_archive(write_archive(tmp_path / "a.7z", FILES), out)
    assert files_below(tmp_path / "elsewhere") == FILES


@pytest.mark.parametrize("many", [False, True], ids=["one file", "several"])
@pytest.mark.parametrize("letter", ["n", "\N{SNOWMAN}"])
def test_a_name_may_have_255_bytes_and_no_more(tmp_path, out, letter, many):
    more = {"b": b"b"} if many else {}
    name = letter * (255 // len(letter.encode()))
    extract_archive(put(tmp_path / "a.7z", handmade({name: b"abc", **more})), out)
    assert files_below(out) == {name: b"abc", **more}
    with pytest.raises(SourceError, match="longer than a file system allows"):
        extract_archive(put(tmp_path / "b.7z", handmade({name + letter: b"abc", **more})), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_solid_block_is_unpacked_once_by_a_program(tmp_path, out, monkeypatch):
    files = {f"f{n}": b"%d" % n * n for n in range(20)}
    (tmp_path / "data").write_bytes(b"".join(files.values()))
    script(tmp_path / "bin", f"echo x >>{tmp_path}/calls; cat {tmp_path}/data")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    extract_archive(put(tmp_path / "a.7z", handmade(files)), out)
    assert files_below(out) == files
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_solid_block_is_unpacked_once_by_python(tmp_path, out, monkeypatch):
    calls: list[int] = []
    monkeypatch.setattr(blocks, "Block", lambda *a: (calls.append(1), Block(*a))[1])
    files = {f"f{n}": b"%d" % n * n for n in range(20)}
    extract_archive(write_archive(tmp_path / "a.7z", files, filters=LZMA2), out, unpacker="python")
    assert files_below(out) == files
    assert calls == [1]


def test_files_before_damage_are_kept_and_none_after_it(tmp_path, out):
    files = {"a": b"one" * 99, "b": b"two" * 99, "c": b"three" * 99}
    path = put(tmp_path / "a.7z", wrong_checksum(files, "b"))
    with pytest.raises(ArchiveDamaged, match=r"b: .*CRC32"):
        extract_archive(path, out, unpacker="python")
    assert files_below(out) == {"a": files["a"]}
    assert [one.name for one in out.iterdir()] == ["a"]


@pytest.mark.slow
def test_70000_members_take_seconds(tmp_path, out):
    """The time limit of a test would end a pass for each member."""
    files = {f"d{n % 7}/f{n}": b"%d" % n for n in range(70_000)}
    done = extract_archive(put(tmp_path / "a.7z", handmade(files)), out)
    assert len(done) == 70_000
    assert (out / "d0" / "f69993").read_bytes() == b"69993"
