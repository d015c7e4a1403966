"""Gaps of salvaged units, in lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from ..gaps import Gap
from ..words import plural

_MOST = 8


def gap_lines(unit: str, examples: int, gaps: Sequence[Gap]) -> list[str]:
    """What was salvaged of a unit, and its first gaps. ``--json`` and the attribute ``gaps`` have all of them."""
    lines = [f"{unit}: {plural(examples, 'whole example')}, {plural(len(gaps), 'gap')}"]
    lines += [f"gap {gap}" for gap in gaps[:_MOST]]
    return [*lines, f"and {len(gaps) - _MOST:,} more gaps"] if len(gaps) > _MOST else lines
