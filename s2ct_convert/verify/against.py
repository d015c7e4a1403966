"""A store against its sources: every timestamp of every example found back, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from ..source.example import Example
from ..source.find import Source, find_sources
from ..source.read import open_source
from ..source.samples import Grouper, Series
from ..store.digest import UnitDigest
from ..store.reader import Store, Unit

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
    numbers, positions = np.asarray(unit["example"][...]), np.asarray(unit["position"][...])
    by_place = np.lexsort((positions, numbers))
    owners = np.asarray(unit["sample_index"][...])
    differences: list[str] = []
    grouper, seen = Grouper(source.where), 0
    with open_source(source, on_bytes) as examples:
        for example in examples:
            low, high = np.searchsorted(numbers, (example.number, example.number + 1), sorter=by_place)
            rows = by_place[low:high]
            seen += len(rows)
            differences += _differences(unit, owners, example, grouper.check(example), rows, positions[rows])
        md5 = examples.md5()
    grouper_examples = int(unit.attributes["source_examples"])
    if example_count(numbers) > grouper_examples:
        differences.append(f"{unit.name}: rows name examples beyond the {grouper_examples} of the source")
    if seen != unit.observations:
        differences.append(f"{unit.name}: {unit.observations - seen} observations are of no example of the source")
    if md5 and md5 != unit.attributes["source_md5"]:
        differences.append(f"{unit.name}: made from a file with md5 {unit.attributes['source_md5']}, this has {md5}")
    digest = compute_digest(unit)
    if digest != unit.digest:
        differences.append(f"{unit.name}: the content has {digest}, recorded is {unit.digest}")
    return Comparison(str(unit.name), grouper_examples, unit.observations, digest, tuple(differences))


def example_count(numbers: npt.NDArray[np.int32]) -> int:
    """One more than the highest example number."""
    return int(numbers.max()) + 1 if len(numbers) else 0


def _differences(
    unit: Unit,
    owners: npt.NDArray[np.int32],
    example: Example,
    series: Series,
    rows: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int16],
) -> list[str]:
    place = f"{unit.name}, example {example.number}"
    n = len(example.image)
    if len(rows) != n or (positions != np.arange(n)).any():
        return [f"{place}: {n} timestamps in the source, {len(rows)} in the store"]
    if not n:
        return []
    low, high = int(rows.min()), int(rows.max()) + 1
    within = rows - low
    image = np.asarray(unit["image"][low:high])[within]
    out = []
    if (unit.localid[owners[rows]] != example.localid).any():
        out.append(f"{place}: the store has it under another localid than {example.localid}")
    for name, stored, given in (
        ("image", image, example.image),
        ("label", np.asarray(unit["label"][low:high])[within], series.label),
        ("time", np.asarray(unit["time"][low:high])[within], series.day),
        ("weight", np.asarray(unit["weight"][low:high])[within], series.weight),
    ):
        if stored.shape != given.shape or stored.tobytes() != np.ascontiguousarray(given).tobytes():
            out.append(f"{place}, rows {low} to {high - 1}: {name} differs")
    crcs = np.asarray(unit["image_crc32c"][low:high])[within]
    if any(google_crc32c.value(one.tobytes()) != crc for one, crc in zip(image, crcs.tolist(), strict=True)):
        out.append(f"{place}, rows {low} to {high - 1}: image_crc32c does not fit the image")
    return out


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
