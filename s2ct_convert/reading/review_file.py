"""The rows of a review file, CSV or JSON, as typed values. web/src/review.js writes it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import WrongUsage, from_os_error
from ..missing import NO_LABEL
from ..store.layout import LABELS
from .filters import class_numbers

COLUMNS = ("unit", "localid", "obs", "date", "label", "suggested", "flag", "note", "store_digest")
_NEEDED = tuple(name for name in COLUMNS if name not in ("flag", "note"))
# The page writes an apostrophe before text that a spreadsheet would compute, apostrophes before it included.
_FORMULA = re.compile(r"\A'(?='*(?!-?[0-9]+\Z)[=+@\t\r-])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|")
_UNIT = re.compile(r"[a-z]+/[A-Z0-9]+")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_LARGEST = 1 << 63  # of int64
_EXACT = 1 << 53  # floats above skip whole numbers
_SHOWN = 60  # characters of a wrong value
_TODO = "save the review on the page of s2ct view"


def read_text(path: Path) -> str:
    """The text of a file of rows.

    Raises
    ------
    WrongUsage
        If there is no such file, or it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise from_os_error(error, str(path)) from None
    except UnicodeDecodeError as error:
        raise WrongUsage("the file is not text in UTF-8", where=f"{path}, byte {error.start:,}") from None


def class_number(value: Any) -> int:
    """The number of a class from its number or name, with blanks or underscores.

    Raises
    ------
    ValueError
        If there is no such class.
    """
    word = str(value).strip()
    try:
        return class_numbers(int(word) if word.removeprefix("-").isdecimal() else word.replace(" ", "_"), LABELS)[0]
    except KeyError as error:
        raise ValueError(error.args[0]) from None


def whole_number(name: str, value: Any) -> int:
    """A whole number.

    Raises
    ------
    ValueError
        If it is none; the message has the name of the column.
    """
    if isinstance(value, str):
        number = int(value) if _WHOLE.fullmatch(value.strip()) else None
    elif isinstance(value, float):
        number = int(value) if value.is_integer() and abs(value) <= _EXACT else None
    else:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if number is not None and -_LARGEST <= number < _LARGEST:
        return number
    raise ValueError(f"{name} is {_short(value)}, not a whole number")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of each row in the file, such as ``line 3``, and its values by column.

    Raises
    ------
    WrongUsage
        If the file is not a review; the message names the place.
    """
    text = read_text(path)
    rows = _json(path, text) if text.lstrip().startswith(("[", "{")) else _csv(path, text)
    for where, row in rows:
        try:
            yield where, _typed(row)
        except (ValueError, TypeError) as error:
            raise WrongUsage(str(error), where=f"{path}, {where}", todo=_TODO) from None


def _csv(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
        if missing := [name for name in _NEEDED if name not in names]:
            raise WrongUsage(
                f"this is not a review: it has no column {', '.join(missing)}", where=str(path),
                expected=",".join(COLUMNS), found=",".join(names)[:200] or "an empty file", todo=_TODO,
            )  # fmt: skip
        if twice := [name for name in COLUMNS if list(names).count(name) > 1]:
            raise WrongUsage(f"the file has several columns {', '.join(twice)}", where=str(path), todo=_TODO)
        for row in reader:
            cells = {name: _FORMULA.sub("", value or "", count=1) for name, value in row.items() if name in COLUMNS}
            yield f"line {reader.line_num}", cells
    except csv.Error as error:
        raise WrongUsage(f"this is not CSV: {error}", where=f"{path}, line {reader.line_num}", todo=_TODO) from None


def _json(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"this is not JSON: {error}", where=str(path), todo=_TODO) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WrongUsage("this is not a review", where=str(path), expected="a list of objects", todo=_TODO)
    for number, row in enumerate(rows, start=1):
        if missing := [name for name in _NEEDED if name not in row]:
            raise WrongUsage(f"it has no {', '.join(missing)}", where=f"{path}, row {number}", todo=_TODO)
        yield f"row {number}", row


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    text = {name: str("" if row.get(name) is None else row[name]) for name in COLUMNS}
    date, obs = text["date"], whole_number("obs", text["obs"])
    if not _UNIT.fullmatch(text["unit"]):
        raise ValueError(f"{text['unit']!r} is not a unit, such as train/50SMG")
    if obs < 0:
        raise ValueError(f"obs is {obs}; rows begin at 0")
    if not _DATE.fullmatch(date):
        raise ValueError(f"{date!r} is not a date, such as 2018-06-01")
    if text["flag"].lower() not in ("", "true", "false"):
        raise ValueError(f"flag is {text['flag']!r}, not true or false")
    return {
        "unit": text["unit"],
        "localid": whole_number("localid", text["localid"]),
        "obs": obs,
        "date": date,
        "label": class_number(text["label"]) if text["label"] else NO_LABEL,
        "suggested": class_number(text["suggested"]) if text["suggested"] else None,
        "flag": text["flag"].lower() == "true",
        "note": text["note"],
        "store_digest": text["store_digest"],
    }
