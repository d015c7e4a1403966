"""Description of a data set: its record, features, bands, patches, classes and dates.

This module holds everything that differs between Zenodo records of TFRecords. What all such data sets share (dtypes of
the features, arrays of a unit, missing values) belongs to the layout of a store.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .errors import WrongUsage
from .tiles import TileArea, locate_tile

PIXEL_BYTES = 2  # uint16
MOST_CLASSES = 127  # labels are int8, and -1 means no label

_WORD = re.compile(r"[A-Za-z0-9_.@+-]+")  # what CF allows in flag_meanings


@dataclass(frozen=True)
class Band:
    """One band of a patch.

    Attributes
    ----------
    name : str
        One word: letters, digits and ``_.@+-``.
    wavelength_nm : float
        Central wavelength, in nm.
    """

    name: str
    wavelength_nm: float


@dataclass(frozen=True)
class Features:
    """Names of the five features of a tf.train.Example. Their types are the same in every data set.

    Attributes
    ----------
    localid : str
        One int64 in an int64_list: the id of the sample.
    image : str
        uint16 little-endian in a bytes_list: n patches, each band by band and row by row.
    labels : str
        int8 in a bytes_list: one label, or k x k labels, for each of the n patches.
    dates : str
        int64 little-endian in a bytes_list: one for each patch.
    weights : str
        float32 little-endian in a bytes_list: one for each patch.
    """

    localid: str
    image: str
    labels: str
    dates: str
    weights: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All five names."""
        return dataclasses.astuple(self)

    @cached_property
    def dtypes(self) -> Mapping[str, str]:
        """NumPy dtype of each feature that is a bytes_list, by name."""
        return {self.image: "<u2", self.labels: "i1", self.dates: "<i8", self.weights: "<f4"}

    @cached_property
    def bytes_names(self) -> frozenset[str]:
        """Names of the features that are a bytes_list."""
        return frozenset(self.dtypes)


