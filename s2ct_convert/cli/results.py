"""Results and errors on stdout as one JSON object, for ``--json``.

A command hands over its document, and :func:`finish` prints it at the end of the program. A later error becomes part of
it, so stdout is always one document.
"""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import S2ctError

_DAYS = ("time_first", "time_last")  # days since 1970-01-01 inside the program

_documents: list[dict[str, Any]] = []


def print_json(document: dict[str, Any]) -> None:
    """Hand over the result of the command."""
    _documents[:] = [document]


def print_json_now(document: Any) -> None:
    """Print a document at once, for a command that goes on until it is stopped."""
    _write(document)
    sys.stdout.flush()


def finish(error: S2ctError | None = None) -> None:
    """Print the result of the command, if there is one, and the error, if there is one."""
    document = _documents.pop() if _documents else None
    if error is not None:
        document = {**(document or {}), "error": _error(error)}
    if document is not None:
        _write(document)


def _write(document: Any) -> None:
    import json

    json.dump(_with_dates(document), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def asked() -> bool:
    """Whether the command line has ``--json``. It need not be valid: errors of usage are printed as JSON too."""
    words = sys.argv[1:]
    return "--json" in words[: words.index("--") if "--" in words else None]


def _error(error: S2ctError) -> dict[str, Any]:
    texts = {name: getattr(error, name) for name in ("what", "where", "expected", "found", "todo")}
    return {**texts, "exit_code": error.exit_code}


def _with_dates(value: Any) -> Any:
    """A document in which days are dates as in ISO 8601, such as "2018-01-02"."""
    if isinstance(value, dict):
        return {key: _date(one) if key in _DAYS else _with_dates(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_dates(one) for one in value]
    return value


def _date(days: int | None) -> str | None:
    return None if days is None else (datetime.date(1970, 1, 1) + datetime.timedelta(days)).isoformat()
