"""Brings the mirror of a store in a bucket up to date before a run. The bucket is the truth, the mirror a copy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from ..errors import DestinationExists, WrongUsage
from ..events import Message, OnEvent
from ..names import UnitName
from ..objects.failures import Overtaken
from ..objects.reads import pause
from ..objects.writes import read_if_there, try_conditions
from ..store.container import Container
from ..threads import for_each
from .bucket_records import TRIES, BucketRecords
from .entries import UnitEntry
from .finalise import unfinished_attributes
from .ledger import Ledger

T = TypeVar("T")


def look_at_bucket(
    container: Container,
    ledger: Ledger,
    units: Collection[UnitName],
    on_event: OnEvent,
    *,
    several: bool = False,
    overwrite: bool = False,
) -> None:
    """Copy the records, the small files and the root of what is in the bucket. Nothing for a store on this machine.

    ``several``: several processes on several hosts make the units. ``overwrite``: what is there will be deleted, so it
    is not read, since it may be damaged.

    Raises
    ------
    WrongUsage
        If the service replaces objects, and ``several``.
    DestinationExists
        If there is a store without its ledger.
    NetworkError
        If the bucket cannot be read or written to.
    """
    if (bucket := ledger.bucket) is None:
        return
    from ..store.bucket_container import BucketContainer

    assert isinstance(container, BucketContainer)
    honoured = try_conditions(bucket.place)
    bucket.matches = honoured.match
    if not honoured.create:
        if several:
            raise WrongUsage(
                "this service ignores If-None-Match and replaces objects, so two jobs could mix their work",
                where=container.where,
                todo="use s2ct convert, which writes alone, or another service",
            )
        on_event(
            Message(
                "this service ignores If-None-Match and replaces objects: only one run at a time may write to "
                f"{container.where}"
            )
        )
    content = bucket.read_store()
    if content is None and read_if_there(container.bucket / "zarr.json") is not None:
        raise DestinationExists(
            "there is a store, and no ledger beside it to resume or to delete it by",
            where=container.where,
            todo="choose another destination, or delete the store",
        )
    if content is not None:
        ledger.begin_here(content)
    if overwrite:
        return
    _take_records(container, ledger, bucket, {*units, *ledger.planned()})
    if content is not None:
        container.mirror_root(ledger.planned(), unfinished_attributes(container))


def _take_records(container: Container, ledger: Ledger, bucket: BucketRecords, units: Collection[UnitName]) -> None:
    """Copy the records of these units, and the small files of those that are done."""
    from ..store.bucket_container import BucketContainer

    assert isinstance(container, BucketContainer)
    found = dict[UnitName, UnitEntry | None]()

    def read(unit: UnitName) -> None:
        found[unit] = bucket.entry(unit)

    for_each(read, units, waiting=True)
    for unit, entry in sorted(found.items()):
        before = ledger.entry(unit)
        if before and before != entry:
            container.drop(unit)  # here: somebody has replaced the unit in the bucket, or deleted its record
        if entry:
            container.mirror(unit, entry.files)
            ledger.note(entry)
        elif before:
            ledger.forget_here(unit)  # and not in the bucket, where another run may write it just now


def with_other_runs(container: Container, ledger: Ledger, finish: Callable[[], T]) -> T:
    """Finish a store, with the units that other runs have made of it by now; again if another run does so meanwhile.

    For a store on this machine, this is ``finish()``. Where the service does not honour ``If-Match``, another run that
    finishes at the same time is not noticed.

    Raises
    ------
    Overtaken
        If other runs keep finishing the store.
    """
    if (bucket := ledger.bucket) is None:
        return finish()
    from ..store.bucket_container import BucketContainer

    assert isinstance(container, BucketContainer)
    for again in range(TRIES):
        if not ledger.exists():
            return finish()
        if not bucket.matches:
            _catch_up(container, ledger, bucket)
            return finish()
        try:
            with container.hold():  # before the records are read
                _catch_up(container, ledger, bucket)
                return finish()
        except Overtaken:
            if again == TRIES - 1:
                raise
        pause(again)
    raise AssertionError("not reached")


def _catch_up(container: Container, ledger: Ledger, bucket: BucketRecords) -> None:
    """Copy what other runs have planned and made since this one began."""
    if content := bucket.read_store():
        ledger.begin_here(content)
    _take_records(container, ledger, bucket, ledger.planned())
