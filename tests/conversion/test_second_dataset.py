"""A made-up data set with other features, bands, patches, classes and days needs only another ``Dataset``."""

from __future__ import annotations

import datetime
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pytest
import records
from makers import Group, example_bytes, feature_bytes, flip, record_bytes

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch, run_units
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.conversion.describe import describe
from s2ct_convert.conversion.plan_file import read_plan, write_plan
from s2ct_convert.dataset import DATASET, Band, Dataset, Features
from s2ct_convert.errors import DestinationExists, NotAsDescribed, StoreDamaged, WrongUsage
from s2ct_convert.show.info import print_info
from s2ct_convert.units.entries import StoreOptions
from s2ct_convert.units.options import PlanOptions
from s2ct_convert.units.plan import make_plan

MADE_UP = Dataset(
    record="",
    doi="https://doi.org/10.1234/made-up",
    paper="",
    citation="Nobody. Lakes from above. 2004.",
    title="Lakes seen by Landsat",
    summary="Time series of 16 x 16 pixel patches of three bands at 30 m.",
    creators="nobody",
    creator_institution="nowhere",
    sensor="Landsat 5 TM",
    mission="Landsat",
    platform="Landsat 5",
    features=Features(localid="id", image="image/raw", labels="cover", dates="day", weights="trust"),
    bands=(Band("TM3", 660.0), Band("TM4", 830.0), Band("TM5", 1650.0)),
    height=16,
    width=16,
    resolution_m=30,
    label="cover",
    classes=("land", "water", "ice", "cloud"),
    centre=4,
    first_day=datetime.date(1984, 3, 1),
    published=datetime.date(2004, 1, 1),
)
SHAPE = (3, 16, 16)
DAY = datetime.date(1999, 5, 1)
SINCE_1970 = (DAY - datetime.date(1970, 1, 1)).days
KINDS = {
    "zarr": ("x.zarr", {}),
    "hdf5": ("x.h5", {"jobs": 2}),  # units in worker processes
    "linked": ("linked/x.h5", {"codec": "blosc", "linked": True}),
}


def group(rng: np.random.Generator, localid: int, n: int, *, first: int = 0, side: int = 1) -> Group:
    """An example with timestamps 16 days apart; ``first`` is the number of its first timestamp."""
    return Group(
        localid,
        rng.integers(0, 255, (n, *SHAPE), dtype=np.uint16),
        rng.integers(0, 4, n * side * side, dtype=np.int8),
        DAY.toordinal() + 16 * (first + np.arange(n, dtype=np.int64)),
        rng.random(n, dtype=np.float32),
    )


def payload(one: Group) -> bytes:
    return example_bytes(one, MADE_UP.features.names)


def write(path: Path, payloads: list[bytes]) -> Path:
    path.write_bytes(b"".join(map(record_bytes, payloads)))
    return path


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    """The second and the fourth are one sample. The samples are not sorted, so the unit needs a second pass."""
    rng = np.random.default_rng(1999)
    sizes = ((9, 20, 0), (4, 40, 0), (12, 7, 0), (4, 10, 40))
    return [group(rng, localid, n, first=first) for localid, n, first in sizes]


@pytest.fixture(scope="module")
def sources(tmp_path_factory, groups) -> list[Path]:
    """The examples of ``groups``, and a unit with 4 x 4 labels, an unknown feature and patches of another size."""
    folder, rng = tmp_path_factory.mktemp("in"), np.random.default_rng(5)
    odd = replace(group(rng, 2, 1), image=rng.integers(0, 9, (3, 16, 15), dtype=np.uint16))
    more = feature_bytes("altitude", b"\x12\x06\x0a\x04\0\0\0\0")
    others = [payload(group(rng, 1, 33, side=4)), payload(group(rng, 3, 2, side=4)) + more, payload(odd)]
    return [write(folder / "train_50SMG_4", list(map(payload, groups))), write(folder / "val_50SMG_3", others)]


@pytest.fixture(scope="module")
def stores(tmp_path_factory, sources) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    (folder / "linked").mkdir()
    for name, options in KINDS.values():
        s2ct_convert.convert(sources, folder / name, dataset=MADE_UP, **options)
    return {kind: folder / name for kind, (name, _) in KINDS.items()}


@pytest.fixture(params=list(KINDS))
def store(request, stores) -> Path:
    return stores[request.param]


def series(groups: list[Group], localid: int, name: str) -> np.ndarray:
    return np.concatenate([getattr(one, name) for one in groups if one.localid == localid])


