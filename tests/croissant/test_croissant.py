"""The Croissant metadata of a store: valid for mlcroissant, correct for the store, the same each time."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s2ct_convert import open_store, write_croissant
from s2ct_convert.errors import DestinationExists, Incomplete, NotAStore
from s2ct_convert.store.layout import LABELS

KINDS = ("zarr", "h5", "linked")


@pytest.fixture(params=KINDS)
def described(request, made, tmp_path) -> tuple[Path, Path]:
    """A copy of a store, and the folder that describes it."""
    original = made[request.param]
    folder = tmp_path / "a folder"
    folder.mkdir()
    if original.is_dir():
        shutil.copytree(original, folder / original.name)
    else:
        shutil.copy(original, folder)
    if request.param == "linked":
        shutil.copytree(original.with_name(f"{original.name}.units"), folder / f"{original.name}.units")
    return folder / original.name, write_croissant(folder / original.name).folder


def document(folder: Path) -> dict:
    return json.loads((folder / "croissant.json").read_text(encoding="utf-8"))


def test_mlcroissant_finds_no_issues_and_loads_the_samples(described):
    pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    path, folder = described
    code = (
        "import json, sys, mlcroissant\n"
        "dataset = mlcroissant.Dataset(sys.argv[1])\n"
        "issues = dataset.metadata.ctx.issues\n"
        "assert not issues.errors and not issues.warnings, issues.report()\n"
        "text = lambda v: v.decode() if isinstance(v, bytes) else str(v)\n"
        "sets = ('samples', 'units', 'classes', 'arrays')\n"
        "print(json.dumps({s: [{k: text(v) for k, v in r.items()} for r in dataset.records(s)] for s in sets}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder / "croissant.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "not standard" not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    with open_store(path) as store:
        assert len(found["samples"]) == len(store.samples)
        for record, row in zip(found["samples"], store.samples, strict=True):
            assert record["samples/split"] == row["split"]
            assert record["samples/tile"] == row["tile"]
            assert record["samples/localid"] == str(row["localid"])
            assert record["samples/row_start"] == str(row["row_start"])
            assert record["samples/time_first"].startswith(str(row["time_first"]))
            counts = [record[f"samples/n_{label}"] for label in LABELS]
            assert counts == [str(n) for n in row["label_count"]]
        assert [record["units/unit"] for record in found["units"]] == list(store.units)
        assert [record["units/content_digest"] for record in found["units"]] == [u.digest for u in store.units.values()]
    assert [record["classes/meaning"] for record in found["classes"]] == list(LABELS)
    assert "image" in [record["arrays/array"] for record in found["arrays"]]


def test_sha256sum_accepts_the_list_of_every_file(described):
    path, folder = described
    done = subprocess.run(["sha256sum", "-c", "files.sha256"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.split("  ", 1)[1] for line in (folder / "files.sha256").read_text().splitlines()}
    parts = [path, path.with_name(f"{path.name}.units")]
    there = {f for part in parts for f in ([part] if part.is_file() else part.rglob("*")) if f.is_file()}
    assert {(folder / name).resolve() for name in listed} == {file.resolve() for file in there}
    changed = sorted(there)[0]
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    assert subprocess.run(["sha256sum", "-c", "files.sha256"], cwd=folder, capture_output=True).returncode == 1


def test_the_metadata_match_the_store(described):
    path, folder = described
    found = document(folder)
    with open_store(path) as store:
        assert found["conformsTo"] == "http://mlcommons.org/croissant/1.1"
        assert found["url"] == found["license"] == store.attributes["doi"]
        limits = (store.attributes[f"geospatial_{name}"] for name in ("lat_min", "lon_min", "lat_max", "lon_max"))
        assert list(map(float, found["spatialCoverage"]["geo"]["box"].split())) == list(limits)
        assert found["citeAs"] == store.attributes["citation"]
        assert store.digest in found["rai:dataPreprocessingProtocol"]
        dated = store.samples.rows
        first, last = str(dated["time_first"].min()), str(dated["time_last"].max())
        assert found["rai:dataCollectionTimeFrame"] == [first, last]
        total = int(store.samples["label_count"].sum())
        assert f"{total:,} labels" in found["description"]
    for one in found["distribution"]:
        if one["@type"] == "cr:FileObject":
            assert (folder / one["contentUrl"]).stat().st_size == int(one["contentSize"].split()[0])


def test_the_csv_has_one_line_per_sample(described):
    path, folder = described
    with open(folder / "samples.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    with open_store(path) as store:
        assert [int(line["localid"]) for line in lines] == store.samples["localid"].tolist()


def test_the_same_store_gives_the_same_files(described, tmp_path):
    path, folder = described
    again = write_croissant(path, folder.with_name("again")).folder
    assert sorted(one.name for one in again.iterdir()) == [
        "CITATION.cff", "croissant.json", "files.sha256", "samples.csv",
    ]  # fmt: skip
    for one in again.iterdir():
        assert one.read_bytes() == (folder / one.name).read_bytes()


def test_an_earlier_description_is_replaced_only_with_overwrite(described):
    path, folder = described
    before = (folder / "croissant.json").read_bytes()
    (folder / "samples.csv").write_bytes(b"")
    with pytest.raises(DestinationExists, match="not empty"):
        write_croissant(path)
    assert (folder / "samples.csv").read_bytes() == b""
    write_croissant(path, overwrite=True)
    assert (folder / "samples.csv").read_bytes()
    assert (folder / "croissant.json").read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir() if "croissant" in one.name) == [folder.name]


@pytest.mark.parametrize("croissant", ["of s2ct", "of another program", "torn", "none"])
def test_overwrite_keeps_a_folder_with_other_files(described, croissant):
    path, folder = described
    if croissant == "of s2ct":
        (folder / "mine").write_bytes(b"x")
    else:
        (folder / "croissant.json").write_text({"of another program": "{}", "torn": "{", "none": ""}[croissant])
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    with pytest.raises(DestinationExists, match="not only a description"):
        write_croissant(path, overwrite=True)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before


def test_a_missing_or_incomplete_store_raises(made, tmp_path):
    from reading.test_store import set_root_attribute

    with pytest.raises(NotAStore):
        write_croissant(tmp_path / "none.zarr")
    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    set_root_attribute(own, "state", "incomplete")
    with pytest.raises(Incomplete):
        write_croissant(own)
    assert [one.name for one in tmp_path.iterdir()] == ["own.zarr"]


def test_the_command_writes_the_folder_and_reports_it(s2ct, made, tmp_path):
    done = s2ct("croissant", made["zarr"], tmp_path / "d", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["document"] == str(tmp_path / "d" / "croissant.json")
    assert report["samples"] == 7
    done = s2ct("croissant", made["zarr"], tmp_path / "d")
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    done = s2ct("croissant", made["zarr"], tmp_path / "d", "--overwrite")
    assert done.returncode == 0
    assert "7 samples" in done.stdout
