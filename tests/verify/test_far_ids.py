"""Order of localids at both ends of int64."""

from __future__ import annotations

from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.verify.store import verify_store


def test_localids_at_both_ends_of_int64_are_in_order(tmp_path, rng, suffix):
    source = write_tfrecord(tmp_path, [random_group(rng, localid, 2) for localid in (2**63 - 1, -(2**63), 0)])
    s2ct_convert.convert(source, tmp_path / f"x.{suffix}")
    assert verify_store(tmp_path / f"x.{suffix}").findings == []
