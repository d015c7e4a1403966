"""Makes folders of sources with many names and packings, and reads the stores converted from them.

Each source has its own localids, so that a store shows which source it was converted from.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
from archives.sevenzip import put
from makers import tfrecord_bytes, write_archive

import s2ct_convert

from .helpers import assert_says, groups

A, B = tfrecord_bytes(groups(3, 7)), tfrecord_bytes(groups(8))
Ids = dict[str, list[int]]
TRAIN: Ids = {"train/50SMG": [3, 7]}


def archive(member: str, name: str, data: bytes = A) -> Callable[[Path], object]:
    return lambda folder: write_archive(folder / name, {member: data})


def files(**content: bytes) -> Callable[[Path], object]:
    return lambda folder: [put(folder / name, data) for name, data in content.items()]


def several(*makers: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [make(folder) for make in makers]


def archive_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as packed:
        for name, data in members.items():
            packed.writestr(data, name)
    return out.getvalue()


def tar_bytes(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        packed.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(name, data)
    return out.getvalue()


def volumes(data: bytes, name: str, size: int = 10_000) -> dict[str, bytes]:
    return {f"{name}.{i // size + 1:03d}": data[i : i + size] for i in range(0, len(data), size)}


WHOLE = archive_bytes({"train_50SMG_2": A})
VOLUMES = volumes(WHOLE, "train_50SMG_2.7z")


def folders_only(folder: Path) -> None:
    with py7zr.SevenZipFile(folder / "train_50SMG_2.7z", "w") as packed:
        packed.writeall(folder / "d", "d")


def converted(run, tmp_path: Path, exit_code: int, *options: str) -> Ids:
    store = tmp_path / "x.zarr"
    done = run("convert", tmp_path / "in", store, "-j1", *options)
    assert_says(done, exit_code) if exit_code else None
    assert done.returncode == exit_code, done.stderr
    if not store.exists():
        return {}
    with s2ct_convert.open_store(store, allow_incomplete=True) as opened:
        return {name: unit.localid.tolist() for name, unit in opened.units.items()}
