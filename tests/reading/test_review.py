"""Reviews of labels: read, compared with their store, selected, drawn and summed up. The store never changes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import s2ct_convert
from s2ct_convert.errors import WrongUsage
from s2ct_convert.reading.agreement import cohen_kappa
from s2ct_convert.reading.labels import one_labels
from s2ct_convert.reading.review_file import COLUMNS


@pytest.fixture(scope="module")
def store(sample_stores):
    with s2ct_convert.open_store(sample_stores["zarr"]) as opened:
        yield opened


def row(store, unit: str, obs: int, **change: object) -> dict[str, object]:
    """A row of a review as the page writes it; it suggests nothing."""
    one = store[unit]
    sample = int(np.searchsorted(one.row_start, obs, side="right")) - 1
    facts = {"unit": unit, "localid": int(one.localid[sample]), "obs": obs, "date": str(one.dates[obs])}
    rest = {"label": int(one.label[obs]), "suggested": None, "flag": False, "note": ""}
    return {**facts, **rest, "store_digest": store.digest, **change}


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as CSV or JSON, by the suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
        return path
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for one in rows:
        writer.writerow({**one, "flag": str(one["flag"]).lower(), "suggested": one["suggested"]})
    path.write_text(out.getvalue(), newline="")
    return path


def test_csv_and_json_of_a_review_say_the_same(store, tmp_path):
    rows = [
        row(store, "val/31TCJ", 2, flag=True, note='a, "b"\nc'),
        row(store, "train/31TCJ", 9, suggested=3),
        row(store, "train/31TCJ", 4, suggested=0, note="=1+1"),
    ]
    from_json = s2ct_convert.read_review(write(tmp_path / "r.json", rows))
    quoted = [{**one, "note": "'=1+1" if one["obs"] == 4 else one["note"]} for one in rows]  # as the page quotes it
    from_csv = s2ct_convert.read_review(write(tmp_path / "r.csv", quoted))
    assert from_csv.rows == from_json.rows
    assert [(one.unit, one.obs, one.suggested, one.flag, one.note) for one in from_csv] == [
        ("train/31TCJ", 4, 0, False, "=1+1"),
        ("train/31TCJ", 9, 3, False, ""),
        ("val/31TCJ", 2, None, True, 'a, "b"\nc'),
    ]
    assert [one.obs for one in from_csv.flagged()] == [2]
    assert [one.obs for one in from_csv.with_suggestion()] == [4, 9]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suggested": "fog"}, "line 2: no class 'fog'"),
        ({"obs": -1}, "obs is -1"),
        ({"unit": "31TCJ"}, "'31TCJ' is not a unit"),
        ({"date": "2.1.2018"}, "'2.1.2018' is not a date"),
        ({"localid": "x"}, "localid is 'x', not a whole number"),
    ],
)
def test_a_bad_value_in_a_review_is_named_with_its_line(store, tmp_path, change, words):
    with pytest.raises(WrongUsage, match=words):
        s2ct_convert.read_review(write(tmp_path / "r.csv", [{**row(store, "train/31TCJ", 1), **change}]))


def test_files_that_are_no_review_are_refused(store, tmp_path):
    first = row(store, "train/31TCJ", 1, suggested=2)
    for rows, words in (
        ([], "no rows"),
        ([first, {**first, "suggested": 3}], "row 1 of train/31TCJ(.|\n)*row 1 and row 2"),
        ([first, row(store, "train/31TCJ", 2, store_digest="sha256:0")], "several stores"),
        ([{"unit": "train/31TCJ"}], "row 1: it has no localid"),
    ):
        with pytest.raises(WrongUsage, match=words):
            s2ct_convert.read_review(write(tmp_path / "r.json", rows))
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(WrongUsage, match="not a review"):
        s2ct_convert.read_review(tmp_path / "x.csv")
    with pytest.raises(WrongUsage, match=r"none\.csv"):
        s2ct_convert.read_review(tmp_path / "none.csv")


def test_a_selection_takes_the_reviewed_observations_unchanged(store, tmp_path):
    rows = [row(store, "train/31TCJ", obs, suggested=5) for obs in (3, 4, 40)] + [row(store, "val/31TCJ", 2, flag=True)]
    path = write(tmp_path / "r.csv", rows)
    found = list(store.select(review=path).observations())
    assert [(one.unit, one.row) for one in found] == [(one["unit"], one["obs"]) for one in rows]
    assert [int(one.label) for one in found] == [one["label"] for one in rows]
    review = s2ct_convert.read_review(path)
    assert store.select(review=review.flagged(), split="val").count() == 1
    assert store.select(review=review, split="val", max_length=1).count() == 1
    assert "r.csv, 4 dates" in repr(store.select(review=review))


def test_corrected_labels_come_only_where_they_are_asked_for(store, tmp_path):
    path = write(tmp_path / "r.csv", [row(store, "train/31TCJ", 3, suggested=5), row(store, "val/31TCJ", 3, flag=True)])
    review = s2ct_convert.read_review(path)
    unit = store["train/31TCJ"]
    expected = unit.label.copy()
    expected[3] = 5
    assert expected[3] != unit.label[3]
    rows = np.arange(unit.observations)
    np.testing.assert_array_equal(review.corrected("train/31TCJ", rows, unit.label), expected)
    assert review.corrected("train/31TCJ", 3, unit.label[3]) == 5
    np.testing.assert_array_equal(
        review.corrected("val/31TCJ", [3], store["val/31TCJ"].label[[3]]), store["val/31TCJ"].label[[3]]
    )
    assert (review.corrected("train/31TCJ", [2, 3], np.zeros((2, 6, 6), np.int8)) == 5).all(axis=(1, 2)).tolist() == [
        False,
        True,
    ]


def test_a_review_that_does_not_fit_the_store_is_refused(store, tmp_path):
    good = row(store, "train/31TCJ", 3, suggested=5)
    wrong = [
        row(store, "train/31TCJ", 4, date="2001-01-01"),
        row(store, "train/31TCJ", 5, label=77),
        {**good, "obs": 99_999},
        {**good, "unit": "train/99ZZZ"},
        row(store, "train/31TCJ", 6, localid=123456),
    ]
    for one in wrong:
        with pytest.raises(WrongUsage, match=r"1 of 2 rows of the review do not fit"):
            store.select(review=write(tmp_path / "r.json", [good, one]))
    with pytest.raises(WrongUsage, match=r"5 of 5 rows(.|\n)*row 4: date 2001-01-01, in the store(.|\n)*and 2 more"):
        store.select(review=write(tmp_path / "r.json", wrong))
    other = write(tmp_path / "o.json", [{**good, "store_digest": "sha256:0"}])
    with pytest.raises(WrongUsage, match="of another store"):
        store.select(review=other)


def test_kappa_is_that_of_the_worked_example():
    # 50 proposals, two readers: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no. p_o 0.7, p_e 0.5.
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert cohen_kappa(np.array([[5, 0], [0, 5]])) == 1
    assert cohen_kappa(np.array([[0, 5], [5, 0]])) == -1
    assert cohen_kappa(np.array([[7, 0], [0, 0]])) is None
    assert cohen_kappa(np.zeros((6, 6), np.int64)) is None


@pytest.mark.slow
def test_kappa_is_that_of_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    for _ in range(20):
        pairs = rng.integers(0, 6, (40, 2))
        pairs[::3, 1] = pairs[::3, 0]
        matrix = metrics.confusion_matrix(*pairs.T, labels=range(6))
        assert cohen_kappa(matrix) == pytest.approx(metrics.cohen_kappa_score(*pairs.T))


def test_an_apostrophe_inside_a_note_stays_and_two_columns_are_refused(store, tmp_path):
    notes = {"it is '=1'": "it is '=1'", "'-1+2": "-1+2", "''=1": "'=1", "'-5": "'-5"}  # as the page writes them
    rows = [row(store, "train/31TCJ", obs, note=note) for obs, note in enumerate(notes)]
    path = write(tmp_path / "r.csv", rows)
    assert [one.note for one in s2ct_convert.read_review(path)] == list(notes.values())
    path.write_text(path.read_text().replace(",note,", ",suggested,"))
    with pytest.raises(WrongUsage, match="several columns suggested"):
        s2ct_convert.read_review(path)
    path = write(tmp_path / "r.csv", [row(store, "train/31TCJ", 0, localid=-(1 << 63))])
    assert next(iter(s2ct_convert.read_review(path))).localid == -(1 << 63), "every id that an example can have"
    path.write_text("[" * 100_000)
    with pytest.raises(WrongUsage, match="not JSON"):
        s2ct_convert.read_review(path)


def test_a_summary_counts_suggestions_against_labels_and_each_other(store, tmp_path):
    def suggest(name: str, *classes: int | None) -> Path:
        rows = [row(store, "train/31TCJ", obs, suggested=one, flag=True) for obs, one in enumerate(classes)]
        return write(tmp_path / name, rows)

    labels = store["train/31TCJ"].label[:4].tolist()
    first, second = suggest("a.csv", labels[0], 3, 4, None), suggest("b.csv", labels[0], 3, 5, 2)
    found = s2ct_convert.review_summary(first, second, store=store)
    expected = np.zeros((6, 6), int)
    for label, suggested in zip(labels, (labels[0], 3, 4), strict=False):
        expected[label, suggested] += 1
    assert found.matrix.tolist() == expected.tolist()
    assert (found.rows, found.suggested, found.flagged, found.same) == (4, 3, 4, int(np.trace(expected)))
    assert sum(found.in_store) == sum(unit.observations for unit in store.units.values())
    assert (found.second.both, found.second.same) == (3, 2)
    ((difference,),) = [found.second.differences]
    assert (difference.obs, difference.label, difference.first, difference.second) == (2, labels[2], 4, 5)
    document = json.loads(json.dumps(found.document()))
    assert document["second"]["differences"][0]["first"] == 4
    write(tmp_path / "c.json", [row(store, "train/31TCJ", 0, suggested=1, label=9)])
    with pytest.raises(WrongUsage, match="different things about row 0"):
        s2ct_convert.review_summary(first, tmp_path / "c.json")


def test_of_several_labels_the_most_common_and_lowest_counts():
    label = np.array([[[1, 1], [0, 0]], [[5, 2], [5, 2]], [[-1, -1], [-1, 3]]], np.int8)
    assert one_labels(label).tolist() == [0, 2, -1]
    assert one_labels(np.zeros((0, 6, 6), np.int8)).shape == (0,)


def test_the_command_prints_the_summary(run, store, tmp_path):
    rows = [row(store, "train/31TCJ", obs, suggested=obs % 6) for obs in range(12)]
    write(tmp_path / "a.csv", rows)
    write(tmp_path / "b.json", [{**one, "suggested": 0} for one in rows])
    done = run("review", "summary", "a.csv", "b.json", "--store", store.path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "a.csv, 12 dates" in done.stdout and "kappa" in done.stdout and "Where they differ:" in done.stdout
    done = run("review", "summary", "a.csv", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["suggested"] == 12
    assert run("review", "summary", "none.csv", cwd=tmp_path).returncode == 2


def test_a_sheet_shows_the_reviewed_dates(store, tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row(store, "train/31TCJ", obs, suggested=obs % 6 if obs % 3 else None, flag=True) for obs in range(12)]
    review = write(tmp_path / "a.csv", rows)
    made = s2ct_convert.preview(store.path, tmp_path / "r.pdf", review=review, limit=10)
    assert (made.kind, made.observations, made.shown) == ("review", 12, 10)
    again = s2ct_convert.preview(store.path, tmp_path / "s.pdf", review=review, limit=10)
    assert made.picture.read_bytes() == again.picture.read_bytes()
    with pytest.raises(WrongUsage, match="another store"):
        other = write(tmp_path / "o.csv", [{**one, "store_digest": "sha256:0"} for one in rows])
        s2ct_convert.preview(store.path, tmp_path / "x.png", review=other)
