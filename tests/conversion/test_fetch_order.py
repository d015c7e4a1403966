"""The order in which build fetches files."""

from __future__ import annotations

import pytest

from s2ct_convert.conversion.fetching import in_order
from s2ct_convert.record.local import Local, State
from s2ct_convert.record.manifest import RecordFile


def local(key: str, size: int, have: int = 0) -> Local:
    state = State.OK if have == size else State.PARTIAL if have else State.MISSING
    return Local(RecordFile(key=key, size=size, md5="0" * 32), state, have)


@pytest.mark.parametrize(
    ("files", "order"),
    [
        ({"a": (30, 0), "b": (10, 0), "c": (20, 0), "d": (40, 0)}, "bdac"),  # a small one, then the largest
        ({"a": (30, 0), "b": (10, 0), "c": (20, 20)}, "cab"),  # a file that is here
        ({"a": (30, 25), "b": (10, 0), "c": (20, 12)}, "acb"),  # most of a file is here
        ({"a": (30, 12), "b": (10, 0), "c": (40, 20)}, "bca"),
    ],
)
def test_a_quick_file_comes_first_then_the_largest(files, order):
    found = [local(key, *sizes) for key, sizes in files.items()]
    assert "".join(one.file.key for one in in_order(found)) == order
