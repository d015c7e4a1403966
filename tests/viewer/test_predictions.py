"""Predictions of a model: each row of a file is one observation of the store, or is reported."""

from __future__ import annotations

import base64
import json
import shutil
import tracemalloc
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import s2ct_convert
from s2ct_convert.errors import WrongUsage
from s2ct_convert.missing import NO_DAY
from s2ct_convert.viewer.prediction_file import UnitColumns
from s2ct_convert.viewer.predictions import NONE, find_rows

HEADER = "unit,localid,date,prediction"
WITH_OBS = f"{HEADER},obs"


def rows_of(store: s2ct_convert.Store, name: str) -> list[str]:
    """A row for each observation of a unit; every third prediction is another class."""
    unit = store[name]
    ids = np.repeat(unit.localid, np.diff(unit.row_start)).tolist()
    predicted = [(label + (i % 3 == 0)) % 6 for i, label in enumerate(unit.label.tolist())]
    places = enumerate(zip(ids, unit.dates, predicted, strict=True))
    return [f"{name},{one},{day},{p},{obs}" for obs, (one, day, p) in places]


@pytest.fixture(scope="module")
def store(sample_stores):
    with s2ct_convert.open_store(sample_stores["zarr"]) as opened:
        yield opened


def write(path: Path, lines: list[str], header: str = WITH_OBS) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_each_row_is_the_observation_of_its_sample_and_date(store, tmp_path):
    lines = [line for name in store for line in rows_of(store, name)]
    shuffled = [lines[i] for i in np.random.default_rng(3).permutation(len(lines))]
    found = s2ct_convert.read_predictions(write(tmp_path / "p.csv", shuffled), store.path)
    for name, unit in store.units.items():
        expected = [(label + (i % 3 == 0)) % 6 for i, label in enumerate(unit.label.tolist())]
        assert found.units[name].tolist() == expected
    assert (found.rows, found.used, found.not_in_store, found.note) == (len(lines), len(lines), 0, "")
    labels = np.concatenate([unit.label for unit in store.units.values()])
    matrix = np.zeros((6, 6), int)
    np.add.at(matrix, (labels, np.concatenate(list(found.units.values()))), 1)
    assert found.matrix.tolist() == matrix.tolist()
    assert found.same == np.trace(matrix)
    document = json.loads(found.document())
    assert document["store_digest"] == store.digest
    for name, one in document["units"].items():
        assert np.frombuffer(base64.b64decode(one["predictions"]), np.int8).tolist() == found.units[name].tolist()
        assert sum(n for *_, n in one["counts"]) == store[name].observations
        for month in {m for m, *_ in one["counts"]}:
            there = sum(str(day)[5:7] == f"{month:02}" for day in store[name].dates)
            assert sum(n for m, *_, n in one["counts"] if m == month) == there


def test_rows_that_are_not_in_the_store_are_counted_and_named(store, tmp_path):
    good = rows_of(store, "train/31TCJ")
    bad = ["train/99ZZZ,1,2018-01-01,0", "train/31TCJ,999,2018-01-01,0", "train/31TCJ,16,2001-01-01,0"]
    bad = [f"{one}," for one in bad]
    found = s2ct_convert.read_predictions(write(tmp_path / "p.csv", [*bad, *good, *bad]), store.path)
    assert (found.used, found.not_in_store) == (len(good), 6)
    assert found.note == (
        f"6 of {len(good) + 6} rows of p.csv are not in the store: row 1, there is no unit train/99ZZZ; "
        "row 2, train/31TCJ sample 999 2018-01-01; row 3, train/31TCJ sample 16 2001-01-01; and 3 more"
    )
    with pytest.raises(WrongUsage, match="no row is in the store"):
        s2ct_convert.read_predictions(write(tmp_path / "q.csv", bad), store.path)


def test_two_predictions_for_one_observation_are_refused(store, tmp_path):
    lines = rows_of(store, "train/31TCJ")
    with pytest.raises(WrongUsage, match=r"several predictions for 1 observation of train/31TCJ(.|\n)*row 3,"):
        s2ct_convert.read_predictions(write(tmp_path / "p.csv", [*lines, lines[2]]), store.path)


class Unit:
    """A unit with two images of sample 7 on day 10, two samples without id, and an image without a date."""

    localid = np.array([-1, -1, 7, 8])
    row_start = np.array([0, 1, 2, 5, 6])
    time = np.array([10, 10, NO_DAY, 10, 10, 10], np.int32)
    observations = 6


