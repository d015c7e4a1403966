"""The options of a conversion. Each option is declared and documented here, once.

``PlanOptions`` determine the content of a store; a plan file records them. ``RunOptions`` and ``EngineOptions`` control
how a plan runs. The public functions take all of them as keywords: type checkers know these from the ``Keywords``
below, ``help()`` from :func:`s2ct_convert.keywords.takes`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from ..archives.bounds import DECODING, Bounds
from ..dataset import DATASET, Dataset
from .demands import Demands

WORKERS_TIMEOUT = 60.0  # seconds


def _keep(options: object, **values: tuple[str, ...]) -> None:
    """Set fields of a frozen dataclass in its ``__post_init__``: an iterator can be read only once."""
    for name, value in values.items():
        object.__setattr__(options, name, value)


@dataclass(frozen=True)
class PlanOptions:
    """Format and units of a store, and the requirements on their sources.

    Attributes
    ----------
    format : {"zarr", "hdf5"}, optional
        By default, the suffix of the store decides.
    codec : str, optional
        ``fast``, ``balanced`` (default) or ``small`` for Zarr; ``gzip`` (default) or ``blosc`` for HDF5; ``zstd`` or
        ``none`` (not compressed) for both.
    linked : bool
        HDF5 only: leave one file per unit in ``<store>.units/`` and make the store a file of links to them.
    tiles, splits : iterable of str
        Convert only these.
    strict : bool
        Refuse a source that differs from the description of its record; by default it is stored with a note.
    accept_count : bool
        Accept a bare TFRecord that holds fewer examples, samples and images than the number in its name.
    salvage : bool
        Take every example with right checksums from a damaged source, and note the gaps. The unit is then salvaged:
        it makes the store partial until a good source replaces it. For sources that cannot be fetched again.
    dataset : Dataset
        The data set of the sources. A store holds one data set.
    statistics : bool
        Store the statistics of each unit in it: mean, standard deviation and percentiles of each band, of all and of
        clear observations, and class counts and weights. ``Store.statistics`` then reads no pixels of whole units.
    """

    format: str | None = None
    codec: str | None = None
    linked: bool = False
    tiles: Iterable[str] = ()
    splits: Iterable[str] = ()
    strict: bool = False
    accept_count: bool = False
    salvage: bool = False
    dataset: Dataset = DATASET
    statistics: bool = False

    def __post_init__(self) -> None:
        _keep(self, tiles=tuple(self.tiles), splits=tuple(self.splits))

    @property
    def demands(self) -> Demands:
        return Demands(self.strict, self.accept_count, self.salvage)


NO_OPTIONS = PlanOptions()


@dataclass(frozen=True)
class RunOptions:
    """Resources of a run, and what it may replace.

    Attributes
    ----------
    jobs : int
        Processor cores to use. With more than one core and several units, each unit runs in its own process; a script
        that calls this then needs the usual ``if __name__ == "__main__":``.
    memory : int, optional
        Memory limit in bytes; if needed, fewer units are made at a time.
    unpacker : {"auto", "python", "7zz"}
        What unpacks archives: a 7-Zip program ("7zz"), Python code ("python"), or the program if there is one ("auto").
        The store is the same in each case.
    max_unpacked : int, optional
        Bytes that one source may unpack to. By default 100 times its own size, and at least 4 GiB.
    max_decoding : int
        Bytes of memory that decoding may take: for the dictionary of an archive, or for one example. 1 GiB by default.
    overwrite : bool
        Replace an existing store by a new one, once that is finished. A store in a bucket is deleted first.
    overwrite_units : iterable of str
        Units such as ``train/50SMG`` that another source may replace. Without this, existing units are kept, and
        another source of such a unit is refused.
    max_requests : int, optional
        For a store or sources at an address: the most requests that this run and its worker processes send to the
        service, once the sources are found. A run that reaches it stops; the same call continues.
    """

    jobs: int = 1
    memory: int | None = None
    unpacker: str = "auto"
    max_unpacked: int | None = None
    max_decoding: int = DECODING
    overwrite: bool = False
    overwrite_units: Iterable[str] = ()
    max_requests: int | None = None

    def __post_init__(self) -> None:
        _keep(self, overwrite_units=tuple(self.overwrite_units))

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.max_unpacked, self.max_decoding)


ONE_JOB = RunOptions()


@dataclass(frozen=True)
class EngineOptions:
    """Where units are made.

    Attributes
    ----------
    engine : {"local", "dask"}
        On this machine, or on the workers of a Dask scheduler, one unit per worker at a time.
    scheduler : str, optional
        Address of the scheduler, such as ``tcp://host:8786``. s2ct never starts a scheduler.
    scheduler_file : path-like, optional
        The file that ``dask scheduler --scheduler-file`` writes. Without this and `scheduler`, s2ct uses
        ``scheduler-address`` from the configuration of Dask.
    workers_timeout : float
        Seconds to wait for the scheduler, and then for workers.
    """

    engine: str = "local"
    scheduler: str | None = None
    scheduler_file: str | os.PathLike[str] | None = None
    workers_timeout: float = WORKERS_TIMEOUT


HERE = EngineOptions()


class PlanKeywords(TypedDict, total=False):
    """The fields of :class:`PlanOptions`."""

    format: str | None
    codec: str | None
    linked: bool
    tiles: Iterable[str]
    splits: Iterable[str]
    strict: bool
    accept_count: bool
    salvage: bool
    dataset: Dataset
    statistics: bool


class RunKeywords(TypedDict, total=False):
    """The fields of :class:`RunOptions`."""

    jobs: int
    memory: int | None
    unpacker: str
    max_unpacked: int | None
    max_decoding: int
    overwrite: bool
    overwrite_units: Iterable[str]
    max_requests: int | None


class EngineKeywords(TypedDict, total=False):
    """The fields of :class:`EngineOptions`."""

    engine: str
    scheduler: str | None
    scheduler_file: str | os.PathLike[str] | None
    workers_timeout: float


class ConvertKeywords(PlanKeywords, RunKeywords, EngineKeywords, total=False):
    """The keywords of :func:`s2ct_convert.convert`."""
