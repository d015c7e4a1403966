"""Verifies a store against itself: structure, attributes, every chunk, every checksum, every digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset import Dataset
from ..durable import beside
from ..errors import NOT_THE_STORE, Incomplete, NotAStore, StoreDamaged, WrongUsage
from ..kinds import kind_of
from ..names import UnitName
from ..objects.address import AnyPath, place_of
from ..objects.scratch import address_of
from ..objects.usage import counting_to
from ..paths import check_spelling
from ..reading.hdf5_groups import Hdf5Tree
from ..reading.opening import open_to_verify
from ..reading.store import Store
from ..reading.unit import Unit
from ..store.digest import store_digest
from ..store.layout import (
    IMAGE,
    STATE_COMPLETE,
    STATE_INCOMPLETE,
    STATE_PARTIAL,
    STATISTICS,
    ArraySpec,
    UnitForm,
    band_data,
    image_array,
    index_arrays,
    statistics_arrays,
    unit_arrays,
)
from ..store.statistics import PixelCounts
from ..words import shell_path
from .extent import check_store_extent, check_unit_extent
from .findings import Finding, one_line
from .hdf5_tree import check_hdf5_tree
from .index import check_index, numbered_names
from .pixels import check_pixels
from .report import StoreReport
from .rows import Rows
from .statistics import check_statistics, has_statistics, statistics_specs
from .tables import check_published, check_tables, published_specs, read_published, read_tables
from .traces import has_traces
from .zarr_tree import check_zarr_tree


def verify_store(
    store: str | os.PathLike[str] | Store,
    *,
    fraction: float = 1.0,
    seed: int = 0,
    max_requests: int | None = None,
    on_total: Callable[[int], None] | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> StoreReport:
    """Verify a store against itself.

    Checks every node, attribute and small array, every chunk, ``image_crc32c`` of every observation, offsets and
    order, the index against the units, the places of the tiles, and all digests against the recorded ones.

    Parameters
    ----------
    store : path-like, address or Store
    fraction : float
        Fraction of the observations whose pixels are checked, chosen by ``seed``. Everything else is checked in full.
    max_requests : int, optional
        For a store at an address: the most requests to send. NetworkError if they do not suffice.
    on_total, on_bytes : callable, optional
        Called with the number of bytes of pixels to check, and with the number checked since the last call.

    Returns
    -------
    StoreReport

    Raises
    ------
    WrongUsage
        If ``store`` is not a store and has no trace of one, or is the copy of one in a scratch folder, or the fraction
        is out of range.
    MachineError
        If this machine cannot read the store: a lock, no permission, a disk error. The store may be intact.
    NetworkError
        If the service of an address cannot be read.
    """
    if not 0 < fraction <= 1:
        raise WrongUsage(f"the fraction {fraction} is out of range", expected="more than 0, at most 1")
    path = store.path if isinstance(store, Store) else place_of(store)
    if isinstance(path, Path) and (bucket := address_of(path)) and bucket.name == path.name:
        raise WrongUsage(
            "this is the copy of a store in a bucket, without its pixels",
            where=str(path),
            todo=f"s2ct verify store {shell_path(str(bucket))}",
        )
    report = StoreReport(path)
    if isinstance(path, Path) and not path.exists():
        if beside(path, ".s2ct").exists():
            return report.not_finished()
        raise NotAStore("this store does not exist", where=str(path), todo=check_spelling(path))
    with counting_to(path, max_requests) as used:
        check = _Checking(fraction, seed, on_total, on_bytes)
        _verify(path, report, check)
        report.usage = used()
    return report


@dataclass(frozen=True)
class _Checking:
    fraction: float
    seed: int
    on_total: Callable[[int], None] | None
    on_bytes: Callable[[int], None] | None


def _verify(path: AnyPath, report: StoreReport, how: _Checking) -> StoreReport:
    """Enter into the report what is found."""
    try:
        opened = open_to_verify(path)
    except Incomplete:
        return report.not_finished()
    except (NotAStore, StoreDamaged) as error:
        if isinstance(error, NotAStore):
            _check_traces(path, error)
        report.findings.append(Finding(f"cannot open the store: {one_line(error)}", file=str(path)))
        return report
    with opened:
        if opened.waits:
            report.remarks.append("objects that the store does not name are not looked for")
        if opened.lacks:
            report.remarks.append(f"the store is partial: {opened.lacks}")
        if not opened.finished:
            return report.not_finished()
        units = _open_units(opened, report)
        if not report.opened:
            return report
        if how.on_total:
            how.on_total(round(how.fraction * report.observations) * opened.dataset.obs_bytes)
        _Check(opened, report, how.fraction, np.random.default_rng(how.seed), how.on_bytes).run(units)
    return report


def _check_traces(path: AnyPath, error: NotAStore) -> None:
    """Raise ``error`` unless there was a store."""
    if isinstance(path, Path) and has_traces(path):
        return
    if isinstance(path, Path) and (kind := kind_of(path)) and kind.is_source:
        todo = f"s2ct verify sources {shell_path(path)}"
        raise NotAStore(f"this is {kind}, not a store", where=str(path), todo=todo) from error
    raise error


def _open_units(store: Store, report: StoreReport) -> list[Unit]:
    """Open the units and enter their counts and ``opened`` into the report."""
    try:
        units = list(store.units.values())
        report.units, report.samples = len(units), sum(len(unit.localid) for unit in units)
        report.observations = sum(_count(unit) for unit in units)
    except NOT_THE_STORE:
        raise
    except Exception as error:
        report.findings.append(Finding(f"cannot open the units: {one_line(error)}", file=str(report.path)))
        return []
    report.opened = True
    return units


def _count(unit: Unit) -> int:
    return max(0, unit.observations) if len(unit.row_start) else 0


@dataclass
class _Check:
    store: Store
    report: StoreReport
    fraction: float
    rng: np.random.Generator
    on_bytes: Callable[[int], None] | None

    def run(self, units: Sequence[Unit]) -> None:
        groups: dict[str, Sequence[ArraySpec]] = {str(unit.name): _specs(unit) for unit in units}
        for unit in units:
            groups |= published_specs(unit)
            groups |= {f"{unit.name}/{STATISTICS}": statistics_arrays()} if has_statistics(unit) else {}
        names = numbered_names(self.store, units)
        groups["index"] = index_arrays(*names, layout=self.store.layout, dataset=self.store.dataset)
        self._guarded("", lambda: self._tree(groups))
        digests: dict[str, str] = {}
        for unit in units:
            name = str(unit.name)
            before = len(self.report.findings)
            self._guarded(name, lambda unit=unit: self._unit(unit, digests))  # type: ignore[misc]
            if len(self.report.findings) == before and name not in digests:
                digests[name] = unit.digest  # only a fraction of the pixels was checked
        self._guarded("index", lambda: check_index(self.store, units))
        self._guarded("", lambda: self._root(units, digests))

    def _guarded(self, unit: str, check: Callable[[], Iterator[Finding]]) -> None:
        """Add the findings of a check. An error that a container raises on changed bytes becomes a finding."""
        try:
            self.report.findings.extend(check())
        except NOT_THE_STORE:  # this machine could not read; the store may be intact
            raise
        except Exception as error:
            self.report.findings.append(Finding(f"cannot be read: {one_line(error)}", unit))

    def _tree(self, groups: Mapping[str, Sequence[ArraySpec]]) -> Iterator[Finding]:
        if self.store.format == "zarr":
            yield from check_zarr_tree(self.store, groups)
        else:
            assert isinstance(self.store.tree, Hdf5Tree)
            yield from check_hdf5_tree(self.store.tree.file, groups)

    def _unit(self, unit: Unit, digests: dict[str, str]) -> Iterator[Finding]:
        name, specs, more = str(unit.name), _specs(unit), statistics_specs(unit)
        measured = read_tables(unit.group, [spec.name for spec in more])
        tables = [*read_tables(unit.group, [spec.name for spec in specs]), *measured, *read_published(unit)]
        lengths = {
            "obs": _count(unit),
            "sample": len(unit.localid),
            "sample_bound": len(unit.row_start),
            "label_y": unit.form.label_side,
            "label_x": unit.form.label_side,
            "value": measured[0].shape[0] if measured else 0,
        }
        yield from check_tables(tables, [*specs, *more], {**_dims(unit.dataset), **lengths}, unit.attributes, name)
        if UnitName(str(unit.attributes.get("split")), str(unit.attributes.get("tile"))) != unit.name:
            yield Finding("its attributes name another unit", name)
        yield from check_unit_extent(unit)
        for array, data in band_data(unit.dataset).items():
            if not np.array_equal(np.asarray(unit[array][...]), data):
                yield Finding(f"{array} differs from {unit.dataset.mission}", name)
        rows = Rows.of(unit)
        if broken := rows.broken(unit):
            yield from broken
            return
        yield from rows.disorder(unit)
        yield from rows.strays(unit)
        yield from check_published(unit)
        counts = PixelCounts(len(unit.dataset.bands)) if more else None
        checked = check_pixels(unit, fraction=self.fraction, rng=self.rng, on_bytes=self.on_bytes, counts=counts)
        self.report.checked += checked.observations
        yield from checked.findings
        if counts is not None:
            yield from check_statistics(unit, measured, counts.total() if checked.digest else None)
        if checked.digest:
            digests[name] = checked.digest
            if checked.digest != unit.digest:
                yield Finding(f"the content digest is {checked.digest}, recorded is {unit.digest}", name)

    def _root(self, units: Sequence[Unit], digests: Mapping[str, str]) -> Iterator[Finding]:
        attributes = self.store.attributes
        if attributes.get("state") not in (STATE_COMPLETE, STATE_PARTIAL, STATE_INCOMPLETE):
            yield Finding(f"the store has the unknown state {attributes.get('state')!r}")
        if not self.store.finished:
            return
        yield from check_store_extent(attributes, units)
        if attributes.get("number_of_units") != len(units):
            yield Finding(f"the store has {len(units)} units, recorded is {attributes.get('number_of_units')}")
        if len(digests) == len(units) and (digest := store_digest(digests)) != self.store.digest:
            yield Finding(f"the content digest of the store is {digest}, recorded is {self.store.digest}")


def _specs(unit: Unit) -> tuple[ArraySpec, ...]:
    try:
        form = unit.form
    except Exception:  # an array is missing or broken; reading it reports that
        form = UnitForm(layout=unit.layout, dataset=unit.dataset, salvaged=unit.salvaged)
    return (image_array(unit.dataset), *unit_arrays(form))


def _dims(dataset: Dataset) -> dict[str, int]:
    """Lengths of the dimensions that are equal in all units of a data set."""
    return dict(zip(IMAGE.dims[1:], dataset.obs_shape, strict=True)) | {"class": len(dataset.classes)}
