"""Reads the examples of one source in any packing. ``read_examples`` returns what the authors' own parser returns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from ..archives.bounds import BOUNDS, Bounds
from ..archives.checksum import Content, Summed, content_of, content_of_member
from ..archives.damage import LAST_RESORT
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
    """The examples of a source, in order, and the MD5 of its file once all are read.

    ``unpacker`` names the unpacker of the (first) archive; it is None for a bare TFRecord.
    """

    def __init__(
        self,
        source: Source,
        opened: _OpenPart,
        open_next: Callable[[Part], _OpenPart],
        dataset: Dataset,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._source, self._opened, self._open_next, self._dataset = source, opened, open_next, dataset
        self._bounds = bounds
        self.unpacker = opened.unpacker
        self._content: Content | None = Content(0, 0)  # of the parts that were read to the end

    def __iter__(self) -> Iterator[Example]:
        number = 0
        for i, part in enumerate(self._source.parts):
            if i:
                self._opened = self._open_next(part)
            for record in self._records(part):
                record = dataclasses.replace(record, number=number)
                yield decode_example(record, self._dataset, bounds=self._bounds, where=part.where)
                number += 1
            self._opened.file.check_unchanged(part.where)
            content = self._content_of(part)
            self._content = self._content.followed_by(content) if self._content and content else None

    def _content_of(self, part: Part) -> Content | None:
        if isinstance(self._opened.stream, Summed):
            return self._opened.stream.content
        return content_of_member(part.path, str(part.member))

    def _records(self, part: Part) -> Iterator[RawRecord]:
        stream = _checked(self._opened.stream, part.where)
        try:
            unwrapped = unwrap(stream, where=part.where, packed=self._opened.file.size(), bounds=self._bounds)
            yield from read_raw_records(unwrapped, where=part.where, bounds=self._bounds)
        except (TFRecordDamaged, NotATFRecord) as error:
            if part.member is None or content_of_member(part.path, part.member) is None:
                raise
            try:
                content_of(self._opened.stream)  # reads to the end, which finds damage in the archive
            except ArchiveDamaged as damage:
                expected, found = damage.expected, damage.found
                raise ArchiveDamaged(
                    damage.what, where=error.where, expected=expected, found=found, todo=damage.todo
                ) from error
            todo = "the archive is whole, so fetching it again will not help: report this to the authors of the record"
            todo += f"; {LAST_RESORT}"
            where, expected, found = error.where, error.expected, error.found
            raise type(error)(error.what, where=where, expected=expected, found=found, todo=todo) from None

    def md5(self) -> str | None:
        """MD5 of the archive, hex. None for a bare TFRecord and for shards: none is published for them."""
        return None if self._source.more else self._opened.file.md5()

    def content(self) -> Content | None:
        """Size and CRC-32 of the TFRecord, without gzip or zlib around the file, once all is read. Shards are joined.

        None if an archive has no checksum of it.
        """
        return self._content


class _OpenPart(NamedTuple):
    """An open TFRecord, or an open shard of one."""

    file: SourceReader
    stream: Readable
    unpacker: str | None


def _checked(stream: Readable, where: str) -> Readable:
    """The same stream.

    Raises
    ------
    NotATFRecord
        If the stream has another known format.
    """
    head = read_head(stream)
    kind = "a 7z archive" if is_archive(head) else foreign_kind(head)
    if kind is not None:
        todo = "unpack it, then give the unpacked files" if is_packing(kind) else ""
        raise NotATFRecord(
            f"this is {kind}, not a TFRecord", where=where, found=head[:HEADER_BYTES].hex(" "), todo=todo
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
    """Open a source: the member of an archive or a bare TFRecord, plain, gzip or zlib. Shards are read in order.

    Parameters
    ----------
    source : Source
    on_bytes : callable, optional
        Called with the number of bytes of the file read since the last call.
    threads : int
        Number of threads that unpack an archive, where several can.
    unpacker : Unpacker
        The unpacker for archives, and what a source may take.
    dataset : Dataset
        Data set of the examples.
    """
    with ExitStack() as current:

        def open_next(part: Part) -> _OpenPart:
            current.close()
            with_md5 = part.member is not None and not source.more
            file = current.enter_context(SourceReader(part.path, with_md5=with_md5, on_bytes=on_bytes))
            if part.member is None:
                unwrapped = unwrap(file, where=part.where, packed=file.size(), bounds=unpacker.bounds)
                return _OpenPart(file, Summed(unwrapped), None)
            from ..archives.archive import open_member  # slow to import, and only archives need it

            stream = current.enter_context(open_member(file, part.member, threads=threads, unpacker=unpacker))
            return _OpenPart(file, stream, stream.unpacker)

        yield SourceExamples(source, open_next(source.parts[0]), open_next, dataset, unpacker.bounds)


def suited(unpacker: Unpacker, source: Source) -> Unpacker:
    """The unpacker for a source: Python where there is no archive on this machine, unless the user asked for another.

    7-Zip needs a file: it reads the end of an archive first.
    """
    return (
        unpacker
        if source.is_packed and (unpacker.required or not source.is_remote)
        else dataclasses.replace(PYTHON, bounds=unpacker.bounds)
    )


class ExampleDict(TypedDict):
    """One example, with the names of the authors' decoder."""

    tid: bytes
    dates: npt.NDArray[np.int64]
    localid: np.int64
    imgs: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.int8]
    weights: npt.NDArray[np.float32]


def read_examples(path: str | os.PathLike[str]) -> Iterator[ExampleDict]:
    """Read archives or TFRecords like the authors' own TensorFlow decoder, without TensorFlow.

    Parameters
    ----------
    path : path-like
        A ``.7z`` of the record, a TFRecord file, or a folder of them.

    Yields
    ------
    dict
        ``tid`` tile as bytes; ``dates`` int64 (n,); ``localid`` int64 scalar; ``imgs`` uint16 (n, 4, 42, 42);
        ``labels`` int8 (n,); ``weights`` float32 (n,). Names, shapes and dtypes are those of
        ``SeriesClassificationDirectDecorder`` in https://doi.org/10.5281/zenodo.10613705. Missing values have its
        defaults: localid -1, empty arrays. Arrays are read-only. ``imgs`` is a view of the record and may be at an
        odd address (``flags.aligned`` is False), which numpy accepts.

    Raises
    ------
    WrongUsage
        If the path does not exist or holds no source.
    SourceError
        If the source is damaged, or the authors' parser refuses an example. The examples before it have been yielded.

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
        raise WrongUsage("no archive or TFRecord found", where=str(path))
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
