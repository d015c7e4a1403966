"""Reports what can be salvaged from damaged sources. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ..dataset import DATASET, Dataset
from ..gaps import Gap
from ..names import UnitName
from ..objects.remote import AnyFile
from ..paths import check_readable
from ..source.find import find_sources
from ..source.found import no_source
from ..source.salvage import count_salvageable


@dataclass(frozen=True)
class SalvageReport:
    """What ``convert`` with ``salvage`` takes from a source.

    Attributes
    ----------
    path : Path
    unit : str
        Such as ``train/50SMG``.
    examples, samples, observations : int
        Counts of the examples whose checksums are right.
    gaps : tuple of Gap
        What is missing; empty for a good source.
    """

    path: AnyFile
    unit: str
    examples: int
    samples: int
    observations: int
    gaps: tuple[Gap, ...]


def salvage_report(
    path: str | os.PathLike[str],
    *,
    unit: str | None = None,
    dataset: Dataset = DATASET,
    on_bytes: Callable[[int], None] | None = None,
) -> list[SalvageReport]:
    """Find out what can be salvaged from a damaged archive or TFRecord. Reads it to its end, and writes nothing.

    Parameters
    ----------
    path : path-like
        An archive, the first of its volumes, or a TFRecord.
    unit : str, optional
        Unit of a source whose name does not give it, such as ``train/50SMG``.
    dataset : Dataset
        As for :func:`s2ct_convert.convert`.
    on_bytes : callable, optional
        Called with the number of bytes read since the last call.

    Returns
    -------
    list of SalvageReport
        One for each TFRecord in the archive.

    Raises
    ------
    WrongUsage
        If there is no such file.
    SourceError
        If the file is no source at all.

    Examples
    --------
    >>> import s2ct_convert
    >>> (report,) = s2ct_convert.salvage_report(s2ct_convert.sample_sources()[0])
    >>> report.unit, report.gaps
    ('train/49RGN', ())
    """
    path = check_readable(path)
    found = find_sources([path], unit=UnitName.from_user(unit) if unit else None, salvage=True)
    for unusable in found.unusable:
        raise unusable.error
    if not found.sources:
        raise no_source([path], found)
    reports = []
    for source in found.sources:
        whole = count_salvageable(source, on_bytes, dataset=dataset)
        counts = (whole.examples, whole.samples, whole.observations)
        reports.append(SalvageReport(source.path, str(source.unit), *counts, whole.gaps))
    return reports
