"""A store against its sources: every timestamp of every example found back, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from ..reading.store import Store
from ..reading.unit import Unit
from ..source.example import Example
from ..source.find import Source, find_sources
from ..source.read import open_source
from ..source.samples import Grouper, Series
from ..store.digest import UnitDigest

# What h5py, zarr-python and its codecs raise where stored bytes cannot be decoded.
_UNREADABLE = (OSError, RuntimeError, ValueError)
_DIGEST_OBS = 1024  # observations read at a time when a digest is computed anew, 14.5 MB


@dataclass(frozen=True)
class Comparison:
    """What was compared for one unit, and every difference found, in words."""

    unit: str
    examples: int
    observations: int
    digest: str
    differences: tuple[str, ...]


def verify_against(
    store: Store, sources: Sequence[Path], on_bytes: Callable[[int], None] | None = None
) -> list[Comparison]:
    """Compare every unit that has a source here with it.

    Parameters
    ----------
    store : Store
    sources : sequence of Path
        Archives, TFRecord files or folders of them.
    on_bytes : callable, optional
        Told how many bytes of the sources were read since the last call.

    Raises
    ------
    WrongUsage
        If a source is of no unit of the store.
    SourceError
        If a source is damaged.
    """
    found = find_sources(sources)
    for unusable in found.unusable:
        raise unusable.error
    for source in found.sources:
        if str(source.unit) not in store.units:
            raise WrongUsage(f"the store has no unit {source.unit}", where=str(source.path))
    return [_compare(store[str(source.unit)], source, on_bytes) for source in found.sources]


def _compare(unit: Unit, source: Source, on_bytes: Callable[[int], None] | None) -> Comparison:
    n_examples = int(unit.attributes["source_examples"])
    rows = _Rows.of(unit)
    if broken := rows.broken(unit):  # which rows are whose cannot be told
        return Comparison(str(unit.name), n_examples, unit.observations, "", tuple(broken))
    differences = rows.disorder(unit)
    grouper, seen = Grouper(source.where), 0
    with open_source(source, on_bytes) as examples:
        for example in examples:
            own = rows.of_example(example.number)
            seen += len(own)
            differences += _differences(unit, rows, example, grouper.check(example), own)
        md5 = examples.md5()
    if len(rows.example) and int(rows.example.max()) >= n_examples:
        differences.append(f"{unit.name}: rows name examples beyond the {n_examples} of the source")
    if seen != unit.observations:
        differences.append(f"{unit.name}: {unit.observations - seen} observations are of no example of the source")
    if md5 and md5 != unit.attributes["source_md5"]:
        differences.append(f"{unit.name}: made from a file with md5 {unit.attributes['source_md5']}, this has {md5}")
    digest = ""
    try:
        digest = compute_digest(unit)
    except _UNREADABLE as error:
        differences.append(f"{unit.name}: its digest cannot be computed: {error}")
    else:
        if digest != unit.digest:
            differences.append(f"{unit.name}: the content has {digest}, recorded is {unit.digest}")
    return Comparison(str(unit.name), n_examples, unit.observations, digest, tuple(differences))


@dataclass(frozen=True)
class _Rows:
    """Of every observation of a unit: the sample it lies in, the one it says it is of, and its place in the source."""

    owner: npt.NDArray[np.int64]
    sample_index: npt.NDArray[np.int32]
    example: npt.NDArray[np.int32]
    position: npt.NDArray[np.int16]
    by_place: npt.NDArray[np.int64]  # rows in the order of the source

    @classmethod
    def of(cls, unit: Unit) -> _Rows:
        example, position = np.asarray(unit["example"][...]), np.asarray(unit["position"][...])
        owner = np.searchsorted(unit.row_start, np.arange(len(example)), side="right") - 1
        return cls(owner, np.asarray(unit["sample_index"][...]), example, position, np.lexsort((position, example)))

    def of_example(self, number: int) -> npt.NDArray[np.int64]:
        low, high = np.searchsorted(self.example, (number, number + 1), sorter=self.by_place)
        return self.by_place[low:high]

    def broken(self, unit: Unit) -> list[str]:
        """What is wrong with the table that says which rows are whose."""
        out, sizes = [], np.asarray(unit["row_size"][...])
        if unit.row_start[0] != 0 or (sizes < 0).any() or (np.diff(unit.row_start) != sizes).any():
            out.append(f"{unit.name}: row_start and row_size do not fit each other")
        if unit.observations != len(self.example):
            out.append(f"{unit.name}: row_start ends at {unit.observations} of {len(self.example)} observations")
        return out

    def disorder(self, unit: Unit) -> list[str]:
        """What is wrong with the order of samples and of the observations in them."""
        out = []
        if (np.diff(unit.localid) <= 0).any():
            out.append(f"{unit.name}: localid is not ascending")
        time = np.asarray(unit["time"][...])
        in_order = np.lexsort((self.position, self.example, time, self.owner))
        if (wrong := np.flatnonzero(in_order != np.arange(len(time)))).size:
            out.append(f"{unit.name}, rows {wrong[0]} to {wrong[-1]}: observations are not in the order of time")
        return out


def _differences(unit: Unit, rows: _Rows, example: Example, series: Series, own: npt.NDArray[np.int64]) -> list[str]:
    """How the rows of an example differ from it."""
    place = f"{unit.name}, example {example.number}"
    n = len(example.image)
    if len(own) != n or (rows.position[own] != np.arange(n)).any():
        return [f"{place}: {n} timestamps in the source, {len(own)} in the store"]
    if not n:
        return []
    low, high = int(own.min()), int(own.max()) + 1
    out = []
    if (unit.localid[rows.owner[own]] != example.localid).any():
        out.append(f"{place}: the store has it under another localid than {example.localid}")
    place = f"{place}, rows {low} to {high - 1}"
    if (rows.owner[own] != rows.sample_index[own]).any():
        out.append(f"{place}: sample_index differs from the sample they lie in")
    for name, given in (("label", series.label), ("time", series.day), ("weight", series.weight)):
        if not _equal(np.asarray(unit[name][low:high])[own - low], given):
            out.append(f"{place}: {name} differs")
    try:
        image = np.asarray(unit["image"][low:high])[own - low]
    except _UNREADABLE as error:
        return [*out, f"{place}: image cannot be read: {error}"]
    if not _equal(image, example.image):
        out.append(f"{place}: image differs")
    crcs = np.asarray(unit["image_crc32c"][low:high])[own - low]
    if any(google_crc32c.value(one.tobytes()) != crc for one, crc in zip(image, crcs.tolist(), strict=True)):
        out.append(f"{place}: image_crc32c does not fit the image")
    return out


def _equal(stored: npt.NDArray[np.generic], given: npt.NDArray[np.generic]) -> bool:
    """Equal bit for bit: NaN equals itself, 0.0 is not -0.0."""
    return stored.shape == given.shape and stored.tobytes() == np.ascontiguousarray(given).tobytes()


def compute_digest(unit: Unit) -> str:
    """Content digest of a unit from what is in it."""
    digest = UnitDigest()
    time, label, weight = (np.asarray(unit[name][...]) for name in ("time", "label", "weight"))
    for i, localid in enumerate(unit.localid.tolist()):
        low, high = int(unit.row_start[i]), int(unit.row_start[i + 1])
        digest.sample(localid, time[low:high], label[low:high], weight[low:high])
        for row in range(low, high, _DIGEST_OBS):
            digest.image(np.asarray(unit["image"][row : min(row + _DIGEST_OBS, high)]))
    return digest.hexdigest()
