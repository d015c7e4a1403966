"""Every released layout stays readable. A newer layout is refused with advice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from s2ct_convert.errors import NotAStore, WrongUsage
from s2ct_convert.export.tfrecord import export_tfrecord
from s2ct_convert.pictures.preview import preview
from s2ct_convert.reading.opening import open_store
from s2ct_convert.store.layout import LAYOUT_VERSION
from s2ct_convert.verify.store import verify_store

from .layout_fixture import DATA, FIRST_ORDINAL, SAMPLES, TEXT, image, label, ordinals, weight
from .test_store import set_root_attribute


@pytest.fixture(params=[f"layout_{n}.{suffix}" for n in range(1, LAYOUT_VERSION + 1) for suffix in ("zarr", "h5")])
def released(request, tmp_path) -> Path:
    if request.param.endswith(".zarr"):
        shutil.unpack_archive(DATA / f"{request.param}.zip", tmp_path)
    else:
        shutil.copy(DATA / request.param, tmp_path)
    return tmp_path / request.param


NO_DAY = -(2**31)


def days(localid: int, n: int, layout: int) -> np.ndarray:
    """`time` of a sample. In layout 2 one sample has a first image without a date, which therefore comes last."""
    time = (FIRST_ORDINAL - 719163 + 5 * np.arange(n)).astype(np.int32)
    return np.append(time[1:], np.int32(NO_DAY)) if layout > 1 and localid == 9 else time


def test_a_released_layout_opens_with_the_written_values(released):
    with open_store(released) as store:
        assert list(store.units) == list(SAMPLES)
        for name, samples in SAMPLES.items():
            for localid, n in samples:
                found, time = store[name].sample(localid), days(localid, n, store.layout)
                order = np.roll(np.arange(n), -1) if time[-1] == NO_DAY else np.arange(n)
                np.testing.assert_array_equal(found.image, image(localid, n)[order])
                np.testing.assert_array_equal(found.label, label(n)[order])
                np.testing.assert_array_equal(found.weight, weight(n)[order])
                np.testing.assert_array_equal(found.time, time)
        assert len(store.samples) == 3


def test_layout_2_has_published_dates_and_unknown_features(released):
    with open_store(released) as store:
        unit = store["train/50SMG"]
        if store.layout == 1:
            assert unit.published == {}
            with pytest.raises(NotAStore, match="layout 1 does not contain dates"):
                _ = unit.date
            return
        assert unit.date[unit.rows(3)].tolist() == ordinals(40).tolist()
        assert unit.date[unit.rows(9)].tolist() == [*ordinals(5)[1:].tolist(), 0]
        assert [unit.published["text"].get(i) for i in range(2)] == [TEXT.encode(), None]
        assert [store["val/50SMG"].published["text"].get(i) for i in range(1)] == [TEXT.encode()]


def test_layout_2_can_be_exported(released, tmp_path):
    with open_store(released) as store:
        if store.layout == 1:
            with pytest.raises(WrongUsage, match="layout 1, which does not keep every feature"):
                export_tfrecord(store, tmp_path / "back")
            assert not (tmp_path / "back").exists()
        else:
            done = export_tfrecord(store, tmp_path / "back")
            assert [one.path.name for one in done] == ["train_50SMG_2", "val_50SMG_1"]


@pytest.mark.slow
def test_a_released_layout_can_be_previewed(released, tmp_path):
    pytest.importorskip("matplotlib")
    shown = preview(released, tmp_path / "sheet.png")
    assert (shown.unit, shown.localid) == ("train/50SMG", 3)


def test_a_released_layout_verifies_without_findings(released):
    """So every change of the layout, even of an attribute, needs a new layout version."""
    assert [str(finding) for finding in verify_store(released).findings] == []


@pytest.mark.every_variant
@pytest.mark.parametrize("version", [LAYOUT_VERSION + 1, 99])
def test_a_newer_layout_is_refused_with_advice(released, version):
    set_root_attribute(released, "s2ct_layout_version", version)
    with pytest.raises(NotAStore, match=f"this store has layout version {version}") as error:
        open_store(released)
    assert "update s2ct" in error.value.todo


@pytest.mark.every_variant
def test_an_invalid_layout_version_is_refused(released):
    set_root_attribute(released, "s2ct_layout_version", "latest")
    with pytest.raises(NotAStore, match="layout version latest") as error:
        open_store(released)
    assert error.value.todo == ""
