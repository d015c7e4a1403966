"""Brings the mirror of a store in a bucket up to date before a run. The bucket is the truth, the mirror a copy."""

from __future__ import annotations

from collections.abc import Collection

from ..durable import write_atomic
from ..errors import DestinationExists, WrongUsage
from ..events import Message, OnEvent
from ..names import UnitName
from ..objects.writes import read_if_there, refuses_to_replace
from ..store.container import Container
from ..threads import for_each
from .entries import UnitEntry
from .finalise import unfinished_attributes
from .ledger import Ledger


def look_at_bucket(
    container: Container, ledger: Ledger, units: Collection[UnitName], on_event: OnEvent, *, several: bool = False
) -> None:
    """Copy the records, the small files and the root of what is in the bucket. Nothing for a store on this machine.

    ``several``: several processes on several hosts make the units.

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
    if not refuses_to_replace(bucket.place):
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
        for folder in (ledger.path, ledger.path / "units"):
            folder.mkdir(exist_ok=True)
        write_atomic(ledger.path / "store.json", content)
    known = sorted({*units, *ledger.planned()})
    records = dict[UnitName, UnitEntry | None]()

    def read(unit: UnitName) -> None:
        records[unit] = bucket.entry(unit)

    for_each(read, known, waiting=True)
    for unit in known:
        if entry := records[unit]:
            container.mirror(unit, entry.files)
            ledger.note(entry)
        elif ledger.entry(unit):
            ledger.forget(unit)  # somebody has deleted the record in the bucket
    if content is not None:
        container.mirror_root(ledger.planned(), unfinished_attributes(container))
