"""Compares one unit with one source: every feature of every example, bit for bit."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..archives.unpackers import PYTHON, Unpacker
from ..reading.unit import Unit
from ..source.dates import LATEST, NONE
from ..source.example import Example
from ..source.find import Source
from ..source.read import open_source
from ..source.table import SourceTable, TableBuilder
from ..store.digest import UnitDigest, digest_columns, digest_sample
from .columns import table_differences
from .findings import UNREADABLE, Finding
from .rows import Rows

_DIGEST_OBS = 1024  # observations read at a time to compute a digest; 14.5 MB of the default data set


@dataclass(frozen=True)
class Comparison:
    """The comparison of one unit with one source, with every difference.

    ``lacking``: examples of the source that a salvaged unit lacks. They are in its gaps, and no difference.
    """

    unit: str
    examples: int
    observations: int
    digest: str
    differences: tuple[Finding, ...]
    lacking: int = 0


def compare(
    unit: Unit,
    source: Source,
    on_bytes: Callable[[int], None] | None = None,
    *,
    threads: int = 1,
    unpacker: Unpacker = PYTHON,
) -> Comparison:
    """Compare a unit with a source.

    Raises
    ------
    SourceError, OSError
        If the source cannot be read.
    StoreDamaged
        If the small arrays of the unit cannot be read.
    """
    name, n_examples = str(unit.name), int(unit.attributes["source_examples"])
    rows = Rows.of(unit)
    if broken := rows.broken(unit):  # rows cannot be assigned to samples
        return Comparison(name, n_examples, unit.observations, "", tuple(broken))
    differences = rows.disorder(unit)
    builder, seen = TableBuilder(dataset=unit.dataset), 0
    with open_source(source, on_bytes, threads=threads, unpacker=unpacker, dataset=unit.dataset) as examples:
        for example in builder.watch(examples):
            own = rows.of_example(example.number)
            seen += len(own)
            differences += image_differences(unit, rows, example, own)
        md5 = examples.md5()
    if len(rows.example) and int(rows.example.max()) >= n_examples:
        differences.append(Finding(f"rows refer to examples beyond the {n_examples} of the source", name))
    if seen != unit.observations:
        differences.append(Finding(f"{unit.observations - seen} observations belong to no example of the source", name))
    differences += table_differences(unit, rows, finish_table(builder, unit))
    made_from = unit.attributes["source_md5"] if source.path.name == unit.attributes["source_file"] else ""
    if md5 and made_from and md5 != made_from:
        differences.append(
            Finding(f"the unit was made from a file with md5 {made_from}, found {md5}", name, file=str(source.path))
        )
    digest, wrong = digest_differences(unit)
    return Comparison(name, n_examples, unit.observations, digest, tuple(differences + wrong))


def finish_table(builder: TableBuilder, unit: Unit) -> SourceTable:
    """The table of a source, interpreted as for the unit."""
    until = unit.attributes.get("dates_until")
    return builder.finish(
        LATEST if until is None else datetime.date.fromisoformat(str(until)),
        encoding=str(unit.attributes["date_encoding"]) or NONE,
        label_side=unit.form.label_side,
    )


def digest_differences(unit: Unit) -> tuple[str, list[Finding]]:
    """The content digest of a unit, computed, and whether it differs from the recorded one."""
    name = str(unit.name)
    try:
        digest = compute_digest(unit)
    except UNREADABLE as error:
        return "", [Finding(f"the content digest cannot be computed: {error}", name)]
    if digest == unit.digest:
        return digest, []
    return digest, [Finding(f"the content digest is {digest}, recorded is {unit.digest}", name)]


def image_differences(unit: Unit, rows: Rows, example: Example, own: npt.NDArray[np.int64]) -> list[Finding]:
    """Differences between the images of an example and its rows."""
    place = partial(Finding, unit=str(unit.name), example=example.number)
    n = len(example.image)
    if len(own) != n or (rows.position[own] != np.arange(n)).any():
        return [place(f"the source has {n} timestamps, the store {len(own)}")]
    if not n:
        return []
    low, high = int(own.min()), int(own.max()) + 1
    place = partial(place, rows=(low, high - 1))
    out = []
    if (unit.localid[rows.owner[own]] != example.localid).any():
        out.append(place(f"the localid in the store differs from {example.localid} in the source"))
    if (rows.owner[own] != rows.sample_index[own]).any():
        out.append(place("sample_index differs from the sample that row_start gives"))
    try:
        image = np.asarray(unit["image"][low:high])[own - low]
    except UNREADABLE as error:
        return [*out, place(f"cannot read image: {error}")]
    if image.tobytes() != np.ascontiguousarray(example.image).tobytes():
        out.append(place("image differs"))
    crcs = np.asarray(unit["image_crc32c"][low:high])[own - low]
    if any(google_crc32c.value(one.tobytes()) != crc for one, crc in zip(image, crcs.tolist(), strict=True)):
        out.append(place("image_crc32c does not match the image"))
    return out


def compute_digest(unit: Unit) -> str:
    """Content digest of a unit, computed from its content."""
    digest, names = UnitDigest(), digest_columns(unit.layout)
    columns, most = {name: np.asarray(unit[name][...]) for name in names}, unit.dataset.cap(_DIGEST_OBS)
    for i, localid in enumerate(unit.localid.tolist()):
        low, high = int(unit.row_start[i]), int(unit.row_start[i + 1])
        own = {name: column[low:high] for name, column in columns.items()}
        images = (np.asarray(unit["image"][row : min(row + most, high)]) for row in range(low, high, most))
        digest.add(localid, digest_sample(localid, own, images, unit.layout))
    digest.publish(list(unit.published.values()))
    return digest.hexdigest()
