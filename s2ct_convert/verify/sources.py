"""Verifies sources: archives by the CRC of each file, TFRecords by both CRCs, examples by their schema."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Unpack

from ..archives.unpack_options import UnpackKeywords, UnpackOptions
from ..archives.unpackers import Unpacker, ask_python_too
from ..dataset import DATASET, Dataset
from ..errors import ArchiveDamaged, S2ctError, TFRecordDamaged, from_os_error
from ..keywords import takes
from ..names import UnitName
from ..objects.remote import AnyFile, GivenSource, given_sources
from ..source.find import Found, Source, find_sources
from ..source.found import no_source
from ..source.read import open_source, suited
from ..source.samples import sample_of


@dataclass(frozen=True)
class SourceReport:
    """The result for one source.

    Attributes
    ----------
    path : Path or RemoteFile
    member : str or None
        The TFRecord inside an archive.
    unit : str
        ``train/50SMG``; empty if unknown.
    examples, samples, observations : int
        Counts; 0 if there is an error.
    md5 : str or None
        md5 of an archive; None for other sources.
    error : S2ctError or None
        Why the source cannot be used.
    """

    path: AnyFile
    member: str | None
    unit: str
    examples: int = 0
    samples: int = 0
    observations: int = 0
    md5: str | None = None
    error: S2ctError | None = None

    @property
    def state(self) -> str:
        """``ok``; ``damaged`` if another download may help; else ``unusable``."""
        if self.error is None:
            return "ok"
        return "damaged" if isinstance(self.error, ArchiveDamaged | TFRecordDamaged) else "unusable"


@takes(UnpackOptions)
def verify_sources(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    jobs: int = 1,
    unit: str | None = None,
    dataset: Dataset = DATASET,
    on_total: Callable[[int], None] | None = None,
    on_bytes: Callable[[int], None] | None = None,
    on_source: Callable[[SourceReport], None] | None = None,
    on_note: Callable[[str], None] = lambda text: None,
    **unpacking: Unpack[UnpackKeywords],
) -> list[SourceReport]:
    """Read sources to the end and check every checksum. Writes nothing.

    Checks of archives: the CRC of every TFRecord inside. TFRecords: both CRCs of every record. Examples: schema,
    shapes, lengths, dates. Counts: those in the names.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Archives, TFRecord files or folders of them; also addresses, as for :func:`s2ct_convert.convert`.
    jobs : int
        Number of sources read at the same time. With fewer sources, each is unpacked by several threads.
    unit : str, optional
        Unit of a single source whose name does not give it, such as ``train/50SMG``.
    dataset : Dataset
        As for :func:`s2ct_convert.convert`.
    on_total, on_bytes : callable, optional
        Called with the total number of bytes to read, and with the number read since the last call.
    on_source : callable, optional
        Called with the report of each source once it is read, from several threads.
    on_note : callable, optional
        Called with a line for the files that were skipped, and for each copy.
    {options}

    Returns
    -------
    list of SourceReport
        Sorted by unit; unusable files come last.

    Raises
    ------
    WrongUsage
        If a path does not exist, or no source is found.
    """
    chosen, found = UnpackOptions(**unpacking).find(), _find(given_sources(paths), unit)
    for note in found.notes:
        on_note(note)
    # Copies too: equal headers do not prove equal content.
    sources = [source for one in found.sources for source in (one, *one.copies)]
    if on_total:
        on_total(sum(source.size() for source in sources))
    threads = max(1, jobs // max(1, len(sources)))
    report_source = on_source or (lambda report: None)

    def one(source: Source) -> SourceReport:
        report = _verify(source, chosen, threads, dataset, on_bytes, on_note)
        report_source(report)
        return report

    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="s2ct-verify") as pool:
        try:
            reports = list(pool.map(one, sources))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for unusable in found.unusable:
        reports.append(SourceReport(unusable.path, None, "", error=unusable.error))
        report_source(reports[-1])
    return reports


def _find(paths: Sequence[GivenSource], unit: str | None) -> Found:
    found = find_sources(paths, unit=UnitName.from_user(unit) if unit else None)
    if not found.sources and not found.unusable:
        raise no_source(paths, found)
    return found


def _verify(
    source: Source,
    unpacker: Unpacker,
    threads: int,
    dataset: Dataset,
    on_bytes: Callable[[int], None] | None,
    on_note: Callable[[str], None],
) -> SourceReport:
    def read(unpacker: Unpacker) -> SourceReport:
        samples: set[tuple[int, int]] = set()
        n_examples = observations = 0
        with open_source(source, on_bytes, threads=threads, unpacker=unpacker, dataset=dataset) as examples:
            for example in examples:
                n_examples += 1
                samples.add(sample_of(example))
                observations += len(example.image)
            md5 = examples.md5()
        source.check_count(n_examples, len(samples), observations)
        return SourceReport(source.path, source.member, unit, n_examples, len(samples), observations, md5)

    unit = str(source.unit)
    try:
        return ask_python_too(read, suited(unpacker, source), on_note)
    except S2ctError as error:
        return SourceReport(source.path, source.member, unit, error=error)
    except OSError as error:
        return SourceReport(source.path, source.member, unit, error=from_os_error(error, str(source.path)))
