"""Bits flipped anywhere in a store: verification finds every flip that changes the values of a reader.

Half of the places are uniform over the files, half over the bytes, so that small files are hit too.
Plain zarr and plain h5py, with and without consolidated metadata, show whether a reader gets the same values.
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

FLIPS, BATCHES, QUICK = 10, 25, 1  # per format; 500 in total, of which `make test` makes 20
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


def inspect_and_send(path: Path, connection: Any) -> None:
    """Body of a separate process: a library that crashes on a broken file does not stop the test."""
    findings = [str(one) for one in verify_store(path).findings]
    try:
        seen = plain.view(path)
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
    connection.send((findings, seen))


def inspect(path: Path) -> tuple[list[str], Any]:
    """Findings of verification, and the values of a reader; None if the process dies."""
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=inspect_and_send, args=(path, send))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        return [f"the process died with {process.exitcode}"], None
    finally:
        process.join()


@pytest.mark.every_variant
@pytest.mark.parametrize("batch", first_quick(range(BATCHES), quick=QUICK))
@pytest.mark.parametrize("kind", list(FORMATS))
def test_every_flipped_bit_that_a_reader_sees_is_found(stores, kind, batch, tmp_path, record_property):
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
        findings, seen = inspect(own)
        if findings:
            found += 1
        else:
            harmless += 1
            assert seen == clean, f"byte {offset}, bit {bit} of {target.name} changed what a reader gets"
        shutil.rmtree(own.parent)
    record_property("mutations", (f"bits flipped in {kind}", found, harmless))
