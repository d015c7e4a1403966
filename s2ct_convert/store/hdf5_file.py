"""Reads and writes the groups of an HDF5 store, readable by netCDF-4 tools.

Chunks of ``image`` arrive encoded and are written unchanged (``write_direct_chunk``). HDF5's filters encode the small
arrays. Every axis has a dimension scale, because netCDF-C, h5netcdf and xarray refuse files
in which only some axes have one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..dataset import DATASET, Dataset
from ..errors import MachineError, NotAStore, S2ctError, StoreDamaged, WrongUsage, from_os_error
from .codec import Hdf5Codec
from .groups import Content, unit_form
from .layout import (
    CHUNK_OBS,
    IMAGE,
    PUBLISHED,
    STATISTICS,
    ArraySpec,
    image_array,
    published_arrays,
    statistics_arrays,
    unit_arrays,
)

# With v110, HDF5 refuses to open a file whose writer died. With "earliest" it silently reads half the data.
LIBVER = ("v110", "v110")
_SMALL_ARRAYS = {"shuffle": True, "compression": "gzip", "compression_opts": 4, "fletcher32": True}
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# What h5py raises on damaged bytes. IndexError and similar errors come from wrong numbers.
_UNREADABLE = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SystemError)
PURE_DIMENSION = "This is a netCDF dimension but not a netCDF variable. %10d"  # netCDF-4 file format, appendix


def open_new(path: Path) -> h5py.File:
    """Create a file. The path must not exist. Use within :func:`disk_errors`."""
    return h5py.File(path, "x", libver=LIBVER)


def is_hdf5(path: Path) -> bool:
    """Whether a file has the HDF5 signature at any offset where HDF5 searches for it.

    Raises
    ------
    MachineError
        If the file cannot be read. ``h5py.is_hdf5`` returns False then.
    """
    try:
        with open(path, "rb") as file:
            for offset in (0, 512, 1024, 2048):
                file.seek(offset)
                if file.read(len(_SIGNATURE)) == _SIGNATURE:
                    return True
    except OSError as error:
        raise from_os_error(error, str(path)) from error
    return False


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises
    ------
    NotAStore
        If it is not an HDF5 file.
    StoreDamaged
        If it is an HDF5 file that HDF5 cannot open: it is truncated, or its writer died.
    MachineError
        If this machine cannot open it: no permission, too many open files, a lock.
    WrongUsage
        If it does not exist.
    """
    if not is_hdf5(path):
        raise NotAStore("neither a Zarr directory nor an HDF5 file", where=str(path))
    with reading(path, "this file"):
        return h5py.File(path, "r")


@contextmanager
def reading(path: str | Path, what: str, node: h5py.HLObject | None = None) -> Iterator[None]:
    """Convert h5py's errors into s2ct errors while ``what`` is read, through ``node`` if that is open already.

    Raises
    ------
    WrongUsage
        If ``node`` is closed.
    StoreDamaged
        If HDF5 finds the stored bytes damaged. h5py raises several types for that.
    MachineError
        If the operating system reports an error. The state of the file is then unknown.
    """
    try:
        yield
    except S2ctError:
        raise
    except _UNREADABLE as error:
        if node is not None and not node:  # h5py: false when closed
            todo = "read it inside the with block, or open it again"
            raise WrongUsage("the store is closed", where=str(path), todo=todo) from error
        found = " ".join(str(error).strip("'\"").split())
        if "unable to lock file" in found or "file locking disabled" in found:
            raise _locked(path, found) from error
        if number := re.search(r"\berrno = ([1-9]\d*)", found):
            code = int(number[1])
            raise from_os_error(OSError(code, os.strerror(code), str(path))) from error
        if isinstance(error, OSError) and error.errno:
            raise from_os_error(error, str(path)) from error
        if "already open for write" in found:
            raise StoreDamaged(
                "another program is writing this file, or died while it wrote it",
                where=str(path),
                found=found,
                todo="wait for that program to end; if no program is running, the file is incomplete: make it again",
            ) from error
        raise StoreDamaged(f"cannot read {what}: HDF5 reports damage", where=str(path), found=found) from error


