"""A store of the layout as it was released opens for good; one of a layout to come is refused with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from s2ct_convert.errors import NotAStore
from s2ct_convert.reading.store import open_store
from s2ct_convert.store.layout import LAYOUT_VERSION
from s2ct_convert.verify.store import verify_store

from .layout_fixture import DATA, FIRST_ORDINAL, SAMPLES, image, label, weight
from .test_store import set_root_attribute


@pytest.fixture(params=[f"layout_{n}.{suffix}" for n in range(1, LAYOUT_VERSION + 1) for suffix in ("zarr", "h5")])
def released(request, tmp_path) -> Path:
    if request.param.endswith(".zarr"):
        shutil.unpack_archive(DATA / f"{request.param}.zip", tmp_path)
    else:
        shutil.copy(DATA / request.param, tmp_path)
    return tmp_path / request.param


def test_it_opens_and_has_what_was_written(released):
    with open_store(released) as store:
        assert list(store.units) == list(SAMPLES)
        for name, samples in SAMPLES.items():
            for localid, n in samples:
                found = store[name].sample(localid)
                np.testing.assert_array_equal(found.image, image(localid, n))
                np.testing.assert_array_equal(found.label, label(n))
                np.testing.assert_array_equal(found.weight, weight(n))
                np.testing.assert_array_equal(found.time, FIRST_ORDINAL - 719163 + 5 * np.arange(n))
        assert len(store.samples) == 3


def test_verification_finds_nothing(released):
    """So no change of the layout, of an attribute even, goes without another layout version."""
    assert [str(finding) for finding in verify_store(released).findings] == []


@pytest.mark.parametrize("version", [LAYOUT_VERSION + 1, 99])
def test_a_layout_to_come_is_refused_with_what_to_do(released, version):
    set_root_attribute(released, "s2ct_layout_version", version)
    with pytest.raises(NotAStore, match=f"this store has layout version {version}") as error:
        open_store(released)
    assert "upgrade" in error.value.todo


def test_a_version_that_is_none_is_refused(released):
    set_root_attribute(released, "s2ct_layout_version", "latest")
    with pytest.raises(NotAStore, match="layout version latest") as error:
        open_store(released)
    assert error.value.todo == ""
