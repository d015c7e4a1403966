"""Addresses of stores that are not on this machine: ``s3://``, ``gs://``, ``az://``, ``https://`` and ``http://``.

An address holds no secret: a user, a password, a query or a fragment is refused. Credentials come from the environment.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ..errors import WrongUsage
from ..paths import check_readable, format_of_name

_SCHEME = re.compile(r"(s3|gs|az|https?)://", re.IGNORECASE)
READ_ONLY = ("http", "https")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")  # urlsplit leaves some of them out


@dataclass(frozen=True)
class ObjectPath:
    """One object below a store, or the store itself (no key).

    Attributes
    ----------
    root : str
        Address of the store, without a slash at its end.
    key : str
        Name of the object below it, such as ``train/50SMG/zarr.json``.
    """

    root: str
    key: str = ""

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.root, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root

    def joinpath(self, *names: str) -> ObjectPath:
        """The object with these parts appended to its name."""
        return self / "/".join(names)

    def absolute(self) -> ObjectPath:
        """The same address."""
        return self

    @property
    def scheme(self) -> str:
        """``s3``, ``gs``, ``az``, ``https`` or ``http``."""
        return self.root.partition("://")[0]

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(str(self)).name

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return PurePosixPath(self.name).stem


AnyPath = Path | ObjectPath


def is_address(given: object) -> bool:
    """Whether this is the address of an object or a bucket, and not a path."""
    return isinstance(given, str) and _SCHEME.match(given) is not None


def parse_address(text: str) -> ObjectPath:
    """The store at an address.

    Raises
    ------
    WrongUsage
        If the address names no bucket or server, or has a user, a password, a query or a fragment. The message does not
        repeat these. Also if it would be read as the address of another object.
    """
    parts = urlsplit(text)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise WrongUsage(
            "an address must not hold a user, a password, a query or a fragment",
            where=shown,
            todo="give credentials in the environment; docs/cloud.md says how",
        )
    if _CONTROLS.search(text):
        raise WrongUsage("an address must not hold line feeds or other control characters", where=shown)
    if not parts.netloc:
        raise WrongUsage("this address names no bucket or server", where=shown)
    names = parts.path.rstrip("/").split("/")[1:]
    if parts.scheme.lower() not in READ_ONLY and {"", ".", ".."}.intersection(names):
        raise WrongUsage(
            "this address has an empty part, '.' or '..' between slashes",
            where=shown,
            todo="write one slash between two names",
        )
    if format_of_name(Path(parts.path)) == "hdf5":
        raise WrongUsage(
            "HDF5 files work only on this machine: a bucket has no file that can be read or written in place",
            where=shown,
            todo="use a Zarr store there, or copy the file here",
        )
    return ObjectPath(f"{parts.scheme.lower()}://{parts.netloc}{parts.path}".rstrip("/"))


def place_of(path: str | os.PathLike[str]) -> AnyPath:
    """The place of a store that is read: a path on this machine, or an address.

    Raises
    ------
    WrongUsage
        As ``parse_address`` and ``check_readable``.
    """
    return parse_address(path) if isinstance(path, str) and is_address(path) else check_readable(path)
