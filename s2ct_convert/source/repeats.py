"""Examples that state something twice: two features with one name, or two values in one feature.

Protobuf and TensorFlow do not read all of them alike. The authors' parser is TensorFlow's, so its reading counts. These
are the answers of TensorFlow 2.21 (``tests/source/test_repeats.py`` has them):

- two features with one name: the last one, without those that have no kind;
- two lists in one feature: the first, of whatever kind; two packed blocks in one list: the first;
- two names or two values in one entry of the map: it refuses the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from .wire import Field, Unusual, delimited, fields

_LISTS = (1, 2, 3)  # bytes, float, int64
_BYTES_LIST = 1
_DELIMITED = 2


@dataclass(frozen=True)
class Repeats:
    """A record with repeats.

    Attributes
    ----------
    settled : bytes
        A serialized tf.train.Example with each feature once, as TensorFlow reads it.
    refusal : str
        Why TensorFlow refuses the record; empty if it accepts it.
    """

    settled: bytes
    refusal: str


def settle_repeats(data: bytes) -> Repeats | None:
    """What TensorFlow reads from a serialized tf.train.Example that repeats a field; None if it repeats nothing."""
    features: dict[bytes, bytes] = {}
    repeats, refusal = False, ""
    try:
        tops = [one for one in fields(data, 0, len(data)) if one.number == 1]
        for entry in (one for top in tops for one in fields(data, top.low, top.high) if one.number == 1):
            parts = list(fields(data, entry.low, entry.high))
            names, values = ([data[one.low : one.high] for one in parts if one.number == number] for number in (1, 2))
            name, value = names[-1] if names else b"", b"".join(values)  # joined messages are merged
            if max(len(names), len(values)) > 1:
                repeats, refusal = True, "an entry of its features has two names or two values"
            else:
                first = _first_list(value)
                repeats, value = repeats or first != value, first
            repeats = repeats or name in features
            if value or name not in features:
                features[name] = value
    except (Unusual, IndexError):
        return None  # protobuf has parsed these bytes, so their form does not matter here
    if not repeats:
        return None
    entries = (delimited(1, delimited(1, name) + delimited(2, value)) for name, value in features.items())
    return Repeats(delimited(1, b"".join(entries)), refusal)


def _first_list(feature: bytes) -> bytes:
    """A serialized Feature with its first list only, and of numbers with the first packed block only."""
    lists = _two(fields(feature, 0, len(feature)), lambda one: one.number in _LISTS and one.wire == _DELIMITED)
    if not lists:
        return feature
    first = lists[0]
    content = feature[first.low : first.high]
    numbers = fields(content, 0, len(content)) if first.number != _BYTES_LIST else ()
    blocks = _two(numbers, lambda one: one.number == 1)
    if len(blocks) > 1 and blocks[0].wire == _DELIMITED:
        content = content[: blocks[0].high]
    elif len(lists) == 1:
        return feature
    return delimited(first.number, content)


def _two(some: Iterable[Field], suits: Callable[[Field], bool]) -> list[Field]:
    """The first two fields of a kind. A message may have millions."""
    return list(islice(filter(suits, some), 2))