def ask(*rows: tuple[int, int, int]) -> list[tuple[int, bool]]:
    columns = UnitColumns()
    for localid, time, obs in rows:
        columns.localid.append(localid)
        columns.time.append(time)
        columns.obs.append(obs)
    found, several = find_rows(Unit(), columns)
    return list(zip(found.tolist(), several.tolist(), strict=True))


def test_two_images_of_one_date_need_the_row_in_the_unit():
    (_, several), (__, samples) = ask((7, 10, -1), (-1, 10, -1))
    assert several and samples
    assert ask((7, 10, 4), (7, 10, 3), (-1, 10, 1), (7, NO_DAY, 3)) == [(4, False), (3, False), (1, False), (3, False)]
    assert ask((8, 10, -1), (7, NO_DAY, -1)) == [(5, False), (2, False)]
    # Another sample, another date, a row after the end, a sample that is not there.
    assert ask((7, 10, 5), (7, 11, 4), (8, 10, 6), (9, 10, -1), (6, 10, -1)) == [(-1, False)] * 5


def test_an_ambiguous_date_is_refused_and_obs_resolves_it(store, tmp_path):
    unit = store["train/31TCJ"]
    rows = unit.rows(86)  # two images of 2018-10-04
    obs = [row for row in range(rows.start, rows.stop) if str(unit.dates[row]) == "2018-10-04"]
    assert len(obs) == 2
    line = "train/31TCJ,86,2018-10-04,2"
    with pytest.raises(WrongUsage, match=r"1 row may mean one of two images(.|\n)*row 1,(.|\n)*a column obs"):
        s2ct_convert.read_predictions(write(tmp_path / "p.csv", [line], HEADER), store.path)
    path = write(tmp_path / "q.csv", [f"{line},{obs[1]}"])
    found = s2ct_convert.read_predictions(path, store.path).units["train/31TCJ"]
    assert np.flatnonzero(found != NONE).tolist() == obs[1:]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unit,localid,date\n", "no column prediction"),
        ("", "no column unit, localid, date, prediction"),
        (f"{HEADER}\n", "no predictions"),
        (f"{HEADER}\ntrain/31TCJ,16,2018-01-02,fog\n", "row 1: prediction is 'fog', not a class: 0 to 5"),
        (f"{HEADER}\ntrain/31TCJ,16,2018-01-02,6\n", "prediction is '6', not a class"),
        (f"{HEADER}\ntrain/31TCJ,16,yesterday,1\n", "row 1: date is 'yesterday'"),
        (f"{HEADER}\ntrain/31TCJ,16,2018-01-021,1\n", "date is '2018-01-021'"),
        (f"{HEADER}\ntrain/31TCJ,1_6,2018-01-02,1\n", "localid is '1_6', not a whole number"),
        (f"{HEADER},prediction\ntrain/31TCJ,16,2018-01-02,1,2\n", "several columns prediction"),
        (f"{HEADER}\ntrain/31TCJ,1.5,2018-01-02,1\n", "localid is '1.5'"),
        (f"{HEADER}\ntrain/31TCJ,16,2018-01-02\n", "3 values, the header 4"),
        (f"{HEADER},obs\ntrain/31TCJ,16,2018-01-02,1,-2\n", "obs is -2"),
    ],
)
def test_a_file_of_another_form_is_refused(store, tmp_path, text, words):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(WrongUsage, match=words):
        s2ct_convert.read_predictions(tmp_path / "p.csv", store.path)


def test_the_server_has_predictions_only_where_they_are_given(store, tmp_path):
    def ask(url: str) -> bytes | int:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            return error.code

    given = s2ct_convert.read_predictions(write(tmp_path / "p.csv", rows_of(store, "val/31TCJ")), store.path)
    with s2ct_convert.view(store.path, port=0, predictions=given) as view:
        assert ask(view.url + "predictions.json") == given.document()
        assert ask("/".join([*view.url.split("/")[:3], "x", "predictions.json"])) == 404
    with s2ct_convert.view(store.path, port=0) as view:
        assert ask(view.url + "predictions.json") == 404


