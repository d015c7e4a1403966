"""Examples of one source, whatever wraps it; and the reader that gives what the authors' own parser gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from .example import Example, decode_example
from .find import Source, find_sources
from .stream import Readable, SourceReader
from .tfrecord import read_records, unwrap
from .unpackers import PYTHON, Unpacker


class SourceExamples:
    """Examples of a source, in order, with the MD5 of the file once all are read.

    ``unpacker`` is what unpacks them; None for a bare TFRecord.
    """

    def __init__(self, source: Source, file: SourceReader, stream: Readable, unpacker: str | None) -> None:
        self._source, self._file, self._stream = source, file, stream
        self.unpacker = unpacker

    def __iter__(self) -> Iterator[Example]:
        where = self._source.where
        for record in read_records(unwrap(self._stream, where=where), where=where):
            yield decode_example(record)

    def md5(self) -> str | None:
        """MD5 of the archive, hex. None for a bare TFRecord, for which nobody publishes one."""
        return self._file.md5()


@contextmanager
def open_source(
    source: Source, on_bytes: Callable[[int], None] | None = None, *, threads: int = 1, unpacker: Unpacker = PYTHON
) -> Iterator[SourceExamples]:
    """Open an archive's member or a bare TFRecord, gzip- or zlib-wrapped or not.

    Parameters
    ----------
    source : Source
    on_bytes : callable, optional
        Told how many bytes of the file were read since the last call.
    threads : int
        That unpack an archive, where it can be unpacked by several.
    unpacker : Unpacker
        What unpacks an archive.
    """
    with SourceReader(source.path, with_md5=source.member is not None, on_bytes=on_bytes) as file:
        if source.member is None:
            yield SourceExamples(source, file, file, None)
        else:
            from .archive import open_member  # slow to import, and only archives need it

            with open_member(file, source.member, threads=threads, unpacker=unpacker) as stream:
                yield SourceExamples(source, file, stream, stream.unpacker)


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
