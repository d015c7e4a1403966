"""A container without paths, renames and fsyncs: objects that are put once, as in a bucket."""

from __future__ import annotations

import json
import zlib

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.dataset import DATASET
from s2ct_convert.store.codecs import find_codec
from s2ct_convert.store.container import UnitFile
from s2ct_convert.units import unit as units
from s2ct_convert.units.ledger import Ledger

ROOT, UNIT = "root", "train/50SMG"


def packed(content) -> dict[str, bytes]:
    """Arrays of a group as bytes, and its attributes, which are put last."""
    out = {
        spec.name: np.ascontiguousarray(data, np.dtype(spec.dtype).newbyteorder("<")) for spec, data in content.arrays
    }
    about = {name: (array.dtype.str, array.shape) for name, array in out.items()}
    attributes = json.dumps([dict(content.attributes), about], default=np.ndarray.tolist).encode()
    return {**{name: array.tobytes() for name, array in out.items()}, "attributes": attributes}


class Work:
    """An unfinished unit in memory; in a real bucket, the parts of an upload."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def append(self, chunk: bytes, rows: int) -> None:
        self.objects[f"image/{len(self.objects)}"] = chunk

    def read(self, number: int) -> bytes:
        return self.objects[f"image/{number}"]

    def finish(self, group) -> None:
        self.objects |= packed(group)

    def files(self) -> tuple[UnitFile, ...]:
        return files(self.objects)

    def close(self) -> None:
        pass


def files(objects: dict[str, bytes]) -> tuple[UnitFile, ...]:
    return tuple(UnitFile(name, len(data), f"{zlib.crc32(data):08x}") for name, data in sorted(objects.items()))


class Bucket:
    """A container of objects by key. Each object is put once, except the root."""

    dataset = DATASET

    format, where, codec = "zarr", "bucket:x", find_codec("zarr", "fast")

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.work: dict[str, Work] = {}
        self.steps: list[str] = []
        self.room = 10**9  # bytes until a put fails

    def put(self, key: str, data: bytes) -> None:
        assert key == ROOT or key not in self.objects, f"{key} exists"
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "no room")
        self.objects[key] = data
        self.steps.append(key)

    def own(self, unit) -> dict[str, bytes]:
        return {key[len(str(unit)) + 1 :]: data for key, data in self.objects.items() if key.startswith(f"{unit}/")}

    def exists(self) -> bool:
        return bool(self.objects)

    def sweep(self) -> None:
        pass

    def begin(self, units, attributes) -> None:
        self.put(ROOT, json.dumps({**attributes, "state": "incomplete"}).encode())

    def target(self, key: str) -> Work:
        self.work[key] = Work()
        return self.work[key]

    def discard(self, key: str) -> None:
        self.work.pop(key, None)

    def publish(self, unit, key: str) -> None:
        self.drop(unit)
        for name, data in self.work[key].objects.items():
            self.put(f"{unit}/{name}", data)

    def withdraw(self, unit) -> None:
        pass

    def place(self, unit) -> str:
        return f"{self.where}/{unit}"

    def has(self, unit, files=None) -> bool:
        own = self.own(unit)
        return bool(own) and all(len(own.get(name, b"")) == size for name, size in (files or {}).items())

    def files(self, unit) -> tuple[UnitFile, ...]:
        return files(self.own(unit))

    def stands_alone(self, unit) -> bool:
        return self.has(unit)

    def set_aside(self, unit) -> None:
        self.drop(unit)

    def has_unmerged(self, units) -> bool:
        return False

    def digest(self, unit) -> str:
        return json.loads(self.own(unit)["attributes"])[0]["content_digest"]

    def drop(self, unit) -> None:
        for name in self.own(unit):
            del self.objects[f"{unit}/{name}"]

    def columns(self, unit, names):
        own = self.own(unit)
        about = json.loads(own["attributes"])[1]
        return {name: np.frombuffer(own[name], about[name][0]).reshape(about[name][1]) for name in names}

    def finalise(self, units, index, attributes) -> None:
        self.drop("index")
        for name, data in packed(index).items():
            self.put(f"index/{name}", data)
        self.put(ROOT, json.dumps(attributes).encode())

    def tidy(self, units) -> None:
        pass

    def destroy(self) -> None:
        self.objects.clear()


@pytest.fixture
def bucket(monkeypatch) -> Bucket:
    made = Bucket()
    monkeypatch.setattr(units, "make_container", lambda *args, **kwargs: made)
    write = Ledger.write

    def recorded(ledger, entry):
        write(ledger, entry)
        made.steps.append(f"entry of {entry.unit}")

    monkeypatch.setattr(Ledger, "write", recorded)
    return made


@pytest.fixture
def source(tmp_path, rng):
    return write_tfrecord(tmp_path, [random_group(rng, localid, 40) for localid in (5, 2)])  # two passes


def test_objects_of_a_unit_are_put_before_its_entry(bucket, source, tmp_path):
    s2ct_convert.convert(source, tmp_path / "x.zarr")
    *unit, entry = [step for step in bucket.steps if UNIT in step]
    assert (unit[0], unit[-1], entry) == (f"{UNIT}/image/0", f"{UNIT}/attributes", f"entry of {UNIT}")
    assert bucket.steps[0] == bucket.steps[-1] == ROOT
    assert all(step.startswith("index/") for step in bucket.steps[bucket.steps.index(entry) + 1 : -1])
    assert not bucket.work
    assert json.loads(bucket.objects[ROOT])["state"] == "complete"


def test_a_bucket_has_the_content_of_a_folder(bucket, source, tmp_path, monkeypatch):
    summary = s2ct_convert.convert(source, tmp_path / "x.zarr")
    monkeypatch.undo()
    assert s2ct_convert.convert(source, tmp_path / "real.zarr").digest == summary.digest
    real = plain.arrays(tmp_path / "real.zarr", UNIT)
    names = [name for name in real if name != "image"]
    plain.assert_same(bucket.columns(UNIT, names), {name: real[name] for name in names})


def test_a_failed_put_leaves_no_entry_and_the_unit_is_made_again(bucket, source, tmp_path):
    bucket.room = 500_000
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.convert(source, tmp_path / "x.zarr")
    assert bucket.own(UNIT) and not bucket.work
    assert json.loads(bucket.objects[ROOT])["state"] == "incomplete"
    bucket.room = 10**9
    assert len(s2ct_convert.convert(source, tmp_path / "x.zarr").converted) == 1
    assert json.loads(bucket.objects[ROOT])["state"] == "complete"
