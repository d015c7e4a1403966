from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from s2ct_convert.published import make_keys
from s2ct_convert.source import kept as module
from s2ct_convert.source.example import Kept, Kind
from s2ct_convert.source.kept import KeptBytes


def values(feature, examples: int) -> list[bytes | None]:
    return [feature.get(i) for i in range(examples)]


def test_a_feature_holds_values_absences_and_values_kept_elsewhere():
    kept = KeptBytes()
    for example, data in ((0, b"abc"), (1, None), (3, b""), (4, b"d")):
        kept.add(example, Kept("labels", Kind.BYTES, data))
    (one,) = kept.features(6)
    assert (one.key, one.name, one.kind) == ("labels", "labels", "bytes")
    assert one.state.tolist() == [1, 2, 0, 1, 1, 0]
    assert one.offset.tolist() == [0, 3, 3, 3, 3, 4, 4]
    assert (one.state.dtype, one.offset.dtype, one.data.dtype) == (np.int8, np.int64, np.uint8)
    assert values(one, 6) == [b"abc", None, None, b"", b"d", None]


def test_a_feature_in_two_forms_makes_two_groups():
    kept = KeptBytes()
    kept.add(0, Kept("dates", Kind.BYTES, b"12"))
    kept.add(1, Kept("dates", Kind.INT64, bytes(8)))
    kept.add(2, Kept("", Kind.RECORD, b"x"))
    found = {(one.name, one.kind): values(one, 3) for one in kept.features(3)}
    assert found == {
        ("dates", "bytes"): [b"12", None, None],
        ("dates", "int64"): [None, bytes(8), None],
        ("", "record"): [None, None, b"x"],
    }
    assert [one.key for one in kept.features(3)] == ["dates", "dates.2", "record"]


def test_no_kept_bytes_make_no_features():
    assert KeptBytes().features(5) == ()


@pytest.fixture
def small_spool(monkeypatch) -> None:
    monkeypatch.setattr(module, "SPOOL_BYTES", 1000)


def open_files(folder: Path) -> list[str]:
    """Files below a folder that this process has open, even if they have no name any more."""
    links = Path("/proc/self/fd")
    if not links.exists():
        pytest.skip("this test needs /proc")
    names = []
    for link in links.iterdir():
        try:
            names.append(str(link.readlink()))
        except OSError:  # closed meanwhile
            continue
    return [name for name in names if name.startswith(str(folder))]


@pytest.mark.usefixtures("small_spool")
@pytest.mark.parametrize("size", [999, 1000, 1001, 5000])
def test_large_features_are_spooled_to_disk_and_leave_no_file(tmp_path, rng, size):
    kept, pieces = KeptBytes(tmp_path), [rng.bytes(7), b"", rng.bytes(size - 7)]
    for i, piece in enumerate(pieces):
        kept.add(i, Kept("x", Kind.BYTES, piece))
    (one,) = kept.features(3)
    assert values(one, 3) == pieces
    assert np.asarray(one.data[:]).tobytes() == b"".join(pieces)
    assert list(tmp_path.iterdir()) == [], "the file has no name"
    assert bool(open_files(tmp_path)) == (size > 1000)
    del one, kept
    gc.collect()
    assert open_files(tmp_path) == []


@pytest.mark.usefixtures("small_spool")
def test_features_are_spooled_separately(tmp_path, rng):
    kept, wanted = KeptBytes(tmp_path), {}
    for name, size in (("a", 3000), ("b", 10), ("c", 3000)):
        wanted[name] = [rng.bytes(size), rng.bytes(size)]
    for i in range(2):
        for name, pieces in wanted.items():
            kept.add(i, Kept(name, Kind.BYTES, pieces[i]))
    assert {one.name: values(one, 2) for one in kept.features(2)} == wanted


def test_an_unwritable_spool_folder_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SPOOL_BYTES", 10)
    kept = KeptBytes(tmp_path / "gone")
    with pytest.raises(OSError):
        kept.add(0, Kept("x", Kind.BYTES, bytes(100)))


KEYS = {
    ("labels", "bytes"): "labels",
    ("a/b", "bytes"): "a_b",
    ("A", "bytes"): "A",
    ("a", "bytes"): "a.2",
    ("", "bytes"): "record",
    ("", "record"): "record.2",
    ("record", "bytes"): "record.3",
    ("-é-", "bytes"): "feature",
    ("..", "bytes"): "feature.2",
    ("é\N{SNOWMAN}", "bytes"): "feature.3",
    ("__x", "bytes"): "x",
    ("x" * 300, "bytes"): "x" * 80,
    ("x" * 301, "bytes"): "x" * 80 + ".2",
}


def test_group_names_are_plain_and_unique_on_any_file_system():
    assert make_keys(KEYS) == KEYS
    assert make_keys(reversed(list(KEYS))) == KEYS
    lower = [key.lower() for key in KEYS.values()]
    assert len(set(lower)) == len(lower)
