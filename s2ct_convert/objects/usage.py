"""Counts the requests and bytes of a run, in all its processes on this machine, and keeps a limit on the requests.

The counts are in a small temporary file. The environment names it, so that worker processes add to the same counts.
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import WrongUsage
from .address import AnyPath, ObjectPath
from .failures import RequestLimit

_FILE = "S2CT_REQUESTS"
_FORM = struct.Struct("<4q")  # limit (-1: none), then the fields of Usage


class Usage(NamedTuple):
    """What a run has asked of services.

    Attributes
    ----------
    requests : int
        Without those that obstore repeats because the service was busy or the connection broke.
    sent, received : int
        Bytes of objects.
    """

    requests: int = 0
    sent: int = 0
    received: int = 0


def count(requests: int = 0, *, sent: int = 0, received: int = 0, where: str = "") -> None:
    """Count requests that are about to be sent, and bytes. Does nothing outside :func:`counting`.

    Raises
    ------
    RequestLimit
        If these requests exceed the limit. They are not counted then, and must not be sent.
    """
    if (path := os.environ.get(_FILE)) is None:
        return
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # this process outlives the run that counted
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # of this descriptor: it keeps out other threads too
        limit, *before = _FORM.unpack(os.pread(file, _FORM.size, 0))
        if requests and 0 <= limit < before[0] + requests:
            raise RequestLimit(
                f"the limit of {limit:,} request{'s' if limit != 1 else ''} is reached",
                where=where,
                todo="run the same command again: it continues; what it finished is kept",
            )
        after = [old + new for old, new in zip(before, (requests, sent, received), strict=True)]
        os.pwrite(file, _FORM.pack(limit, *after), 0)
    finally:
        os.close(file)


Used = Callable[[], Usage | None]


@contextmanager
def counting_to(place: AnyPath | None, limit: int | None) -> Iterator[Used]:
    """As :func:`counting`, for a store at an address. One on this machine makes no requests: its usage is None.

    Raises
    ------
    WrongUsage
        Also if there is a limit for a store on this machine.
    """
    if isinstance(place, ObjectPath):
        with counting(limit) as used:
            yield used
    elif limit is not None:
        raise WrongUsage("--max-requests is for a store or sources at an address")
    else:
        yield lambda: None


@contextmanager
def counting(limit: int | None = None) -> Iterator[Callable[[], Usage]]:
    """Count from here on, up to a limit of requests. Yields a function that returns the counts.

    Raises
    ------
    WrongUsage
        If the limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise WrongUsage("a limit on requests must allow at least one", found=f"--max-requests {limit}")
    outer = os.environ.get(_FILE)
    with tempfile.NamedTemporaryFile(prefix="s2ct-requests-") as file:
        os.pwrite(file.fileno(), _FORM.pack(-1 if limit is None else limit, *Usage()), 0)
        os.environ[_FILE] = file.name

        def used() -> Usage:
            return Usage(*_FORM.unpack(os.pread(file.fileno(), _FORM.size, 0))[1:])

        try:
            yield used
        finally:
            if outer is None:
                del os.environ[_FILE]
            else:
                os.environ[_FILE] = outer
