"""Units of a store in a bucket on a Dask worker, which shares no disk with the client or with other workers.

The worker makes the unit in its own local folder and sends it. What it knows of the store it reads from the bucket.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..durable import remove
from ..errors import S2ctError, WrongUsage
from ..objects.address import ObjectPath
from ..objects.scratch import begin_scratch
from ..store.bucket_container import BucketContainer
from ..units.bucket_records import BucketRecords
from ..units.ledger import Ledger
from ..units.unit import UnitTask, open_container


@contextmanager
def on_this_host(task: UnitTask, folder: Path) -> Iterator[UnitTask]:
    """The task with a store below a folder of this host, which is deleted afterwards. Other stores: the task itself.

    Raises
    ------
    S2ctError
        If the bucket cannot be read, or the store was not begun in the bucket that this process sees.
    """
    if task.address is None:
        yield task
        return
    own = dataclasses.replace(task, store=folder / f"s2ct-{uuid.uuid4().hex}" / task.store.name, address=None)
    try:
        _begin(own, task.address)
        yield own
    finally:
        remove(own.store.parent)


def _begin(task: UnitTask, address: ObjectPath) -> None:
    """Make the mirror of the store here, with the unit if there is one to replace."""
    content = BucketRecords(address).read_store()
    if content is None:
        raise WrongUsage(
            "this worker sees another bucket: no conversion was started there",
            where=str(address),
            todo="give it the variables of the client (AWS_ENDPOINT_URL and others; docs/cloud.md)",
        )
    begin_scratch(address, task.store)
    ledger = Ledger(task.store)
    ledger.begin_here(content)
    (task.store / task.source.unit.split).mkdir(parents=True)
    assert ledger.bucket
    if entry := ledger.bucket.entry(task.source.unit):
        container = open_container(task.store, task.options)
        assert isinstance(container, BucketContainer)
        container.mirror(task.source.unit, entry.files)
        ledger.note(entry)


def reach(address: str) -> str:
    """Why this process cannot read the bucket; empty if it can."""
    try:
        BucketRecords(ObjectPath(address)).read_store()
    except S2ctError as error:
        return str(error)
    return ""
