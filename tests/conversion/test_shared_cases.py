"""Shared cases of content, with what TensorFlow and the authors' parser read. Skipped if the cases are absent."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pytest
import records

import s2ct_convert
from s2ct_convert import open_store
from s2ct_convert.verify.against import verify_against
from s2ct_convert.verify.store import verify_store

SHARED = Path(__file__).resolve().parents[3] / "shared"
MAKER, ANSWERS = SHARED / "tools" / "make_cases.py", SHARED / "data" / "cases.json"
CASES: dict[str, Any] = json.loads(ANSWERS.read_text())["content"] if ANSWERS.exists() else {}
QUICK = {"zarr": 16, "h5": 40}  # `make test` takes every 16th and every 40th case
UNIT = "train/50SMG"
NO_DAY = -(2**31)

pytestmark = pytest.mark.skipif(
    not (CASES and MAKER.exists() and (shutil.which("7zz") or shutil.which("7z"))),
    reason="needs the shared cases and 7-Zip",
)


def each() -> list[Any]:
    return [
        pytest.param(suffix, name, id=f"{suffix} {name}", marks=[] if i % every == 0 else [pytest.mark.slow])
        for suffix, every in QUICK.items()
        for i, name in enumerate(CASES or ["none"])
    ]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the folder of a case when the first test needs it."""
    folder = tmp_path_factory.mktemp("cases")

    @functools.cache
    def make(name: str) -> Path:
        command = [sys.executable, MAKER, folder / name, name]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return folder / name / name

    return make


def content(source: Path) -> list[records.Features | bytes]:
    """Features of every record of an archive, unpacked by 7-Zip."""
    (archive,) = source.glob("*.7z")
    program = shutil.which("7zz") or shutil.which("7z")
    done = subprocess.run([str(program), "x", "-so", str(archive)], capture_output=True, check=True, timeout=60)
    data = done.stdout
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    return [records.features(payload) for payload in records.payloads(data)]


@pytest.mark.parametrize(("suffix", "name"), each())
def test_stores_hold_what_tensorflow_reads_and_export_it_again(folder_of, tmp_path, suffix, name):
    case, source = CASES[name], folder_of(name)
    store = tmp_path / f"x.{suffix}"
    s2ct_convert.convert([source], store, jobs=1)
    read = case["tf"]["examples"]
    assert_as_read(store, read, case.get("time"))
    with open_store(store) as opened:
        if "error" not in case["tf"]:
            assert opened[UNIT].attributes["source_examples"] == len(read)
        (compared,) = verify_against(opened, [source])
        (one,) = s2ct_convert.export_tfrecord(opened, tmp_path / "back")
    assert compared.differences == ()
    assert records.all_features(one.path) == content(source)
    assert [str(finding) for finding in verify_store(store).findings] == []


def assert_as_read(store: Path, read: list[dict[str, Any]], time: list[list[str | None]] | None) -> None:
    """Check that the arrays hold what TensorFlow reads, and that times match the known dates."""
    arrays = plain.arrays(store, UNIT)
    order = np.lexsort((arrays["position"], arrays["example"]))
    bounds = np.searchsorted(arrays["example"][order], np.arange(len(read) + 1))
    for i, one in enumerate(read):
        rows = order[bounds[i] : bounds[i + 1]]
        own = {name: arrays[name][rows] for name in ("image", "date", "label", "weight", "time", "sample_index")}
        assert len(rows) == one["n"]
        if one["n"]:
            assert hashlib.sha256(own["image"].astype("<u2").tobytes()).hexdigest() == one["image_sha256"]
        assert (arrays["localid"][own["sample_index"]] == one["localid"]).all()
        for array, feature in (("date", "dates"), ("weight", "weights"), ("label", "labels")):
            if isinstance(one[feature], list) and len(one[feature]) == own[array].size:
                assert own[array].ravel().tolist() == one[feature], array
            elif isinstance(one[feature], dict) and one[feature]["count"] == own[array].size:
                assert hashlib.sha256(own[array].tobytes()).hexdigest() == one[feature]["sha256_int8"], array
        if time:
            days = [None if day == NO_DAY else str(np.datetime64(day, "D")) for day in own["time"].tolist()]
            assert days == time[i]
