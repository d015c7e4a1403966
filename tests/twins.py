"""Twins: tests that make one promise of several things. The first is in `make test`, the others are slow.

Where each twin reaches code that the first does not, none is slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

slow = pytest.mark.slow


def first_quick(values: Sequence[Any], *, quick: int = 1) -> list[Any]:
    """Parameters, of which all but the first ``quick`` are slow. A tuple is one value for each name."""
    rest = (
        pytest.param(*value, marks=slow) if isinstance(value, tuple) else pytest.param(value, marks=slow)
        for value in values[quick:]
    )
    return [*values[:quick], *rest]


SUFFIXES = first_quick(["zarr", "h5"])  # for a fixture of a module
zarr_first = pytest.mark.parametrize("suffix", SUFFIXES, indirect=True)  # for a test or a class
