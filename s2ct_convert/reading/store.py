"""An open store, Zarr or HDF5: units by name, the index as a table, selections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy.typing as npt

from ..dataset import Dataset
from ..errors import Incomplete
from ..events import OnEvent, ignore
from ..objects.address import AnyPath, ObjectPath
from ..store.digest import Table
from ..store.layout import STATE_COMPLETE, STATE_PARTIAL
from ..store.root import lacks, read_dataset
from .display import OwnMapping, Shown, Summary
from .filters import Cut, Dates, Labels, Names, Numbers, as_list, numbers
from .groups import Tree, check_digest, check_units, read_all
from .index import flag_meanings, make_samples
from .review import Reviewed, as_review
from .select import Keep, Selection
from .summaries import store_summary
from .table import Samples
from .unit import Unit

if TYPE_CHECKING:
    import xarray

    from .statistics import Statistics


class Store(Shown, OwnMapping[Unit]):
    """An open store. Use as a context manager, or ``close`` it.

    It maps unit names to units: ``store["train/50SMG"]``. It can be pickled: the other process opens it again.
    Threads may read it; on a disk, forked processes too.

    Attributes
    ----------
    path : Path, or ObjectPath of a store at an address
    format : {"zarr", "hdf5"}
    attributes : dict, of the root
    waits : bool, whether it is at an address
    """

    def __init__(self, path: AnyPath, tree: Tree, *, checked: bool = True) -> None:
        self.path, self.format, self.attributes = path, tree.format, tree.attributes
        self.tree, self._checked, self.waits = tree, checked, isinstance(path, ObjectPath)

    def _summary(self) -> Summary:
        return store_summary(self)

    @property
    def layout(self) -> int:
        """Version of the layout."""
        return int(self.attributes["s2ct_layout_version"])

    @cached_property
    def dataset(self) -> Dataset:
        """The data set of the store.

        Raises
        ------
        StoreDamaged
            If the attribute that holds it is invalid.
        """
        return read_dataset(self.attributes, str(self.path))

    @property
    def complete(self) -> bool:
        """Whether the store has every requested unit."""
        return self.attributes.get("state") == STATE_COMPLETE

    @property
    def finished(self) -> bool:
        """Whether the store has its index: complete, or partial."""
        return self.complete or self.attributes.get("state") == STATE_PARTIAL

    @property
    def lacks(self) -> str:
        """Message with what a partial store lacks of the requested units and sources; empty for other stores."""
        return lacks(self.attributes)

    @property
    def digest(self) -> str:
        """Content digest of the store; empty while it is incomplete."""
        return str(self.attributes.get("content_digest", ""))

    @cached_property
    def units(self) -> Mapping[str, Unit]:
        """Units by name (``train/50SMG``), sorted.

        Raises
        ------
        StoreDamaged
            If units are missing, or differ from those recorded in the store.
        """
        found = {}
        for name in self.tree.units():
            group = self.tree.group(str(name))
            found[str(name)] = Unit(name, group, layout=self.layout, dataset=self.dataset, checked=self._checked)
        if self.finished and self._checked:
            check_units(str(self.path), self.attributes, found)
        return found

    def __getitem__(self, name: str) -> Unit:
        units = self.units
        try:
            return units[name]
        except KeyError:
            raise KeyError(f"{self.path} has no unit {name!r}; it has {', '.join(units)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)

    def index_tables(self) -> dict[str, Table]:
        """The arrays of the index. Raises Incomplete if there is none yet, StoreDamaged if it has changed."""
        if not self.finished:
            raise Incomplete("the store has no index, because its conversion has not finished", where=str(self.path))
        group = self.tree.group("index")
        tables = read_all(group)
        if self._checked:
            check_digest(group.where, self.attributes, tables)
        return {table.name: table for table in tables}

    @property
    def index(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of the index, one row per sample of the whole store.

        Raises
        ------
        Incomplete
            If the store has no index yet.
        StoreDamaged
            If the index has changed since the store was written.
        """
        return {name: table.data for name, table in self.index_tables().items() if table.data is not None}

    @cached_property
    def tiles(self) -> tuple[str, ...]:
        """Names of the tiles, numbered by ``index["tile"]``."""
        return flag_meanings(self.index_tables()["tile"])

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, numbered by ``index["split"]``."""
        return flag_meanings(self.index_tables()["split"])

    @cached_property
    def samples(self) -> Samples:
        """The index as a table, one row per sample of the whole store.

        Raises
        ------
        Incomplete
            If the store has no index yet.
        StoreDamaged
            If the index has changed since the store was written.
        """
        return make_samples(self.index_tables(), self.dataset)

    def select(
        self,
        *,
        tile: Names = None,
        split: Names = None,
        localid: Numbers = None,
        samples: Samples | None = None,
        time: Dates = None,
        months: int | Iterable[int] | None = None,
        label: Labels = None,
        review: Reviewed = None,
        **cut: Unpack[Cut],
    ) -> Selection:
        """Select the observations that match all arguments. They are read lazily.

        Parameters
        ----------
        tile, split, localid : one or several, optional
        samples : Samples, optional
            Only these samples: a part of ``store.samples``, such as one side of a fold.
        time : slice of dates, or one date, optional
            Both ends are included; ``"2018-06"`` is the whole month. Observations without a date never match.
        months : number from 1 to 12, or several, optional
            A season, in any year.
        label : name or number, or several, optional
            Observations of these classes; for k x k labels, those with at least one such pixel.
        review : path-like or Review, optional
            Only observations with a row in this review. Labels are as stored; ``Review.corrected`` gives others.
        max_length : int, optional
            At most this many consecutive matching observations of a sample, from the first one.
        seed : int, optional
            With ``max_length``: begin at a random observation. The draw depends only on the seed and the sample.

        Returns
        -------
        Selection
            Iterate over it, or over its ``observations()``.

        Raises
        ------
        KeyError
            If the store does not have a tile, split or class.
        ValueError
            If a month or ``max_length`` is impossible, or ``samples`` are from another store.
        WrongUsage
            If the review is of another store, or rows of it do not fit the store.

        Examples
        --------
        >>> for sample in store.select(tile="50SMG", time=slice("2018-03", "2018-05")):  # doctest: +SKIP
        ...     print(sample.localid, sample.image.shape)
        """
        if samples is not None and not samples.are_in(self.samples):
            raise ValueError(f"these samples are from another store, not from {self.path}")
        season = None if months is None else tuple(numbers(months))
        keep = Keep(time, None if label is None else tuple(as_list(label)), season, as_review(review, self), **cut)
        table = self.samples if samples is None else samples
        table = table.may_match(tile=tile, split=split, localid=localid, time=time, label=keep.label)
        return Selection(self, table, keep)

    def statistics(
        self, split: Names = "train", tile: Names = None, *, clear: Labels = "clear", from_pixels: bool = False,
        on_event: OnEvent = ignore,
    ) -> Statistics:  # fmt: skip
        """Mean, standard deviation and percentiles of each band, and class counts and weights, in one pass.

        Pixels are counted by value: this is exact, in bounded memory, on all cores (docs/analysis.md).

        Parameters
        ----------
        split, tile : one or several; only pixels of these units are read. None for all.
        clear : name or number, or several
            Classes of the observations in ``Statistics.clear``; of k x k labels, all must be of these classes.
        from_pixels : bool
            Read pixels also of whole units that hold their statistics (``convert``). The result is the same.
        on_event : callable, optional
            Gets a ``StatisticsProgress`` after each piece of work.

        Raises
        ------
        KeyError
            If the store does not have a tile, split or class.
        StoreDamaged
            If stored bytes are missing or do not match their checksums.
        """
        selection = self.select(split=split, tile=tile)
        return selection.statistics(clear=clear, from_pixels=from_pixels, on_event=on_event)

    def to_xarray(self, unit: str, localid: int | Iterable[int] | None = None) -> xarray.Dataset:
        """A unit, or samples of it, as an xarray Dataset. Images are read when they are used, and then checked.

        Without ``localid``, all arrays of the unit. Coordinates are the localid for ``sample``, the name for ``band``,
        and ``obs_localid`` for the sample of each observation. With it, these samples, as ``Selection.to_xarray``.

        Raises
        ------
        KeyError
            If the store has no such unit or sample.
        StoreDamaged
            If a part of it is missing, now or when images are read.
        MissingPackage
            If xarray is not installed.
        """
        from .datasets import samples_dataset, unit_dataset

        return unit_dataset(self, unit) if localid is None else samples_dataset(self, unit, localid)

    def to_datatree(self) -> xarray.DataTree:
        """The whole store as an xarray DataTree, with the coordinates of ``to_xarray``.

        Raises
        ------
        StoreDamaged
            If a part of it is missing.
        MissingPackage
            If xarray is not installed.
        """
        from .datasets import store_datatree

        return store_datatree(self)

    def to_verify(self) -> Store:
        """The same store, not compared with digests: verification reports the differences itself."""
        return Store(self.path, self.tree, checked=False)

    def close(self) -> None:
        """Close the files of the store."""
        self.tree.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
