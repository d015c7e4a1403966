"""The containers there are, by the codecs they take. What opens one asks here, and knows none of them."""

from __future__ import annotations

from pathlib import Path

from ..dataset import DATASET, Dataset
from .codec import Codec, Hdf5Codec, ZarrCodec
from .container import Container
from .local import Scratch


def make_container(
    path: Path, codec: Codec, scratch: Scratch, *, linked: bool = False, dataset: Dataset = DATASET
) -> Container:
    """The container of the format that a codec is for.

    Parameters
    ----------
    path : Path
        Of the store.
    codec : Codec
    scratch : Scratch
        For what is not finished, on the same file system.
    linked : bool
        HDF5: leave units in files of their own.
    dataset : Dataset
        What its units are of.
    """
    if isinstance(codec, ZarrCodec):
        from .zarr_container import ZarrContainer  # slow to import, and HDF5 does without it

        return ZarrContainer(path, codec, scratch, dataset=dataset)
    if isinstance(codec, Hdf5Codec):
        from .hdf5_container import Hdf5Container

        return Hdf5Container(path, codec, scratch, linked=linked, dataset=dataset)
    raise TypeError(f"no container takes {codec!r}")
