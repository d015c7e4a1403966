"""All variations of the record are stored, interpreted where possible, verified, and exported feature by feature."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pytest
import records
from variations import TILES, VARIATIONS, write_variation

import s2ct_convert
from s2ct_convert.errors import EXIT_SOURCE
from s2ct_convert.reading.opening import open_store
from s2ct_convert.units.entries import UnitEntry
from s2ct_convert.verify.against import verify_against
from s2ct_convert.verify.store import verify_store

pytestmark = pytest.mark.every_variant


NO_DAY, NO_DATE = -(2**31), -(2**63)
ENCODINGS = {
    "ordinal": "ordinal",
    "yyyymmdd": "yyyymmdd",
    "yyyyddd": "yyyyddd",
    "days since 1970": "days_since_1970",
    "modified Julian": "modified_julian_date",
    "Julian day": "julian_day",
    "Unix s": "unix_seconds",
    "Unix ms": "unix_milliseconds",
    "Unix us": "unix_microseconds",
    "Unix ns": "unix_nanoseconds",
}
NAMES = list(VARIATIONS)
QUICK = {  # `make test` takes these
    "zarr": NAMES[::5],
    "h5": [name for name in NAMES[1::10] if not name.startswith(("labels", "weights"))],
}


@dataclass(frozen=True)
class Part:
    """Variations that become units of one store."""

    suffix: str
    names: tuple[str, ...]


PARTS = [Part(suffix, tuple(names)) for suffix, names in QUICK.items()]
REST = [Part(suffix, tuple(name for name in NAMES if name not in names)) for suffix, names in QUICK.items()]


def marked(part: Part, *more: str) -> Any:
    return pytest.param(
        part, *more, marks=[pytest.mark.slow] if part in REST else [], id=" ".join([part.suffix, *more])
    )


EACH_STORE = pytest.mark.parametrize("made", [marked(part) for part in (*PARTS, *REST)], indirect=True)
EACH = pytest.mark.parametrize(
    ("made", "name"), [marked(part, name) for part in (*PARTS, *REST) for name in part.names], indirect=["made"]
)


class Made:
    """The store of a part, its export and its comparison with the sources."""

    def __init__(self, folder: Path, part: Part) -> None:
        (folder / "sources").mkdir()
        self.names = part.names
        sources = [write_variation(folder / "sources", name) for name in part.names]
        self.path = folder / f"x.{part.suffix}"
        summary = s2ct_convert.convert(sources, self.path, jobs=1)
        self.records: dict[str, UnitEntry] = {record.unit: record for record in summary.converted}
        with open_store(self.path) as store:
            self.attributes = {name: unit.attributes for name, unit in store.units.items()}
            self.localid = {name: unit.localid.tolist() for name, unit in store.units.items()}
            back = s2ct_convert.export_tfrecord(store, folder / "back")
            compared = verify_against(store, sources)
        self.back = {one.unit: one.path for one in back}
        self.differences = {one.unit: one.differences for one in compared}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Part], Made]:
    """Makes the store of a part when the first test needs it."""
    return cache(lambda part: Made(tmp_path_factory.mktemp(part.suffix), part))


@pytest.fixture
def made(stores: Callable[[Part], Made], request: pytest.FixtureRequest) -> Made:
    return stores(request.param)


def unit_of(name: str) -> str:
    return f"train/{TILES[name]}"


@EACH
@pytest.mark.slow
def test_export_returns_every_feature_of_every_example(made, name):
    back = records.all_features(made.back[unit_of(name)])
    assert back == [records.features(payload) for payload in VARIATIONS[name].records]


@EACH
def test_the_store_does_not_differ_from_the_source(made, name):
    assert made.differences[unit_of(name)] == ()


@EACH
def test_notes_name_what_the_description_omits(made, name):
    record, attributes = made.records[unit_of(name)], made.attributes[unit_of(name)]
    assert {note.kind for note in record.notes} == VARIATIONS[name].notes
    lines = str(attributes.get("notes", "")).splitlines()
    assert [line.partition(":")[0] for line in lines] == [note.kind for note in record.notes]


def in_source_order(path: Path, unit: str) -> tuple[plain.Arrays, list[np.ndarray]]:
    """The arrays of a unit, and the rows of each example of its source."""
    arrays = plain.arrays(path, unit)
    rows = np.lexsort((arrays["position"], arrays["example"]))
    n = int(plain.attributes(path, unit)["source_examples"])
    return arrays, np.split(rows, np.searchsorted(arrays["example"][rows], np.arange(1, n)))[:n]


def values(features: object, name: str, dtype: str) -> np.ndarray | None:
    """A feature as the authors' parser reads it, or None."""
    if not isinstance(features, dict) or features.get(name) is None:
        return None
    kind, given = features[name]
    if kind != "bytes" or len(given) != 1 or len(given[0]) % np.dtype(dtype).itemsize:
        return None
    return np.frombuffer(given[0], dtype)


