"""Requests that read objects. Each returns exactly the bytes that were asked for, or raises."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ..errors import StoreDamaged
from .address import ObjectPath
from .failures import NoRanges, failure_of, service_errors
from .service import LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, client
from .usage import count

T = TypeVar("T")


class Version(NamedTuple):
    """What a service calls the bytes of an object. They may come again with the same name."""

    e_tag: str | None
    version: str | None


_without_suffix: set[str] = set()  # stores on such servers

LANES = 16  # requests at a time; obstore makes up to 10 more within one get_ranges
BODY_TRIES = 4  # of an answer that breaks off
GAP_BYTES = 256 << 10  # a gap of up to this many bytes between two ranges is read, not skipped


def read_object(place: ObjectPath) -> bytes:
    """All bytes of an object.

    Raises
    ------
    ObjectMissing
        If it is not there.
    NetworkError, WrongUsage
        If the service refuses or fails.
    """
    return _get(place)[0]


def read_version(place: ObjectPath) -> tuple[bytes, Version]:
    """All bytes of an object, and their version. Raises as ``read_object``."""
    store = client(place.root)
    import obstore

    def get() -> tuple[bytes, Version]:
        found = obstore.get(store, place.key)
        return bytes(found.bytes()), Version(found.meta["e_tag"], found.meta.get("version"))

    data, version = asked(get, place)
    count(received=len(data))
    return data, version


def read_end(place: ObjectPath, n: int) -> tuple[bytes, int]:
    """The last ``n`` bytes of an object, and its size. Raises as ``read_object``.

    Some servers send ranges, but none that counts from the end. There, the size is asked for first.
    """
    if place.scheme != "az" and place.root not in _without_suffix:
        try:
            return _get(place, options={"range": {"suffix": n}})
        except NoRanges:
            _without_suffix.add(place.root)
    store = client(place.root)
    import obstore

    size = int(asked(lambda: obstore.head(store, place.key), place)["size"])
    (data,) = read_ranges(place, [(max(0, size - n), min(n, size))])
    return bytes(data), size


def _get(place: ObjectPath, **options: Any) -> tuple[bytes, int]:
    store = client(place.root)
    import obstore

    def get() -> tuple[bytes, int]:
        found = obstore.get(store, place.key, **options)
        return bytes(found.bytes()), int(found.meta["size"])

    data, size = asked(get, place)
    count(received=len(data))
    return data, size


def asked(request: Callable[[], T], place: ObjectPath, requests: int = 1) -> T:
    """The answer to a request, or to several. obstore repeats one that fails, but not one whose answer breaks off."""
    for again in range(BODY_TRIES):
        count(requests, where=str(place))
        try:
            return request()
        except service_errors() as error:
            if "body error" not in str(error) or again == BODY_TRIES - 1:
                raise failure_of(error, place) from None
        pause(again)
    raise AssertionError("not reached")


def pause(again: int) -> None:
    """Wait before try number ``again`` + 1, longer each time and with jitter."""
    time.sleep(random.uniform(0, min(PAUSE_SECONDS * 2**again, LONGEST_PAUSE_SECONDS)))


def read_ranges(place: ObjectPath, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
    """The bytes of several (offset, size) of one object. Near ranges are read with one request.

    Raises
    ------
    ObjectMissing, NetworkError, WrongUsage
        As ``read_object``.
    StoreDamaged
        If the object is too short.
    """
    store = client(place.root)
    import obstore

    starts, lengths = [offset for offset, _ in ranges], [size for _, size in ranges]
    runs = _merged(ranges)
    found = asked(
        lambda: obstore.get_ranges(store, place.key, starts=starts, lengths=lengths, coalesce=GAP_BYTES),
        place,
        len(runs),
    )
    count(received=sum(runs))
    parts = [memoryview(one) for one in found]
    for (offset, size), part in zip(ranges, parts, strict=True):
        if part.nbytes != size:
            raise StoreDamaged("this object is truncated", where=str(place), expected=f"{offset + size:,} bytes")
    return parts


def _merged(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """The bytes of each request that obstore makes for these ranges: it joins what is near."""
    runs: list[int] = []
    end = 0
    for offset, size in sorted(ranges):
        if runs and offset - end <= GAP_BYTES:
            runs[-1] += max(0, offset + size - end)
        else:
            runs.append(size)
            end = offset
        end = max(end, offset + size)
    return runs
