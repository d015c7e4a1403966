"""Notes on contents of a source that its description does not mention: one note per kind.

A note never stops a conversion. With ``--strict``, a source with notes is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..dataset import DATASET, Dataset
from ..published import plain_key

# kind -> text for a count of one, and for others. {n} is the count; the other fields are terms of the data set.
_TEXTS = {
    "end_unproven": (
        "nothing proves the end of the source: examples may be missing there, if it was cut between two records",
    )
    * 2,
    "number_counts_samples": ("the number in the name counts samples, not examples",) * 2,
    "number_counts_observations": ("the number in the name counts images, not examples",) * 2,
    "number_counts_nothing": ("the number in the name is not that of examples, samples or images",) * 2,
    "dates_unknown": (
        "{n} date is in no form that s2ct knows: its value is in `date`, its `time` is missing",
        "{n} dates are in no one form that s2ct knows: their values are in `date`, their `time` is missing",
    ),
    "dates_position": (
        "{n} date is the position of its image, not a day: its `time` is missing",
        "{n} dates are positions of images, not days: their `time` is missing",
    ),
    "dates_missing": (
        "{n} date is not a day of the {mission} mission: its value is in `date`, its `time` is missing",
        "{n} dates are not days of the {mission} mission: their values are in `date`, their `time` is missing",
    ),
    "dates_with_time": (
        "{n} date has a time of day: `time` has the day, `date` the published value",
        "{n} dates have a time of day: `time` has the days, `date` the published values",
    ),
    "dates_repeated": (
        "{n} image has the sample and the date of another: both are kept",
        "{n} images have the sample and the date of another: all are kept",
    ),
    "dates_none": ("{n} example has no dates: `time` is missing", "{n} examples have no dates: `time` is missing"),
    "dates_other_form": (
        "{n} example does not have one date per image: its dates are kept in `published/{dates}`",
        "{n} examples do not have one date per image: their dates are kept in `published/{dates}`",
    ),
    "labels_missing": (
        "{n} example has no labels: they are -1 (no_label)",
        "{n} examples have no labels: they are -1 (no_label)",
    ),
    "labels_other_form": (
        "{n} example has labels in another form than most: they are -1 (no_label), and kept in `published/{labels}`",
        "{n} examples have labels in another form than most: they are -1 (no_label), and kept in `published/{labels}`",
    ),
    "labels_other_size": (
        "{n} example has labels that are neither one nor {centre} x {centre} per image",
        "{n} examples have labels that are neither one nor {centre} x {centre} per image",
    ),
    "labels_other_class": (
        "{n} label is none of the classes 0 to {last_class}: it is stored as it is",
        "{n} labels are none of the classes 0 to {last_class}: they are stored as they are",
    ),
    "weights_other_form": (
        "{n} example does not have one weight per image: its weights are kept in `published/{weights}`",
        "{n} examples do not have one weight per image: their weights are kept in `published/{weights}`",
    ),
    "localid_missing": (
        "{n} example has no localid: it is a sample of its own with localid -1",
        "{n} examples have no localid: each is a sample of its own with localid -1",
    ),
    "localid_other_form": (
        "{n} example has a localid that is not one int64: it is a sample of its own, kept in `published/{localid}`",
        "{n} examples have a localid that is not one int64: each is a sample of its own, kept in `published/{localid}`",
    ),
    "images_missing": ("{n} example has no images", "{n} examples have no images"),
    "images_other_form": (
        "{n} example has images that are not {shape} uint16: its bytes are kept in `published/{image}`",
        "{n} examples have images that are not {shape} uint16: their bytes are kept in `published/{image}`",
    ),
    "features_unknown": (
        "{n} example has features that the description does not name: they are kept in `published`",
        "{n} examples have features that the description does not name: they are kept in `published`",
    ),
    "records_unknown": (
        "{n} record cannot be given back from its features alone: it is kept whole in `published/record`",
        "{n} records cannot be given back from their features alone: they are kept whole in `published/record`",
    ),
    "records_empty": ("{n} record has no features", "{n} records have no features"),
}


@dataclass(frozen=True)
class Note:
    """One kind of content that the description of the record does not mention, and how often it occurs.

    Attributes
    ----------
    kind : str
        A key for programs, such as ``dates_missing``.
    count : int
        Number of dates, labels, images, examples or records.
    first : str
        The first place, such as ``example 3: 0``.
    """

    kind: str
    count: int
    first: str

    @property
    def is_known(self) -> bool:
        """Whether this version has a text for it."""
        return self.kind in _TEXTS

    def line(self, dataset: Dataset = DATASET) -> str:
        """One line, as in the attribute ``notes`` of a unit."""
        return f"{self.kind}: {self.text(dataset)} ({self.first})"

    def document(self, dataset: Dataset = DATASET) -> dict[str, Any]:
        """The note as a JSON object."""
        return {"kind": self.kind, "count": self.count, "text": self.text(dataset), "first": self.first}

    def text(self, dataset: Dataset) -> str:
        """The text of the note, with the terms of a data set."""
        one, many = _TEXTS[self.kind]
        return (one if self.count == 1 else many).format(n=f"{self.count:,}", **_words(dataset))

    def __str__(self) -> str:
        return self.text(DATASET)


def _words(dataset: Dataset) -> dict[str, Any]:
    """The terms of a data set that the texts of notes use."""
    keys = {name: plain_key(feature) for name, feature in vars(dataset.features).items() if isinstance(feature, str)}
    shape = " x ".join(map(str, dataset.obs_shape))
    about = {"mission": dataset.mission, "centre": dataset.centre, "last_class": len(dataset.classes) - 1}
    return {**keys, **about, "shape": shape}


@dataclass(frozen=True)
class NoteSum:
    """A kind of note over several units."""

    note: Note
    units: tuple[str, ...]


def sum_notes(notes: Iterable[tuple[str, Note]]) -> list[NoteSum]:
    """Sum notes of several units, given with unit names, to one per kind. Counts are added; the first place is kept."""
    sums: dict[str, NoteSum] = {}
    for unit, note in notes:
        if (before := sums.get(note.kind)) is None:
            sums[note.kind] = NoteSum(replace(note, first=f"{unit}, {note.first}" if note.first else unit), (unit,))
        else:
            total = replace(before.note, count=before.note.count + note.count)
            sums[note.kind] = NoteSum(total, (*before.units, unit))
    order = list(_TEXTS)
    return sorted(sums.values(), key=lambda one: order.index(one.note.kind))
