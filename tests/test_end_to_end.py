"""Converts archives to stores and finds every example in them with plain zarr or h5py."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import hdf5plugin  # noqa: F401  # registers the Blosc filter
import numpy as np
import plain
import pytest
from twins import first_quick, zarr_first

import s2ct_convert
from s2ct_convert.reading.opening import open_store
from s2ct_convert.verify.against import verify_against

EPOCH_ORDINAL = 719_163  # datetime.date(1970, 1, 1).toordinal()
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "zarr balanced": ("zarr", {}),
    "hdf5 gzip": ("h5", {}),
    "hdf5 linked": ("h5", {"linked": True}),
    "hdf5 blosc": ("h5", {"codec": "blosc"}),
    "zarr fast": ("zarr", {"codec": "fast"}),
    "zarr small": ("zarr", {"codec": "small"}),
    "zarr zstd": ("zarr", {"codec": "zstd"}),
    "zarr none": ("zarr", {"codec": "none"}),
    "hdf5 zstd": ("h5", {"codec": "zstd"}),
    "hdf5 none": ("h5", {"codec": "none"}),
}


@pytest.fixture(scope="session")
def real_store(real_sources, tmp_path_factory):
    """Convert the real sources to a store of one kind, once."""
    folder, made = tmp_path_factory.mktemp("real"), {}

    def store(kind: str) -> Path:
        if kind not in made:
            suffix, options = KINDS[kind]
            made[kind] = folder / f"{kind.replace(' ', '-')}.{suffix}"
            s2ct_convert.convert(real_sources[0], made[kind], **options)
        return made[kind]

    return store


def unit_of(stem: str) -> str:
    split, tile, _ = stem.split("_")
    return f"{split}/{tile}"


def example_of(unit: plain.Arrays, number: int) -> dict[str, Any]:
    """Rebuild one example from the arrays of a unit, in the form of the expected content."""
    rows = np.flatnonzero(unit["example"] == number)
    rows = rows[np.argsort(unit["position"][rows])]
    assert unit["position"][rows].tolist() == list(range(len(rows)))
    owners = {int(unit["localid"][sample]) for sample in unit["sample_index"][rows]}
    assert len(owners) == 1
    return {
        "localid": owners.pop(),
        "n_timestamps": len(rows),
        "image_sha256": hashlib.sha256(unit["image"][rows].astype("<u2").tobytes()).hexdigest(),
        "labels": unit["label"][rows].tolist(),
        "dates": (unit["time"][rows].astype(int) + EPOCH_ORDINAL).tolist(),
        "weights": unit["weight"][rows].astype(float).tolist(),
    }


@pytest.mark.parametrize("kind", first_quick(list(KINDS), quick=2))
def test_every_example_matches_the_archives_bit_for_bit(real_sources, real_store, kind):
    _, truth = real_sources
    path = real_store(kind)
    assert plain.unit_names(path) == sorted(map(unit_of, truth))
    for stem, examples in truth.items():
        unit = plain.arrays(path, unit_of(stem))
        assert len(unit["time"]) == sum(example["n_timestamps"] for example in examples)
        for number, example in enumerate(examples):
            found = example_of(unit, number)
            assert found == {name: example[name] for name in found}, f"{stem}, example {number}"


@pytest.mark.parametrize("kind", ["zarr balanced", "hdf5 gzip"])
def test_the_series_of_each_sample_is_contiguous_in_time_order(real_sources, real_store, kind):
    _, truth = real_sources
    for stem, examples in truth.items():
        unit = plain.arrays(real_store(kind), unit_of(stem))
        assert unit["localid"].tolist() == sorted({example["localid"] for example in examples})
        bounds = unit["row_start"].tolist()
        for i, localid in enumerate(unit["localid"].tolist()):
            rows = slice(bounds[i], bounds[i + 1])
            dates = sorted(date for example in examples if example["localid"] == localid for date in example["dates"])
            assert (unit["time"][rows] + EPOCH_ORDINAL).tolist() == dates
            assert set(unit["sample_index"][rows].tolist()) == {i}
            places = list(zip(*(unit[name][rows].tolist() for name in ("time", "example", "position")), strict=True))
            assert places == sorted(places)


@pytest.mark.parametrize("real_sources", first_quick(["sample", "shared"]), indirect=True)
def test_every_container_and_codec_has_the_same_content_digest(real_store):
    digests = {kind: plain.attributes(real_store(kind))["content_digest"] for kind in KINDS}
    assert set(digests.values()) == {plain.store_digest(real_store("zarr balanced"))}


@pytest.mark.parametrize("kind", ["zarr balanced", "hdf5 gzip", "hdf5 linked"])
def test_units_name_their_archive_and_its_md5(real_sources, real_store, kind):
    sources, _ = real_sources
    for source in sources:
        attributes = plain.attributes(real_store(kind), unit_of(source.stem))
        assert attributes["source_file"] == source.name
        assert attributes["source_bytes"] == source.stat().st_size
        assert attributes["source_md5"] == hashlib.md5(source.read_bytes()).hexdigest()
        assert attributes["source_examples"] == int(source.stem.rsplit("_", 1)[1])
        assert attributes["date_encoding"] == "ordinal"


@pytest.mark.parametrize("kind", first_quick(["zarr balanced", "hdf5 linked", "hdf5 gzip", "hdf5 blosc"], quick=2))
def test_a_store_verifies_against_its_sources(real_sources, real_store, kind):
    sources, truth = real_sources
    with open_store(real_store(kind)) as store:
        found = verify_against(store, sources)
    assert {one.unit: one.examples for one in found} == {
        unit_of(stem): len(examples) for stem, examples in truth.items()
    }
    assert [one.differences for one in found] == [()] * len(truth)


@zarr_first
@pytest.mark.slow
def test_any_number_of_jobs_gives_the_same_bytes(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    stores = [tmp_path / str(jobs) / f"x.{suffix}" for jobs in (1, 3)]
    for jobs, path in zip((1, 3), stores, strict=True):
        s2ct_convert.convert(s2ct_convert.sample_sources(), path, jobs=jobs)
    one, three = map(plain.file_bytes, stores)
    assert sorted(one) == sorted(three)
    assert [name for name in one if one[name] != three[name]] == []
