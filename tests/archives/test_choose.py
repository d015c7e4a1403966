"""The methods in the header decide which unpacker is used, before anything is unpacked."""

from __future__ import annotations

import pytest
from makers import write_archive

from s2ct_convert.archives import unpackers
from s2ct_convert.archives.archive import read_heads
from s2ct_convert.archives.unpackers import PYTHON, Unpacker, choose, method_name
from s2ct_convert.errors import ArchiveUnsupported, WrongUsage

from .sevenzip import needs_7zip, seven_zip

pytestmark = pytest.mark.every_variant  # all are quick

LZMA2, PPMD, ZSTD, BROTLI, BCJ2, LZ4 = "21", "030401", "04f71101", "04f71102", "0303011b", "04f71104"
NATIVE, ONLY_NATIVE = Unpacker("7zz 24.09", "/bin/7zz"), Unpacker("7zz 24.09", "/bin/7zz", required=True)
ONLY_PYTHON = Unpacker(required=True)
SPECIAL_NAME = "its name has slashes or special characters"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(unpackers, "find_unpacker", lambda asked: NATIVE)


@pytest.mark.parametrize(
    ("unpacker", "methods", "by_name", "chosen", "label"),
    [
        (NATIVE, [LZMA2], None, NATIVE, "7zz 24.09"),
        (PYTHON, [LZMA2], None, PYTHON, "python"),
        (ONLY_PYTHON, [LZMA2], SPECIAL_NAME, PYTHON, "python"),
        (NATIVE, [PPMD], None, NATIVE, "7zz 24.09"),
        (NATIVE, [], None, NATIVE, "7zz 24.09"),
        (PYTHON, [PPMD], None, NATIVE, "7zz 24.09, because python does not unpack PPMd"),
        (PYTHON, [LZMA2, BCJ2], None, NATIVE, "7zz 24.09, because python does not unpack BCJ2"),
        (PYTHON, [LZ4], None, NATIVE, "7zz 24.09, because python does not unpack LZ4"),
        (NATIVE, [ZSTD], None, PYTHON, "python, because 7zz 24.09 does not unpack Zstandard"),
        (NATIVE, [LZMA2], SPECIAL_NAME, PYTHON, f"python, because {SPECIAL_NAME}"),
    ],
)
def test_the_unpacker_that_can_is_chosen_with_a_reason(unpacker, methods, by_name, chosen, label):
    assert choose(unpacker, methods, "a.7z: x", by_name) == (chosen, label)


@pytest.mark.parametrize(
    ("unpacker", "methods", "by_name", "error", "todo"),
    [
        (ONLY_PYTHON, [PPMD], None, ArchiveUnsupported, "--unpacker auto or 7zz"),
        (ONLY_NATIVE, [BROTLI], None, ArchiveUnsupported, "--unpacker auto or python"),
        (ONLY_NATIVE, [LZMA2], SPECIAL_NAME, WrongUsage, "--unpacker auto or python"),
        (PYTHON, [PPMD], SPECIAL_NAME, ArchiveUnsupported, "unpack the archive with 7-Zip"),
        (NATIVE, [PPMD], SPECIAL_NAME, ArchiveUnsupported, "unpack the archive with 7-Zip"),
    ],
)
def test_no_suitable_unpacker_is_an_error_with_advice(unpacker, methods, by_name, error, todo):
    with pytest.raises(error) as caught:
        choose(unpacker, methods, "a.7z: x", by_name)
    assert todo in caught.value.todo
    assert caught.value.where == "a.7z: x"


def test_a_missing_7_zip_program_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(unpackers, "find_unpacker", lambda asked: PYTHON)
    with pytest.raises(ArchiveUnsupported, match="python does not unpack PPMd") as caught:
        choose(PYTHON, [PPMD], "a.7z: x", None)
    assert "pip install '.[7zz]'" in caught.value.todo


def test_a_method_without_a_name_is_shown_by_its_id():
    assert method_name("7f7f7f") == "method 7f7f7f"


@pytest.mark.slow
def test_heads_of_members_are_right(tmp_path, rng):
    files = {f"m{i}": rng.bytes(size) for i, size in enumerate([3, 100_000, 0, 5_000_000, 20])}
    path = write_archive(tmp_path / "a.7z", files)
    assert read_heads(path, ["m4", "m1", "m2"], 16) == {name: files[name][:16] for name in ("m4", "m1", "m2")}


@needs_7zip
def test_heads_of_ppmd_members_come_from_7_zip(tmp_path, monkeypatch):
    monkeypatch.undo()
    path = seven_zip(tmp_path / "a.7z", {"a": b"first" * 9, "b": b"second" * 9}, "-m0=PPMd")
    assert read_heads(path, ["a", "b"], 6) == {"a": b"firstf", "b": b"second"}
