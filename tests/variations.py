"""Variations of the record that its description does not mention: each is a small source with its expected result.

s2ct_convert/source/notes.py has the texts of the notes.
"""

from __future__ import annotations

import datetime
import itertools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from makers import FIRST_DAY, Group, example_bytes, feature_bytes, record_bytes

N = 4  # images of most examples
DAYS = [datetime.date.fromordinal(FIRST_DAY + 5 * i) for i in range(N)]
EPOCH = datetime.date(1970, 1, 1)
Known = Sequence[datetime.date | None]
Time = Sequence[Known]


@dataclass(frozen=True)
class Variation:
    """The records of a source.

    Attributes
    ----------
    records : tuple of bytes
    notes : frozenset of str
        Kinds of all notes that a conversion gives.
    time : sequence of sequences of date or None, optional
        For each example, the days that its dates mean. None if no date can be interpreted.
    count : int, optional
        The number in the name, if it differs from the number of records.
    refused : bool
        Whether the authors' parser refuses a record.
    """

    records: tuple[bytes, ...]
    notes: frozenset[str]
    time: Time | None
    count: int | None = None
    refused: bool = False


def group(localid: int | None = 0, n: int = N, first: int = 0, **changes: object) -> Group:
    """A valid example with features changed; None leaves a feature out."""
    pixels = 1000 * np.arange(4)[None, :] + 10 * np.arange(n)[:, None] + (localid or 0) % 1000
    made = Group(
        localid,
        np.broadcast_to(pixels[:, :, None, None], (n, 4, 42, 42)).astype(np.uint16),
        (np.arange(n) % 6).astype(np.int8),
        FIRST_DAY + first + 5 * np.arange(n, dtype=np.int64),
        (np.arange(n) / 8).astype(np.float32),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def changed(number: int, /, **features: bytes) -> bytes:
    """A valid example with features replaced or added, each as a serialized Feature."""
    names = {"image": "image_raw_ldseries"}
    left_out = {name: None for name in features if name in ("localid", "image", "labels", "dates", "weights")}
    made = Group(**{**vars(group(number)), **left_out})
    return example_bytes(made) + b"".join(feature_bytes(names.get(k, k), value) for k, value in features.items())


def bytes_list(*values: bytes) -> bytes:
    return _field(1, b"".join(_field(1, value) for value in values))


def float_list(*values: float) -> bytes:
    return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))


def int64_list(*values: int) -> bytes:
    return _field(3, _field(1, b"".join(_varint(value & (2**64 - 1)) for value in values)))


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _write(write: Callable[[datetime.date], float], dtype: str = "<i8") -> bytes:
    return np.array([write(day) for day in DAYS], dtype).tobytes()


def _seconds(day: datetime.date) -> int:
    return (day - EPOCH).days * 86_400 + 11_520


KNOWN_DATES = {
    "ordinal": _write(datetime.date.toordinal),
    "yyyymmdd": _write(lambda day: int(day.strftime("%Y%m%d"))),
    "yyyyddd": _write(lambda day: int(day.strftime("%Y%j"))),
    "days since 1970": _write(lambda day: (day - EPOCH).days),
    "modified Julian": _write(lambda day: (day - datetime.date(1858, 11, 17)).days),
    "Julian day": _write(lambda day: day.toordinal() + 1_721_425),
    "Unix s": _write(_seconds),
    "Unix ms": _write(lambda day: _seconds(day) * 10**3),
    "Unix us": _write(lambda day: _seconds(day) * 10**6),
    "Unix ns": _write(lambda day: _seconds(day) * 10**9),
}
UNKNOWN_DATES = {
    "yymmdd": _write(lambda day: int(day.strftime("%y%m%d"))),
    "yyyymmddhhmmss": _write(lambda day: int(day.strftime("%Y%m%d")) * 10**6),
    "spreadsheet": _write(lambda day: day.toordinal() - 693_594),
    "days since 2000": _write(lambda day: day.toordinal() - 730_120),
    "float64": _write(datetime.date.toordinal, "<f8"),
    "days since the first": np.array([0, 5, 10, 15], "<i8").tobytes(),
    "all zero": bytes(8 * N),
}
OTHER_DATES = {  # not one int64 per image
    "one more than images": _write(datetime.date.toordinal) + bytes(8),
    "one per sample": bytes(8),
    "int32": _write(datetime.date.toordinal, "<i4"),
    "text": b"20180102 20180107 20180112 20180117",
}
LABELS_PER_IMAGE = {"3 x 3": 9, "4 x 4": 16, "a label per pixel": 1764}
OTHER_LABELS = {  # number of bytes for 4 images
    "one per sample": 1,
    "one too many": N + 1,
    "int64": 8 * N,
    "int16": 2 * N,
    "one-hot": 6 * N,
}
OTHER_WEIGHTS = {
    "one per sample": np.ones(1, "<f4"),
    "one too few": np.ones(N - 1, "<f4"),
    "float64": np.ones(N, "<f8"),
    "36 per image": np.ones(36 * N, "<f4"),
    "float16, odd": np.ones(3, "<f2"),
}
PLAIN_TIME = (DAYS, DAYS)