def _locked(path: str | Path, found: str) -> MachineError:
    return MachineError(
        "cannot lock this file: another program may be writing it, or the file system has no locks",
        where=str(path),
        found=found,
        todo="wait for the other program to end; if no program is running, set HDF5_USE_FILE_LOCKING=FALSE and retry",
    )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Convert HDF5's write errors into ``OSError``.

    h5py chooses the exception by the outermost message of HDF5's error stack. A full disk is therefore a
    ``RuntimeError`` if it occurs while a cache is flushed or a file is closed. The errno is in its text (H5FDsec2.c).
    """
    try:
        yield
    except RuntimeError as error:
        number = re.search(r"\berrno = (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from error


def create_images(group: h5py.Group, codec: Hdf5Codec, dataset: Dataset = DATASET) -> h5py.Dataset:
    """An empty ``image`` dataset that grows with :func:`append_chunk`.

    Its first dimension is unlimited: the length is unknown while a unit is written, and HDF5 refuses a limit below
    the chunk length, which a unit of fewer than 32 observations would need.
    """
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_obj_track_times(False)  # so that two runs write the same bytes
    shape = dataset.obs_shape
    dcpl.set_chunk((CHUNK_OBS, *shape))
    codec.prepare(writing=True)
    for one in codec.filters(np.dtype(IMAGE.dtype).itemsize, CHUNK_OBS * dataset.obs_bytes):
        flag = h5py.h5z.FLAG_OPTIONAL if one.optional else h5py.h5z.FLAG_MANDATORY
        dcpl.set_filter(one.number, flag, one.values)
    space = h5py.h5s.create_simple((0, *shape), (h5py.h5s.UNLIMITED, *shape))
    dtype = h5py.h5t.py_create(np.dtype("<u2"))
    return h5py.Dataset(h5py.h5d.create(group.id, IMAGE.name.encode(), dtype, space, dcpl))


def append_chunk(images: h5py.Dataset, chunk: bytes, rows: int) -> None:
    """Add an encoded chunk. Its first ``rows`` rows are observations; only the last chunk may have fewer than all.

    The dataset grows by the rows in use: shrinking it later would make HDF5 decode and encode the last chunk again.
    """
    n_obs, *shape = images.id.shape  # low-level h5py, like set_extent: len and resize take as long as packing
    images.id.set_extent((n_obs + rows, *shape))
    images.id.write_direct_chunk((n_obs, 0, 0, 0), chunk)


def write_group(group: h5py.Group, content: Content, dataset: Dataset = DATASET) -> None:
    """Write small arrays, attributes, inner groups, and a dimension scale on every axis of every dataset."""
    specs = {spec.name: spec for spec, _ in content.arrays}
    for spec, data in content.arrays:
        _write_array(group, spec, data)
    if IMAGE.name in group:
        specs[IMAGE.name] = image_array(dataset)
        set_attributes(group[IMAGE.name], specs[IMAGE.name].attributes)
    for spec in specs.values():
        for axis, dim in enumerate(spec.dims):
            _scale(group, dim, group[spec.name].shape[axis])
            if dim != spec.name:
                group[spec.name].dims[axis].attach_scale(group[dim])
    for name, inner in content.groups.items():
        write_group(group.create_group(name), inner, dataset)
    set_attributes(group, content.attributes)


def _write_array(group: h5py.Group, spec: ArraySpec, data: Any) -> None:
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    storage = {"chunks": spec.chunks(data.shape), **_SMALL_ARRAYS} if data.size else {}
    if spec.chunk is None:
        values = np.ascontiguousarray(data, spec.dtype)
        dataset = group.create_dataset(spec.name, data=values, dtype=dtype, **storage)
    else:
        dataset = group.create_dataset(spec.name, shape=data.shape, dtype=dtype, **storage)
        for row in range(0, len(data), spec.chunk):
            dataset[row : row + spec.chunk] = data[row : row + spec.chunk]
    set_attributes(dataset, spec.attributes)


def read_unit_group(group: h5py.Group, dataset: Dataset = DATASET) -> Content:
    """Read a unit without its images, to write it elsewhere."""
    layout = 2 if "date" in group else 1
    specs = unit_arrays(unit_form(group["label"].shape, group["time"].attrs, group.attrs, layout, dataset))
    inner = {key: _read_published(one) for key, one in group[PUBLISHED].items()} if PUBLISHED in group else {}
    groups = {PUBLISHED: Content(groups=inner)} if inner else {}
    if STATISTICS in group:
        groups[STATISTICS] = Content(tuple((spec, group[STATISTICS][spec.name][...]) for spec in statistics_arrays()))
    return Content(tuple((spec, group[spec.name][...]) for spec in specs), get_attributes(group), groups)


def _read_published(group: h5py.Group) -> Content:
    about = get_attributes(group["data"])
    return Content(tuple((spec, group[spec.name]) for spec in published_arrays(about["name"], about["kind"])))


def _scale(group: h5py.Group, dim: str, length: int) -> None:
    if dim in group:
        if not group[dim].is_scale:
            group[dim].make_scale(dim)
        return
    # netCDF-4 stores a dimension without coordinates as a big-endian float dataset without allocated storage.
    scale = group.create_dataset(dim, shape=(length,), dtype=">f4")
    scale.make_scale(PURE_DIMENSION % length)


def set_attributes(target: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    """Write attributes as netCDF tools expect them: text with a fixed length, numbers as numbers."""
    for name, value in attributes.items():
        if isinstance(value, str):
            data = value.encode()
            dtype = h5py.string_dtype("utf-8", max(1, len(data)))
            target.attrs.create(name, np.array(data, dtype))
        else:
            target.attrs[name] = np.int32(value) if isinstance(value, int) and abs(value) < 2**31 else value


def get_attributes(target: h5py.Group | h5py.Dataset, *, but: Collection[str] = ()) -> dict[str, Any]:
    """Attributes as plain Python values, without those named in ``but``."""
    values = {name: target.attrs[name] for name in target.attrs if name not in but}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
