"""Small valid inputs for each target, made from a fixed seed. A fuzzer starts from them."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import py7zr
from checks import framed

from s2ct_convert.source.example import Kind, encode_example

RNG = np.random.default_rng(20180102)


def examples() -> list[bytes]:
    """Serialized tf.train.Examples: plain, with features that are missing, of other kinds or unknown, and empty."""
    plain = {
        "localid": (Kind.INT64, (7).to_bytes(8, "little")),
        "image_raw_ldseries": (Kind.BYTES, RNG.integers(0, 4000, (1, 4, 42, 42), dtype="<u2").tobytes()),
        "labels": (Kind.BYTES, b"\x03"),
        "dates": (Kind.BYTES, (737000).to_bytes(8, "little")),
        "weights": (Kind.BYTES, np.float32(0.5).tobytes()),
    }
    small = {**plain, "image_raw_ldseries": (Kind.BYTES, b"")}
    floats = {"weights": (Kind.FLOAT, np.float32([0.5, np.nan]).tobytes()), "other": (Kind.INT64, bytes(24))}
    out = [plain, small, {**small, **floats}, {"labels": (Kind.BYTES, b"abc")}, {}]
    return [encode_example(one) for one in out]


def tfrecords() -> list[bytes]:
    """A mode byte (1: repair the checksums, 2: short reads), then a TFRecord in each of its wrappers."""
    payloads = [b"", b"a", b"some data" * 9, examples()[1]]
    plain = b"".join(map(framed, payloads))
    forms = [plain, framed(b""), gzip.compress(plain), gzip.compress(plain) * 2, zlib.compress(plain)]
    return [bytes([mode]) + form for form in forms for mode in range(4)]


def archives() -> list[bytes]:
    """A mode byte (1: repair the checksums of the headers), then a 7z archive by py7zr or 7-Zip."""
    random.seed(3)
    text = b"".join(map(framed, [b"x" * 300, random.randbytes(500)]))
    contents = [{"train_50SMG_2": text}, {"a": b"", "b/c": text, "d": text[::-1]}]
    packed = []
    methods: list[list[dict[str, Any]]] = [[{"id": one}] for one in (py7zr.FILTER_COPY, py7zr.FILTER_LZMA)]
    methods += [[{"id": one}] for one in (py7zr.FILTER_LZMA2, py7zr.FILTER_BZIP2, py7zr.FILTER_DEFLATE)]
    methods += [[{"id": py7zr.FILTER_DELTA}, {"id": py7zr.FILTER_LZMA2}], [{"id": py7zr.FILTER_ZSTD}]]
    for filters in methods:
        for files in contents:
            whole = io.BytesIO()
            with py7zr.SevenZipFile(whole, "w", filters=filters) as archive:
                for name, data in files.items():
                    archive.writestr(data, name)
            packed.append(whole.getvalue())
    packed += by_7zip(text)
    return [bytes([mode]) + one for one in packed for mode in (0, 1)]


def by_7zip(text: bytes) -> list[bytes]:
    """Archives by 7-Zip with plain headers and several blocks; none if it is not installed."""
    program = shutil.which("7zz") or shutil.which("7z")
    out = []
    options = (["-mhc=off"], ["-mhc=off", "-mx0"], ["-ms=off"], ["-m0=lzma2:d=1m", "-mmt4"]) if program else ()
    for chosen in options:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in ("train_50SMG_2", "val_50SMG_2"):
                (folder / file).write_bytes(text)
            command = [str(program), "a", *chosen, "x.7z", "train_50SMG_2", "val_50SMG_2"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            out.append((folder / "x.7z").read_bytes())
    return out


def documents() -> list[bytes]:
    """A byte that chooses the reader, then JSON or text as it is on the disk or from the service."""
    md5 = "0" * 32
    entry = {"key": "train_50SMG_2.7z", "size": 7, "checksum": f"md5:{md5}"}
    lock = {"s2ct_lock": 1, "record": "1", "files": [{"key": "a", "md5": md5, "size": 1}], "doi": "10.1/x"}
    place = {"source": "/x/train_50SMG_2", "member": None}
    unit = {"number": 1, "unit": "train/50SMG", **place, "name_count": 2, "bytes": 7, "mtime_ns": 8}
    options = {"format": "zarr", "codec": "blosc", "linked": False, "layout": 3}
    texts: list[Any] = [
        {"id": 1, "files": [entry]},
        {"entries": {"a": entry}},
        lock,
        {**options, "units": ["train/50SMG"]},
        {"s2ct_plan": 1, "hash": "x", "store": "/x.zarr", **options, "units": [unit]},
        {"host": "a", "pid": 7, "boot": "b", "started": 3, "lease": "c"},
        {"md5": md5, "size": 1, "mtime_ns": 2, "inode": 3},
        {"file": "a", "units": [{"unit": "train/50SMG", "member": None, "content": [1, 2]}]},
        {"s2ct_export": "1", "format": "parquet", "files": {"a.parquet": {"samples": 1}}},
        ["train_50SMG_2.7z"],
    ]
    lists = [f"{md5}  a\n{md5} *b\n".encode(), f"\\{md5}  a\\nb\n".encode()]
    bodies = [json.dumps(one).encode() for one in texts] + lists
    return [bytes([reader]) + body for body in bodies for reader in range(16)]
