"""Parquet: one row per observation, with its pixels; or one row per sample, without pixels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingPackage, WrongUsage
from ..reading.sample import to_dates
from ..reading.select import BLOCK_OBS, Keep, Selection
from ..version import install_advice
from .folder import ExportedFolder, write_folder
from .items import SHARD_BYTES, Data, Item, about, items, shards

# As Hugging Face writes them: its readers then see an Array3D, all others nested lists.
_ARRAY_3D = "datasets.features.features.Array3DExtensionType"
_LEAF = "image" + ".list.element" * 3
_NUMBERS = ("label", "weight", "example", "position", "image_crc32c")  # arrays of a unit, as columns of the same name


def export_parquet(
    data: Data,
    folder: str | os.PathLike[str],
    *,
    index: bool = False,
    shard_size: int = SHARD_BYTES,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> ExportedFolder:
    """Write a store or a selection as Parquet: a row per observation, in files such as ``train-00000.parquet``.

    Columns: ``split``, ``tile``, ``localid``, ``row`` (of the unit), ``date`` (null without a date),
    ``date_published``, ``label`` (-1 without a label; nested lists of k x k labels), ``weight`` (null without a
    weight), ``example``, ``position``, ``image_crc32c``, ``image`` (nested lists of uint16: band, y, x; Hugging Face's
    ``datasets`` reads an Array3D). Rows are sorted by split, tile, localid and time. The metadata of the schema name
    bands and classes.

    Parameters
    ----------
    data : path-like, Store or Selection
    folder : path-like
        Absent or empty. It appears when all its files are whole.
    index : bool
        Write the index alone, ``index.parquet``: a row per sample, without pixels. ``selected`` is the number of its
        selected observations. If observations are selected, samples without any are left out.
    shard_size : int
        Most bytes of pixels in a file, before packing. A sample is never cut.
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
        If nothing is selected, or units have labels of different shapes.
    DestinationExists
        If the folder is not empty; with ``overwrite``, if it is not an earlier export.
    StoreDamaged
        If the store cannot be read. Nothing is left of the export.
    MissingPackage
        If pyarrow is not installed.

    Examples
    --------
    >>> store = s2ct_convert.open_store("clouds.zarr")  # doctest: +SKIP
    >>> s2ct_convert.export_parquet(store.select(tile="50SMG", label="snow"), "snow/")  # doctest: +SKIP
    """
    arrow = _pyarrow()

    def write(selection: Selection, work: Path) -> Iterator[tuple[str, int, int]]:
        if index:
            yield _write_index(arrow, selection, work)
        else:
            yield from _write_rows(arrow, selection, work, shard_size, on_bytes)

    return write_folder(data, folder, "parquet", write, overwrite=overwrite)


def _write_rows(
    arrow: Any, selection: Selection, work: Path, shard_size: int, on_bytes: Callable[[int], None]
) -> Iterator[tuple[str, int, int]]:
    schema = _schema(arrow, selection)
    most = selection.store.dataset.cap(BLOCK_OBS)
    for name, part in shards(items(selection), shard_size):
        samples = observations = 0
        with open(work / f"{name}.parquet", "xb") as file, _writer(arrow, file, schema, _LEAF) as writer:
            for group in _row_groups(part, most):
                writer.write_table(_table(arrow, schema, group), row_group_size=10**9)
                samples += len(group)
                observations += sum(len(item.rows) for item in group)
                on_bytes(sum(item.image.nbytes for item in group))
        yield f"{name}.parquet", samples, observations


def _row_groups(part: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """Samples to write at once: at most ``most`` observations, or one sample."""
    group: list[Item] = []
    for item in part:
        if group and sum(len(one.rows) for one in group) + len(item.rows) > most:
            yield group
            group = []
        group.append(item)
    yield group


def _writer(arrow: Any, file: Any, schema: Any, pixels: str = "") -> Any:
    columns = [name for name in schema.names if name != "image"]
    return arrow.parquet.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=["split", "tile"],
        write_statistics=columns,
        # A third smaller than PLAIN. BYTE_STREAM_SPLIT is 4 % smaller still, but DuckDB 1.1 does not read it.
        column_encoding={pixels: "DELTA_BINARY_PACKED"} if pixels else None,
        write_page_checksum=True,
    )


def _schema(arrow: Any, selection: Selection) -> Any:
    """The schema of a selection, whose units must agree in the shape of labels."""
    units = [one.unit for one in selection.unit_rows()]
    if len({unit.label.shape[1:] for unit in units}) > 1:
        shapes = ", ".join(f"{unit.name} {unit.label.shape[1:]}" for unit in units)
        raise WrongUsage("units have labels of different shapes", found=shapes, todo="select these units separately")
    label = arrow.int8() if units[0].label.ndim == 1 else arrow.list_(arrow.list_(arrow.int8()))
    pixels = arrow.list_(arrow.list_(arrow.list_(arrow.uint16())))
    shape = json.dumps([list(selection.store.dataset.obs_shape), "uint16"])
    extension = {"ARROW:extension:name": _ARRAY_3D, "ARROW:extension:metadata": shape}
    return arrow.schema(
        [
            ("split", arrow.string()),
            ("tile", arrow.string()),
            ("localid", arrow.int64()),
            ("row", arrow.int64()),
            ("date", arrow.date32()),
            *([("date_published", arrow.int64())] if all("date" in unit for unit in units) else []),
            ("label", label),
            ("weight", arrow.float32()),
            ("example", arrow.int32()),
            ("position", arrow.int32()),
            ("image_crc32c", arrow.uint32()),
            arrow.field("image", pixels, metadata=extension),
        ],
        metadata={"s2ct": json.dumps(about(selection))},
    )


def _table(arrow: Any, schema: Any, group: list[Item]) -> Any:
    sizes = [len(item.rows) for item in group]
    joined = {name: np.concatenate([item.columns[name] for item in group]) for name in group[0].columns}
    columns = {
        "split": arrow.array(np.repeat([item.unit.name.split for item in group], sizes).tolist()),
        "tile": arrow.array(np.repeat([item.unit.name.tile for item in group], sizes).tolist()),
        "localid": np.repeat(np.array([item.localid for item in group], np.int64), sizes),
        "row": np.concatenate([item.rows for item in group]),
        "date": _dates(arrow, to_dates(joined["time"])),
        "date_published": joined.get("date"),
        **{name: joined[name] for name in _NUMBERS},
        "label": _lists(arrow, joined["label"]),
        "weight": arrow.array(joined["weight"], from_pandas=True),  # NaN is null
        "image": _lists(arrow, np.concatenate([item.image for item in group])),
    }
    native = {
        name: values.astype(values.dtype.newbyteorder("="), copy=False) if isinstance(values, np.ndarray) else values
        for name, values in columns.items()
    }
    return arrow.Table.from_arrays([arrow.array(native[name]) for name in schema.names], schema=schema)


def _dates(arrow: Any, dates: npt.NDArray[np.datetime64]) -> Any:
    return arrow.array(dates, type=arrow.date32(), from_pandas=True)  # NaT is null


def _lists(arrow: Any, values: npt.NDArray[Any]) -> Any:
    """An array of several dimensions as nested lists."""
    made = arrow.array(values.reshape(-1).astype(values.dtype.newbyteorder("="), copy=False))
    for length in reversed(values.shape[1:]):
        made = arrow.ListArray.from_arrays(arrow.array(np.arange(0, len(made) + 1, length, dtype=np.int32)), made)
    return made


def _write_index(arrow: Any, selection: Selection, work: Path) -> tuple[str, int, int]:
    rows, chosen = _index_rows(selection)
    columns: dict[str, Any] = {name: arrow.array(rows[name].tolist()) for name in ("split", "tile")}
    columns |= {name: rows[name] for name in ("localid", "row_start", "row_size")}
    columns |= {name: _dates(arrow, rows[name]) for name in ("time_first", "time_last")}
    columns |= {f"n_{name}": rows["label_count"][:, i] for i, name in enumerate(selection.table.classes)}
    columns["selected"] = chosen
    table = arrow.table(
        {name: arrow.array(np.ascontiguousarray(one)) if isinstance(one, np.ndarray) else one
         for name, one in columns.items()},
        metadata={"s2ct": json.dumps(about(selection))},
    )  # fmt: skip
    with open(work / "index.parquet", "xb") as file, _writer(arrow, file, table.schema) as writer:
        writer.write_table(table)
    return "index.parquet", len(rows), int(chosen.sum())


def _index_rows(selection: Selection) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Rows of the index, each with its number of selected observations."""
    table = selection.table.rows
    if selection.keep == Keep():
        return table, table["row_size"].astype(np.int32)
    chosen = np.zeros(len(table), np.int32)
    for unit, _, kept in selection.unit_rows():
        mine = np.flatnonzero((table["split"] == unit.name.split) & (table["tile"] == unit.name.tile))
        # A sample without observations begins where the next one begins: the last of them has the row.
        found = np.searchsorted(table["row_start"][mine], [own[0] for own in kept], side="right") - 1
        chosen[mine[found]] = [len(own) for own in kept]
    return table[chosen > 0], chosen[chosen > 0]


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackage("this needs pyarrow", todo=install_advice("export")) from error
    return pyarrow