@EACH
def test_arrays_hold_features_with_one_value_per_image(made, name):
    arrays, examples = in_source_order(made.path, unit_of(name))
    for payload, rows in zip(VARIATIONS[name].records, examples, strict=True):
        features = records.features(payload)
        image = values(features, "image_raw_ldseries", "<u2")
        if image is None or image.nbytes % 14_112:
            assert not len(rows)
            continue
        assert arrays["image"][rows].tobytes() == image.tobytes()
        for array, feature, dtype, missing in (
            ("date", "dates", "<i8", NO_DATE),
            ("weight", "weights", "<f4", np.nan),
            ("label", "labels", "i1", -1),
        ):
            given, stored = values(features, feature, dtype), arrays[array][rows]
            if given is not None and given.size == stored.size:
                assert stored.tobytes() == given.tobytes(), array
            else:
                assert np.array_equal(stored, np.full(stored.shape, missing, stored.dtype), equal_nan=True), array


@EACH
def test_times_match_the_known_dates(made, name):
    arrays, examples = in_source_order(made.path, unit_of(name))
    time = VARIATIONS[name].time or [[None] * len(rows) for rows in examples]
    epoch = datetime.date(1970, 1, 1)
    for known, rows in zip(time, examples, strict=True):
        days = [NO_DAY if day is None else (day - epoch).days for day in known]
        assert arrays["time"][rows].tolist() == days
    encoding = ENCODINGS.get(name.removeprefix("dates: "))
    if encoding:
        assert made.attributes[unit_of(name)]["date_encoding"] == encoding


LOCALIDS = {
    "localid: absent": [-1, -1, -1],
    "localid: absent in one, -1 in another": [-1, -1, 5],
    "localid: negative": [-(2**63), -2, -1],
    "localid: large": [2**31 + 5, 2**63 - 1],
    "localid: twice with the same dates": [0, 1],
    "localid: two values": [-1, -1],
    "images: none in one example": [0, 2, 77],
    "records: empty among good ones": [-1, 0, 1],
    "n counts samples": [0, 1, 2],
}


@EACH_STORE
def test_localid_or_else_the_example_identifies_a_sample(made):
    wanted = {name: localids for name, localids in LOCALIDS.items() if name in made.names}
    assert {name: made.localid[unit_of(name)] for name in wanted} == wanted


@EACH_STORE
def test_name_counts_says_what_the_number_in_the_name_counts(made):
    what = {"images": "observations"}
    names = [name for name in made.names if name.startswith("n counts ")]
    assert [made.attributes[unit_of(name)]["name_counts"] for name in names] == [
        what.get(name.split()[-1], name.split()[-1]) for name in names
    ]


@EACH_STORE
def test_the_store_verifies(made):
    assert [str(finding) for finding in verify_store(made.path).findings] == []


@EACH_STORE
def test_only_times_with_gaps_have_a_fill_value(made):
    with plain.opened(made.path) as root:
        for name in made.names:
            time = root[unit_of(name)]["time"]
            assert ("_FillValue" in time.attrs) == (NO_DAY in time[...]), name


def test_strict_refuses_sources_with_notes_and_lists_them(tmp_path, suffix):
    names = ("plain", "features: others", "images: absent in one example", "weights: none")
    sources = [write_variation(tmp_path, name) for name in names]
    with pytest.raises(s2ct_convert.UnitsFailed) as failed:
        s2ct_convert.convert(sources, tmp_path / f"x.{suffix}", strict=True, jobs=1)
    refused = {failure.unit: failure for failure in failed.value.summary.failures}
    assert set(refused) == {unit_of(name) for name in names[1:3]}
    for failure in refused.values():
        assert failure.exit_code == EXIT_SOURCE
        assert "leave out --strict" in failure.message
    message = refused[unit_of(names[2])].message
    assert message.count("1 example ") == len(VARIATIONS[names[2]].notes)


@pytest.mark.parametrize("name", [name for name, one in VARIATIONS.items() if one.refused])
def test_read_examples_refuses_what_the_authors_parser_refuses(tmp_path, name):
    with pytest.raises(s2ct_convert.S2ctError, match=r"example [01], byte"):
        list(s2ct_convert.read_examples(write_variation(tmp_path, name)))


@pytest.mark.parametrize("name", [name for name, one in VARIATIONS.items() if not one.refused])
def test_read_examples_reads_what_the_authors_parser_reads(tmp_path, name):
    read = list(s2ct_convert.read_examples(write_variation(tmp_path, name)))
    assert len(read) == len(VARIATIONS[name].records)
