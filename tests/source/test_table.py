"""How a source is interpreted, and every note on contents that its description does not mention."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from archives.streams import bytes_list, example, field, int64_list
from makers import FIRST_DAY, Group, example_bytes, record_bytes

from s2ct_convert.names import UnitName
from s2ct_convert.source.example import decode_example
from s2ct_convert.source.find import Source
from s2ct_convert.source.notes import _TEXTS, Note, sum_notes
from s2ct_convert.source.table import SourceTable, TableBuilder
from s2ct_convert.source.tfrecord import RawRecord
from s2ct_convert.units.understand import understand

UNTIL = datetime.date(2024, 2, 4)
NO_DATE, NO_DAY = -(2**63), -(2**31)
DAY0 = FIRST_DAY - datetime.date(1970, 1, 1).toordinal()
SECONDS = DAY0 * 86_400


def group(localid: int | None = 0, n: int = 2, **changes: object) -> Group:
    """A correct example; ``changes`` are arrays, or None to leave a feature out."""
    made = Group(
        localid,
        np.zeros((n, 4, 42, 42), np.uint16),
        np.zeros(n, np.int8),
        FIRST_DAY + 5 * np.arange(n),
        np.ones(n, np.float32),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def dated(*dates: int, localid: int = 0) -> Group:
    return group(localid, len(dates), dates=np.array(dates, np.int64))


def with_feature(name: str, feature: bytes, left_out: str | None = None) -> bytes:
    """A correct example with an extra feature, or with another feature replaced."""
    return example_bytes(group(**({left_out: None} if left_out else {}))) + example((name, feature))


def builder_of(examples: Sequence[Group | bytes]) -> TableBuilder:
    builder = TableBuilder()
    for number, one in enumerate(examples):
        payload = one if isinstance(one, bytes) else example_bytes(one)
        builder.add(decode_example(RawRecord(number, 0, payload)))
    return builder


def table_of(*examples: Group | bytes, name_count: int | None = None) -> SourceTable:
    source = Source(UnitName("train", "50SMG"), name_count, Path("train_50SMG.7z"), "train_50SMG")
    return understand(builder_of(examples), source, None)


PLAIN = group()
# kind -> cases for a count of one and of several: examples, count, first place. Other notes may appear too.
NOTES: dict[str, list[tuple[list[Group | bytes], int, str]]] = {
    "dates_unknown": [
        ([dated(77)], 1, "example 0: 77"),
        ([group(n=0), dated(5, 9), dated(6, 9, localid=1)], 4, "example 1: 5"),
    ],
    "dates_position": [([dated(0, 1), dated(0, localid=1)], 3, "example 0: 0")],
    "dates_missing": [
        ([PLAIN, dated(0)], 1, "example 1: 0"),
        ([PLAIN, PLAIN, dated(FIRST_DAY, -1), dated(3)], 2, "example 2: -1"),
    ],
    "dates_with_time": [
        ([dated(SECONDS, SECONDS + 86_401)], 1, f"example 0: {SECONDS + 86_401}"),
        ([dated(SECONDS), dated(SECONDS + 2, 3 + SECONDS, localid=1)], 2, f"example 1: {SECONDS + 2}"),
    ],
    "dates_repeated": [
        ([PLAIN, group(1), dated(FIRST_DAY)], 1, f"example 2: {FIRST_DAY}"),
        ([group(1), PLAIN, PLAIN, dated(FIRST_DAY)], 3, f"example 2: {FIRST_DAY}"),
    ],
    "dates_none": [
        ([PLAIN, group(1, dates=None)], 1, "example 1"),
        ([group(1, dates=np.empty(0, np.int64)), group(2, dates=None)], 2, "example 0"),
    ],
    "dates_other_form": [
        ([PLAIN, group(1, dates=np.array([FIRST_DAY]))], 1, "example 1: 1 for 2 images"),
        ([with_feature("dates", int64_list(1, 2)), dated(1, 2, 3), group(2, 1, dates=np.zeros(2))], 2, "example 0: "),
    ],
    "labels_missing": [
        ([PLAIN, group(1, labels=None)], 1, "example 1"),
        ([PLAIN, group(1, labels=np.empty(0, np.int8)), group(2, labels=None)], 2, "example 1"),
    ],
    "labels_other_form": [
        ([PLAIN, group(1, labels=np.zeros(3, np.int8))], 1, "example 1: 3 for 2 images"),
        (
            [PLAIN, group(1), group(2, labels=np.zeros(72, np.int8)), with_feature("labels", int64_list(1, 2))],
            2,
            "example 2",
        ),
    ],
    "labels_other_size": [
        ([group(labels=np.zeros(18, np.int8))], 1, "3 x 3"),
        ([group(i, labels=np.zeros(8, np.int8)) for i in range(3)], 3, "2 x 2"),
    ],
    "labels_other_class": [
        ([PLAIN, group(1, labels=np.array([6, 5], np.int8))], 1, "6"),
        ([group(labels=np.array([-1, 7], np.int8)), group(1, 0)], 2, "-1"),
    ],
    "weights_other_form": [
        ([PLAIN, group(1, weights=np.ones(3, np.float32))], 1, "example 1: 3 for 2 images"),
        (
            [group(weights=np.ones(1, np.float32)), with_feature("weights", field(2, field(1, bytes(8))))],
            2,
            "example 0: 1 for 2 images",
        ),
    ],
    "localid_missing": [
        ([PLAIN, group(None)], 1, "example 1"),
        ([group(None), group(None, 0), group(-1)], 2, "example 0"),
    ],
    "localid_other_form": [
        ([PLAIN, with_feature("localid", bytes_list(b"12"), "localid")], 1, "example 1"),
        ([with_feature("localid", form) for form in (int64_list(), int64_list(1, 2), bytes_list())], 3, "example 0"),
    ],
    "images_missing": [
        ([PLAIN, group(1, 0)], 1, "example 1"),
        ([group(1, 0), group(2, 0, image=None)], 2, "example 0"),
    ],
    "images_other_form": [
        ([PLAIN, group(1, 0, image=np.ones(7055, np.uint16))], 1, "example 1"),
        (
            [with_feature("image_raw_ldseries", form) for form in (bytes_list(b"a", b"b"), int64_list(1))],
            2,
            "example 0",
        ),
    ],
    "features_unknown": [
        ([PLAIN, with_feature("tile", bytes_list(b"50SMG"))], 1, "example 1: tile"),
        (
            [example_bytes(PLAIN) + example(("b", b""), ("a", b""), ("", b""), ("\n", b""))] * 2,
            2,
            "example 0: '', '\\n', a, b",
        ),
    ],
    "records_unknown": [
        ([PLAIN, b"\xff\xff\xff hello"], 1, "example 1"),
        ([example_bytes(PLAIN) + field(7, b"x"), b"text", with_feature("a\0b", b"")], 3, "example 0"),
    ],
    "records_empty": [([PLAIN, b""], 1, "example 1"), ([b"", field(1, b"")], 2, "example 0")],
}
CASES = [(kind, *case) for kind, cases in NOTES.items() for case in cases]


@pytest.mark.parametrize(("kind", "examples", "count", "first"), CASES, ids=[case[0] for case in CASES])
def test_a_note_has_its_count_and_first_place(kind, examples, count, first):
    notes = {note.kind: note for note in table_of(*examples).notes}
    assert kind in notes, notes
    assert notes[kind].count == count
    assert notes[kind].first.startswith(first)


COUNTS = {  # the number in the name of a source with 3 examples, 2 samples and 7 images
    3: ("examples", None),
    2: ("samples", "number_counts_samples"),
    7: ("observations", "number_counts_observations"),
    4: ("nothing", "number_counts_nothing"),
    0: ("nothing", "number_counts_nothing"),
}


@pytest.mark.parametrize(("number", "counts", "kind"), [(n, *what) for n, what in COUNTS.items()])
def test_the_number_in_a_name_is_matched_with_counts(number, counts, kind):
    table = table_of(group(1), group(2, 4), dated(FIRST_DAY + 90, localid=1), name_count=number)
    assert table.counts(number) == counts
    notes = {note.kind: note for note in table.notes}
    assert set(notes) == ({kind} if kind else set())
    if kind:
        assert (notes[kind].count, notes[kind].first) == (1, "train_50SMG.7z: 3 examples")


def test_a_name_without_a_number_has_no_note():
    assert table_of(group(1)).notes == ()


def test_every_kind_of_note_has_a_case():
    assert set(NOTES) | {kind for _, kind in COUNTS.values() if kind} | {"end_unproven"} == set(_TEXTS)


@pytest.mark.parametrize(
    ("name_count", "localids", "proven"),
    [
        (None, (1, 2, 3), False),
        (3, (1, 1, 2), True),
        (2, (1, 1, 2), False),
        (9, (1, 1, 2), True),
        (4, (1, 1, 2), False),
    ],
)
def test_a_bare_tfrecord_whose_end_nothing_proves_is_noted(tmp_path, name_count, localids, proven):
    """A number of samples does not: the last examples of a sample may be missing."""
    examples = [group(localid, 3) for localid in localids]
    path = tmp_path / "train_50SMG"
    path.write_bytes(b"".join(record_bytes(example_bytes(one)) for one in examples))
    source = Source(UnitName("train", "50SMG"), name_count, path)
    noted = "end_unproven" in [note.kind for note in understand(builder_of(examples), source, None).notes]
    assert noted != proven
    packed = Source(source.unit, name_count, tmp_path / "train_50SMG.7z", "train_50SMG")
    (tmp_path / "train_50SMG.gz").write_bytes(gzip.compress(path.read_bytes()))
    wrapped = dataclasses.replace(source, path=tmp_path / "train_50SMG.gz")
    for other in (packed, wrapped, dataclasses.replace(source, copies=(packed,))):
        assert "end_unproven" not in [note.kind for note in understand(builder_of(examples), other, None).notes]


@pytest.mark.parametrize("kind", _TEXTS)
def test_notes_have_correct_grammar_for_one_and_for_many(kind):
    one, many = (str(Note(kind, count, "")) for count in (1, 1234))
    if "{n}" not in _TEXTS[kind][0]:
        assert one == many
        return
    assert one.startswith("1 ") and many.startswith("1,234 ")
    noun = one.split()[1]
    assert many.split()[1] == f"{noun}s"
    verbs = {"has": "have", "is": "are", "does": "do", "holds": "hold", "cannot": "cannot"}
    assert many.split()[2] == verbs[one.split()[2]]


def test_notes_of_several_units_are_summed_with_the_first_place():
    notes = [
        ("train/A", Note("records_empty", 2, "example 1")),
        ("train/A", Note("dates_missing", 1, "example 0: 0")),
        ("val/B", Note("records_empty", 3, "example 7")),
        ("val/B", Note("number_counts_samples", 1, "")),
    ]
    assert [(one.note.kind, one.note.count, one.note.first, one.units) for one in sum_notes(notes)] == [
        ("number_counts_samples", 1, "val/B", ("val/B",)),
        ("dates_missing", 1, "train/A, example 0: 0", ("train/A",)),
        ("records_empty", 5, "train/A, example 1", ("train/A", "val/B")),
    ]


class TestColumns:
    def test_the_columns_hold_all_of_a_plain_source(self):
        table = table_of(group(5), group(-1, 1), group(5, 1))
        assert table.sizes.tolist() == [2, 1, 1]
        assert (table.localid.tolist(), table.sample.tolist()) == ([-1, 5], [1, 0, 1])
        assert table.columns["date"].tolist() == [FIRST_DAY, FIRST_DAY + 5, FIRST_DAY, FIRST_DAY]
        assert table.columns["time"].tolist() == [DAY0, DAY0 + 5, DAY0, DAY0]
        assert {name: column.dtype.name for name, column in table.columns.items()} == {
            "date": "int64", "time": "int32", "label": "int8", "weight": "float32",
        }  # fmt: skip
        assert (table.encoding, table.label_side, table.until, table.dates_with_time) == ("ordinal", 1, None, 0)
        assert table.published == ()

    def test_samples_without_localid_are_in_the_order_of_examples(self):
        table = table_of(group(3), group(None), group(-2), group(-1), group(None, 0), group(-1))
        assert table.localid.tolist() == [-2, -1, -1, -1, 3]
        assert table.sample.tolist() == [4, 2, 0, 1, 3, 1]

    def test_values_that_are_not_one_per_image_are_missing_and_kept(self):
        odd = group(1, dates=np.array([7]), weights=np.ones(3, np.float32), labels=np.ones(3, np.int8))
        table = table_of(PLAIN, odd)
        assert table.columns["date"][2:].tolist() == [NO_DATE] * 2
        assert table.columns["time"][2:].tolist() == [NO_DAY] * 2
        assert table.columns["label"][2:].tolist() == [-1] * 2
        assert np.isnan(table.columns["weight"][2:]).all()
        kept = {one.name: one.get(1) for one in table.published}
        assert kept == {
            "dates": (7).to_bytes(8, "little"),
            "weights": np.ones(3, "<f4").tobytes(),
            "labels": b"\1\1\1",
        }
        assert table.encoding == "ordinal", "other examples still have dates"

    def test_bits_of_weights_are_kept(self):
        bits = np.array([0x7FA00001, 0xFFC12345], np.uint32)
        assert (
            table_of(group(weights=bits.view(np.float32))).columns["weight"].view(np.uint32).tolist() == bits.tolist()
        )

    def test_dates_after_the_last_plausible_day_are_missing(self):
        late = (UNTIL + datetime.timedelta(1)).toordinal()
        table = builder_of([dated(late - 1, late - 2), dated(late)]).finish(UNTIL)
        assert table.columns["time"].tolist() == [late - 719_164, late - 719_165, NO_DAY]
        assert (table.encoding, table.until) == ("ordinal", UNTIL)

    def test_the_localid_of_an_example_without_images_is_kept(self):
        table = table_of(PLAIN, group(77, 0))
        assert (table.localid.tolist(), table.sample.tolist()) == ([0, 77], [0, 1])
        assert {one.name: one.get(1) for one in table.published} == {"localid": (77).to_bytes(8, "little")}

    def test_no_examples_make_an_empty_table(self):
        table = table_of(name_count=0)
        assert (table.examples, table.images, len(table.localid), table.encoding) == (0, 0, 0, "none")
        assert (table.notes, table.published) == ((), ())


def test_a_table_with_a_given_form_is_the_same():
    examples = [PLAIN, dated(0), group(2, labels=np.zeros(72, np.int8))]
    first = builder_of(examples).finish(UNTIL)
    again = builder_of(examples).finish(UNTIL, encoding=first.encoding, label_side=first.label_side)
    for name, column in first.columns.items():
        assert again.columns[name].tobytes() == column.tobytes()
    assert again.notes == first.notes


def test_watched_examples_are_yielded_as_they_are_added():
    builder = TableBuilder()
    watched = builder.watch(decode_example(RawRecord(i, 0, example_bytes(PLAIN))) for i in range(3))
    assert (next(watched).number, builder.examples, builder.images) == (0, 1, 2)
    assert [one.number for one in watched] == [1, 2]
    assert (builder.examples, builder.images) == (3, 6)
