"""Compares a salvaged unit with a source: the damaged one that it was made from, or a better one.

The source is salvaged too; a good source gives all its examples. Where a number is known, it gives the place. Elsewhere
localid, dates and the checksums of the images decide which example of the source an example of the store is. The order
is the same in both. Each example of the store must be in the source. What the store lacks is counted.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import google_crc32c
import numpy as np

from ..missing import NO_DATE
from ..reading.unit import Unit
from ..source.example import Example
from ..source.find import Source
from ..source.salvage import open_salvaged
from ..source.table import TableBuilder
from .columns import table_differences
from .compare import Comparison, digest_differences, finish_table, image_differences
from .findings import Finding
from .rows import Rows


def compare_salvaged(unit: Unit, source: Source, on_bytes: Callable[[int], None] | None = None) -> Comparison:
    """Compare a salvaged unit with a source. ``Comparison.lacking`` counts examples that only the source has.

    Raises
    ------
    SourceError, OSError
        If the source cannot be read.
    StoreDamaged
        If the small arrays of the unit cannot be read.
    """
    name, n_examples = str(unit.name), int(unit.attributes["source_examples"])
    rows = Rows.of(unit)
    if broken := rows.broken(unit):
        return Comparison(name, n_examples, unit.observations, "", tuple(broken))
    differences, match = rows.disorder(unit), _Match(unit, rows, n_examples)
    builder, lacking = TableBuilder(dataset=unit.dataset), 0
    with open_salvaged(source, on_bytes, dataset=unit.dataset) as examples:
        for example in examples:
            found = match.find(example, examples.numbers[-1])
            if found is None:
                lacking += 1
                continue
            known = dataclasses.replace(example, number=found)
            builder.add(known)
            differences += image_differences(unit, rows, known, rows.of_example(found))
    if alone := match.unmatched():
        what = f"{len(alone):,} examples of the store are not in the source, which may have fewer, or in another order"
        differences.append(Finding(what, name, example=alone[0]))
    elif lacking and examples.md5() == unit.attributes["source_md5"]:
        differences.append(Finding(f"the store lacks {lacking:,} whole examples of the source it was made from", name))
    differences += table_differences(unit, rows, finish_table(builder, unit))
    digest, wrong = digest_differences(unit)
    return Comparison(name, n_examples, unit.observations, digest, tuple(differences + wrong), lacking)


class _Match:
    """Finds the example of a unit that is an example of the source. Both come in the same order."""

    def __init__(self, unit: Unit, rows: Rows, n_examples: int) -> None:
        self._last, self._matched = -1, set[int]()
        self._numbers: dict[int, int] = {}
        self._keys: dict[Any, list[int]] = defaultdict(list)
        numbers, crcs, dates = (np.asarray(unit[name][...]) for name in ("example", "image_crc32c", "date"))
        for found in range(n_examples):
            own = rows.of_example(found)
            localid = int(unit.localid[rows.owner[own[0]]]) if len(own) else None
            self._keys[localid, crcs[own].tobytes(), dates[own].tobytes()].append(found)
            if len(own) and (number := int(numbers[own[0]])) >= 0:
                self._numbers[number] = found
        self._all = range(n_examples)

    def find(self, example: Example, number: int | None) -> int | None:
        """The example of the unit; None if it has none. ``number``: of the example in the source, if known."""
        found = None if number is None else self._numbers.get(number)
        if found is None or found <= self._last:
            same = self._keys.get(_key(example), [])
            at = bisect_right(same, self._last)
            if at == len(same):
                return None
            found = same[at]
        self._last = found
        self._matched.add(found)
        return found

    def unmatched(self) -> list[int]:
        return [found for found in self._all if found not in self._matched]


def _key(example: Example) -> Any:
    n = len(example.image)
    crcs = [google_crc32c.value(image.tobytes()) for image in example.image]
    dates = example.dates if len(example.dates) == n else np.full(n, NO_DATE, np.int64)
    return example.localid if n else None, np.array(crcs, np.uint32).tobytes(), dates.astype(np.int64).tobytes()