@dataclass(frozen=True, repr=False)
class Dataset:
    """Facts of a data set. Data sets of this kind differ in nothing else.

    Attributes
    ----------
    record : str
        Id of its Zenodo record, digits; may be empty.
    doi : str
        URL of the DOI of the data. It identifies the data set.
    paper : str
        URL of the paper; may be empty.
    citation : str
        How to cite data and paper.
    title, summary : str
        The data in a line and in a sentence.
    creators, creator_institution : str
        Authors and their institution.
    sensor, mission, platform : str
        Such as ``Sentinel-2 MSI``, ``Sentinel-2`` and ``Sentinel-2A``. The wavelengths belong to the platform.
    features : Features
    bands : tuple of Band
        In the order of the pixels.
    height, width : int
        Size of a patch, in pixels.
    resolution_m : int
        Side of a pixel, in m.
    label : str
        Meaning of a label, such as ``cloud class``.
    classes : tuple of str
        Names of the labels 0, 1, 2, ...; one word each.
    centre : int
        A label describes the central ``centre`` x ``centre`` pixels of a patch.
    first_day : date
        No image is older; an earlier value is not a date.
    published : date
        Day of publication: no image of the record is younger.
    name_form, name_example : str
        Form of its file names, for messages. Other forms are accepted too (names.py).
    mgrs_tiles : bool
        Whether its tiles are those of Sentinel-2, named by the grid MGRS. Their place is then known from their names.

    Raises
    ------
    ValueError
        If a store cannot hold such data.
    """

    record: str
    doi: str
    paper: str
    citation: str
    title: str
    summary: str
    creators: str
    creator_institution: str
    sensor: str
    mission: str
    platform: str
    features: Features
    bands: tuple[Band, ...]
    height: int
    width: int
    resolution_m: int
    label: str
    classes: tuple[str, ...]
    centre: int
    first_day: datetime.date
    published: datetime.date
    name_form: str = "<split>_<tile>_<number of examples>"
    name_example: str = "train_50SMG_462"
    mgrs_tiles: bool = False

    def __post_init__(self) -> None:
        bands, names = [band.name for band in self.bands], self.features.names
        for right, wrong in (
            (self.doi != "", "a data set needs a DOI"),
            (re.fullmatch("[0-9]*", self.record), f"{self.record!r} is not the id of a Zenodo record"),
            (len(set(names)) == len(names) and all(names), f"features need five different names, found {names}"),
            ("\0" not in "".join(names), "the name of a feature has a zero byte, which a store cannot hold"),
            (self.height > 0 and self.width > 0, f"a patch cannot have {self.height} x {self.width} pixels"),
            (
                0 < self.centre <= min(self.height, self.width),
                f"a label cannot describe {self.centre} x {self.centre} pixels of such a patch",
            ),
            (_are_words(bands), f"bands need different names of one word each, found {bands}"),
            (_are_words(self.classes), f"classes need different names of one word each, found {self.classes}"),
            (len(self.bands) <= MOST_CLASSES, f"{len(self.bands)} bands; at most {MOST_CLASSES} are possible"),
            (len(self.classes) <= MOST_CLASSES, f"{len(self.classes)} classes; at most {MOST_CLASSES} are possible"),
            (self.first_day <= self.published, f"published on {self.published}, before {self.first_day}"),
        ):
            if not right:
                raise ValueError(wrong)

    def __repr__(self) -> str:
        return f"<Dataset {self.doi}>"

    @cached_property
    def obs_shape(self) -> tuple[int, int, int]:
        """Bands, height and width of one patch."""
        return len(self.bands), self.height, self.width

    @cached_property
    def obs_bytes(self) -> int:
        """Bytes of one patch."""
        return len(self.bands) * self.height * self.width * PIXEL_BYTES

    def cap(self, most: int) -> int:
        """``most``, or fewer observations, so that they take no more memory than ``most`` of the default data set."""
        return max(1, min(most, most * DATASET.obs_bytes // self.obs_bytes))

    def locate(self, tile: str) -> TileArea | None:
        """Where a tile is on Earth; None if its name does not say so."""
        return locate_tile(tile) if self.mgrs_tiles else None

    def values(self) -> dict[str, Any]:
        """Plain values for JSON; the inverse of ``from_values``."""
        days = {name: getattr(self, name).isoformat() for name in _DAYS}
        return {**dataclasses.asdict(self), **days}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Dataset:
        """A data set from plain values; the inverse of ``values``.

        Raises
        ------
        ValueError, TypeError, KeyError, AttributeError
            If they do not describe a data set.
        """
        return cls(
            **{
                **values,
                **{name: datetime.date.fromisoformat(values[name]) for name in _DAYS},
                "features": Features(**values["features"]),
                "bands": tuple(Band(**band) for band in values["bands"]),
                "classes": tuple(values["classes"]),
            }
        )


def check_default(dataset: Dataset, what: str, where: str) -> None:
    """Check that a store holds the default data set. ``what`` names a function that supports no other.

    Raises
    ------
    WrongUsage
    """
    if dataset != DATASET:
        raise WrongUsage(
            f"{what} supports one data set, and this store holds another",
            where=where,
            expected=DATASET.doi,
            found=dataset.doi,
        )


_DAYS = ("first_day", "published")


def _are_words(names: tuple[str, ...] | list[str]) -> bool:
    return bool(names) and len(set(names)) == len(names) and all(map(_WORD.fullmatch, names))


_DOI = "https://doi.org/10.5281/zenodo.10613705"
_PAPER = "https://doi.org/10.3390/rs16060973"

# The data set that s2ct is made for. Sources, unless another is named: the page of the record (v2), the authors'
# decoder there, and the paper.
DATASET = Dataset(
    record="10613705",
    doi=_DOI,
    paper=_PAPER,
    citation=(
        "Gong, C.; Yin, R.; Long, T.; Jiao, W.; He, G.; Wang, G. Spatial-Temporal Approach and Dataset for Enhancing "
        "Cloud Detection in Sentinel-2 Imagery: A Case Study in China. Remote Sensing 2024, 16(6), 973. "
        f"{_PAPER}. Data: {_DOI}"
    ),
    title="Labelled Sentinel-2 time series for cloud detection",
    summary=(
        "Time series of 42 x 42 pixel patches of bands B2, B3, B4 and B8 at 10 m with a cloud class, date and weight "
        "per timestamp."
    ),
    creators="Ranyu Yin (corresponding author) and co-authors",
    creator_institution="Aerospace Information Research Institute, Chinese Academy of Sciences",
    sensor="Sentinel-2 MSI",
    mission="Sentinel-2",
    platform="Sentinel-2A",
    features=Features(localid="localid", image="image_raw_ldseries", labels="labels", dates="dates", weights="weights"),
    # Central wavelengths of Sentinel-2A: Sentinel-2 MSI technical guide, spectral resolution, ESA.
    bands=(Band("B2", 492.4), Band("B3", 559.8), Band("B4", 664.6), Band("B8", 832.8)),
    height=42,
    width=42,
    resolution_m=10,
    label="cloud class",
    classes=("clear", "opaque_cloud", "thin_cloud", "haze", "cloud_shadow", "snow"),
    centre=6,
    first_day=datetime.date(2015, 6, 23),  # launch of Sentinel-2A (ESA)
    published=datetime.date(2024, 2, 4),
    mgrs_tiles=True,
)