def test_samples_match_the_source(store, groups):
    with s2ct_convert.open_store(store) as opened:
        unit = opened["train/50SMG"]
        assert unit.localid.tolist() == [4, 9, 12]
        for localid in (4, 9, 12):
            image, label, time, weight = unit.sample(localid)
            assert image.dtype == np.uint16 and image.shape[1:] == SHAPE
            assert np.array_equal(image, series(groups, localid, "image"))
            assert np.array_equal(label, series(groups, localid, "labels"))
            assert np.array_equal(weight, series(groups, localid, "weights"))
            assert time.tolist() == list(range(SINCE_1970, SINCE_1970 + 16 * len(time), 16))
        assert opened["val/50SMG"].label.shape == (35, 4, 4)


def test_the_store_describes_its_data_set(store):
    with s2ct_convert.open_store(store) as opened:
        assert opened.dataset == MADE_UP != DATASET
        assert (opened.attributes["doi"], opened.attributes["title"]) == (MADE_UP.doi, MADE_UP.title)
        unit = opened["train/50SMG"]
        assert unit.area is None  # Landsat has other tiles
        assert not [name for name in (*unit.attributes, *opened.attributes) if name.startswith("geospatial")]
        assert np.isnan(opened.samples["tile_lon"]).all()
        assert unit["band"].attributes["flag_meanings"] == "TM3 TM4 TM5"
        assert unit["wavelength"][...].tolist() == [660, 830, 1650]
        assert unit["label"].attributes["flag_meanings"] == "no_label land water ice cloud"
        assert unit["image"].attributes["resolution_m"] == 30
        words = [str(array.attributes.get("long_name", "")) for array in (unit[name] for name in ("image", "label"))]
        assert words == ["Landsat patch, values as published", "cover of the centre 4 x 4 pixels"]
        assert "CRC-32C of the 1536 " in unit["image_crc32c"].attributes["long_name"]


def test_notes_name_the_shapes_and_features_of_the_data_set(store):
    with s2ct_convert.open_store(store) as opened:
        notes, kept = opened["val/50SMG"].attributes["notes"], opened["val/50SMG"].published
    assert "images that are not 3 x 16 x 16 uint16: its bytes are kept in `published/image_raw`" in notes
    assert "Sentinel" not in notes and {one.name for one in kept.values()} >= {"altitude", "image/raw"}


def test_an_independent_digest_is_equal_for_all_containers(stores):
    digests = {plain.store_digest(path) for path in stores.values()}
    assert len(digests) == 1
    with s2ct_convert.open_store(stores["zarr"]) as opened:
        assert digests == {opened.digest}


def test_selections_use_the_classes_of_the_data_set(store, groups):
    with s2ct_convert.open_store(store) as opened:
        assert opened.samples.rows["label_count"].shape[1] == 4
        ice = list(opened.select(split="train", label="ice", time=slice("1999", "2000")).observations())
        wanted = [one for localid in (4, 9, 12) for one in _before_2001(groups, localid)]
        assert len(ice) == len(wanted) > 0
        for found, image in zip(ice, wanted, strict=True):
            assert np.array_equal(found.image, image)
        with pytest.raises(KeyError, match=r"the store has land, water, ice, cloud \(0 to 3\)"):
            opened.select(label="haze")


def _before_2001(groups: list[Group], localid: int) -> list[np.ndarray]:
    """Images of a sample with the class ``ice``."""
    rows = zip(*(series(groups, localid, name) for name in ("image", "labels", "dates")), strict=True)
    end = datetime.date(2000, 12, 31).toordinal()
    return [image for image, label, day in rows if label == 2 and day <= end]


def test_an_epoch_gives_every_sample_once(store, groups):
    with pickle.loads(pickle.dumps(s2ct_convert.open_store(store))) as opened:
        items = list(s2ct_convert.read_epoch(opened, opened.samples, seed=1, block_obs=32, mixed_blocks=2))
    assert sorted((item.unit, item.localid) for item in items) == [
        *(("train/50SMG", localid) for localid in (4, 9, 12)),
        *(("val/50SMG", localid) for localid in (1, 2, 3)),  # 2 has no valid image
    ]
    for item in items:
        if item.unit == "train/50SMG":
            assert np.array_equal(item.sample.image, series(groups, item.localid, "image"))


def test_stores_and_sources_verify_without_differences(store, sources):
    report = s2ct_convert.verify_store(store)
    assert report.ok and report.observations == report.checked == 77 + 35
    with s2ct_convert.open_store(store) as opened:
        compared = s2ct_convert.verify_against(opened, sources)
    assert [(one.unit, one.observations, one.differences) for one in compared] == [
        ("train/50SMG", 77, ()),
        ("val/50SMG", 35, ()),
    ]


