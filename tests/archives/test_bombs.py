"""Small files that unpack to much, or claim to: bounded memory, or an error that names the option which allows it."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import py7zr
import pytest
from makers import example_bytes, masked_crc, random_group, record_bytes, write_archive

import s2ct_convert
from s2ct_convert.archives.archive import open_member, read_archive, read_heads
from s2ct_convert.archives.bounds import BOUNDS, Bounds
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.archives.unpackers import Unpacker
from s2ct_convert.errors import ArchiveDamaged, SourceTooLarge
from s2ct_convert.source.example import decode_example
from s2ct_convert.source.tfrecord import RawRecord, read_raw_records

from .sevenzip import handmade, needs_7zip, put, read_member, seven_zip, with_start_header
from .streams import Trickle, bytes_list, drain, example, field

NAME = "train_50SMG_1"
FILTERS = {
    "lzma2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "lzma": [{"id": py7zr.FILTER_LZMA, "preset": 1}],
    "delta and lzma2": [{"id": py7zr.FILTER_DELTA, "dist": 2}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "bcj and lzma": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA, "preset": 1}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "zstd": [{"id": py7zr.FILTER_ZSTD}],
    "brotli": [{"id": py7zr.FILTER_BROTLI, "level": 3}],
}
ZEROS = 300 << 20
# Prints the bytes that were read, and by how many kB memory grew. Not ru_maxrss: a child starts with its parent's.
CHILD = """
import re, sys
from pathlib import Path
{imports}
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
with SourceReader(Path(sys.argv[1])) as file, {opening} as stream:
    n = 0
    while piece := stream.read(1 << 20):
        n += len(piece)
