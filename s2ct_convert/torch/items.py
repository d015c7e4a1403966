"""Makes the items of the datasets: a dict of arrays for each sample, scaled and transformed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..reading.filters import Where
from ..reading.sample import Sample
from ..reading.series import Chosen

Item = dict[str, Any]
Transform = Callable[[Item], Any]


class ItemOptions(Where, total=False):
    """Arguments that all datasets have.

    ``transform`` is applied to each item. ``dtype`` and ``scale`` are those of ``image``, see ``Making``. The others
    select samples and observations: ``samples`` as ``chosen_series``, the rest as ``Store.select``.
    """

    samples: Chosen | None

    transform: Transform | None
    dtype: npt.DTypeLike | None
    scale: float | None
    crop: int | None


@dataclass(frozen=True)
class Making:
    """How items are made.

    Parameters
    ----------
    dtype : dtype, optional
        dtype of ``image``. Default: float32 with ``scale``, else uint16 as stored. It has to hold all values.
    scale : float, optional
        Factor of ``image``: 1e-4 gives reflectance.
    crop : int, optional
        Height and width of the centre of the patch to keep.
    transform : callable, optional
        Applied to each item last.

    Raises
    ------
    ValueError
        If the dtype cannot hold the values, or the crop is not possible.
    """

    dtype: npt.DTypeLike | None = None
    scale: float | None = None
    crop: int | None = None
    transform: Transform | None = None

    def __post_init__(self) -> None:
        if self.crop is not None and self.crop < 1:
            raise ValueError(f"crop={self.crop} must be at least 1")
        if self.dtype is None:
            return
        try:
            wanted = np.dtype(self.dtype)
        except TypeError:
            raise ValueError(f"dtype={self.dtype!r} is not a dtype of numpy, such as 'float32'") from None
        if self.scale is None:
            fits = np.can_cast(np.uint16, wanted)
        else:
            fits = wanted.kind == "f" and abs(self.scale) * np.iinfo(np.uint16).max <= np.finfo(wanted).max
        if not fits:
            which = (
                "with this scale, use a larger float dtype" if self.scale is not None else "use 'float32' or 'int32'"
            )
            raise ValueError(f"dtype={str(wanted)!r} cannot hold the values of image; {which}")

    def __call__(self, unit: str, localid: int, sample: Sample, **more: Any) -> Any:
        """The item of a sample; ``more`` are more keys of it."""
        item: Item = {**sample._asdict(), "image": self.image(sample.image), "unit": unit, "localid": localid, **more}
        return self.transform(item) if self.transform else item

    def image(self, image: npt.NDArray[np.uint16]) -> npt.NDArray[Any]:
        """Patches, shape (n, bands, height, width), cropped and scaled."""
        out: npt.NDArray[Any] = image
        if self.crop is not None:
            height, width = image.shape[2:]
            if self.crop > min(height, width):
                raise ValueError(f"crop={self.crop} is larger than a patch of {height} x {width}")
            top, left = (height - self.crop) // 2, (width - self.crop) // 2
            out = out[..., top : top + self.crop, left : left + self.crop].copy()
        if self.scale is not None:
            wanted = np.dtype(np.float32 if self.dtype is None else self.dtype)
            precise = np.promote_types(wanted, np.float32)
            scaled: npt.NDArray[Any] = np.multiply(out, precise.type(self.scale), dtype=precise)
            return scaled.astype(wanted, copy=False)
        return out if self.dtype is None else out.astype(self.dtype)
