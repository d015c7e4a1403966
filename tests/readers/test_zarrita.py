"""zarrita.js under Node reads equal arrays, as a web page would.

Install it once: ``npm install --prefix tests/readers/zarrita``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from .expected import assert_equal

HOME = Path(__file__).parent / "zarrita"
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HOME / "node_modules/zarrita").exists(),
        reason="zarrita is not installed: npm install --prefix tests/readers/zarrita",
    ),
]


def node(store, folder, names):
    command = ["node", HOME / "read.mjs", store, folder, *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def with_zarrita(store, folder, names):
    done = node(store, folder, names)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["array"] for answer in answers] == names
    for n, answer in enumerate(answers):
        yield np.fromfile(folder / f"{n}.bin", answer["dtype"]).reshape(answer["shape"]), answer["dimensions"]


def test_every_array_is_equal(stores, expected, tmp_path):
    wanted = {f"{group}/{name}": array for group, arrays in expected.items() for name, array in arrays.items()}
    found = with_zarrita(stores["zarr"], tmp_path, list(wanted))
    for (name, array), (values, dimensions) in zip(wanted.items(), found, strict=True):
        assert_equal(values, array, name)
        assert len(dimensions) == array.ndim


def test_images_in_two_shards_and_a_slice_across_are_equal(long_unit, tmp_path):
    store, images = long_unit
    names = ["train/50SMG/image", "train/50SMG/image[4090:4100]"]
    (whole, dimensions), (part, _) = with_zarrita(store, tmp_path, names)
    assert dimensions == ["obs", "band", "y", "x"]
    assert_equal(whole, images, "image")
    assert_equal(part, images[4090:4100], "image")


def test_zarrita_does_not_check_checksums(stores, expected, tmp_path):
    """The array ``image_crc32c`` reveals the change. If this fails, update docs/readers.md."""
    unit = expected["val/34VFN"]
    store = shutil.copytree(stores["zarr"] / "val/34VFN", tmp_path / "unit")
    shard = store / "image/c/0/0/0/0"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    ((image, _),) = with_zarrita(store, tmp_path, ["image"])
    wrong = [google_crc32c.value(rows.tobytes()) for rows in image] != unit["image_crc32c"]
    assert wrong.sum() == 1
    assert np.array_equal(wrong, (image != unit["image"]).any(axis=(1, 2, 3)))
