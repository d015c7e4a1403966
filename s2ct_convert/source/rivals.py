"""Which of several sources of one unit is read, if their contents differ.

A bare TFRecord has checksums of its own, and reading it to compare it costs as much as checking it. An archive would
have to be unpacked, so damage in one is found only when its unit is made. Of whole sources, an archive comes first,
then gzip or zlib: a plain TFRecord that ends between two records may be cut, and nothing in it shows that.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..archives.stream import SourceReader
from ..errors import S2ctError, SourceError, from_os_error
from .ends import has_end
from .found import UNKNOWN, Source
from .same import same_content
from .tfrecord import read_raw_records, unwrap


def best_first(sources: Sequence[Source]) -> tuple[list[Source], dict[Source, S2ctError]]:
    """The sources of a unit, the one to read first, and what is wrong with the damaged ones.

    The order changes only if contents differ. If all are damaged, none is called so: reading the first one reports it.
    """
    first, *others = sources
    if all(_same(first, other) for other in others):
        return list(sources), {}
    faults = {source: fault for source in sources if (fault := _fault(source))}
    damaged = {source for source in sources if any(part.member == UNKNOWN for part in source.parts)} | set(faults)
    if len(damaged) == len(sources):
        return list(sources), {}
    order = {source: (source in damaged, not source.is_packed, not has_end(source)) for source in sources}
    return sorted(sources, key=order.__getitem__), faults


def _same(one: Source, other: Source) -> bool:
    try:
        return same_content(one, other)
    except (S2ctError, OSError):
        return False


def _fault(source: Source) -> S2ctError | None:
    """What is wrong with the bare TFRecords of a source, by their framing and checksums."""
    try:
        for part in source.parts:
            if part.member is None:
                with SourceReader(part.path, with_md5=False) as file:
                    for _ in read_raw_records(unwrap(file, where=part.where), where=part.where):
                        pass
    except SourceError as error:
        return error
    except OSError as error:
        return from_os_error(error, str(source.path))
    return None
