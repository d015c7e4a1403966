"""Examples of one source, whatever wraps it; and the reader that gives what the authors' own parser gives."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from ..archives.checksum import Content, Summed, content_of, content_of_member
from ..archives.file_kind import is_archive, is_packing, read_head
from ..archives.stream import Prefixed, Readable, SourceReader
from ..archives.unpackers import PYTHON, Unpacker
from ..dataset import DATASET, Dataset
from ..errors import ArchiveDamaged, NotATFRecord, TFRecordDamaged, WrongUsage
from .example import Example, decode_example
from .find import Part, Source, find_sources
from .kind import foreign_kind
from .tfrecord import HEADER_BYTES, RawRecord, read_raw_records, unwrap


class SourceExamples:
    """Examples of a source, in order, with the MD5 of the file once all are read.

    ``unpacker`` is what unpacks them, the first shard where there are several; None for a bare TFRecord.
    """

    def __init__(
        self, source: Source, opened: _OpenPart, open_next: Callable[[Part], _OpenPart], dataset: Dataset
    ) -> None:
        self._source, self._opened, self._open_next, self._dataset = source, opened, open_next, dataset
        self.unpacker = opened.unpacker

    def __iter__(self) -> Iterator[Example]:
        number = 0
        for i, part in enumerate(self._source.parts):
            if i:
                self._opened = self._open_next(part)
            for record in self._records(part):
                yield decode_example(dataclasses.replace(record, number=number), self._dataset)
                number += 1

    def _records(self, part: Part) -> Iterator[RawRecord]:
        stream = _checked(self._opened.stream, part.where)
        try:
            yield from read_raw_records(unwrap(stream, where=part.where), where=part.where)
        except (TFRecordDamaged, NotATFRecord) as error:
            if part.member is None or content_of_member(part.path, part.member) is None:
                raise
            try:
                content_of(self._opened.stream)  # to its end, where a damaged archive shows
            except ArchiveDamaged as damage:
                expected, found = damage.expected, damage.found
                raise ArchiveDamaged(
                    damage.what, where=error.where, expected=expected, found=found, todo=damage.todo
                ) from error
            todo = "the archive is whole, so fetching it again will not help: report this to the authors of the record"
            where, expected, found = error.where, error.expected, error.found
            raise type(error)(error.what, where=where, expected=expected, found=found, todo=todo) from None

    def md5(self) -> str | None:
        """MD5 of the archive, hex. None for a bare TFRecord and for shards, for which nobody publishes one."""
        return None if self._source.more else self._opened.file.md5()

    def content(self) -> Content | None:
        """Size and CRC-32 of the TFRecord as it lies there, once all is read; None for shards."""
        if self._source.more:
            return None
        if isinstance(self._opened.stream, Summed):
            return self._opened.stream.content
        return content_of_member(self._source.path, str(self._source.member))


class _OpenPart(NamedTuple):
    """A TFRecord or a shard of one, opened."""

    file: SourceReader
    stream: Readable
    unpacker: str | None


def _checked(stream: Readable, where: str) -> Readable:
    """The stream, if it is not something well known that is no TFRecord.

    Raises
    ------
    NotATFRecord
    """
    head = read_head(stream)
    kind = "a 7z archive" if is_archive(head) else foreign_kind(head)
    if kind is not None:
        todo = "unpack it, then give what comes out" if is_packing(kind) else ""
        raise NotATFRecord(
            f"this is {kind}, and no TFRecord", where=where, found=head[:HEADER_BYTES].hex(" "), todo=todo
        )
    return Prefixed(head, stream)


@contextmanager
def open_source(
    source: Source,
    on_bytes: Callable[[int], None] | None = None,
    *,
    threads: int = 1,
    unpacker: Unpacker = PYTHON,
    dataset: Dataset = DATASET,
) -> Iterator[SourceExamples]:
    """Open an archive's member or a bare TFRecord, gzip- or zlib-wrapped or not; shards are read one after another.

    Parameters
    ----------
    source : Source
    on_bytes : callable, optional
        Told how many bytes of the file were read since the last call.
    threads : int
        That unpack an archive, where it can be unpacked by several.
    unpacker : Unpacker
        What unpacks an archive.
    dataset : Dataset
        That of the examples.
    """
    with ExitStack() as current:

        def open_next(part: Part) -> _OpenPart:
            current.close()
            with_md5 = part.member is not None and not source.more
            file = current.enter_context(SourceReader(part.path, with_md5=with_md5, on_bytes=on_bytes))
            if part.member is None:
                return _OpenPart(file, Summed(file), None)
            from ..archives.archive import open_member  # slow to import, and only archives need it

            stream = current.enter_context(open_member(file, part.member, threads=threads, unpacker=unpacker))
            return _OpenPart(file, stream, stream.unpacker)

        yield SourceExamples(source, open_next(source.parts[0]), open_next, dataset)


class ExampleDict(TypedDict):
    """One example under the names of the authors' decoder."""

    tid: bytes
    dates: npt.NDArray[np.int64]
    localid: np.int64
    imgs: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.int8]
    weights: npt.NDArray[np.float32]


def read_examples(path: str | os.PathLike[str]) -> Iterator[ExampleDict]:
    """Read an archive or a TFRecord file as the authors' own TensorFlow decoder does, without TensorFlow.

    Parameters
    ----------
    path : path-like
        A ``.7z`` of the record, a TFRecord file, or a folder of them.

    Yields
    ------
    dict
        ``tid`` tile as bytes; ``dates`` int64 (n,); ``localid`` int64 scalar; ``imgs`` uint16 (n, 4, 42, 42);
        ``labels`` int8 (n,); ``weights`` float32 (n,): names, shapes and dtypes of
        ``SeriesClassificationDirectDecorder`` in https://doi.org/10.5281/zenodo.10613705. Missing values are
        its defaults: localid -1, empty arrays. Arrays are read-only; ``imgs`` is a view of the record as it was read
        and may stand at an odd address (``flags.aligned``), which numpy does not mind.

    Raises
    ------
    WrongUsage
        If the path does not exist.
    SourceError
        If the source is damaged, or the authors' parser refuses an example. Examples before it have been given by
        then.

    Examples
    --------
    >>> import s2ct_convert
    >>> first = next(s2ct_convert.read_examples(s2ct_convert.sample_sources()[0]))
    >>> first["imgs"].shape[1:]
    (4, 42, 42)
    """
    found = find_sources([Path(path)])
    for unusable in found.unusable:
        raise unusable.error
    if not found.sources:
        raise WrongUsage("there is no archive and no TFRecord here", where=str(path))
    for source in found.sources:
        with open_source(source) as examples:
            for example in examples:
                example.check(source.where)
                yield {
                    "tid": source.unit.tile.encode(),
                    "dates": example.dates,
                    "localid": np.int64(example.localid),
                    "imgs": example.image,
                    "labels": example.labels,
                    "weights": example.weights,
                }
