"""Chooses, from the list of a bucket, the objects that may be sources: by their names, since reading each one costs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath

from ..errors import NotAnArchive, SourceError, WrongUsage
from ..names import try_name, volume_of
from ..objects.address import ObjectPath
from ..objects.ranged import ends_of
from ..objects.reads import LANES
from ..objects.remote import RemoteFile, begun, list_objects
from ..threads import result_of
from .found import some
from .unfinished import has_unfinished_name, unfinished

_ROOT = "zarr.json"
_LEDGER = ".s2ct"


def objects_below(place: ObjectPath) -> tuple[list[RemoteFile], list[str]]:
    """The objects below an address that may be sources, and notes on those that are skipped.

    The ends of the objects are here afterwards: they are fetched for all at once.

    Raises
    ------
    WrongUsage
        If there is no object.
    NetworkError
        If the bucket may not be listed, or the service fails.
    """
    found = list_objects(place)
    if not found:
        raise WrongUsage("there is no object here, and none below", where=str(place), todo="check the address")
    taken, notes = _sift(place, found)

    def fetch(one: RemoteFile) -> None:
        with suppress(SourceError):  # reported when it is looked at
            ends_of(one)

    for at in range(0, len(taken), LANES):
        for request in [begun(partial(fetch, one)) for one in taken[at : at + LANES]]:
            result_of(request)
    return taken, notes


def _sift(place: ObjectPath, found: Sequence[RemoteFile]) -> tuple[list[RemoteFile], list[str]]:
    stores = tuple(one.key.removesuffix(_ROOT) for one in found if one.key.endswith(f"/{_ROOT}"))
    left: dict[str, list[str]] = {"unfinished downloads": [], "by name neither .7z nor TFRecord": []}
    taken = []
    for one in found:
        parts = PurePosixPath(one.key.removeprefix(place.key.rstrip("/"))).parts
        if stores and one.key.startswith(stores):
            continue  # noted below, once for each store
        if any(part.startswith(".") or part.endswith(_LEDGER) for part in parts) or one.key.endswith("/"):
            continue
        if has_unfinished_name(one.name):
            left["unfinished downloads"].append(one.name)
        elif may_be_source(one.name):
            taken.append(one)
        else:
            left["by name neither .7z nor TFRecord"].append(one.name)
    tops = [one for one in stores if not any(one != other and one.startswith(other) for other in stores)]
    left["Zarr stores"] = [one.rstrip("/").rpartition("/")[2] for one in tops]
    return taken, [f"{place}: skipped {some(names)}, {kind}" for kind, names in left.items() if names]


def may_be_source(name: str) -> bool:
    """Whether the name is that of an archive, or gives a unit."""
    return name.lower().endswith(".7z") or volume_of(name) is not None or try_name(name) is not None


def check_object(file: RemoteFile, *, named: bool) -> None:
    """Refuse an object that cannot be a source, by its name.

    Raises
    ------
    SourceError
    """
    if named and has_unfinished_name(file.name):
        raise unfinished(file)
    if volume_of(file.name):
        raise NotAnArchive(
            "this is a volume of an archive; volumes are joined only on this machine",
            where=str(file),
            todo="copy all volumes into one folder here, then give that folder",
        )


def check_no_salvage(places: Sequence[object]) -> None:
    """Refuse to salvage from addresses: it reads damaged files again and again.

    Raises
    ------
    WrongUsage
    """
    if there := [one for one in places if isinstance(one, ObjectPath)]:
        raise WrongUsage(
            "salvaged units, and --salvage, need their sources on this machine",
            where=str(there[0]),
            todo="copy the damaged archives here, then give their paths",
        )
