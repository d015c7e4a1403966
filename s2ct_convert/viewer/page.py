"""The files of the page, and where it finds the store."""

from __future__ import annotations

from importlib.resources import files

STORE = "store"  # the folder of the store, below the page; web/index.html names it
PREDICTIONS = "predictions.json"  # beside the page, if there are some
_NO_PREDICTIONS = b'name="s2ct-predictions" content=""'  # in index.html
TYPES = {"index.html": "text/html; charset=utf-8", "app.js": "text/javascript; charset=utf-8"}
NOTICES = "LICENSES.txt"  # of the programs inside app.js


def page_file(name: str, *, predictions: bool = False) -> bytes:
    """The content of a file of the page. ``predictions``: the page has some to read."""
    data = (files(__package__) / "page" / name).read_bytes()
    return data.replace(_NO_PREDICTIONS, _NO_PREDICTIONS[:-1] + PREDICTIONS.encode() + b'"') if predictions else data
