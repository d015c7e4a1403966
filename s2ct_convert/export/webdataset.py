"""WebDataset: tar files whose items are samples, each a few ``.npy`` files and one ``.json``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingPackage
from ..missing import NO_DAY
from ..reading.select import Selection
from ..version import install_advice
from ..words import day
from .folder import ExportedFolder, write_folder
from .items import SHARD_BYTES, Data, Item, items, shards

_FILES = ("label", "time", "weight", "image_crc32c")  # arrays of a unit


def export_webdataset(
    data: Data,
    folder: str | os.PathLike[str],
    *,
    shard_size: int = SHARD_BYTES,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> ExportedFolder:
    """Write a store or a selection for webdataset: an item per sample, in files such as ``train-00000.tar``.

    An item has the key ``<split>_<tile>_<localid>`` and these files: ``image.npy`` (uint16, n x bands x height x
    width), ``label.npy`` (int8), ``time.npy`` (int32, days since 1970-01-01; -2^31 without a date), ``weight.npy``
    (float32, NaN without a weight), ``image_crc32c.npy`` (uint32), ``json``: split, tile, localid, and lists with an
    entry per observation (``dates``, ``dates_published``, ``row``, ``example``, ``position``). The key of a sample
    without a localid ends with its first row.

    Parameters
    ----------
    data : path-like, Store or Selection
    folder : path-like
        Absent or empty. It appears when all its files are whole.
    shard_size : int
        Most bytes of pixels in a file. A sample is never cut.
    overwrite : bool
        Replace an earlier export in the folder.
    on_bytes : callable
        Called with the number of bytes of pixels written since the last call.

    Returns
    -------
    ExportedFolder

    Raises
    ------
    WrongUsage
        If nothing is selected.
    DestinationExists
        If the folder is not empty; with ``overwrite``, if it is not an earlier export.
    StoreDamaged
        If the store cannot be read. Nothing is left of the export.
    MissingPackage
        If webdataset is not installed.

    Examples
    --------
    >>> s2ct_convert.export_webdataset("clouds.zarr", "shards/")  # doctest: +SKIP
    """
    package = _webdataset()

    def write(selection: Selection, work: Path) -> Iterator[tuple[str, int, int]]:
        for name, part in shards(items(selection), shard_size):
            samples = observations = 0
            # The same selection gives the same bytes: no times.
            with open(work / f"{name}.tar", "xb") as file, closing(package.TarWriter(file, mtime=0)) as writer:
                for item in part:
                    writer.write(_entry(item))
                    samples, observations = samples + 1, observations + len(item.rows)
                    on_bytes(item.image.nbytes)
            yield f"{name}.tar", samples, observations

    return write_folder(data, folder, "webdataset", write, overwrite=overwrite)


def _entry(item: Item) -> dict[str, Any]:
    columns = item.columns
    lists = {"dates_published": "date", "example": "example", "position": "position"}
    facts = {
        "split": item.unit.name.split,
        "tile": item.unit.name.tile,
        "localid": item.localid,
        "dates": [None if one == NO_DAY else day(one) for one in columns["time"].tolist()],
        "row": item.rows.tolist(),
        **{key: columns[name].tolist() for key, name in lists.items() if name in columns},
    }
    arrays = {f"{name}.npy": np.ascontiguousarray(columns[name]) for name in _FILES}
    return {"__key__": item.key, "image.npy": np.ascontiguousarray(item.image), **arrays, "json": facts}


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise MissingPackage("this needs webdataset", todo=install_advice("export")) from error
    return webdataset
