"""``s2ct verify store`` and ``s2ct verify sources``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from makers import flip, random_group, write_tfrecord

import s2ct_convert


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    sources = folder / "archives"
    sources.mkdir()
    for source in s2ct_convert.sample_sources():
        shutil.copy(source, sources)
    for name in ("s.zarr", "s.h5"):
        s2ct_convert.convert([sources], folder / name)
    return folder


@pytest.mark.parametrize("name", ["s.zarr", "s.h5"])
def test_an_intact_store_has_no_differences(s2ct, stores, name):
    done = s2ct("verify", "store", stores / name, "--against", stores / "archives")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{stores / name}: 4 units, 13 samples, 309 observations, 14 examples compared with the sources; "
        "no differences\n"
    )


def test_against_accepts_several_sources(s2ct, stores):
    archives = sorted((stores / "archives").iterdir())
    done = s2ct("verify", "store", stores / "s.zarr", "--against", *archives)
    assert (done.returncode, done.stderr) == (0, "")
    assert "14 examples compared" in done.stdout
    done = s2ct("verify", "store", stores / "s.zarr", *archives)
    assert done.returncode == 2
    assert "unexpected extra arguments" in done.stderr


def test_sources_after_a_damaged_one_are_compared(s2ct, stores, tmp_path):
    archives = [Path(shutil.copy(one, tmp_path)) for one in sorted((stores / "archives").iterdir())]
    flip(archives[0], 40)
    done = s2ct("verify", "store", stores / "s.zarr", "--against", tmp_path)
    assert done.returncode == 5
    assert archives[0].name in done.stdout
    assert "1 source could not be read and compared" in done.stderr
    document = json.loads(s2ct("verify", "store", stores / "s.zarr", "--against", tmp_path, "--json").stdout)
    assert (len(document["unread"]), document["ok"]) == (1, False)
    assert 0 < document["examples_compared"] < 14


def test_a_comparison_says_what_it_did_not_compare(s2ct, stores, tmp_path):
    done = s2ct("verify", "store", stores / "s.zarr", "--against", next((stores / "archives").glob("val_31TCJ*")))
    assert done.returncode == 0
    assert "examples of 1 of 4 units compared with the sources; no differences" in done.stdout
    done = s2ct("verify", "store", stores / "s.zarr", "--against", tmp_path)
    assert done.returncode == 2
    assert "no archive or TFRecord found" in done.stderr


def test_sources_of_other_units_hide_no_finding(s2ct, stores, tmp_path):
    own = tmp_path / "one.zarr"
    s2ct_convert.convert(next((stores / "archives").glob("val_31TCJ*")), own)
    done = s2ct("verify", "store", own, "--against", stores / "archives")
    assert done.returncode == 3
    assert "3 sources could not be compared" in done.stderr
    assert "the store has no unit train/31TCJ" in done.stdout
    flip(next(own.glob("val/31TCJ/image/c/0/0/0/0")), 100)
    other = next((stores / "archives").glob("train_31TCJ*"))
    for against in (stores / "archives", other):
        done = s2ct("verify", "store", own, "--against", against)
        assert done.returncode == 4
        assert "val/31TCJ" in done.stdout


def test_a_store_without_its_ledger_gets_no_advice_that_cannot_work(s2ct, stores, tmp_path):
    own = Path(shutil.copytree(stores / "s.zarr", tmp_path / "s.zarr"))
    flip(next(own.glob("train/31TCJ/image/c/0/0/0/0")), 100)
    done = s2ct("verify", "store", own)
    assert done.returncode == 4
    assert "convert again to another store" in done.stderr
    shutil.copytree(stores / "s.zarr.s2ct", tmp_path / "s.zarr.s2ct")
    assert "--overwrite-unit" in s2ct("verify", "store", own).stderr


def test_a_store_that_is_not_finished_is_incomplete_and_not_different(s2ct, tmp_path):
    (tmp_path / "x.zarr.s2ct").mkdir()
    done = s2ct("verify", "store", tmp_path / "x.zarr")
    assert done.returncode == 3, done.stderr
    assert "the conversion of this store has not finished" in done.stderr
    assert "it resumes" in done.stderr


def test_sample_checks_a_part_of_the_pixels(s2ct, stores):
    done = s2ct("verify", "store", stores / "s.zarr", "--fraction", "0.01", "--json")
    document = json.loads(done.stdout)
    assert document["ok"]
    assert 0 < document["observations_checked"] <= 309
    assert document["examples_compared"] is None


def test_a_lost_shard_is_reported_as_text_and_json(s2ct, stores, tmp_path):
    own = Path(shutil.copytree(stores / "s.zarr", tmp_path / "s.zarr"))
    shard = next(own.glob("train/31TCJ/image/c/0/0/0/0"))
    shard.unlink()
    done = s2ct("verify", "store", own)
    assert done.returncode == 4
    assert "train/31TCJ, " in done.stdout
    assert f"rows 0 to 80, {shard}: this shard is missing" in done.stdout
    assert "1 difference found" in done.stderr
    assert "Traceback" not in done.stderr
    done = s2ct("verify", "store", own, "--json", "--against", stores / "archives")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert not document["ok"]
    assert document["findings"][0]["rows"] == [0, 80]
    assert document["findings"][0]["file"] == str(shard)
    assert any(one["example"] is not None for one in document["findings"])


def test_another_source_is_a_difference(s2ct, stores, tmp_path, rng):
    other = write_tfrecord(tmp_path, [random_group(rng, i, 10) for i in range(3)], unit="val_31TCJ")
    done = s2ct("verify", "store", stores / "s.zarr", "--against", other)
    assert done.returncode == 4
    assert "val/31TCJ, example 0: the source has 10 timestamps" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["verify", "store", "none.zarr"], 2, "this store does not exist"),
        (["verify", "store", "."], 2, "this folder is not a Zarr v3 group"),
        (["verify", "store", __file__], 2, "neither a Zarr directory nor an HDF5 file"),
        (["verify", "store", "x", "--fraction", "0"], 2, "--fraction"),
        (["verify", "sources"], 2, "Missing argument"),
        (["verify", "sources", "none"], 2, "none"),
    ],
)
def test_wrong_usage_is_reported(s2ct, tmp_path, arguments, code, told):
    done = s2ct(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_whose_unit_is_missing_from_a_partial_store_is_incomplete(s2ct, stores, tmp_path):
    sources = sorted((stores / "archives").iterdir())
    cut = tmp_path / "cut" / sources[0].name
    cut.parent.mkdir()
    cut.write_bytes(sources[0].read_bytes()[:-9])
    assert s2ct("convert", cut, sources[1], tmp_path / "x.zarr").returncode == 3
    done = s2ct("verify", "store", tmp_path / "x.zarr", "--against", *sources[:2])
    assert done.returncode == 3
    assert f"remark: not compared: {sources[0]}" in done.stdout
    assert "no differences" not in done.stdout
    assert "1 source could not be compared" in done.stderr
    assert not json.loads(s2ct("verify", "store", tmp_path / "x.zarr", "--against", sources[0], "--json").stdout)["ok"]
    assert s2ct("verify", "store", tmp_path / "x.zarr", "--against", sources[1]).returncode == 0


def test_a_store_without_root_is_damaged_another_group_is_not_a_store(s2ct, stores, tmp_path):
    own = tmp_path / "own.zarr"
    shutil.copytree(stores / "s.zarr", own)
    (own / "zarr.json").unlink()
    assert s2ct("verify", "store", own).returncode == 4
    shutil.rmtree(own / "index")
    assert s2ct("verify", "store", own).returncode == 4
    shutil.rmtree(own)
    own.mkdir()
    (own / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    done = s2ct("verify", "store", own)
    assert (done.returncode, done.stdout) == (2, "")
    assert "not an s2ct store" in done.stderr


def test_sources_are_checked_by_their_own_checksums(s2ct, stores, tmp_path):
    done = s2ct("verify", "sources", stores / "archives")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("4 sources ok, 0 damaged\n")
    own = Path(shutil.copytree(stores / "archives", tmp_path / "own"))
    damaged = sorted(own.iterdir())[0]
    flip(damaged, damaged.stat().st_size // 2)
    done = s2ct("verify", "sources", own)
    assert done.returncode == 5
    assert f"damaged  {damaged.name}" in done.stdout
    assert "1 of 4 sources cannot be used" in done.stderr
    document = json.loads(s2ct("verify", "sources", own, "--json").stdout)
    assert [one["state"] for one in document["sources"]].count("damaged") == 1
    assert not document["ok"]
