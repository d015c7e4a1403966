"""The time series of one sample, as numpy arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..missing import NO_DAY
from .display import Summary, series_summary, shown_in_lists


@shown_in_lists
class Sample(NamedTuple):
    """The time series of one sample, in time order.

    Attributes
    ----------
    image : ndarray of uint16, shape (n, bands, height, width)
        Values as published. In the default data set 4 x 42 x 42: bands B2, B3, B4, B8 at 10 m.
    label : ndarray of int8, shape (n,) or (n, k, k)
        Class numbers; -1 without a label. In the default data set 0 clear, 1 opaque cloud, 2 thin cloud, 3 haze,
        4 cloud shadow, 5 snow.
    time : ndarray of int32, shape (n,)
        Days since 1970-01-01; -2^31 without a date.
    weight : ndarray of float32, shape (n,)
        NaN without a weight in the source.
    """

    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]

    @property
    def dates(self) -> npt.NDArray[np.datetime64]:
        """``time`` as datetime64[D], NaT without a date."""
        return to_dates(self.time)

    def _summary(self) -> Summary:
        return series_summary("Sample", self)


def to_dates(time: npt.NDArray[np.int32]) -> npt.NDArray[np.datetime64]:
    """Days since 1970-01-01 as datetime64[D], NaT without a date."""
    dates = time.astype("datetime64[D]")
    dates[time == NO_DAY] = np.datetime64("NaT", "D")
    return dates
