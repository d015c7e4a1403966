"""The plan of a conversion. Planning writes nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import WrongUsage
from ..kinds import kind_of
from ..names import UnitName, fold_split, fold_tile
from ..objects.address import AnyPath, ObjectPath, is_address
from ..objects.remote import GivenSource
from ..objects.scratch import scratch_store
from ..paths import check_readable, format_of_name
from ..source.find import Source, Unusable, find_sources
from ..store.codecs import find_codec
from ..store.statistics import CLEAR
from ..version import __version__
from .demands import NO_DEMANDS, Demands
from .entries import StoreOptions
from .options import NO_OPTIONS, PlanOptions


@dataclass(frozen=True)
class SourceFile:
    """A source, with the size of its files and the newest modification time when the plan was made."""

    source: Source
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Plan:
    """The sources of a conversion and its options.

    ``files`` are sorted by size, largest first, and run in this order. ``unusable`` are files that should be sources
    and cannot be used. ``notes`` name what was skipped. ``named`` is the unit that the user gave with ``--as``.
    ``address`` is that of a store in a bucket; ``store`` is then its mirror on this machine.
    """

    store: Path
    options: StoreOptions
    files: tuple[SourceFile, ...]
    unusable: tuple[Unusable, ...]
    notes: tuple[str, ...]
    hash: str
    demands: Demands = NO_DEMANDS
    named: UnitName | None = None
    address: ObjectPath | None = None

    @property
    def target(self) -> AnyPath:
        """The store as the user knows it: its address in a bucket, or its path."""
        return self.address or self.store

    @property
    def sources(self) -> list[Source]:
        return [file.source for file in self.files]

    @property
    def units(self) -> list[UnitName]:
        """Every planned unit, also those of unusable files."""
        return [s.unit for s in self.sources] + [u.unit for u in self.unusable if u.unit]


def make_plan_to(
    paths: Sequence[GivenSource],
    store: str | os.PathLike[str],
    wanted: PlanOptions,
    *,
    unit: str | None,
    scratch: str | os.PathLike[str] | None,
) -> Plan:
    """As ``make_plan``, for a store on this machine or at an address of a bucket.

    Raises
    ------
    WrongUsage
        Also if the address cannot be written to, or ``scratch`` is given for a store on this machine.
    """
    if not (isinstance(store, str) and is_address(store)):
        if scratch is not None:
            raise WrongUsage("--scratch is for a store in a bucket", where=str(store))
        return make_plan(paths, Path(store), wanted, unit=unit)
    address, local = scratch_store(store, scratch)
    for path in paths:
        if str(path).startswith(f"{address}/"):
            raise _inside(path)
    plan = make_plan(paths, local, wanted, unit=unit)
    check_format(plan.options, address)
    return dataclasses.replace(plan, address=address)


def check_format(options: StoreOptions, address: ObjectPath) -> None:
    """Refuse HDF5 in a bucket.

    Raises
    ------
    WrongUsage
    """
    if options.format != "zarr":
        raise WrongUsage(
            "HDF5 files work only on this machine: a bucket has no file that can be written in place",
            where=str(address),
            todo="use --format zarr, or convert to a file and copy it",
        )


def plan_hash(options: StoreOptions, files: Sequence[SourceFile], demands: Demands) -> str:
    """Hash of all that determines the store: version, options, the file of each unit. Folders do not count."""
    units = sorted(
        (
            *(str(f.source.unit), f.source.path.name, f.source.member, f.bytes, f.source.name_count or 0),
            *((part.path.name, part.member) for part in f.source.more),
        )
        for f in files
    )
    content = json.dumps([__version__, options.values(), demands.values(), units])
    return hashlib.sha256(content.encode()).hexdigest()


def make_plan(
    paths: Sequence[GivenSource], store: Path, wanted: PlanOptions = NO_OPTIONS, *, unit: str | None = None
) -> Plan:
    """Find the sources and complete the options. ``unit`` names the unit of a single source.

    Raises
    ------
    WrongUsage
        If the arguments contradict each other, or there is nothing to convert.
    NetworkError
        If a service with sources refuses or fails.
    """
    check_readable(store)
    options = store_options(store, wanted)
    named = UnitName.from_user(unit) if unit else None
    found = find_sources(paths, unit=named, salvage=wanted.salvage)
    filters = _Filters(set(map(fold_tile, wanted.tiles)), set(map(fold_split, wanted.splits)))
    sources = [source for source in found.sources if filters(source.unit)]
    unusable = [one for one in found.unusable if (unit_of := one.unit or one.also_of) is None or filters(unit_of)]
    if not sources and not unusable:
        raise WrongUsage(
            "nothing to convert" + (": no source matches" if found.sources else ""),
            where=", ".join(map(str, paths)),
            expected=str(filters),
            found=", ".join(str(source.unit) for source in found.sources)
            or "\n            ".join(["no archive, no TFRecord", *found.notes]),
        )
    filters.check([s.unit for s in found.sources] + [u.unit for u in found.unusable if u.unit])
    for path in paths:
        if isinstance(path, Path) and path.resolve().is_relative_to(store.resolve()):
            raise _inside(path)
    files = tuple(sorted(map(_file, sources), key=lambda file: file.bytes, reverse=True))
    hash = plan_hash(options, files, wanted.demands)
    return Plan(store, options, files, tuple(unusable), tuple(found.notes), hash, wanted.demands, named)


def _inside(path: GivenSource) -> WrongUsage:
    return WrongUsage("a source is inside the destination", where=str(path), todo="choose another destination")


def _file(source: Source) -> SourceFile:
    return SourceFile(source, source.size(), source.mtime_ns())


@dataclass(frozen=True)
class _Filters:
    """The filters --tile and --split."""

    tiles: set[str]
    splits: set[str]

    def __call__(self, unit: UnitName) -> bool:
        return (not self.tiles or unit.tile in self.tiles) and (not self.splits or unit.split in self.splits)

    def __str__(self) -> str:
        return " ".join([*(f"--tile {t}" for t in sorted(self.tiles)), *(f"--split {s}" for s in sorted(self.splits))])

    def check(self, there: list[UnitName]) -> None:
        """Refuse a tile or split that no source has: it is a typing error, not a request for a smaller store."""
        for kind, missing in (
            ("tile", self.tiles - {unit.tile for unit in there}),
            ("split", self.splits - {unit.split for unit in there}),
        ):
            if missing:
                raise WrongUsage(
                    f"no source has this {kind}",
                    expected=" ".join(f"--{kind} {word}" for word in sorted(missing)),
                    found=", ".join(map(str, there)),
                )


def store_options(store: Path, wanted: PlanOptions) -> StoreOptions:
    """The options of a store, completed from its suffix and the defaults.

    Raises
    ------
    WrongUsage
    """
    format = wanted.format or format_of_name(store)
    if format is None:
        if (kind := kind_of(store)) and kind.is_source:
            raise WrongUsage(
                f"this is {kind}; the store is missing",
                where=str(store),
                todo="name the store last: s2ct convert SOURCE... clouds.zarr",
            )
        raise WrongUsage(
            "the name of the store does not give its format",
            where=str(store),
            expected="a name that ends in .zarr or .h5",
            todo="use such a name, or give --format zarr or --format hdf5",
        )
    if format not in ("zarr", "hdf5"):
        raise WrongUsage(f"unknown format {format!r}", expected="zarr or hdf5")
    if wanted.linked and format != "hdf5":
        raise WrongUsage("--linked is for HDF5 only; a Zarr store already keeps each unit apart")
    if wanted.statistics and CLEAR not in wanted.dataset.classes:
        raise WrongUsage(
            f"statistics are also of the clear observations, and the data set has no class {CLEAR!r}",
            found=", ".join(wanted.dataset.classes),
            todo="convert without statistics; store.statistics(clear=...) takes any classes",
        )
    codec = find_codec(format, wanted.codec).name
    return StoreOptions(format, codec, wanted.linked, dataset=wanted.dataset, statistics=wanted.statistics)
