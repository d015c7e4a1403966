"""What the unpacked size of a TFRecord says about its contents, if each observation has one label.

An observation is then 14,112 bytes of pixels, a label, a date and a weight: 14,125 bytes. An example adds about 130:
the framing of its record, the names of its features, and lengths, whose own lengths depend on the number of its
observations. So the size and the number of examples give the number of observations exactly, or no number at all: with
another layout (36 labels, no weights) the rest is too large or too small for the examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..dataset import DATASET

OBS_BYTES = DATASET.obs_bytes + 1 + 8 + 4  # pixels, label, date, weight
MOST_OBS = 100  # timestamps of an example, by the description of the record
_FRAME = 16  # length, data and two checksums of a TFRecord record
_LOCALID_BYTES = (1, 3)  # of a varint: ids from 0 to 2,097,151


@dataclass(frozen=True)
class Layout:
    """What the unpacked size and the number in the name say.

    Attributes
    ----------
    observations : int or None
        The exact number, if the size fits the layout; None if it is not known. If the number counts samples, each
        must have the same number of examples, as few as its observations need.
    counts : str or None
        What the number in the name counts: ``examples``, ``observations``, ``samples``; None if it is not known.
        ``samples`` is the likely reading of a number that is too small to count examples.
    per_number : float or None
        Observations for each one that the number counts, from the size alone.
    by_chance : float or None
        The share of files of any other layout, with this number and about this size, whose size fits too: 0 to 1. It
        grows with the number.
    """

    observations: int | None = None
    counts: str | None = None
    per_number: float | None = None
    by_chance: float | None = None


def read_layout(unpacked: int, number: int | None) -> Layout:
    """Read the size of a TFRecord in bytes, and the number in its name."""
    if not number:
        return Layout()
    per_number = unpacked / OBS_BYTES / number
    if per_number > MOST_OBS + 1:
        each = math.ceil(unpacked / (OBS_BYTES + overhead(MOST_OBS) / MOST_OBS) / number / MOST_OBS)
        fitting = _fitting(unpacked, each * number)
        return _exact(fitting, each * number, "samples", per_number) or Layout(None, "samples", per_number)
    fitting = _fitting(unpacked, number)
    if found := _exact(fitting, number, "examples", per_number):
        return found
    rest = unpacked - number * OBS_BYTES
    if not fitting and -(-number // MOST_OBS) * overhead(1) <= rest <= number * (overhead(1) + 3):
        return Layout(number, "observations", per_number)
    return Layout(None, None, per_number)


def _fitting(unpacked: int, examples: int) -> list[int]:
    """The numbers of observations that so many examples of this size may have."""
    return [n for n in _candidates(unpacked, examples) if _fits(unpacked - n * OBS_BYTES, examples, n / examples)]


def _exact(fitting: list[int], examples: int, counts: str, per_number: float) -> Layout | None:
    """The layout, if only one number of observations fits."""
    if len(fitting) != 1:
        return None
    low, high = _allowed(fitting[0] / examples)
    return Layout(fitting[0], counts, per_number, min((high - low) * examples / OBS_BYTES, 1.0))


def overhead(observations: int, localid: int = 0) -> int:
    """Bytes of an example besides its observations, with the framing of its record."""
    features = DATASET.features
    sizes = {features.image: DATASET.obs_bytes, features.labels: 1, features.dates: 8, features.weights: 4}
    entries = [_feature(name, _field(size * observations)) for name, size in sizes.items()]
    entries.append(_feature(features.localid, _field(_varint(localid))))
    return _FRAME + _field(sum(map(_field, entries))) - observations * OBS_BYTES


def _feature(name: str, values: int) -> int:
    """Bytes of an entry of the map of features: its name, and a list of ``values`` bytes in a Feature."""
    return _field(len(name.encode())) + _field(_field(values))


def _field(size: int) -> int:
    """Bytes of a length-delimited protobuf field with ``size`` bytes: tag, length, content."""
    return 1 + _varint(size) + size


def _varint(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))


def _candidates(unpacked: int, examples: int) -> range:
    """Numbers of observations that leave a plausible rest for so many examples."""
    most = max(unpacked - examples * overhead(1), -1) // OBS_BYTES
    least = -(-(unpacked - examples * (overhead(MOST_OBS) + _LOCALID_BYTES[1] - 1)) // OBS_BYTES)
    return range(max(least, 0), min(most, examples * MOST_OBS) + 1)


def _fits(rest: int, examples: int, mean: float) -> bool:
    """Whether ``rest`` bytes are the overhead of so many examples with ``mean`` observations on average."""
    if not 1 <= mean <= MOST_OBS:
        return False
    low, high = _allowed(mean)
    return low <= rest / examples <= high


def _allowed(mean: float) -> tuple[float, float]:
    """The lowest and the highest mean overhead of examples with ``mean`` observations on average."""
    low, high = _bounds(mean, _steps())
    return low, high + _LOCALID_BYTES[1] - _LOCALID_BYTES[0]


def _steps() -> list[tuple[int, int]]:
    """Observations and overhead of examples, on both sides of each step of the overhead."""
    all_sizes = [(n, overhead(n)) for n in range(1, MOST_OBS + 1)]
    steps = {point for pair in pairwise(all_sizes) if pair[0][1] != pair[1][1] for point in pair}
    return sorted({all_sizes[0], all_sizes[-1], *steps})


def _bounds(mean: float, points: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The same for localids of one byte, between the steps of the overhead."""
    low, high = float("inf"), float("-inf")
    for before, least in points:
        for after, most in points:
            if before <= mean <= after:
                part = (mean - before) / (after - before) if after > before else 0.0
                mixed = least + part * (most - least)
                low, high = min(low, mixed), max(high, mixed)
    return low, high
