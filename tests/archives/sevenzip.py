"""7z archives made by 7-Zip, and handmade ones with unusual headers (7zFormat.txt of the LZMA SDK)."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from s2ct_convert.archives.archive import open_member, read_archive
from s2ct_convert.archives.stream import SourceReader

from .native_programs import PROGRAM
from .streams import drain

_TOOL = shutil.which("7zz") or shutil.which("7z") or PROGRAM.program
needs_7zip = pytest.mark.skipif(_TOOL is None, reason="7-Zip (7zz or 7z) is not installed")

COPY = b"\x01\x00"  # a coder: its flags with the length of its id, then the id


def seven_zip(archive: Path, files: dict[str, bytes], *options: str) -> Path:
    """Pack ``files`` with 7-Zip. Their names may contain folders."""
    tree = archive.parent / f"{archive.name}.files"
    for name, data in files.items():
        put(tree / name, data)
    tops = sorted({name.split("/")[0] for name in files})
    subprocess.run(
        [str(_TOOL), "a", *options, str(archive.resolve()), *tops], cwd=tree, check=True, capture_output=True
    )
    return archive


def handmade(
    files: dict[str, bytes] | list[tuple[str, bytes]],
    *,
    coder: bytes = COPY,
    file_crc: bool = True,
    folder_crc: bool = False,
    substreams: bool = True,
    written: int | None = None,
    claimed: int | None = None,
    packed: bytes | None = None,
) -> bytes:
    """An archive of one solid block with a plain header.

    ``file_crc`` and ``folder_crc`` choose where checksums are. ``substreams`` adds the optional section that divides a
    block into files. ``written`` is a modification time in 100 ns since 1601, ``claimed`` a false unpacked size.
    ``packed`` are the packed bytes, for a coder that compresses.
    """
    names, contents = zip(*(files.items() if isinstance(files, dict) else files), strict=True)
    joined = b"".join(contents)
    packed = joined if packed is None else packed
    unpacked = len(joined) if claimed is None else claimed
    crcs = b"\x01" + b"".join(struct.pack("<I", zlib.crc32(data)) for data in contents)
    pack_info = b"\x06" + _number(0) + _number(1) + b"\x09" + _number(len(packed)) + b"\x00"
    folder = b"\x07\x0b" + _number(1) + b"\x00" + _number(1) + coder + b"\x0c" + _number(unpacked)
    folder += (b"\x0a\x01" + struct.pack("<I", zlib.crc32(joined)) if folder_crc else b"") + b"\x00"
    section = b""
    if substreams:
        section = b"\x08"
        if len(names) > 1:
            section += b"\x0d" + _number(len(names)) + b"\x09" + b"".join(_number(len(d)) for d in contents[:-1])
        section += (b"\x0a" + crcs if file_crc else b"") + b"\x00"
    name_list = b"\x00" + b"".join(name.encode("utf-16-le", "surrogatepass") + b"\x00\x00" for name in names)
    infos = _property(0x11, name_list)
    if written is not None:
        infos += _property(0x14, b"\x01\x00" + struct.pack("<Q", written) * len(names))
    header = b"\x01\x04" + pack_info + folder + section + b"\x00\x05" + _number(len(names)) + infos + b"\x00\x00"
    return with_start_header(packed, header)


def put(path: Path, data: bytes) -> Path:
    """Write a file and make its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def with_start_header(packed: bytes, header: bytes) -> bytes:
    """Prepend the 32 bytes that locate the header."""
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + header


def _number(value: int) -> bytes:
    """A 7z number: the leading ones of the first byte count the bytes that follow."""
    for extra in range(8):
        if value < 1 << 7 * (extra + 1):
            first = 0xFF00 >> extra & 0xFF | value >> 8 * extra
            return bytes([first]) + (value & (1 << 8 * extra) - 1).to_bytes(extra, "little")
    return b"\xff" + value.to_bytes(8, "little")


def _property(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + _number(len(data)) + data


def read_member(path: Path, name: str | None = None, *, piece: int = 1 << 20) -> bytes:
    """Read a member (the only one if no name is given) through the stream under test."""
    if name is None:
        (only,) = read_archive(path).members
        name = only.name
    with SourceReader(path, with_md5=False) as file, open_member(file, name) as stream:
        return drain(stream, piece)
