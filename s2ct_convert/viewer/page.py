"""The files of the page, and where it finds the store."""

from __future__ import annotations

from importlib.resources import files

STORE = "store"  # the folder of the store, below the page; web/index.html names it
TYPES = {"index.html": "text/html; charset=utf-8", "app.js": "text/javascript; charset=utf-8"}
NOTICES = "LICENSES.txt"  # of the programs inside app.js


def page_file(name: str) -> bytes:
    """The content of a file of the page."""
    return (files(__package__) / "page" / name).read_bytes()