def _each(notes: str, time: Time | None = PLAIN_TIME, refused: bool = False, **features: bytes) -> Variation:
    """The same unusual features in both examples."""
    return Variation(tuple(changed(i, **features) for i in range(2)), frozenset(notes.split()), time, refused=refused)


def _some(notes: str, time: Time, **features: bytes) -> Variation:
    """Unusual features in the second of three examples."""
    records = (example_bytes(group(0)), changed(1, **features), example_bytes(group(2)))
    return Variation(records, frozenset(notes.split()), time)


def _groups(notes: str, time: Time | None, *groups: Group, count: int | None = None) -> Variation:
    return Variation(tuple(example_bytes(one) for one in groups), frozenset(notes.split()), time, count)


def _days(*groups: Group) -> Time:
    return [[datetime.date.fromordinal(day) for day in one.dates.tolist()] for one in groups]


FIVE = (group(0), group(0, first=100), group(1), group(1, first=100), group(2, 3))


def _all() -> dict[str, Variation]:
    some_days = [DAYS, [*DAYS[:3], None], DAYS]
    out = {
        "plain": _groups("", PLAIN_TIME, group(0), group(1)),
        "n counts examples": _groups("", _days(*FIVE), *FIVE),
        "n counts samples": _groups("number_counts_samples end_unproven", _days(*FIVE), *FIVE, count=3),
        "n counts images": _groups("number_counts_observations", _days(*FIVE), *FIVE, count=19),
        "n counts nothing": _groups("number_counts_nothing end_unproven", _days(*FIVE), *FIVE, count=2),
        "nothing at all": _groups("", []),
    }
    for name, dates in KNOWN_DATES.items():
        with_time = "dates_with_time" if name.startswith("Unix") else ""
        out[f"dates: {name}"] = _each(with_time, dates=bytes_list(dates))
    for name, dates in UNKNOWN_DATES.items():
        out[f"dates: {name}"] = _each("dates_unknown", None, dates=bytes_list(dates))
    for name, dates in OTHER_DATES.items():
        odd = len(dates) % 8 > 0
        out[f"dates: {name}"] = _each("dates_other_form", None, odd, dates=bytes_list(dates))
    out |= {
        "dates: positions from 0": _each("dates_position", None, dates=bytes_list(struct.pack("<4q", 0, 1, 2, 3))),
        "dates: positions from 1": _each("dates_position", None, dates=bytes_list(struct.pack("<4q", 1, 2, 3, 4))),
        "dates: positions through groups": _groups(
            "dates_position", None, group(7, dates=np.arange(4)), group(7, dates=np.arange(4, 8))
        ),
        "dates: none": _each("dates_none", None, dates=bytes_list(b"")),
        "dates: absent": _groups("dates_none", None, group(0, dates=None), group(1, dates=None)),
        "dates: an int64 list": _each("dates_other_form", None, True, dates=int64_list(1, 2, 3, 4)),
        "dates: a zero among good ones": _some(
            "dates_missing", some_days, dates=bytes_list(KNOWN_DATES["ordinal"][:24] + bytes(8))
        ),
        "dates: another form in one example": _some(
            "dates_missing", [DAYS, [None] * N, DAYS], dates=bytes_list(KNOWN_DATES["yyyymmdd"])
        ),
        "dates: one day for all": _each(
            "dates_repeated", [[DAYS[0]] * N] * 2, dates=bytes_list(struct.pack("<q", FIRST_DAY) * N)
        ),
        "labels: none": _each("labels_missing", labels=bytes_list(b"")),
        "labels: absent": _groups("labels_missing", PLAIN_TIME, group(0, labels=None), group(1, labels=None)),
        "labels: 6 x 6": _each("", labels=bytes_list(bytes(np.repeat(np.arange(N, dtype=np.int8), 36)))),
        "labels: class 6": _each("labels_other_class", labels=bytes_list(b"\6" * N)),
        "labels: 255": _each("labels_other_class", labels=bytes_list(b"\xff" * N)),
        "labels: digits": _each("labels_other_class", labels=bytes_list(b"0123")),
        "labels: 6 x 6 in one example": _some("labels_other_form", [DAYS] * 3, labels=bytes_list(bytes(36 * N))),
        "labels: an int64 list": _each("labels_other_form", refused=True, labels=int64_list(0, 1, 2, 3)),
    }
    for name, per_image in LABELS_PER_IMAGE.items():
        labels = (np.arange(N * per_image) % 6).astype("i1").tobytes()
        out[f"labels: {name}"] = _each("labels_other_size", labels=bytes_list(labels))
    for name, n in OTHER_LABELS.items():
        out[f"labels: {name}"] = _each("labels_other_form", labels=bytes_list(bytes(n)))
    for name, weights in OTHER_WEIGHTS.items():
        odd = weights.nbytes % 4 > 0
        out[f"weights: {name}"] = _each("weights_other_form", PLAIN_TIME, odd, weights=bytes_list(weights.tobytes()))
    nans = np.array([0x7FC00000, 0x7FA00001, 0xFFC12345, 0x80000000], "<u4").tobytes()
    out |= {
        "weights: none": _each("", weights=bytes_list(b"")),
        "weights: absent": _groups("", PLAIN_TIME, group(0, weights=None), group(1, weights=None)),
        "weights: bits of NaN": _each("", weights=bytes_list(nans)),
        "weights: none in one example": _some("", [DAYS] * 3, weights=bytes_list(b"")),
        "weights: a float list": _each("weights_other_form", PLAIN_TIME, True, weights=float_list(1, 1, 1, 1)),
        "localid: absent": _groups("localid_missing", [DAYS] * 3, *(group(None) for _ in range(3))),
        "localid: absent in one, -1 in another": _groups(
            "localid_missing", [DAYS] * 3, group(-1), group(None), group(5)
        ),
        "localid: negative": _groups("", [DAYS] * 3, group(-2), group(-(2**63)), group(-1)),
        "localid: large": _groups("", PLAIN_TIME, group(2**63 - 1), group(2**31 + 5)),
        "localid: twice with the same dates": _groups("dates_repeated", [DAYS] * 3, group(0), group(1), group(0)),
        "localid: groups out of order": _groups("", _days(*FIVE[3::-1]), *FIVE[3::-1]),
        "localid: two values": _each("localid_other_form", PLAIN_TIME, True, localid=int64_list(1, 2)),
        "localid: no value": _each("localid_other_form", PLAIN_TIME, True, localid=int64_list()),
        "localid: text": _each("localid_other_form", PLAIN_TIME, True, localid=bytes_list(b"12")),
        "images: none in one example": _groups("images_missing", [DAYS, [], DAYS], group(0), group(77, 0), group(2)),
        "images: absent in one example": _groups(
            "images_missing labels_other_form dates_other_form weights_other_form",
            [DAYS, [], DAYS],
            group(0),
            group(77, image=None),
            group(2),
        ),
        "images: 101": _groups("", _days(group(0, 101), group(1, 2)), group(0, 101), group(1, 2)),
        "images: float32, twice as many": _each(
            "labels_other_form dates_other_form weights_other_form",
            [[None] * 2 * N] * 2,
            image=bytes_list(np.arange(N * 7056, dtype="<f4").tobytes()),
        ),
        "images: a list": _each(
            "images_other_form labels_other_form dates_other_form weights_other_form",
            [[], []],
            True,
            image=bytes_list(*[bytes(14_112)] * N),
        ),
        "images: cut": _each(
            "images_other_form labels_other_form dates_other_form weights_other_form",
            [[], []],
            True,
            image=bytes_list(bytes(14_111)),
        ),
        "features: others": _each(
            "features_unknown",
            **{
                "tile": bytes_list(b"50SMG"),
                "lat": float_list(1.5),
                "ids": int64_list(1, -2),
                "none": b"",
                "list": bytes_list(b"a", b""),
                "no value": bytes_list(),
            },
        ),
        "features: odd names": _each(
            "features_unknown",
            **{
                name: bytes_list(name.encode())
                for name in ("a/b", "", "A", "a", "x" * 300, "\u96ea\U0001f328", "..", "-")
            },
        ),
        "features: a name with a zero byte": _each("records_unknown", **{"a\0": bytes_list(b"x")}),
        "features: a name that is not UTF-8": Variation(
            tuple(example_bytes(group(i)) + feature_bytes(b"\xff\xfe", bytes_list(b"x")) for i in range(2)),
            frozenset({"records_unknown"}),
            PLAIN_TIME,
        ),
        "records: empty among good ones": Variation(
            (example_bytes(group(0)), b"", example_bytes(group(1))), frozenset({"records_empty"}), (DAYS, [], DAYS)
        ),
        "records: no Example among good ones": Variation(
            (example_bytes(group(0)), b"\xff\xff\xff hello", example_bytes(group(1))),
            frozenset({"records_unknown"}),
            (DAYS, [], DAYS),
            refused=True,
        ),
        "records: sequences": Variation(
            (_field(2, _field(1, _field(1, b"image_raw_ldseries"))),) * 2, frozenset({"records_unknown"}), ([], [])
        ),
        "records: a field beyond": Variation(
            tuple(example_bytes(group(i)) + _field(9, b"more") for i in range(2)),
            frozenset({"records_unknown"}),
            PLAIN_TIME,
        ),
    }
    return out


VARIATIONS = _all()
_LETTERS = [f"{a}{b}" for a, b in itertools.product("ABCDEFGHJKLMNPQRSTUVWXYZ", "ABCDEFGHJKLMNPQRSTUV")]
TILES = {name: f"50S{letters}" for name, letters in zip(VARIATIONS, _LETTERS, strict=False)}


def write_variation(folder: Path, name: str, unit: str | None = None) -> Path:
    """Write a variation as a TFRecord; without ``unit`` it gets its own tile."""
    one = VARIATIONS[name]
    count = len(one.records) if one.count is None else one.count
    path = folder / f"{unit or f'train_{TILES[name]}'}_{count}"
    path.write_bytes(b"".join(map(record_bytes, one.records)))
    return path
