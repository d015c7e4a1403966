"""Requests that write objects. An object that is written once is never replaced: ``If-None-Match: *``.

A service may store an object and lose its answer. So "it exists" means: read it and compare. Equal bytes are success.
"""

from __future__ import annotations

import random
import time
import uuid
from typing import Any, NamedTuple

from ..errors import DestinationExists, NetworkError, S2ctError
from .address import ObjectPath
from .failures import NotSupported, ObjectMissing, Overtaken, Refused, failure_of, service_errors
from .reads import Version, read_object, read_version
from .service import PAUSE_SECONDS, RETRY_SECONDS, client
from .usage import count


def read_if_there(place: ObjectPath) -> bytes | None:
    """All bytes of an object; None if it is not there.

    Raises
    ------
    NetworkError
        If the service refuses or fails.
    """
    try:
        return read_object(place)
    except ObjectMissing:
        return None


def put_new(place: ObjectPath, data: bytes) -> bool:
    """Write an object that must not exist, or that has these bytes already. Returns whether this call wrote it.

    Raises
    ------
    DestinationExists
        If it exists with other bytes.
    NetworkError
        If the service refuses or fails.
    """
    end, pause = time.monotonic() + RETRY_SECONDS, PAUSE_SECONDS
    while True:
        try:
            _put(place, data, "create")
            return True
        except S2ctError as error:
            if isinstance(error, Refused) or not isinstance(error, NetworkError | DestinationExists):
                raise
            there = read_if_there(place)
            if there == data:
                return False
            if there is not None:
                raise _other_content(place) from None
            if time.monotonic() > end or isinstance(error, DestinationExists):
                raise
        time.sleep(random.uniform(0, pause))
        pause = min(pause * 2, 10)


def put_missing(place: ObjectPath, data: bytes) -> bool:
    """As ``put_new``, but look first: nothing is sent if the object is there."""
    return read_if_there(place) != data and put_new(place, data)


def put_over(place: ObjectPath, data: bytes) -> None:
    """Write an object, whether it exists or not. For the few objects that one run alone writes.

    Raises
    ------
    NetworkError
        If the service refuses or fails.
    """
    try:
        _put(place, data, "overwrite")
    except NetworkError:
        if read_if_there(place) != data:  # the answer may be lost
            raise


def put_if(place: ObjectPath, data: bytes, version: Version) -> Version:
    """Replace an object that still has this version (``If-Match``). Returns the new version.

    Raises
    ------
    Overtaken
        If it is another version, or is gone.
    NetworkError
        If the service refuses or fails.
    """
    try:
        return _put(place, data, _condition(version))
    except (Overtaken, NetworkError) as error:
        if isinstance(error, Refused):
            raise
        try:
            there, now = read_version(place)  # the answer may be lost
        except ObjectMissing:
            raise error from None
        if there != data:
            raise
        return now


def _put(place: ObjectPath, data: bytes, mode: Any) -> Version:
    """Put an object; ``mode`` is that of obstore."""
    store = client(place.root)
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    count(1, sent=len(data), where=str(place))
    try:
        made = obstore.put(store, place.key, data, mode=mode, use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        raise (_other_content(place) if isinstance(mode, str) else _overtaken(place)) from None
    except FileNotFoundError as error:
        raise (failure_of(error, place, writing=True) if isinstance(mode, str) else _overtaken(place)) from None
    except service_errors() as error:
        raise failure_of(error, place, writing=True) from None
    return Version(made["e_tag"], made["version"])


def _overtaken(place: ObjectPath) -> Overtaken:
    return Overtaken(
        "another process has replaced this object meanwhile", where=str(place), todo="run the same command again"
    )


def _other_content(place: ObjectPath) -> DestinationExists:
    return DestinationExists(
        "this object exists already, with other content",
        where=str(place),
        todo="choose another destination, or give --overwrite-unit or --overwrite; or delete the object",
    )


def delete(place: ObjectPath) -> None:
    """Delete an object, if it exists.

    Raises
    ------
    NetworkError
        If the service refuses or fails.
    """
    store = client(place.root)
    import obstore

    count(1, where=str(place))
    try:
        obstore.delete(store, place.key)
    except FileNotFoundError:
        return
    except service_errors() as error:
        raise failure_of(error, place, writing=True) from None


class Conditions(NamedTuple):
    """The conditions on a put that a service honours: ``If-None-Match: *``, and ``If-Match`` with a version."""

    create: bool
    match: bool


def try_conditions(place: ObjectPath) -> Conditions:
    """Find out what a service honours: some answer 200 and replace the object. Writes a test object.

    Raises
    ------
    NetworkError
        If the service refuses or fails.
    """
    probe = place / f"probe-{uuid.uuid4().hex}"
    first = _put(probe, b"1", "create")
    try:
        create = not _is_put(probe, b"2", "create")
        wrong = first._replace(e_tag='"0123456789abcdef0123456789abcdef"', version="1" if first.version else None)
        match = create and not _is_put(probe, b"3", _condition(wrong)) and _is_put(probe, b"4", _condition(first))
        return Conditions(create, match)
    finally:
        delete(probe)


def _is_put(place: ObjectPath, data: bytes, mode: Any) -> bool:
    try:
        _put(place, data, mode)
    except (DestinationExists, Overtaken, NotSupported):
        return False
    return True


def _condition(version: Version) -> dict[str, str]:
    return {name: value for name, value in version._asdict().items() if value is not None}
