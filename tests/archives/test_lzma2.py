"""Unpacking LZMA2 block by block gives the bytes of py7zr, in bounded memory, and finds all damage."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import py7zr
import pytest
from makers import flip, write_archive
from twins import first_quick

from s2ct_convert.archives import archive as archive_module
from s2ct_convert.archives import lzma2
from s2ct_convert.archives.archive import open_member
from s2ct_convert.archives.lzma2 import Lzma2Stream
from s2ct_convert.archives.lzma2_chunks import count_blocks, find_packed, scan
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.errors import ArchiveDamaged, SourceError

from .sevenzip import handmade, put, read_member

SEVEN = shutil.which("7zz") or shutil.which("7z")
needs_7zip = pytest.mark.skipif(SEVEN is None, reason="7-Zip is not installed")
NAME = "train_50SMG_9"


@pytest.fixture(scope="module")
def data() -> bytes:
    """9 MB that LZMA2 packs to half the size, including a part that it cannot compress."""
    rng = np.random.default_rng(5)
    smooth = np.cumsum(rng.integers(-20, 21, 4_000_000), dtype=np.int64).astype("<u2").tobytes()
    return smooth + rng.bytes(1_000_000)


KINDS = {
    "one block": ["-mmt=1", "-mx=1"],
    "blocks": ["-mx=1", "-mmt=4", "-m0=lzma2:d=64k:c=1m"],
    "large dictionary": ["-mx=1", "-m0=lzma2:d=256m", "-mmt=1"],
}


@pytest.fixture(scope="module")
def archive(data, tmp_path_factory) -> Callable[[str], Path]:
    """The same bytes, packed by py7zr or by 7-Zip, in one block or in several; made once."""
    folder = tmp_path_factory.mktemp("lzma2")

    @cache
    def make(kind: str) -> Path:
        path = folder / f"{kind}.7z"
        if kind == "py7zr":
            return write_archive(path, {NAME: data}, filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}])
        (folder / NAME).write_bytes(data)
        subprocess.run([SEVEN, "a", *KINDS[kind], path, folder / NAME], check=True, stdout=subprocess.DEVNULL)
        return path

    return make


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("s2ct-scan", "s2ct-unpack"))]


def unpack(path: Path, *, threads: int = 2, piece: int = 1 << 20, name: str = NAME) -> tuple[bytes, str, int]:
    """Content, md5 of the archive, and the bytes reported as progress."""
    reported: list[int] = []
    with SourceReader(path, on_bytes=reported.append) as file:
        with open_member(file, name, threads=threads) as stream:
            out = b"".join(iter(lambda: stream.read(piece), b""))
        return out, str(file.md5()), sum(reported)


def blocks(path: Path) -> int:
    with SourceReader(path, with_md5=False) as file, py7zr.SevenZipFile(file) as opened:
        packed = find_packed(opened, opened.files[0], None)
        assert packed is not None
        return count_blocks(file.fileno(), packed, "x")


@pytest.mark.parametrize("kind", ["one block", "blocks", "large dictionary", "py7zr"])
@pytest.mark.parametrize("threads", first_quick([2, 1, 5]))
def test_bytes_md5_and_progress_are_right(archive, data, kind, threads):
    if SEVEN is None and kind != "py7zr":
        pytest.skip("7-Zip is not installed")
    path = archive(kind)
    out, md5, reported = unpack(path, threads=threads)
    assert out == data
    assert md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert reported == path.stat().st_size
    assert not threads_of_ours()


@needs_7zip
@pytest.mark.slow
def test_blocks_are_counted(archive):
    assert blocks(archive("one block")) == 1
    assert blocks(archive("blocks")) == 9


@pytest.mark.parametrize("piece", [1, 12, 4097])
def test_pieces_of_any_size_give_the_same_bytes(tmp_path, piece):
    data = bytes(range(256)) * 40
    path = write_archive(tmp_path / "a.7z", {NAME: data})
    assert unpack(path, piece=piece)[0] == data


def test_lzma2_stream_is_used_for_plain_lzma2_only(tmp_path, data, monkeypatch):
    used: list[str] = []

    class Noted(Lzma2Stream):
        def __init__(self, *args, **options) -> None:
            used.append(options["where"])
            super().__init__(*args, **options)

    monkeypatch.setattr(archive_module, "Lzma2Stream", Noted)
    small = data[:100_000]
    lzma2_only = [{"id": py7zr.FILTER_LZMA2, "preset": 1}]
    for number, (filters, mine) in enumerate(
        [
            (lzma2_only, True),
            ([{"id": py7zr.FILTER_DELTA, "dist": 2}, *lzma2_only], False),
            ([{"id": py7zr.FILTER_X86}, *lzma2_only], False),
            ([{"id": py7zr.FILTER_LZMA, "preset": 1}], False),
            ([{"id": py7zr.FILTER_BZIP2}], False),
            ([{"id": py7zr.FILTER_COPY}], False),
        ]
    ):
        used.clear()
        path = write_archive(tmp_path / f"{number}.7z", {NAME: small}, filters=filters)
        assert unpack(path)[0] == small
        assert bool(used) == mine, filters
    solid = write_archive(tmp_path / "solid.7z", {"other": small[::-1], NAME: small}, filters=lzma2_only)
    used.clear()
    assert unpack(solid)[0] == small
    assert not used


@needs_7zip
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_members_of_two_blocks_are_read(tmp_path, data):
    for name, part in (("first", data[:300_000]), (NAME, data[300_000:900_000])):
        (tmp_path / name).write_bytes(part)
    path = tmp_path / "two.7z"
    command = [SEVEN, "a", "-ms=off", "-mx=1", path, tmp_path / "first", tmp_path / NAME]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert unpack(path)[0] == data[300_000:900_000]
    assert unpack(path, name="first")[0] == data[:300_000]


@needs_7zip
@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_anywhere_is_an_error(archive, data, tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = archive("blocks")
    size = path.stat().st_size
    own = flip(path, int(rng.integers(32, size - 200)), to=tmp_path / "x.7z", bit=int(rng.integers(8)))
    with pytest.raises(SourceError):
        unpack(own)


@needs_7zip
def test_a_changed_chunk_header_is_reported_with_its_offset(archive, tmp_path):
    path = archive("blocks")
    with SourceReader(path, with_md5=False) as file, py7zr.SevenZipFile(file) as opened:
        packed = find_packed(opened, opened.files[0], None)
        chunks = list(scan(file.fileno(), packed, "x"))
    data = bytearray(path.read_bytes())
    data[packed.offset + chunks[5].offset] = 0x7F
    (tmp_path / "x.7z").write_bytes(data)
    with pytest.raises(ArchiveDamaged, match=f"at byte {packed.offset + chunks[5].offset:,}"):
        unpack(tmp_path / "x.7z")


@needs_7zip
def test_bytes_before_the_damage_are_returned(archive, data, tmp_path):
    path = archive("blocks")
    own = flip(path, path.stat().st_size // 2, to=tmp_path / "x.7z")
    got = b""
    with SourceReader(own) as file, open_member(file, NAME, threads=2) as stream, pytest.raises(ArchiveDamaged):
        while piece := stream.read(1 << 16):
            got += piece
    assert len(got) >= 3_000_000
    assert got[:3_000_000] == data[:3_000_000]


@pytest.mark.parametrize("after", [0, 1, 3_000_000])
def test_an_early_stop_leaves_no_thread(archive, after):
    path = archive("blocks" if SEVEN else "py7zr")
    with SourceReader(path) as file, open_member(file, NAME, threads=3) as stream:
        got = 0
        while got < after:
            got += len(stream.read(1 << 16))
    assert not threads_of_ours()


@pytest.mark.slow
def test_an_unknown_header_layout_of_py7zr_is_only_a_warning(archive, data, monkeypatch):
    def changed(*args: object) -> None:
        raise AttributeError("'Header' object has no attribute 'main_streams'")

    monkeypatch.setattr(archive_module, "find_packed", changed)
    with pytest.warns(RuntimeWarning, match="unpacking with one thread"):
        assert unpack(archive("py7zr"))[0] == data


@needs_7zip
def test_the_buffer_is_bounded(archive, data, monkeypatch):
    monkeypatch.setattr(lzma2, "BUDGET_BYTES", 3 << 20)
    monkeypatch.setattr(lzma2, "HEAD_BYTES", 1 << 20)
    most = 0
    with SourceReader(archive("blocks")) as file, open_member(file, NAME, threads=4) as stream:
        out = b""
        while piece := stream.read(100_000):
            out += piece
            most = max(most, stream._buffered)
    assert out == data
    assert most <= (3 << 20) + (1 << 20)


BOMB = """
import resource, sys
from pathlib import Path
from s2ct_convert.archives.archive import open_member
from s2ct_convert.archives.stream import SourceReader
with SourceReader(Path(sys.argv[1])) as file, open_member(file, sys.argv[2], threads=2) as stream:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n = 0
    while piece := stream.read(1 << 20):
        n += len(piece)
    print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_block_packed_a_thousand_to_one_needs_bounded_memory(tmp_path):
    size = 600 << 20
    with open(tmp_path / NAME, "wb") as file:
        os.truncate(file.fileno(), size)
    with py7zr.SevenZipFile(tmp_path / "b.7z", "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 0}]) as archive:
        archive.write(tmp_path / NAME, NAME)
    assert (tmp_path / "b.7z").stat().st_size < size / 1000
    command = [sys.executable, "-c", BOMB, tmp_path / "b.7z", NAME]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    n, grown_kb = map(int, done.stdout.split())
    assert n == size
    assert grown_kb * 1024 < lzma2.BUDGET_BYTES + (64 << 20)


def test_a_dictionary_size_that_no_encoder_writes_is_an_error(tmp_path):
    path = put(tmp_path / "a.7z", handmade({"a": b"\x01\x00\x02abc\x00"}, coder=b"\x21\x21\x01\x29", claimed=3))
    with pytest.raises(ArchiveDamaged):
        read_member(path)
