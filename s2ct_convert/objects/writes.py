"""Requests that write objects. An object that is written once is never replaced: ``If-None-Match: *``.

A service may store an object and lose its answer. So "it exists" means: read it and compare. Equal bytes are success.
"""

from __future__ import annotations

import random
import time
import uuid

from ..errors import DestinationExists, NetworkError, S2ctError
from .address import ObjectPath
from .failures import ObjectMissing, Refused, failure_of, service_errors
from .reads import read_object
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


def _put(place: ObjectPath, data: bytes, mode: str) -> None:
    store = client(place.root)
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    count(1, sent=len(data), where=str(place))
    try:
        obstore.put(store, place.key, data, mode=mode, use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        raise _other_content(place) from None
    except service_errors() as error:
        raise failure_of(error, place, writing=True) from None


def _other_content(place: ObjectPath) -> DestinationExists:
    return DestinationExists(
        "this object exists already, with other content",
        where=str(place),
        todo="choose another destination, or give --overwrite; if that does not help, delete the object",
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


def refuses_to_replace(place: ObjectPath) -> bool:
    """Whether the service honours ``If-None-Match: *``; some answer 200 and replace it. Writes a test object."""
    probe = place / f"probe-{uuid.uuid4().hex}"
    _put(probe, b"1", "create")
    try:
        _put(probe, b"2", "create")
    except DestinationExists:
        return True
    finally:
        delete(probe)
    return False
