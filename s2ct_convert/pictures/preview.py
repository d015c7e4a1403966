"""``s2ct preview`` as a Python function: draws one picture of a store. The file appears only when it is whole."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

from ..dataset import check_default
from ..durable import write_atomic
from ..errors import DestinationExists, WrongUsage
from ..missing import NO_DAY
from ..names import UnitName, printable
from ..reading.opening import open_store
from ..reading.review import Review, Reviewed, as_review
from ..reading.sample import Sample
from ..reading.store import Store
from ..reading.unit import Unit
from .choose import Choice, Which, choose_sample
from .contact_sheet import draw_contact_sheet
from .overview import read_overview
from .overview_sheet import draw_overview
from .reviewed_sheet import draw_reviewed
from .sheet import SUFFIXES, need_matplotlib

LIMIT = 48  # observations on a contact sheet


@dataclass(frozen=True)
class Preview:
    """The contents of a picture.

    Attributes
    ----------
    picture : Path
    kind : {"sample", "store", "review"}
    bytes : int
        Size of the file.
    unit, localid, why : str, int, str or None
        The sample on a contact sheet, and why it was chosen; None for an overview or a review.
    samples, observations : int
        Number in the sample, in the review or in the whole store.
    shown : int
        Number of observations on a sheet, or in the histograms of an overview.
    time_first, time_last : int or None
        Days since 1970-01-01; None where no observation has a date.
    """

    picture: Path
    kind: str
    bytes: int
    unit: str | None
    localid: int | None
    why: str | None
    samples: int
    observations: int
    shown: int
    time_first: int | None
    time_last: int | None

    def document(self) -> dict[str, Any]:
        """The preview as a JSON object."""
        return asdict(self) | {"picture": str(self.picture)}


def preview(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    limit: int = LIMIT,
    summary: bool = False,
    review: Reviewed = None,
    overwrite: bool = False,
    **which: Unpack[Which],
) -> Preview:
    """Draw the time series of one sample, an overview of the whole store, or a review of it, as PNG or PDF.

    Parameters
    ----------
    store : path-like
        A complete store.
    output : path-like, optional
        A name that ends in .png or .pdf; by default a PNG in the current folder, named after the sample.
    seed : int
        Seed for ``random``, and for the observations in the histograms of an overview of a big store.
    limit : int
        Maximum number of observations on a contact sheet.
    summary : bool
        Draw the store, not a sample.
    review : path-like or Review, optional
        Draw the dates of this review, each with its label and the suggestion.
    overwrite : bool
        Replace an existing file.
    tiles, splits : iterable of str, optional
        Choose among the samples of these.
    sample : int, optional
        The localid of the sample; by default the first sample with many classes.
    random : bool
        Draw a random sample instead.

    Returns
    -------
    Preview
        What was drawn, and where.

    Raises
    ------
    WrongUsage
        If there is no such sample, nothing to draw, another suffix, or no matplotlib, if the store is not of the
        default data set, or the review does not fit it.
    DestinationExists
        If the file exists.
    Incomplete
        If the conversion of the store has not finished.
    """
    need_matplotlib()
    if output is not None:
        check_picture(Path(output), overwrite)
    with open_store(store) as opened:
        check_default(opened.dataset, "preview", str(store))
        if summary:
            path = _place(output, opened, "summary", overwrite)
            data, made = _draw_store(opened, path, seed)
        elif (rows := as_review(review, opened)) is not None:
            path = _place(output, opened, "review", overwrite)
            data, made = _draw_review(opened, rows, path, limit)
        else:
            chosen = choose_sample(opened, seed=seed, **which)
            path = _place(output, opened, f"{UnitName.from_path(chosen.unit).key}_{chosen.localid}", overwrite)
            data, made = _draw_sample(opened, chosen, path, limit)
    write_atomic(path, data)
    return made


def _draw_store(store: Store, path: Path, seed: int) -> tuple[bytes, Preview]:
    numbers = read_overview(store, seed=seed)
    data = draw_overview(numbers, suffix=path.suffix)
    made = Preview(
        path, "store", len(data), None, None, None, samples=numbers.samples, observations=numbers.observations,
        shown=numbers.brightness.observations, time_first=numbers.time_first, time_last=numbers.time_last,
    )  # fmt: skip
    return data, made


def _draw_review(store: Store, review: Review, path: Path, limit: int) -> tuple[bytes, Preview]:
    name = printable(store.path.absolute().name)
    data, shown = draw_reviewed(store, review, name=name, limit=limit, suffix=path.suffix)
    days = sorted(int(store[row.unit].time[row.obs]) for row in review if row.date)
    made = Preview(
        path, "review", len(data), None, None, None, samples=len({(row.unit, row.localid) for row in review}),
        observations=len(review), shown=shown, time_first=days[0] if days else None,
        time_last=days[-1] if days else None,
    )  # fmt: skip
    return data, made


def _draw_sample(store: Store, chosen: Choice, path: Path, limit: int) -> tuple[bytes, Preview]:
    series = _series(store[chosen.unit], chosen.rows)
    data = draw_contact_sheet(
        series, unit=chosen.unit, localid=chosen.localid, store=printable(store.path.absolute().name),
        why=chosen.why, limit=limit, suffix=path.suffix,
    )  # fmt: skip
    n, days = len(series.time), series.time[series.time != NO_DAY]
    made = Preview(
        path, "sample", len(data), chosen.unit, chosen.localid, chosen.why, samples=1, observations=n,
        shown=min(n, limit), time_first=int(days[0]) if len(days) else None,
        time_last=int(days[-1]) if len(days) else None,
    )  # fmt: skip
    return data, made


def _place(output: str | os.PathLike[str] | None, store: Store, what: str, overwrite: bool) -> Path:
    if output is not None:
        return Path(output)
    path = Path(f"{store.path.absolute().stem}_{what}.png")
    check_picture(path, overwrite)
    return path


def check_picture(path: Path, overwrite: bool) -> None:
    """Check before drawing that a picture can be drawn and written."""
    if path.suffix not in SUFFIXES:
        raise WrongUsage(
            "a picture must be a PNG or a PDF",
            where=str(path),
            expected=f"a name that ends in {' or '.join(SUFFIXES)}",
            found=path.suffix or "no suffix",
        )
    if not path.parent.is_dir():
        raise WrongUsage("there is no such folder", where=str(path.parent), todo="make it, or choose another place")
    if path.is_dir():
        raise DestinationExists("this is a folder", where=str(path), todo="choose another name")
    if path.exists() and not overwrite:
        raise DestinationExists(
            "the picture exists already", where=str(path), todo="choose another name, or give --overwrite"
        )


def _series(unit: Unit, rows: slice) -> Sample:
    """A sample, by its rows: all samples without a localid have -1."""
    (image,) = unit.images([rows])
    return Sample(image, unit.label[rows], unit.time[rows], unit.weight[rows])
