"""Readers of Zarr that share no code with zarr-python find the same values."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain
import pytest

GROUPS = ("train/49RGN", "train/50SMG", "val/50SMG", "index")
HERE = Path(__file__).parent


@pytest.fixture(params=["balanced", "fast", "small"])
def store(request, made, made_sources, tmp_path) -> Path:
    """A store of each codec."""
    import s2ct_convert

    if request.param == "balanced":
        return made["zarr"]
    path = tmp_path / "x.zarr"
    s2ct_convert.convert(made_sources[1:2], path, codec=request.param)
    return path


def groups(store: Path) -> list[str]:
    return [*plain.unit_names(store), "index"]


def test_tensorstore(store):
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore is not installed")
    for group in groups(store):
        for name, expected in plain.arrays(store, group).items():
            spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store / group / name)}}
            array = tensorstore.open(spec, read=True).result()
            found = array.read().result()
            plain.assert_same({name: np.asarray(found)}, {name: expected})
            if name == "image":
                assert array.domain.labels == ("obs", "band", "y", "x")
                np.testing.assert_array_equal(array[5:9].read().result(), expected[5:9])


ZARRS = """
import hashlib, json, sys, warnings
import zarr, zarrs
zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
warnings.simplefilter("error")
out = {}
for name in json.loads(sys.argv[2]):
    array = zarr.open_array(sys.argv[1], path=name, mode="r")
    out[name] = hashlib.sha256(array[...].tobytes()).hexdigest()
print(json.dumps(out))
"""


def test_zarrs(store):
    """In a process of its own: it takes the place of zarr-python's codecs."""
    pytest.importorskip("zarrs", reason="zarrs is not installed")
    expected = {
        f"{group}/{name}": hashlib.sha256(array.tobytes()).hexdigest()
        for group in groups(store)
        for name, array in plain.arrays(store, group).items()
    }
    command = [sys.executable, "-c", ZARRS, store, json.dumps(sorted(expected))]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.fixture(scope="session")
def zarrita(tmp_path_factory) -> Path:
    """A folder with zarrita.js, from the npm registry."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("zarrita")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--no-audit", "--no-fund", "zarrita@0.7", "@zarrita/storage@0.2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"zarrita.js could not be installed: {done.stderr.splitlines()[-1:]}")
    shutil.copy(HERE / "read_zarrita.mjs", folder)
    return folder


def test_zarrita_js(store, zarrita):
    expected = {}
    for group in groups(store):
        for name, array in plain.arrays(store, group).items():
            expected[f"{group}/{name}"] = [list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    command = ["node", "read_zarrita.mjs", store, json.dumps(sorted(expected))]
    done = subprocess.run(list(map(str, command)), cwd=zarrita, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
