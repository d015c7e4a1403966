"""Creates the container that fits a codec. Callers need no container class."""

from __future__ import annotations

from pathlib import Path

from ..dataset import DATASET, Dataset
from ..objects.scratch import address_of
from .codec import Codec, Hdf5Codec, ZarrCodec
from .container import Container
from .local import Scratch


def make_container(
    path: Path, codec: Codec, scratch: Scratch, *, linked: bool = False, dataset: Dataset = DATASET
) -> Container:
    """The container for the format of a codec.

    Parameters
    ----------
    path : Path
        Path of the store, or of the mirror of a store in a bucket.
    codec : Codec
    scratch : Scratch
        Folders for unfinished work, on the same file system.
    linked : bool
        HDF5: leave each unit in a file of its own.
    dataset : Dataset
        The data set of the units.
    """
    if isinstance(codec, ZarrCodec):
        from .zarr_container import ZarrContainer  # slow to import, and HDF5 does not need it

        if place := address_of(path):
            from .bucket_container import BucketContainer

            return BucketContainer(place, path, codec, scratch, dataset=dataset)
        return ZarrContainer(path, codec, scratch, dataset=dataset)
    if isinstance(codec, Hdf5Codec):
        from .hdf5_container import Hdf5Container

        return Hdf5Container(path, codec, scratch, linked=linked, dataset=dataset)
    raise TypeError(f"no container takes {codec!r}")
