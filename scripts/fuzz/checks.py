"""What must hold for any bytes: the right answer, or an error that names the place. Nothing else.

A check gets the bytes of one input. It returns True if the package answered and the answer is right, False if the
package refused the input with an error of its own. It raises ``Wrong`` for a wrong answer. Any other exception is a
defect. The first byte of an input chooses a variant, so that a fuzzer without knowledge of the formats gets past their
checksums.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from pathlib import Path

import google_crc32c

import s2ct_convert
from s2ct_convert.archives.archive import open_member, read_archive
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.dataset import DATASET
from s2ct_convert.errors import S2ctError
from s2ct_convert.source.example import Kind, decode_example, encode_example
from s2ct_convert.source.messages import ExampleMessage
from s2ct_convert.source.tfrecord import RawRecord, read_raw_records, unwrap

MOST_UNPACKED = 64 << 20  # of an archive; more takes too long for a fuzzer


class Wrong(AssertionError):
    """The package gave a wrong answer."""


class Pieces:
    """A stream of ``data`` that gives at most ``n`` bytes a read."""

    def __init__(self, data: bytes, n: int) -> None:
        self._data, self._at, self._n = data, 0, n

    def read(self, n: int, /) -> bytes:
        piece = self._data[self._at : self._at + min(n, self._n)]
        self._at += len(piece)
        return piece


def masked(data: bytes) -> bytes:
    """The masked CRC-32C of a TFRecord, as stored."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(payload: bytes) -> bytes:
    """One record of a TFRecord."""
    head = struct.pack("<Q", len(payload))
    return head + masked(head) + payload + masked(payload)


def with_right_crcs(data: bytes) -> bytes:
    """A TFRecord whose checksums fit its lengths and data, as far as the lengths make sense."""
    out, at = bytearray(data), 0
    while at + 16 <= len(out):
        out[at + 8 : at + 12] = masked(bytes(out[at : at + 8]))
        (length,) = struct.unpack_from("<Q", out, at)
        if (end := at + 12 + length) + 4 > len(out):
            break
        out[end : end + 4] = masked(bytes(out[at + 12 : end]))
        at = end + 4
    return bytes(out)


def tfrecord(data: bytes) -> bool:
    """A TFRecord, plain, gzip or zlib: records that are read to the end are exactly the bytes of the file."""
    mode, data = data[:1], data[1:]
    if mode and mode[0] & 1:
        data = with_right_crcs(data)
    pieces = Pieces(data, 7 if mode and mode[0] & 2 else 1 << 20)
    again = []
    try:
        for number, record in enumerate(read_raw_records(unwrap(pieces, where="x"), where="x", max_bytes=1 << 26)):
            if record.number != number or record.offset != sum(map(len, again)):
                raise Wrong(f"record {number} is numbered {record.number} at {record.offset}")
            again.append(framed(record.payload))
    except S2ctError as error:
        if not error.where:
            raise Wrong("an error without a place") from error
        return False
    if b"".join(again) not in (data, _unwrapped(data)):
        raise Wrong("the records are not the bytes of the file")
    return True


def _unwrapped(data: bytes) -> bytes | None:
    """What is in a gzip or zlib file; None if it is neither."""
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else zlib.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def features(payload: bytes) -> dict[str, bytes]:
    """Features of an example by name, each serialized, as protobuf reads them."""
    parsed = ExampleMessage.FromString(payload)
    return {name: one.SerializeToString(deterministic=True) for name, one in parsed.features.feature.items()}


def example(data: bytes) -> bool:
    """A payload with the right checksum: decoding never fails, and what is kept gives back every feature."""
    (record,) = read_raw_records(Pieces(framed(data), 1 << 20), where="x")
    got = decode_example(record)
    if decode_example(RawRecord(0, 0, data)).refusal != got.refusal:
        raise Wrong("two readings of one record differ")
    arrays = {"image_raw_ldseries": got.image, "labels": got.labels, "dates": got.dates, "weights": got.weights}
    values = {name: (Kind.BYTES, array.tobytes()) for name, array in arrays.items()}
    values[DATASET.features.localid] = (Kind.INT64, got.localid.to_bytes(8, "little", signed=True))
    for kept in got.kept:
        if kept.kind is Kind.RECORD:
            if kept.data != data:
                raise Wrong("a record that is kept whole is not the record")
            return not got.refusal
        if kept.data is None:
            values.pop(kept.name, None)
        else:
            values[kept.name] = (kept.kind, kept.data)
    if features(encode_example(values)) != features(data):
        raise Wrong("a feature is lost or changed")
    return not got.refusal


def with_right_header_crcs(data: bytes) -> bytes:
    """A 7z archive whose two header checksums fit, as far as its offsets make sense."""
    out = bytearray(data)
    if len(out) < 32:
        return data
    out[:6] = b"7z\xbc\xaf\x27\x1c"
    offset, size = struct.unpack_from("<QQ", out, 12)
    if 32 + offset + size <= len(out):
        out[28:32] = struct.pack("<I", zlib.crc32(out[32 + offset : 32 + offset + size]))
    out[8:12] = struct.pack("<I", zlib.crc32(out[12:32]))
    return bytes(out)


def archive(data: bytes, folder: Path) -> bool:
    """A 7z archive: members that are read to the end have the size and CRC-32 of the header; none leaves its folder."""
    mode, data = data[:1], data[1:]
    if mode and mode[0] & 1:
        data = with_right_header_crcs(data)
    path = folder / "a.7z"
    path.write_bytes(data)
    right = True
    try:
        members = read_archive(path).members
    except S2ctError:
        return False
    for member in members[:8]:
        if member.size > MOST_UNPACKED:
            right = False
            continue
        size = crc = 0
        try:
            with SourceReader(path) as file, open_member(file, member.name) as stream:
                while piece := stream.read(1 << 16):
                    size, crc = size + len(piece), zlib.crc32(piece, crc)
        except S2ctError:
            right = False
            continue
        sole = sum(one.name == member.name for one in members) == 1
        if sole and (size != member.size or (member.crc32 is not None and crc != member.crc32)):
            raise Wrong(f"{member.name!r}: {size} bytes with CRC-32 {crc:08x}")
    if sum(member.size for member in members) <= MOST_UNPACKED:
        right &= _extracted(path, folder)
    return right


def _extracted(path: Path, folder: Path) -> bool:
    target = folder / "into" / "here"
    try:
        done = s2ct_convert.extract_archive(path, target, unpacker="python")
    except S2ctError:
        done = []
    except OSError as error:
        if error.filename is None:
            raise Wrong("an error of the system without a path") from error
        done = []
    stray = [one for one in (folder / "into").rglob("*") if not one.is_relative_to(target) and one != target]
    stray += [one for one in folder.iterdir() if one.name not in ("a.7z", "into")]
    shutil.rmtree(folder / "into", ignore_errors=True)
    if stray:
        raise Wrong(f"files outside of the destination: {stray}")
    return bool(done)
