"""The folder on this machine where a store for a bucket is made: a copy of its small files, and the units in progress.

The bucket is the truth. The folder may be deleted between two runs. One file in it names the bucket, so that every
process that opens the store here knows where it belongs.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..durable import read_small, remove, write_atomic
from ..errors import DestinationExists, WrongUsage
from ..words import shell_path
from .address import READ_ONLY, ObjectPath, parse_address
from .flags import given_flags

_ADDRESS = "s2ct-address"


def scratch_store(address: str, scratch: str | os.PathLike[str] | None) -> tuple[ObjectPath, Path]:
    """The address of a store to write, and its path on this machine. Makes nothing.

    Raises
    ------
    WrongUsage
        If the address cannot be written to.
    """
    place = parse_address(address)
    if place.scheme in READ_ONLY:
        raise WrongUsage("a web server can only be read", where=address, expected="s3://BUCKET/NAME.zarr")
    if not place.name.endswith(".zarr") or place.root.count("/") < 3:
        raise WrongUsage("a store in a bucket needs a name", where=address, expected="s3://BUCKET/NAME.zarr")
    folder = Path(_default(place) if scratch is None else scratch)
    return place, folder / place.name


def cloud_flags(place: ObjectPath | None, store: Path, limit: int | None) -> str:
    """The options of a conversion that are for addresses, each with a blank before it. ``place``: of the store."""
    elsewhere = place and store.parent != Path(_default(place))
    scratch = f" --scratch {shell_path(store.parent)}" if elsewhere else ""
    return scratch + (f" --max-requests {limit}" if limit else "") + given_flags()


def _default(place: ObjectPath) -> str:
    return f"{place.name}.scratch"


def begin_scratch(place: ObjectPath, store: Path) -> None:
    """Make the folder of a store for a bucket, or check that it is the one.

    Raises
    ------
    DestinationExists
        If the folder holds something else.
    """
    folder = store.parent
    if address_of(store) == place:
        return
    if folder.exists() and any(folder.iterdir()):
        raise DestinationExists(
            "the scratch folder holds something else",
            where=str(folder),
            expected=f"an empty folder, or that of {place}",
            todo="give another --scratch",
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / _ADDRESS, str(place).encode())


def address_of(store: Path) -> ObjectPath | None:
    """The address that a store on this machine is made for; None for a store that stays here."""
    try:
        return ObjectPath(read_small(store.parent / _ADDRESS).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None


def end_scratch(store: Path) -> None:
    """Delete the folder of a store that is complete in its bucket. Other files in it stay."""
    for path in (store, store.with_name(f"{store.name}.s2ct"), store.parent / _ADDRESS):
        remove(path)
    if not any(store.parent.iterdir()):
        store.parent.rmdir()