def test_sources_verify_as_the_data_set(sources):
    reports = s2ct_convert.verify_sources(sources, dataset=MADE_UP)
    assert [(one.state, one.samples, one.observations) for one in reports] == [("ok", 3, 77), ("ok", 3, 35)]


def test_a_flipped_bit_of_the_pixels_is_found(stores, tmp_path):
    for kind in ("zarr", "hdf5"):
        with s2ct_convert.open_store(stores[kind]) as opened:
            place = opened["train/50SMG"].chunks.place(1)
        copy = tmp_path / stores[kind].name
        (shutil.copytree if kind == "zarr" else shutil.copy)(stores[kind], copy)
        damaged = copy / Path(place.file).relative_to(stores[kind]) if kind == "zarr" else copy
        flip(damaged, place.offset + place.size // 2)
        (finding,) = s2ct_convert.verify_store(copy).findings
        assert (finding.unit, finding.rows) == ("train/50SMG", (32, 63)), kind
        with s2ct_convert.open_store(copy) as opened, pytest.raises(StoreDamaged, match="rows 32 to 63"):
            opened["train/50SMG"].sample(4)


def test_export_gives_every_feature_of_every_example(store, sources, tmp_path):
    with s2ct_convert.open_store(store) as opened:
        written = s2ct_convert.export_tfrecord(opened, tmp_path)
    assert [one.path.name for one in written] == [source.name for source in sources]
    for one, source in zip(written, sources, strict=True):
        assert records.all_features(one.path) == records.all_features(source)
        assert len(records.all_features(source)) == one.examples > 2


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_another_data_set_cannot_resume_a_store(tmp_path, sources, suffix):
    path = tmp_path / f"x.{suffix}"
    s2ct_convert.convert(sources[:1], path, dataset=MADE_UP)
    with pytest.raises(DestinationExists) as refused:
        s2ct_convert.convert(sources, path)
    assert MADE_UP.doi in refused.value.expected and DATASET.doi in refused.value.found
    with pytest.raises(DestinationExists, match="resolution_m 60"):
        s2ct_convert.convert(sources, path, dataset=replace(MADE_UP, resolution_m=60))
    summary = s2ct_convert.convert(sources, path, dataset=MADE_UP)
    assert ([one.unit for one in summary.skipped], summary.state) == (["train/50SMG"], "complete")
    assert summary.bytes_raw == 35 * 1536


def test_a_plan_file_and_its_batch_keep_the_data_set(tmp_path, sources, stores):
    plan = make_plan(sources, tmp_path / "x.zarr", PlanOptions(dataset=MADE_UP))
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json")
    assert again.hash == plan.hash != make_plan(sources, tmp_path / "x.zarr").hash
    init_batch(again, command="s2ct batch init")
    run_units(tmp_path / "x.zarr", [1, 2])
    digest, missing = finalise_batch(tmp_path / "x.zarr", command="s2ct batch finalise")
    with s2ct_convert.open_store(stores["zarr"]) as opened:
        assert (digest, missing) == (opened.digest, ())


def test_early_days_are_sorted_in_one_pass(tmp_path):
    one = group(np.random.default_rng(8), 1, 40)
    one.dates = one.dates[::-1]
    source = write(tmp_path / "train_50SMG_1", [payload(one)])
    (entry,) = s2ct_convert.convert(source, tmp_path / "x.zarr", dataset=MADE_UP).converted
    assert (entry.passes, entry.time_first) == (1, SINCE_1970)


def test_the_block_size_of_blosc_is_the_chunk_size(stores):
    (sharding,) = json.loads((stores["zarr"] / "train/50SMG/image/zarr.json").read_bytes())["codecs"]
    (blosc,) = (one for one in sharding["configuration"]["codecs"] if one["name"] == "blosc")
    assert blosc["configuration"]["blocksize"] == 32 * 1536
    with plain.opened(stores["linked"]) as root:
        image = root["train/50SMG/image"]
        _, _, values, _ = image.id.get_create_plist().get_filter(0)
        assert (image.chunks, values[3]) == ((32, *SHAPE), 32 * 1536)


def test_strict_refuses_its_sources_for_the_default_data_set(tmp_path, sources):
    with pytest.raises(s2ct_convert.UnitsFailed) as failed:
        s2ct_convert.convert(sources[:1], tmp_path / "x.zarr", strict=True)
    assert "features" in failed.value.summary.failures[0].message
    with pytest.raises(s2ct_convert.UnitsFailed) as failed:
        s2ct_convert.convert(sources[1:], tmp_path / "y.zarr", strict=True, dataset=MADE_UP)
    assert failed.value.summary.failures[0].exit_code == NotAsDescribed("").exit_code
    assert "3 x 16 x 16" in failed.value.summary.failures[0].message


def test_a_store_of_the_default_data_set_does_not_name_it(tmp_path):
    s2ct_convert.convert(s2ct_convert.sample_sources()[:1], tmp_path / "x.zarr")
    with s2ct_convert.open_store(tmp_path / "x.zarr") as opened:
        assert opened.dataset is DATASET
        assert not [name for name in opened.attributes if "dataset" in name]
    assert "dataset" not in json.loads((tmp_path / "x.zarr.s2ct" / "store.json").read_bytes())


@pytest.mark.parametrize("text", ["{}", "no JSON", "[]", json.dumps({**MADE_UP.values(), "height": 0})])
def test_an_invalid_data_set_in_a_store_is_damage(stores, tmp_path, text):
    shutil.copytree(stores["zarr"], tmp_path / "x.zarr")
    root = tmp_path / "x.zarr" / "zarr.json"
    content = json.loads(root.read_bytes())
    content["attributes"]["s2ct_dataset"] = text
    root.write_text(json.dumps(content))
    with pytest.raises(StoreDamaged, match="s2ct_dataset"):
        s2ct_convert.open_store(tmp_path / "x.zarr")


def test_a_renamed_class_in_the_root_is_found(stores, tmp_path):
    shutil.copytree(stores["zarr"], tmp_path / "x.zarr")
    root = tmp_path / "x.zarr" / "zarr.json"
    root.write_text(root.read_text().replace('\\"ice\\"', '\\"iced\\"'))
    assert not s2ct_convert.verify_store(tmp_path / "x.zarr").ok


def test_info_names_its_classes(store, capsys):
    document = describe(store)
    assert (document["dataset"], document["classes"]) == (MADE_UP.doi, list(MADE_UP.classes))
    assert [len(unit["label_count"]) for unit in document["units"]] == [4, 4]
    print_info(document)
    out = capsys.readouterr().out
    assert MADE_UP.doi in out and "water" in out and "haze" not in out


def test_build_refuses_the_default_record_for_another_data_set(tmp_path):
    with pytest.raises(WrongUsage, match="this record belongs to another data set"):
        s2ct_convert.build(tmp_path / "x.zarr", dataset=MADE_UP)
    assert list(tmp_path.iterdir()) == []


def test_pictures_and_croissant_refuse_it(stores, tmp_path):
    with pytest.raises(WrongUsage, match="Croissant description supports one data set"):
        s2ct_convert.write_croissant(stores["zarr"], tmp_path / "c")
    with pytest.raises(WrongUsage, match="preview supports one data set"):
        s2ct_convert.preview(stores["zarr"], tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []


def test_a_review_has_the_classes_of_the_default_data_set(stores, tmp_path):
    row = {"unit": "train/50SMG", "localid": 0, "obs": 0, "date": "", "label": "clear", "suggested": "snow"}
    with s2ct_convert.open_store(stores["zarr"]) as opened:
        (tmp_path / "r.json").write_text(json.dumps([{**row, "store_digest": opened.digest}]))
        with pytest.raises(WrongUsage, match="a review supports one data set"):
            opened.select(review=tmp_path / "r.json")


def test_options_with_a_data_set_survive_json():
    for dataset in (DATASET, MADE_UP):
        options = StoreOptions("zarr", "fast", dataset=dataset)
        values = json.loads(json.dumps(options.values()))
        assert StoreOptions.from_values({**values, "units": []}) == options
        assert ("dataset" in values) == (dataset is MADE_UP)


def test_larger_patches_are_read_in_smaller_blocks():
    large = replace(MADE_UP, height=420, width=420)  # 75 times as many bytes as the default data set
    assert [one.cap(1024) for one in (DATASET, MADE_UP, large)] == [1024, 1024, 13]
    assert large.cap(10) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"doi": ""}, "DOI"),
        ({"record": "../x"}, "Zenodo"),
        ({"bands": ()}, "bands need different names"),
        ({"bands": (Band("near infrared", 830.0),)}, "one word"),
        ({"classes": ("ice", "ice")}, "classes need different names"),
        ({"classes": tuple(f"class{i}" for i in range(128))}, "at most 127"),
        ({"features": Features("id", "id", "c", "d", "e")}, "five different names"),
        ({"features": Features("id\0", "i", "c", "d", "e")}, "zero byte"),
        ({"width": 0}, "16 x 0"),
        ({"centre": 17}, "17 x 17"),
        ({"published": datetime.date(1980, 1, 1)}, "before 1984-03-01"),
    ],
)
def test_an_invalid_data_set_is_refused(wrong: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        replace(MADE_UP, **wrong)
