"""What selections and datasets need to know of a store, and which rows of its units they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from .unit import Unit


class Units(Protocol):
    """The part of a store that is needed here."""

    attributes: dict[str, Any]

    @property
    def units(self) -> Mapping[str, Unit]: ...

    @property
    def dataset(self) -> Dataset: ...


class UnitRows(NamedTuple):
    """The selected samples of one unit with their rows, in the order of the unit."""

    unit: Unit
    localids: list[int]
    rows: list[npt.NDArray[np.int64]]