@pytest.mark.slow
def test_parquet_and_csv_say_the_same(store, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    lines = rows_of(store, "val/31TCJ")
    expected = s2ct_convert.read_predictions(write(tmp_path / "p.csv", lines), store.path)
    unit, localid, days, classes, obs = zip(*(line.split(",") for line in lines), strict=True)
    table = {
        "prediction": arrow.array(map(int, classes), arrow.int8()),
        "unit": unit,
        "localid": list(map(int, localid)),
        "obs": list(map(int, obs)),
    }
    for name, when in {"a": arrow.array(map(date.fromisoformat, days)), "b": days}.items():
        parquet.write_table(arrow.table({**table, "date": when}), tmp_path / f"{name}.parquet")
        found = s2ct_convert.read_predictions(tmp_path / f"{name}.parquet", store.path)
        assert found.units["val/31TCJ"].tolist() == expected.units["val/31TCJ"].tolist()
    (tmp_path / "c.parquet").write_bytes(b"not Parquet at all")
    for name, words in (("c", "not Parquet"), ("none", "no such file")):
        with pytest.raises(WrongUsage, match=words):
            s2ct_convert.read_predictions(tmp_path / f"{name}.parquet", store.path)


def test_parquet_that_is_damaged_or_has_parts_of_rows_is_refused(store, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    whole = {"unit": ["train/31TCJ"], "localid": [16], "date": ["2018-01-02"], "prediction": [1]}
    for change, words in (({"localid": [16.5]}, "localid is 16.5, not"), ({"obs": [2.5]}, "obs is 2.5, not")):
        parquet.write_table(arrow.table({**whole, **change}), tmp_path / "p.parquet")
        with pytest.raises(WrongUsage, match=words):
            s2ct_convert.read_predictions(tmp_path / "p.parquet", store.path)
    parquet.write_table(arrow.table({name: values * 5000 for name, values in whole.items()}), tmp_path / "p.parquet")
    data = bytearray((tmp_path / "p.parquet").read_bytes())
    data[60:80] = bytes(20)
    (tmp_path / "p.parquet").write_bytes(data)
    with pytest.raises(WrongUsage, match="not Parquet that can be read"):
        s2ct_convert.read_predictions(tmp_path / "p.parquet", store.path)


def test_an_export_has_the_predictions_and_loses_them_again(store, tmp_path):
    path = write(tmp_path / "p.csv", rows_of(store, "val/31TCJ"))
    site = tmp_path / "site"
    s2ct_convert.export_view(store.path, site, with_store=False, predictions=path)
    assert json.loads((site / "predictions.json").read_bytes())["file"] == "p.csv"
    assert b'name="s2ct-predictions" content="predictions.json"' in (site / "index.html").read_bytes()
    s2ct_convert.export_view(store.path, site, with_store=False)
    assert not (site / "predictions.json").exists()
    assert b'name="s2ct-predictions" content=""' in (site / "index.html").read_bytes()


@pytest.mark.slow
def test_the_command_says_how_predictions_fit_the_store(run, store, tmp_path):
    write(tmp_path / "p.csv", [*rows_of(store, "val/31TCJ"), "val/99ZZZ,1,2018-01-01,0,"])
    done = run("view", store.path, "--predictions", "p.csv", "--export", "site", "--no-store", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: 1 of " in done.stderr and "there is no unit val/99ZZZ" in done.stderr
    assert "% are the label" in done.stderr
    done = run("view", store.path, "--predictions", "none.csv", "--no-open", cwd=tmp_path)
    assert done.returncode == 2 and "none.csv" in done.stderr
    found = s2ct_convert.read_predictions(tmp_path / "p.csv", store.path)
    copy = shutil.copytree(store.path, tmp_path / "copy.zarr")
    root = json.loads((copy / "zarr.json").read_bytes())
    root["attributes"]["content_digest"] = "sha256:other"
    (copy / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(WrongUsage, match="another store"):
        s2ct_convert.view(copy, predictions=found)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_words_of_rows_that_are_not_used(store, tmp_path):
    """A file may be of the whole record, and the store of one tile."""
    n = 50_000
    lines = [f"train/99ZZZ,{i},2018-01-02,1," for i in range(n)] + [f"train/31TCJ,{i},1999-01-01,1," for i in range(n)]
    path = write(tmp_path / "p.csv", [*lines, *rows_of(store, "train/31TCJ")])
    tracemalloc.start()
    try:
        found = s2ct_convert.read_predictions(path, store.path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.not_in_store == 2 * n and found.note.endswith("and 99,997 more")
    assert peak < 300 * n  # 29 bytes a row, and the arrays that find the rows of one unit; words alone took 500
