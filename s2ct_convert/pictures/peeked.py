"""Draws the first sample of an archive that was looked at, as a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..durable import write_atomic
from ..errors import WrongUsage
from ..names import visible
from ..reading.sample import Sample
from ..words import plural
from .contact_sheet import draw_contact_sheet
from .preview import LIMIT, check_picture
from .sheet import need_matplotlib


class _Example(Protocol):
    """A PeekedExample of the room ``peeking``."""

    @property
    def localid(self) -> int: ...
    @property
    def image(self) -> npt.NDArray[np.uint16]: ...
    @property
    def label(self) -> npt.NDArray[np.int8]: ...
    @property
    def time(self) -> npt.NDArray[np.int32]: ...
    @property
    def weight(self) -> npt.NDArray[np.float32]: ...


class _File(Protocol):
    """A PeekedFile of the room ``peeking``."""

    @property
    def file(self) -> str: ...
    @property
    def source(self) -> Any: ...
    @property
    def examples(self) -> Sequence[_Example]: ...


def check_drawing(output: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Check, before anything is requested, that a picture can be drawn and written.

    Raises
    ------
    WrongUsage, DestinationExists
    """
    need_matplotlib()
    check_picture(Path(output), overwrite)


def draw_peeked(peeked: _File, output: str | os.PathLike[str], *, limit: int = LIMIT, overwrite: bool = False) -> Path:
    """Draw the first sample of a file that was looked at, as PNG or PDF.

    Parameters
    ----------
    peeked : PeekedFile
        Of :func:`s2ct_convert.peek`, with at least one example.
    output : path-like
        A name that ends in .png or .pdf.
    limit : int
        Maximum number of observations on the sheet.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path
        The picture. It says that its data was not verified.

    Raises
    ------
    WrongUsage
        If there is no example with an image, or no matplotlib, or the name has another suffix.
    DestinationExists
        If the file exists.
    """
    check_drawing(output, overwrite=overwrite)
    first = next((i for i, one in enumerate(peeked.examples) if len(one.image)), None)
    if first is None:
        raise WrongUsage("there is no example to draw", where=visible(peeked.file))
    localid = peeked.examples[first].localid
    of_sample = [one for one in peeked.examples[first:] if one.localid == localid and len(one.image)]
    path, unit = Path(output), peeked.source.unit if peeked.source else None
    data = draw_contact_sheet(
        _joined(of_sample),
        unit=unit or "unknown/unknown",
        localid=localid,
        store=visible(peeked.file),
        why=f"{plural(len(of_sample), 'example')} from the start of the archive, not verified by its md5",
        limit=limit,
        suffix=path.suffix,
    )
    write_atomic(path, data)
    return path


def _joined(examples: Sequence[_Example]) -> Sample:
    """The observations of examples of one sample, in the order of their time."""
    time = np.concatenate([one.time for one in examples])
    order = np.argsort(time, kind="stable")
    image, label, weight = (
        np.concatenate([getattr(one, name) for one in examples])[order] for name in ("image", "label", "weight")
    )
    return Sample(image, label, time[order], weight)
