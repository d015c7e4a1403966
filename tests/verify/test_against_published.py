"""Published features of a store, compared with its source."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import example_bytes, record_bytes
from variations import bytes_list, changed, group

import s2ct_convert
from s2ct_convert.verify.store import verify_store

UNIT = "train/50SMG"
LABELS, TEXT = b"\1\2\3", b"fifty"


def records(**changes: bytes) -> list[bytes]:
    """Three examples; the second has labels of another length, no weights, and an extra feature."""
    features = {"labels": bytes_list(LABELS), "text": bytes_list(TEXT), **changes}
    return [example_bytes(group(0)), changed(1, **features), example_bytes(group(2, weights=None))]


def source(folder: Path, payloads: list[bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "train_50SMG_3"
    path.write_bytes(b"".join(map(record_bytes, payloads)))
    return path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores of one source, by suffix, and the source itself. Tests must not change them."""
    folder = tmp_path_factory.mktemp("published")
    made = {"source": source(folder / "a", records()), "zarr": folder / "x.zarr", "h5": folder / "x.h5"}
    for suffix in ("zarr", "h5"):
        s2ct_convert.convert([made["source"]], made[suffix])
    return made


@pytest.fixture
def store(clean: dict[str, Path], suffix: str) -> Path:
    return clean[suffix]


@pytest.fixture
def own(clean: dict[str, Path], suffix: str, tmp_path: Path) -> Path:
    """A copy of a store that the test may change."""
    copy = shutil.copytree if suffix == "zarr" else shutil.copy
    return Path(copy(clean[suffix], tmp_path / f"own.{suffix}"))


def differences(store: Path, source: Path) -> list[str]:
    with s2ct_convert.open_store(store) as opened:
        (compared,) = s2ct_convert.verify_against(opened, [source])
    return [str(one) for one in compared.differences]


def test_a_store_with_published_features_has_no_differences(store, clean):
    assert differences(store, clean["source"]) == []
    assert {(one.key, one.name, one.kind): one.values() for one in plain.published(store, UNIT)} == {
        ("labels", "labels", "bytes"): ["elsewhere", LABELS, "elsewhere"],
        ("text", "text", "bytes"): ["elsewhere", TEXT, "elsewhere"],
        ("weights", "weights", "bytes"): ["elsewhere", "elsewhere", "absent"],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": bytes_list(b"other")}, "published 'text' (bytes) differs"),
        ({"text": bytes_list(b"fifty ")}, "published 'text' (bytes) differs"),
        ({"labels": bytes_list(b"\1\2\4")}, "published 'labels' (bytes) differs"),
        ({"weights": bytes_list(b"")}, "published 'weights' (bytes) differs"),
        ({"more": bytes_list(b"x")}, "published 'more' (bytes) is only in the source"),
        ({"text": bytes_list(TEXT, TEXT)}, "published 'text' (bytes) is only in the store"),
        ({"text": bytes_list(TEXT, TEXT)}, "published 'text' (feature) is only in the source"),
        ({"labels": bytes_list(bytes(4))}, "published 'labels' (bytes) is only in the store"),
        ({"labels": bytes_list(bytes(4))}, "example 1, rows 4 to 7: label differs"),
        ({"dates": bytes_list(bytes(32))}, "example 1, rows 4 to 7: date differs"),
        ({"weights": bytes_list(bytes(16))}, "example 1, rows 4 to 7: weight differs"),
        ({"dates": bytes_list(bytes(8))}, "published 'dates' (bytes) is only in the source"),
    ],
)
def test_a_source_with_changed_features_differs(store, tmp_path, changes, message):
    other = source(tmp_path / "b", records(**changes))
    assert f"{UNIT}: {message}" in differences(store, other) or f"{UNIT}, {message}" in differences(store, other)


@pytest.mark.parametrize("absent", ["labels", "text"])
def test_a_source_without_a_feature_differs(store, tmp_path, absent):
    features = {"labels": bytes_list(LABELS), "text": bytes_list(TEXT)}
    del features[absent]
    other = source(tmp_path / "b", [records()[0], changed(1, **features), records()[2]])
    assert any(f"published '{absent}' (bytes)" in one for one in differences(store, other))


def flip(array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed.reshape(-1).view(np.uint8)[0] ^= 1
    return changed


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("text/data", flip),
        ("labels/data", flip),
        ("text/state", lambda state: np.roll(state, 1)),
        ("weights/state", np.ones_like),
        ("labels/offset", flip),
        ("labels/offset", lambda offset: np.minimum(offset, 2)),
    ],
)
def test_a_changed_feature_is_found_with_and_without_the_source(
    own: Path, clean: dict[str, Path], array: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    plain.edit(own, f"{UNIT}/published/{array}", change)
    key = array.partition("/")[0]
    assert verify_store(own).findings
    found = differences(own, clean["source"])
    assert any(f"published '{key}'" in one for one in found), found
    recorded = plain.attributes(own, UNIT)["content_digest"]
    assert plain.unit_digest(plain.arrays(own, UNIT), plain.published(own, UNIT)) != recorded


@pytest.mark.parametrize(("name", "value"), [("name", "texts"), ("kind", "int64")])
def test_a_changed_name_or_kind_is_found(own, name, value):
    with plain.opened_to_edit(own) as root:
        root[f"{UNIT}/published/text/data"].attrs[name] = value
    findings = [str(one) for one in verify_store(own).findings]
    assert any("the digest of attributes and small arrays is" in one for one in findings), findings
    assert any("the content digest is" in one for one in findings), findings


def test_a_deleted_feature_is_found(own, clean):
    with plain.opened_to_edit(own) as root:
        del root[f"{UNIT}/published/text"]
    assert verify_store(own).findings
    found = differences(own, clean["source"])
    assert any("published" in one and "text" in one for one in found), found
