"""`verify store` finds every difference and reports its place."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import h5py
import numpy as np
import plain
import pytest
import zarr
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import NotAStore, WrongUsage
from s2ct_convert.verify.store import verify_store

UNIT = "train/50SMG"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> dict[str, Path]:
    """Two units. The 150 observations of train/50SMG are in five chunks."""
    folder = tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(11)
    sources = [
        write_tfrecord(folder, [random_group(rng, localid, n) for localid, n in ((7, 70), (9, 1), (12, 79))]),
        write_tfrecord(folder, [random_group(rng, 3, 20, label_pixels=36)], unit="val_50SMG"),
    ]
    stores = {"zarr": folder / "x.zarr", "h5": folder / "x.h5", "linked": folder / "l" / "x.h5"}
    stores["linked"].parent.mkdir()
    for kind, path in stores.items():
        s2ct_convert.convert(sources, path, linked=kind == "linked")
    return stores


@pytest.fixture(params=["zarr", "h5"])
def own(request, clean, tmp_path) -> Path:
    copy = shutil.copytree if request.param == "zarr" else shutil.copy
    return Path(copy(clean[request.param], tmp_path / f"x.{request.param}"))


@pytest.fixture
def own_zarr(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean["zarr"], tmp_path / "z.zarr"))


@pytest.fixture
def own_h5(clean, tmp_path) -> Path:
    return Path(shutil.copy(clean["h5"], tmp_path / "h.h5"))


def messages(path: Path, **options: Any) -> list[str]:
    return [str(finding) for finding in verify_store(path, **options).findings]


def shard(path: Path) -> Path:
    return path / UNIT / "image/c/0/0/0/0"


@pytest.mark.parametrize("kind", ["zarr", "h5", "linked"])
def test_an_unchanged_store_has_no_findings(clean, kind):
    seen: list[int] = []
    totals: list[int] = []
    report = verify_store(clean[kind], on_bytes=seen.append, on_total=totals.append)
    assert report.findings == []
    assert (report.units, report.samples, report.observations, report.checked) == (2, 4, 170, 170)
    assert totals == [sum(seen)] == [170 * 14112]


def test_the_bundled_sample_has_no_findings_in_both_formats(tmp_path):
    for name in ("s.zarr", "s.h5"):
        s2ct_convert.convert(s2ct_convert.sample_sources(), tmp_path / name)
        assert messages(tmp_path / name) == []


def test_units_without_observations_have_no_findings(tmp_path):
    from store.conftest import empty_group

    source = write_tfrecord(tmp_path, [empty_group(5), empty_group(4)])
    for name in ("e.zarr", "e.h5"):
        s2ct_convert.convert([source], tmp_path / name)
        assert messages(tmp_path / name) == []


class TestPixels:
    def test_a_deleted_shard_is_reported_as_missing(self, own_zarr):
        shard(own_zarr).unlink()
        assert (np.asarray(zarr.open_group(own_zarr)[f"{UNIT}/image"][...]) == 0).all()
        (finding,) = verify_store(own_zarr).findings
        assert finding.what == "this shard is missing"
        assert (finding.unit, finding.localids, finding.rows) == (UNIT, (7, 9, 12), (0, 149))
        assert finding.file == str(shard(own_zarr))

    def test_a_flipped_byte_is_reported_with_samples_rows_and_file(self, own):
        file, at, _ = plain.chunk_place(own, UNIT, 2)
        data = bytearray(file.read_bytes())
        data[at + 99] ^= 16
        file.write_bytes(data)
        (finding,) = verify_store(own).findings
        assert (finding.unit, finding.localids, finding.rows) == (UNIT, (7, 9, 12), (64, 95))
        assert finding.file == str(file)
        assert "damaged" in str(finding)

    @pytest.mark.every_variant
    @pytest.mark.parametrize("left", [0, 100, 0.5, -1])
    def test_a_truncated_shard_is_found(self, own_zarr, left):
        size = shard(own_zarr).stat().st_size
        os.truncate(shard(own_zarr), int(size * left) if 0 < left < 1 else left % size)
        assert any("shard" in one and UNIT in one for one in messages(own_zarr))

    @pytest.mark.every_variant
    @pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
    def test_a_truncated_hdf5_file_cannot_be_opened(self, own_h5, part):
        os.truncate(own_h5, int(own_h5.stat().st_size * part))
        (one,) = messages(own_h5)
        assert "cannot open the store" in one

    def test_a_missing_hdf5_chunk_is_found(self, own_h5):
        with h5py.File(own_h5, "r+") as file:
            unit = file[UNIT]
            old = unit["image"]
            chunks = [old.id.read_direct_chunk((32 * k, 0, 0, 0))[1] for k in range(5)]
            attributes = {k: v for k, v in old.attrs.items() if k != "DIMENSION_LIST"}
            made = h5py.h5d.create(unit.id, b"new", h5py.h5t.STD_U16LE, old.id.get_space(), old.id.get_create_plist())
            for k in (0, 1, 2, 4):
                made.write_direct_chunk((32 * k, 0, 0, 0), chunks[k])
            del unit["image"]
            unit.move("new", "image")
            unit["image"].attrs.update(attributes)
            for axis, dim in enumerate(("obs", "band", "y", "x")):
                unit["image"].dims[axis].attach_scale(unit[dim])
        findings = verify_store(own_h5).findings
        assert [(f.what, f.rows) for f in findings] == [("chunk 3 of image is missing", (96, 127))]

    def test_swapped_images_are_found(self, own):
        plain.edit(own, f"{UNIT}/image", lambda image: image[[1, 0, *range(2, len(image))]])
        found = messages(own)
        assert f"{UNIT}, sample 7, rows 0 to 1" in found[0]
        assert "image_crc32c does not match the image" in found[0]

    def test_swapped_observations_are_found(self, own):
        arrays = ("image", "label", "time", "weight", "image_crc32c", "example", "position")
        for array in arrays:
            plain.edit(own, f"{UNIT}/{array}", lambda column: column[[1, 0, *range(2, len(column))]])
        found = messages(own)
        assert any("not in time order" in one for one in found)

    def test_swapped_samples_of_equal_length_are_found(self, tmp_path, rng):
        """Checksums of images, order and offsets all match; only the digest differs."""
        source = write_tfrecord(tmp_path, [random_group(rng, i, 10) for i in (1, 2)])
        path = tmp_path / "x.zarr"
        s2ct_convert.convert([source], path)
        for array in ("image", "label", "time", "weight", "image_crc32c", "example", "position"):
            plain.edit(path, f"{UNIT}/{array}", lambda column: np.concatenate([column[10:], column[:10]]))
        assert any("the content digest is sha256:" in one for one in messages(path))


def replace_json(path: Path, change: Callable[[Any], None]) -> None:
    node = json.loads(path.read_text())
    change(node)
    path.write_text(json.dumps(node))


class TestTables:
    @pytest.mark.parametrize("array", ["label", "time", "weight", "image_crc32c", "example", "position", "localid"])
    def test_a_changed_value_is_found(self, own, array):
        def change(column: np.ndarray) -> np.ndarray:
            changed = column.copy()
            changed[3 % len(column)] += 1
            return changed

        plain.edit(own, f"{UNIT}/{array}", change)
        assert any(one.startswith(UNIT) for one in messages(own))

    @pytest.mark.parametrize("array", ["localid", "row_start", "label_count", "tile", "time_last"])
    def test_a_changed_value_of_the_index_is_found(self, own, array):
        plain.edit(own, f"index/{array}", lambda column: column + (np.arange(column.size).reshape(column.shape) == 0))
        assert f"index: {array} differs from the units" in messages(own)

    @pytest.mark.parametrize("array", ["label", "image", "row_size"])
    def test_a_deleted_array_is_found(self, own, array):
        if own.is_dir():
            shutil.rmtree(own / UNIT / array)
        else:
            with h5py.File(own, "r+") as file:
                del file[f"{UNIT}/{array}"]
        assert any(f"{UNIT}/{array} is missing" in one for one in messages(own))

    def test_a_deleted_unit_is_found(self, own):
        if own.is_dir():
            shutil.rmtree(own / "val/50SMG")
        else:
            with h5py.File(own, "r+") as file:
                del file["val/50SMG"]
        found = messages(own)
        assert any("units, recorded is 2" in one for one in found) or any("val" in one for one in found)

    def test_an_added_array_is_found(self, own):
        if own.is_dir():
            zarr.open_group(own, mode="r+").create_array(f"{UNIT}/mine", shape=(3,), dtype="i4")
        else:
            with h5py.File(own, "r+") as file:
                file[f"{UNIT}/mine"] = [1, 2, 3]
        assert any(f"{UNIT}/mine is not in the layout" in one for one in messages(own))

    @pytest.mark.parametrize("group", ["", UNIT])
    @pytest.mark.parametrize("name", ["history", "source_file", "a_new_one"])
    def test_a_changed_or_added_attribute_is_found(self, own, group, name):
        if own.is_dir():
            zarr.open_group(own / group, mode="r+").attrs[name] = "other"
        else:
            with h5py.File(own, "r+") as file:
                (file[group] if group else file).attrs[name] = "other"
        assert messages(own)

    def test_a_changed_attribute_of_an_array_is_found(self, own):
        if own.is_dir():
            zarr.open_group(own, mode="r+", use_consolidated=False)[f"{UNIT}/time"].attrs["units"] = (
                "days since 1970-01-02"
            )
        else:
            with h5py.File(own, "r+") as file:
                file[f"{UNIT}/time"].attrs["units"] = "days since 1970-01-02"
        assert any("time" in one for one in messages(own))

    def test_swapped_units_are_found(self, own, tmp_path):
        if own.is_dir():
            for source, target in (("train", "t"), ("val", "train"), ("t", "val")):
                (own / source).rename(own / target)
        else:
            with h5py.File(own, "r+") as file:
                for source, target in (("train", "t"), ("val", "train"), ("t", "val")):
                    file.move(source, target)
        assert any("another unit" in one or "cannot open" in one for one in messages(own))

    def test_an_unfinished_store_is_reported_as_unfinished(self, own_zarr, tmp_path):
        replace_json(own_zarr / "zarr.json", lambda node: node["attributes"].update(state="incomplete"))
        assert any("has not finished" in one for one in messages(own_zarr))
        (tmp_path / "y.h5.s2ct").mkdir()
        assert messages(tmp_path / "y.h5") == [f"{tmp_path / 'y.h5'}: the conversion of this store has not finished"]

    def test_a_missing_store_is_wrong_usage(self, tmp_path):
        with pytest.raises(NotAStore, match="this store does not exist"):
            verify_store(tmp_path / "none.zarr")


class TestZarrMetadata:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("chunk_key_encoding", {"name": "default", "configuration": {"separator": "."}}),
            ("fill_value", 7),
            ("data_type", "int16"),
            ("dimension_names", ["obs", "band", "x", "y"]),
            ("shape", [149, 4, 42, 42]),
            ("storage_transformers", ["x"]),
            ("extra", 1),
        ],
    )
    @pytest.mark.parametrize("also_in_the_copy", [False, True])
    def test_a_changed_metadata_key_is_found(self, own_zarr, key, value, also_in_the_copy):
        replace_json(own_zarr / UNIT / "image/zarr.json", lambda node: node.update({key: value}))
        if also_in_the_copy:
            copy = f"{UNIT}/image"
            replace_json(
                own_zarr / "zarr.json",
                lambda node: node["consolidated_metadata"]["metadata"][copy].update({key: value}),
            )
        assert messages(own_zarr)

    def test_a_changed_codec_is_found(self, own_zarr):
        def change(node: Any) -> None:
            node["codecs"][0]["configuration"]["codecs"][0]["configuration"]["endian"] = "big"

        replace_json(own_zarr / UNIT / "image/zarr.json", change)
        assert any("metadata differ from the layout: codecs" in one for one in messages(own_zarr))

    def test_changed_consolidated_metadata_are_found(self, own_zarr):
        def change(node: Any) -> None:
            node["consolidated_metadata"]["metadata"]["index/tile"]["attributes"]["flag_meanings"] = "50SMH"

        replace_json(own_zarr / "zarr.json", change)
        assert any("consolidated metadata of index/tile" in one for one in messages(own_zarr))

    def test_missing_consolidated_metadata_are_found(self, own_zarr):
        replace_json(own_zarr / "zarr.json", lambda node: node.pop("consolidated_metadata"))
        assert any("no consolidated metadata" in one for one in messages(own_zarr))

    def test_invalid_json_is_found(self, own_zarr):
        (own_zarr / UNIT / "time/zarr.json").write_text("{")
        assert any("not valid JSON" in one for one in messages(own_zarr))

    def test_a_shard_index_with_swapped_chunks_is_found(self, own_zarr):
        data = bytearray(shard(own_zarr).read_bytes())
        entries = len(data) - 2052
        data[entries : entries + 16], data[entries + 16 : entries + 32] = (
            data[entries + 16 : entries + 32],
            data[entries : entries + 16],
        )
        data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[entries:-4])))
        shard(own_zarr).write_bytes(data)
        assert any("image_crc32c does not match" in one for one in messages(own_zarr))


class TestPart:
    @pytest.mark.slow
    def test_the_seed_chooses_the_checked_pixels(self, tmp_path, rng):
        source = write_tfrecord(tmp_path, [random_group(rng, i, 100) for i in range(42)])
        path = tmp_path / "x.zarr"
        s2ct_convert.convert([source], path)
        report = verify_store(path, fraction=0.4, seed=1)
        assert report.ok
        assert 1000 <= report.checked <= 2100
        data = bytearray(shard(path).read_bytes())
        data[1000] ^= 1
        shard(path).write_bytes(data)
        found = {seed: bool(messages(path, fraction=0.2, seed=seed)) for seed in range(12)}
        assert set(found.values()) == {True, False}
        assert {seed: bool(messages(path, fraction=0.2, seed=seed)) for seed in range(12)} == found

    @pytest.mark.every_variant
    @pytest.mark.parametrize("fraction", [0, -1, 1.5])
    def test_a_fraction_out_of_range_is_wrong_usage(self, clean, fraction):
        with pytest.raises(WrongUsage, match="is out of range"):
            verify_store(clean["zarr"], fraction=fraction)
