"""Bytes flipped anywhere in a store: what changes anything that a reader gets is found.

Half of the places are spread over the files alike, half over the bytes, so that small files have their share.
Whether a reader gets the same is asked of plain zarr and plain h5py, with and without consolidated metadata.
"""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.verify.store import verify_store

FLIPS, BATCHES, QUICK = 25, 10, 1  # of each format; 500 in all, of which `make test` makes 50
FORMATS = {"zarr": "m.zarr", "h5": "m.h5"}


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    rng = np.random.default_rng(6)
    folder = tmp_path_factory.mktemp("mutations")
    groups = [random_group(rng, localid, n) for localid, n in ((3, 20), (8, 15))]
    groups[1].labels = groups[1].labels[:7]
    source = write_tfrecord(folder, groups)
    for name in FORMATS.values():
        s2ct_convert.convert([source], folder / name)
    return {kind: folder / name for kind, name in FORMATS.items()}


def places(path: Path, rng: np.random.Generator) -> list[tuple[Path, int, int]]:
    """Files, offsets and bits."""
    files = sorted(one for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())
    sizes = np.array([one.stat().st_size for one in files])
    out = []
    for k in range(FLIPS):
        weights = sizes / sizes.sum() if k % 2 else None
        file = files[rng.choice(len(files), p=weights)]
        out.append((file, int(rng.integers(file.stat().st_size)), int(rng.integers(8))))
    return out


def look(path: Path, connection: Any) -> None:
    """In a process of its own: whatever libraries do with broken files, the test goes on."""
    findings = [str(one) for one in verify_store(path).findings]
    try:
        seen = plain.view(path)
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
    connection.send((findings, seen))


def looked_at(path: Path) -> tuple[list[str], Any]:
    """What verification tells, and what a reader gets; a reader that dies gets nothing."""
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=look, args=(path, send))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        return [f"the process died with {process.exitcode}"], None
    finally:
        process.join()


@pytest.mark.parametrize("batch", first_quick(range(BATCHES), quick=QUICK))
@pytest.mark.parametrize("kind", list(FORMATS))
def test_no_flipped_bit_that_a_reader_sees_goes_unnoticed(stores, kind, batch, tmp_path, record_property):
    clean = plain.view(stores[kind])
    found = harmless = 0
    for number, (file, offset, bit) in enumerate(places(stores[kind], np.random.default_rng((batch, len(kind))))):
        own = tmp_path / f"{number}" / FORMATS[kind]
        own.parent.mkdir()
        (shutil.copytree if stores[kind].is_dir() else shutil.copy)(stores[kind], own)
        target = own if stores[kind].is_file() else own / file.relative_to(stores[kind])
        data = bytearray(target.read_bytes())
        data[offset] ^= 1 << bit
        target.write_bytes(data)
        findings, seen = looked_at(own)
        if findings:
            found += 1
        else:
            harmless += 1
            assert seen == clean, f"byte {offset}, bit {bit} of {target.name} changed what a reader gets"
        shutil.rmtree(own.parent)
    record_property("mutations", (f"bits flipped in {kind}", found, harmless))
