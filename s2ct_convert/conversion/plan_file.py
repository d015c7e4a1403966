"""Plan files: ``s2ct plan -o`` and ``s2ct batch init`` write them, ``convert --plan`` and ``batch run`` read them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..durable import read_json, write_atomic
from ..errors import S2ctError, SourceError, WrongUsage, from_os_error
from ..fields import check_fields
from ..names import UnitName
from ..objects.remote import AnyFile, RemoteFile, absolute
from ..paths import check_path
from ..source.find import Part, Source, Unusable
from ..units.demands import Demands
from ..units.entries import StoreOptions, to_json
from ..units.plan import Plan, SourceFile, plan_hash

VERSION = 1


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as plain values. Units are numbered from 1, which all batch systems support, in the order they run."""
    return {
        "s2ct_plan": VERSION,
        "hash": plan.hash,
        "store": str(plan.store.absolute()),
        **plan.options.values(),
        **plan.demands.values(),
        "units": [
            {
                "number": number,
                "unit": str(one.source.unit),
                **_place(one.source),
                **({"copies": [_place(copy) for copy in one.source.copies]} if one.source.copies else {}),
                "name_count": one.source.name_count,
                "bytes": one.bytes,
                "mtime_ns": one.mtime_ns,
            }
            for number, one in enumerate(plan.files, start=1)
        ],
    }


def _place(source: Source) -> dict[str, Any]:
    """Where a source lies, and its shards after the first."""
    first, *more = [
        {"source": absolute(part.path), "member": part.member, **_as_found(part.path)} for part in source.parts
    ]
    return {**first, **({"more": more} if more else {})}


def _as_found(file: AnyFile) -> dict[str, Any]:
    """What identifies the content of an object; empty for a file on this machine."""
    if not isinstance(file, RemoteFile):
        return {}
    return {"object": {"key": file.key, "bytes": file.bytes, "mtime_ns": file.mtime_ns, "etag": file.etag}}


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan file atomically."""
    write_atomic(check_path(path), to_json(plan_document(plan)))


def read_plan(path: Path) -> Plan:
    """Read a plan file and check its sources.

    Returns
    -------
    Plan
        Sources that are gone or have changed are in ``unusable``.

    Raises
    ------
    WrongUsage
        If the file is not a plan of this version, or was edited.
    """
    plan = _read(path)
    good, bad = [], []
    for file in plan.files:
        try:
            check_source(file)
            good.append(file)
        except S2ctError as error:
            bad.append(Unusable(file.source.path, file.source.unit, error))
    return dataclasses.replace(plan, files=tuple(good), unusable=tuple(bad))


def read_files(path: Path) -> tuple[SourceFile, ...]:
    """Sources of a plan file in the order of their numbers, without a check that they exist."""
    return _read(path).files


def _read(path: Path) -> Plan:
    try:
        content = read_json(path)
        if content["s2ct_plan"] != VERSION:
            raise ValueError(f"version {content['s2ct_plan']}")
        options = StoreOptions.from_values(content)
        demands = Demands.from_values(content)
        files = tuple(_file(unit) for unit in content["units"])
        store, stated = Path(content["store"]), content["hash"]
    except OSError as error:
        raise from_os_error(error) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise WrongUsage(
            "not a plan file",
            where=str(path),
            found=f"no key {error}" if isinstance(error, KeyError) else str(error),
            todo="make one with s2ct plan SOURCE... STORE -o FILE",
        ) from error
    if stated != plan_hash(options, files, demands):
        raise WrongUsage(
            "the plan does not match its hash: it was edited, or made by another version of s2ct",
            where=str(path),
            todo="make it again with s2ct plan SOURCE... STORE -o FILE",
        )
    return Plan(store, options, files, (), (), stated, demands)


def check_source(file: SourceFile) -> None:
    """Check by size and modification time that a source is the planned file.

    An object is not asked for: only the planned content of it can be read (``If-Match``).

    Raises
    ------
    SourceError, WrongUsage
    """
    path = file.source.path
    try:
        size, mtime_ns = file.source.size(), file.source.mtime_ns()
    except OSError as error:
        raise from_os_error(error) from error
    if (size, mtime_ns) != (file.bytes, file.mtime_ns):
        raise SourceError(
            "the file has changed since the plan was made",
            where=str(path),
            expected=f"{file.bytes:,} bytes, modified at {file.mtime_ns} ns",
            found=f"{size:,} bytes, modified at {mtime_ns} ns",
            todo="make the plan again: s2ct plan, or s2ct batch init with the same sources; finished units are kept",
        )


def _file(unit: dict[str, Any]) -> SourceFile:
    source = _source(unit, unit)
    copies = tuple(_source(unit, copy) for copy in unit.get("copies", ()))
    return SourceFile(dataclasses.replace(source, copies=copies), int(unit["bytes"]), int(unit["mtime_ns"]))


def _source(unit: dict[str, Any], place: dict[str, Any]) -> Source:
    """The source of a unit of the file, or one of its copies."""
    count = unit["name_count"]
    return Source(
        UnitName.from_path(unit["unit"]),
        None if count is None else int(count),
        _path(place),
        place["member"],
        tuple(Part(_path(part), part["member"]) for part in place.get("more", ())),
    )


def _path(place: dict[str, Any]) -> AnyFile:
    """The file on this machine, or the object with the content that was found."""
    known = place.get("object")
    if known is None:
        return Path(place["source"])
    root = str(place["source"]).removesuffix(f"/{known['key']}")
    return check_fields(RemoteFile(root, known["key"], known["bytes"], known["mtime_ns"], known["etag"]))
