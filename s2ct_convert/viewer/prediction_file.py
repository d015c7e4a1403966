"""Reads predictions of a model from CSV or Parquet, as columns for each unit. Nothing is compared with a store here."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from ..errors import MissingPackage, WrongUsage, from_os_error
from ..missing import NO_DAY
from ..reading.review_file import class_number, whole_number
from ..store.layout import LABELS
from ..version import install_advice

NEEDED = ("unit", "localid", "date", "prediction")
OPTIONAL = ("obs",)
_EPOCH = date(1970, 1, 1)
_DATE_CHARACTERS = 10
_FORMS = "write CSV in UTF-8, not packed, or Parquet in a file that ends in .parquet"


@dataclass
class UnitColumns:
    """The rows of one unit, in the order of the file.

    ``row`` is the number of each row in the file, from 1 without the header. ``obs`` is -1, and ``time`` NO_DAY, where
    the file has none.
    """

    row: array[int] = field(default_factory=lambda: array("q"))
    localid: array[int] = field(default_factory=lambda: array("q"))
    time: array[int] = field(default_factory=lambda: array("i"))
    obs: array[int] = field(default_factory=lambda: array("q"))
    prediction: array[int] = field(default_factory=lambda: array("b"))


def read_columns(path: Path) -> dict[str, UnitColumns]:
    """The columns of a file by unit.

    Raises
    ------
    WrongUsage
        If the file is missing, has not these columns, or a value cannot be read; the message names the row.
    MissingPackage
        If it is Parquet and pyarrow is not installed.
    """
    parquet = path.suffix.lower() in (".parquet", ".pq")
    units: dict[str, UnitColumns] = {}
    days: dict[Any, int] = {}  # few days and classes come again and again
    classes: dict[Any, int] = {}
    for number, values in enumerate(_parquet(path) if parquet else _csv(path), start=1):
        unit, localid, when, prediction, obs = values
        try:
            if when not in days:
                days[when] = _day(when)
            if prediction not in classes:
                classes[prediction] = _class(prediction)
            columns = units.setdefault(str(unit), UnitColumns())
            columns.localid.append(whole_number("localid", localid))
            columns.time.append(days[when])
            columns.prediction.append(classes[prediction])
            columns.obs.append(_row(obs))
            columns.row.append(number)
        except (ValueError, TypeError, OverflowError) as error:
            raise WrongUsage(str(error), where=f"{path}, row {number:,}") from None
    if not units:
        raise WrongUsage("the file has no predictions", where=str(path))
    return units


def _class(value: Any) -> int:
    with suppress(ValueError):
        if 0 <= (number := class_number(value)) < len(LABELS):
            return number
    raise ValueError(f"prediction is {value!r}, not a class: 0 to {len(LABELS) - 1}, or {', '.join(LABELS)}")


def _row(value: Any) -> int:
    if value is None or value == "":
        return -1
    if (row := whole_number("obs", value)) < 0:
        raise ValueError(f"obs is {row}; rows begin at 0")
    return row


def _day(value: Any) -> int:
    """Days since 1970-01-01 of a date, or of a text that begins with one; NO_DAY of nothing."""
    if value is None or value in ("", "NaT"):  # numpy and pandas write NaT
        return NO_DAY
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, str):
        value = _date_of(value.strip()) or value
    if not isinstance(value, date):
        raise TypeError(f"date is {value!r}, not a date such as 2018-06-01")
    return (value - _EPOCH).days


def _date_of(text: str) -> date | None:
    """The date of a text that is one, or begins with one before a time."""
    if len(text) > _DATE_CHARACTERS and text[_DATE_CHARACTERS] not in "T ":
        return None
    try:
        return date.fromisoformat(text[:_DATE_CHARACTERS])
    except ValueError:
        return None


def _csv(path: Path) -> Iterator[tuple[Any, ...]]:
    with _opened(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            places = _places(path, header)
            for cells in filter(None, reader):
                if len(cells) != len(header):
                    what = f"the row has {len(cells)} values, the header {len(header)}"
                    raise WrongUsage(what, where=f"{path}, line {reader.line_num}")
                yield tuple(None if place is None else cells[place] for place in places)
        except csv.Error as error:
            raise WrongUsage(f"this is not CSV: {error}", where=f"{path}, line {reader.line_num}") from None
        except UnicodeDecodeError:
            raise WrongUsage("the file is not text in UTF-8", where=str(path), todo=_FORMS) from None


def _opened(path: Path) -> TextIO:
    try:
        return open(path, encoding="utf-8-sig", newline="")
    except OSError as error:
        raise from_os_error(error, str(path)) from None


def _parquet(path: Path) -> Iterator[tuple[Any, ...]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingPackage("Parquet needs pyarrow", where=str(path), todo=install_advice("export")) from error
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            places = _places(path, names)
            for batch in file.iter_batches(columns=[names[place] for place in places if place is not None]):
                columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
                nothing = [None] * batch.num_rows
                yield from zip(*(columns.get(name, nothing) for name in (*NEEDED, *OPTIONAL)), strict=True)
    except FileNotFoundError:
        raise WrongUsage("there is no such file", where=str(path), todo="check the path") from None
    except (ArrowException, OSError) as error:  # pyarrow also raises OSError for damaged data
        raise WrongUsage(f"this is not Parquet that can be read: {error}", where=str(path)) from None


def _places(path: Path, names: list[str]) -> list[int | None]:
    if missing := [name for name in NEEDED if name not in names]:
        raise WrongUsage(
            f"the file has no column {', '.join(missing)}", where=str(path),
            expected=f"{', '.join(NEEDED)}, and obs (the row in the unit) if a date is not unique; commas between them",
            found=", ".join(names)[:200] or "an empty file",
        )  # fmt: skip
    if twice := [name for name in (*NEEDED, *OPTIONAL) if names.count(name) > 1]:
        raise WrongUsage(f"the file has several columns {', '.join(twice)}", where=str(path), todo="keep one of them")
    return [names.index(name) if name in names else None for name in (*NEEDED, *OPTIONAL)]
