"""Numbers of units: ranges on the command line, and the number of an array task."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import WrongUsage

ARRAY_VARIABLES = ("SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "SGE_TASK_ID", "LSB_JOBINDEX")


def array_number() -> int | None:
    """Number of this task of an array job; None outside an array job."""
    for name in ARRAY_VARIABLES:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:  # outside an array, LSF sets 0 and SGE "undefined"
            return int(value)
    return None


def to_ranges(numbers: Sequence[int]) -> str:
    """Numbers as ranges: ``1,3-5`` for 1, 3, 4, 5."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def from_ranges(text: str) -> list[int]:
    """Inverse of :func:`to_ranges`.

    Raises
    ------
    WrongUsage
    """
    numbers: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        if not low.isdigit() or (high and not high.isdigit()) or part.endswith("-") or int(high or low) < int(low):
            raise WrongUsage("not numbers of units", where=text, expected="such as 3 or 1,4-7")
        numbers += range(int(low), int(high or low) + 1)
    return list(dict.fromkeys(numbers))
