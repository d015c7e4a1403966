"""Names of the record's files: ``train_50SMG_462`` <-> split, tile, number of examples."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import BadName

# MGRS: zones 01-60, bands C-X and 100 km squares A-Z / A-V, none with I or O.
MGRS = "(?:0[1-9]|[1-5][0-9]|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]"
_NAME = re.compile(rf"(train|val)_T?({MGRS})_([0-9]{{1,9}})")
_SUFFIXES = (".7z", ".tfrecord", ".tfrecords", ".tfrec", ".gz", ".gzip", ".zlib", ".zz")


INDEX = "index"  # the group of a store that is no split


def is_split(word: str) -> bool:
    """Whether this can be a split, and so a group of a store: lower-case letters, any word but ``index``."""
    return re.fullmatch("[a-z]+", word) is not None and word != INDEX


def is_tile(word: str) -> bool:
    """Whether this can be a tile, and so a group of a store: capital letters and digits."""
    return re.fullmatch("[A-Z0-9]+", word) is not None


def fold_split(word: str) -> str:
    """A split as somebody may write it, in the form that stores have."""
    return word.strip().lower()


def fold_tile(word: str) -> str:
    """A tile as somebody may write it, in the form that stores have: MGRS tiles without their leading T."""
    word = word.strip().upper()
    return word[1:] if re.fullmatch(f"T{MGRS}", word) else word


@dataclass(frozen=True, order=True)
class UnitName:
    """One split of one tile. Sorts as the store does: by split, then tile."""

    split: str
    tile: str

    def __str__(self) -> str:
        """Path of the unit's group in a store, ``train/50SMG``."""
        return f"{self.split}/{self.tile}"

    @property
    def key(self) -> str:
        """The unit in a file name, ``train_50SMG``."""
        return f"{self.split}_{self.tile}"

    @classmethod
    def from_path(cls, path: str) -> UnitName:
        """Inverse of ``str``."""
        split, tile = path.split("/")
        return cls(split, tile)


def printable(name: str) -> str:
    r"""A file name as text: what is no UTF-8 in it comes out as ``\xe9``, which attributes of stores can hold."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def stem(name: str) -> str:
    """Last part of a path (``/`` or ``\\``) without the suffixes an archive or a TFRecord may carry."""
    base = re.split(r"[/\\]", name)[-1]
    while True:
        for suffix in _SUFFIXES:
            if base.lower().endswith(suffix):
                base = base[: -len(suffix)]
                break
        else:
            return base


def parse_name(name: str) -> tuple[UnitName, int]:
    """Unit and number of examples that a file name states.

    Parameters
    ----------
    name : str
        A path or name such as ``train_50SMG_462.7z``; an extension and a leading T of the tile are ignored.

    Returns
    -------
    unit : UnitName
    examples : int

    Raises
    ------
    BadName
        If the name is not ``<split>_<tile>_<number of examples>``. The form is given in the dataset's
        description, https://doi.org/10.5281/zenodo.10613705.
    """
    match = _NAME.fullmatch(stem(name))
    if match is None:
        raise BadName(
            "the name does not say which unit this is",
            where=name,
            expected="<split>_<tile>_<number of examples>, as in train_50SMG_462, split train or val",
            found=stem(name),
            todo="give the file its published name",
        )
    return UnitName(match[1], match[2]), int(match[3])