print(n, peak() - before)
"""
IMPORTS = """from s2ct_convert.archives.archive import open_member
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.source.tfrecord import unwrap
from contextlib import nullcontext"""
of_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def grown(path: Path, opening: str) -> tuple[int, int]:
    """Bytes read from a file in a process of its own, and bytes of memory that this took."""
    text = CHILD.format(imports=IMPORTS, opening=opening)
    done = subprocess.run([sys.executable, "-c", text, str(path)], capture_output=True, text=True, check=True)
    n, kb = map(int, done.stdout.split())
    return n, kb << 10


def read_within(bounds: Bounds, path: Path, name: str = NAME) -> bytes:
    """The bytes of a member, unpacked by Python."""
    with SourceReader(path) as file, open_member(file, name, unpacker=Unpacker(bounds=bounds)) as stream:
        return drain(stream)


def zeros(folder: Path) -> Path:
    path = folder / NAME
    path.touch()
    os.truncate(path, ZEROS)
    return path


@of_linux
@pytest.mark.slow
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS.keys())
def test_300_mb_of_zeros_need_little_memory(tmp_path, filters):
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", filters=filters) as archive:
        archive.write(zeros(tmp_path), NAME)
    n, memory = grown(tmp_path / "a.7z", f"open_member(file, {NAME!r})")
    assert n == ZEROS
    # Plain LZMA2 is unpacked ahead of its reader, up to a budget.
    assert memory < (200 << 20 if len(filters) == 1 and filters[0]["id"] == py7zr.FILTER_LZMA2 else 40 << 20)


@of_linux
@needs_7zip
@pytest.mark.slow
def test_300_mb_of_zeros_in_deflate64_need_little_memory(tmp_path):
    with open(zeros(tmp_path), "rb") as file:
        path = seven_zip(tmp_path / "a.7z", {NAME: file.read()}, "-m0=Deflate64", "-mx=1")
    n, memory = grown(path, f"open_member(file, {NAME!r})")
    assert n == ZEROS
    assert memory < 40 << 20


@of_linux
@pytest.mark.slow
def test_300_mb_of_zeros_in_gzip_need_little_memory(tmp_path):
    with gzip.open(tmp_path / "a.gz", "wb", 1) as file:
        for _ in range(ZEROS >> 20):
            file.write(bytes(1 << 20))
    n, memory = grown(tmp_path / "a.gz", "nullcontext(unwrap(file, where='a.gz'))")
    assert n == ZEROS
    assert memory < 40 << 20


class TestUnpackedSize:
    @pytest.mark.parametrize("claimed", [(4 << 30) + 1, 1 << 40, (1 << 63) - 1])
    def test_a_file_that_claims_a_terabyte_is_refused_before_it_is_read(self, tmp_path, claimed):
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}, claimed=claimed))
        option = re.escape(f"--max-unpacked {-(-claimed >> 30)}G")
        with pytest.raises(SourceTooLarge, match=f"a.7z: {NAME}: (.|\n)*{option}"):
            read_member(path)

    def test_a_claim_within_the_option_fails_where_the_data_ends(self, tmp_path):
        path = put(tmp_path / "a.7z", handmade({NAME: b"abc"}, claimed=1 << 40))
        with pytest.raises(ArchiveDamaged):
            read_within(Bounds(max_unpacked=1 << 41), path)

    def test_files_before_a_file_in_its_block_count(self, tmp_path):
        path = write_archive(tmp_path / "a.7z", {"first": bytes(1000), "second": bytes(10)}, filters=FILTERS["lzma"])
        for name, most in (("first", 1000), ("second", 1010)):
            assert not any(read_within(Bounds(most), path, name))
            with pytest.raises(SourceTooLarge):
                read_within(Bounds(most - 1), path, name)

    def test_a_head_behind_too_many_bytes_is_not_looked_for(self, tmp_path, monkeypatch):
        monkeypatch.setattr("s2ct_convert.archives.archive.BOUNDS", Bounds(1000))
        path = put(tmp_path / "a.7z", handmade([("first", b"abc" * 1000), ("second", b"d")]))
        assert read_heads(path, ["first"], 3) == {"first": b"abc"}
        with pytest.raises(SourceTooLarge, match=r"s2ct extract .*a\.7z FOLDER"):
            read_heads(path, ["second"], 3)

    @pytest.mark.slow
    def test_a_gzip_file_is_refused_when_it_has_unpacked_too_much(self, tmp_path):
        path = tmp_path / f"{NAME}.gz"
        path.write_bytes(gzip.compress(record_bytes(bytes(100_000))))
        (report,) = s2ct_convert.verify_sources(path, max_unpacked=99_999)
        assert isinstance(report.error, SourceTooLarge)
        assert "--max-unpacked" in report.error.todo
        (report,) = s2ct_convert.verify_sources(path, max_unpacked=100_016)
        assert not isinstance(report.error, SourceTooLarge)

    def test_the_default_grows_with_the_file(self):
        assert BOUNDS.most_unpacked(1) == 4 << 30
        assert BOUNDS.most_unpacked(550_000_000) == 55_000_000_000
        assert Bounds(7).most_unpacked(550_000_000) == 7

    @pytest.mark.slow
    @pytest.mark.parametrize("unpacker", ["python", pytest.param("7zz", marks=needs_7zip)])
    def test_extract_writes_nothing_of_a_file_that_is_too_large(self, tmp_path, unpacker):
        path = write_archive(tmp_path / "a.7z", {"a": bytes(1000), "b": bytes(1000)}, filters=FILTERS["lzma2"])
        with pytest.raises(SourceTooLarge):
            s2ct_convert.extract_archive(path, tmp_path / "out", unpacker=unpacker, max_unpacked=1999)
        assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]
        done = s2ct_convert.extract_archive(path, tmp_path / "out", unpacker=unpacker, max_unpacked=2000)
        assert [one.bytes for one in done] == [1000, 1000]


def with_dictionary(data: bytes, size: int, *, claimed: int | None = None) -> bytes:
    """An archive in LZMA whose header claims a dictionary of ``size`` bytes."""
    packed = lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}])
    coder = b"\x23\x03\x01\x01\x05\x5d" + struct.pack("<I", size)
    return handmade({NAME: data}, coder=coder, packed=packed, claimed=claimed)


class TestDictionary:
    @of_linux
    @pytest.mark.slow
    def test_a_dictionary_larger_than_the_data_takes_no_memory(self, tmp_path):
        path = put(tmp_path / "a.7z", with_dictionary(b"abc" * 1000, 0xFFFFFFFF))
        text = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30,) * 2)\n"
        text += CHILD.format(imports=IMPORTS, opening=f"open_member(file, {NAME!r})")
        done = subprocess.run([sys.executable, "-c", text, str(path)], capture_output=True, text=True)
        assert done.stdout.split()[:1] == ["3000"], done.stderr

    def test_a_large_dictionary_of_large_data_is_refused(self, tmp_path):
        path = put(tmp_path / "a.7z", with_dictionary(b"abc", 2 << 30, claimed=3 << 30))
        with pytest.raises(SourceTooLarge, match=r"dictionary(.|\n)*--max-decoding 2G"):
            read_member(path)
        with pytest.raises(ArchiveDamaged):
            read_within(Bounds(max_decoding=2 << 30), path)

    def test_the_largest_dictionary_that_7_zip_chooses_is_allowed(self, tmp_path):
        path = put(tmp_path / "a.7z", with_dictionary(b"abc", 256 << 20, claimed=4 << 30))
        with SourceReader(path) as file, open_member(file, NAME) as stream, pytest.raises(ArchiveDamaged):
            drain(stream)


@pytest.mark.parametrize("count", [b"\xfc\x00\x00\x00\x00\x01", b"\xe0\x00\x00\x00\x01", b"\xff" + b"\xff" * 8])
def test_a_header_that_claims_countless_items_is_damaged(tmp_path, count):
    """The number of files is the byte after ``05`` at the start of the list of files."""
    whole = handmade({NAME: b"abc"})
    header = whole[32 + 3 :].replace(b"\x00\x05\x01", b"\x00\x05" + count)
    path = put(tmp_path / "a.7z", with_start_header(b"abc", header))
    with pytest.raises(ArchiveDamaged):
        read_archive(path)


class TestExamples:
    def test_a_record_of_a_gigabyte_is_refused_before_it_is_read(self):
        head = struct.pack("<Q", 1 << 30)
        stream = Trickle(head + masked_crc(head) + bytes(1 << 20))
        with pytest.raises(SourceTooLarge, match=r"file: example 0, byte 0: (.|\n)*--max-decoding 4G"):
            list(read_raw_records(stream, where="file"))
        assert stream.most_asked < 1 << 20

    def test_an_example_with_large_unknown_features_is_refused(self):
        record = RawRecord(3, 70, example(("unknown", bytes_list(bytes(1 << 20)))))
        small = Bounds(max_decoding=32 << 20)
        with pytest.raises(SourceTooLarge, match=r"file: example 3, byte 70: (.|\n)*--max-decoding 1G"):
            decode_example(record, bounds=small, where="file")
        kept = decode_example(record, where="file").kept
        assert [len(one.data or b"") for one in kept if one.name == "unknown"] == [1 << 20]

    @pytest.mark.slow
    def test_an_example_with_countless_features_is_refused(self):
        names = (field(1, field(1, b"%05d" % n)) for n in range(20_000))
        with pytest.raises(SourceTooLarge, match=r"20,000 features(.|\n)*--max-decoding 2G"):
            decode_example(RawRecord(0, 0, field(1, b"".join(names))))

    def test_an_example_in_the_usual_form_is_not_parsed_and_not_refused(self, rng):
        payload = example_bytes(random_group(rng, 7, 2))
        assert len(decode_example(RawRecord(0, 0, payload), bounds=Bounds(max_decoding=1)).image) == 2

    @of_linux
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "feature",
        [
            "bytes_list(bytes(31 << 20))",
            "field(3, field(1, bytes(31 << 20)))",
            "field(3, b'\\x08\\x00' * (15 << 20))",
            "field(1, b'\\x0a\\x00' * (15 << 20))",
        ],
        ids=["one value", "numbers", "unpacked numbers", "empty values"],
    )
    def test_the_largest_unusual_example_takes_no_more_than_allowed(self, feature):
        text = (
            "import re, sys\nfrom pathlib import Path\n"
            f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
            "from archives.streams import bytes_list, example, field\n"
            "from s2ct_convert.source.example import decode_example\n"
            "from s2ct_convert.source.tfrecord import RawRecord\n"
            "def kb(what): return int(re.search(what + r':\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
            f"payload = example(('x', {feature}))\n"
            "before = kb('VmRSS')\n"
            "decode_example(RawRecord(0, 0, payload))\n"
            "print(kb('VmHWM') - before)\n"
        )
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) << 10 < 1 << 30
