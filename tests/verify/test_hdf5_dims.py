"""Dimensions of HDF5 arrays, including ones on which HDF5 hangs."""

from __future__ import annotations

import pytest

import s2ct_convert
from s2ct_convert.verify import hdf5_dims
from s2ct_convert.verify.store import verify_store

HEAP = b"GCOL"  # signature of a global heap collection, which holds references to dimensions (HDF5 file format, III.E)


@pytest.mark.parametrize("first", [0, 16], ids=["with its signature", "without its header"])
def test_a_zeroed_heap_is_a_finding_and_verification_ends(tmp_path, monkeypatch, first):
    store = tmp_path / "x.h5"
    s2ct_convert.convert(s2ct_convert.sample_sources()[2], store)
    data = bytearray(store.read_bytes())
    at = data.find(HEAP)
    assert at > 0
    while at >= 0:
        data[at + first : at + 4096] = bytes(4096 - first)
        at = data.find(HEAP, at + 1)
    store.write_bytes(data)
    monkeypatch.setattr(hdf5_dims, "TIMEOUT_SECONDS", 5.0)
    report = verify_store(store)
    assert any("dimensions of" in finding.what for finding in report.findings)
    with s2ct_convert.open_store(store) as opened:  # reading does not need them
        assert opened.units["val/31TCJ"].observations == 47
