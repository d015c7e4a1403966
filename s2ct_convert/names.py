"""Names of the record's files: ``train_50SMG_462`` <-> split, tile, number of examples.

A name is only a hint: content decides whether a file is a TFRecord or an archive of one. So names are read generously,
and :class:`SourceName` says whether the name alone makes the file a source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .dataset import DATASET
from .errors import BadName, WrongUsage

INDEX = "index"  # the group of a store that is no split
KNOWN_SPLITS = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval", "evaluation", "trainval")
)
FORM = DATASET.name_form

_MGRS = "[0-9]{2}[A-Z]{3}"  # zone, band and square, also those that the grid leaves out
_PARTS = re.compile(r"([A-Za-z]+)[-_. ]+([A-Za-z0-9]+)(?:[-_. ]+([0-9]+))?(?:_[0-9]{1,2})?")
_SUFFIX = re.compile(r"\.(?:7z|tfrecords?|tfrec|gz|gzip|zlib|zz)", re.IGNORECASE)
_OTHER_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,11}")
_SHARD = re.compile(r"[-_. ]([0-9]{1,9})[-_]of[-_]([0-9]{1,9})", re.IGNORECASE)
# What browsers, file managers and wget append to the name of a second download or of a copy.
_COPY = re.compile(
    r" *\((?:[0-9]{1,3}|(?:another |[0-9]+[a-z]{2} )?copy(?: [0-9]{1,3})?)\)"
    r"|[-_ ]+copy(?:[-_ ]?[0-9]{1,3})?"
    r"|(?<=\.7z)\.[0-9]{1,2}|(?<=\.7z)\.~[0-9]+~|(?<=\.7z)~",
    re.IGNORECASE,
)
_COPY_OF = re.compile(r"copy(?: \([0-9]+\))? of ", re.IGNORECASE)
_BLANK = "".join(map(chr, (*range(33), 127, 160)))  # blanks and control characters
_VOLUME = re.compile(r"(.+\.7z)\.([0-9]{3,})", re.IGNORECASE | re.DOTALL)


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
    return word[1:] if re.fullmatch(f"T{_MGRS}", word) else word


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

    @classmethod
    def from_user(cls, text: str) -> UnitName:
        """A unit as somebody writes it, ``train/50SMG``, in any case and with or without the T of the tile.

        Raises
        ------
        WrongUsage
        """
        split, _, tile = text.partition("/")
        unit = cls(fold_split(split), fold_tile(tile))
        if not (is_split(unit.split) and is_tile(unit.tile)):
            raise WrongUsage(
                "this is no unit",
                where=text,
                expected="SPLIT/TILE, as in train/50SMG: letters for the split, letters and digits for the tile",
            )
        return unit


@dataclass(frozen=True)
class SourceName:
    """What a name says.

    Attributes
    ----------
    unit : UnitName
    count : int or None
        The number in the name.
    shard : (int, int) or None
        Which part of how many, from ``-00000-of-00002``.
    sure : bool
        Whether the name is in the published form, so that the file should be a source whatever its content is.
        Otherwise the name gives a unit only to a file whose content is that of a source.
    copy : bool
        Whether something marks the file as a copy, such as `` (1)``.
    """

    unit: UnitName
    count: int | None
    shard: tuple[int, int] | None = None
    sure: bool = True
    copy: bool = False

    @property
    def tells(self) -> bool:
        """Whether the unit can be relied upon: the name is sure, or has a tile of the military grid."""
        return self.sure or re.fullmatch(_MGRS, self.unit.tile) is not None


def printable(name: str) -> str:
    r"""A file name as text: what is no UTF-8 in it comes out as ``\xe9``, which attributes of stores can hold."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def stem(name: str) -> str:
    """Last part of a path (``/`` or ``\\``) without suffixes, the mark of a shard and what marks a copy."""
    return _strip(name)[0]


def _strip(name: str) -> tuple[str, tuple[int, int] | None, bool]:
    """Stem, shard, and whether it is a copy."""
    base, shard, copy = re.split(r"[/\\]", name)[-1].strip(_BLANK), None, False
    if volume := _VOLUME.fullmatch(base):
        base = volume[1]
    if found := _COPY_OF.match(base):
        base, copy = base[found.end() :], True
    while True:
        if found := _at_end(_COPY, base):
            copy = True
        elif found := _at_end(_SHARD, base):
            shard = int(found[1]), int(found[2])
        else:
            found = _at_end(_SUFFIX, base)
        if not found:
            return base, shard, copy
        base = base[: found.start()].rstrip()


def _at_end(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    # The tail alone is searched: names are short, but nothing says so.
    for found in pattern.finditer(text, max(0, len(text) - 40)):
        if found.end() == len(text):
            return found
    return None


def volume_of(name: str) -> tuple[str, int] | None:
    """Archive and number of a volume: ``x.7z.001`` is the first of ``x.7z``. None if the name is of no volume."""
    found = _VOLUME.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def read_name(name: str) -> SourceName:
    """All that a name says.

    The published form is ``<split>_<tile>_<number of examples>``. Any case is taken; ``-``, ``.`` and blanks for ``_``;
    any word for the split or the tile, as long as the rest of the name is in the form; no number at all.

    Raises
    ------
    BadName
        If the name does not say which unit this is.
    """
    base, shard, copy = _strip(name)
    parts, other_suffix = _PARTS.fullmatch(base), False
    if parts is None and (suffix := _at_end(_OTHER_SUFFIX, base)):
        parts, other_suffix = _PARTS.fullmatch(base[: suffix.start()].rstrip()), True
    if parts is not None:
        unit = UnitName(fold_split(parts[1]), fold_tile(parts[2]))
        known, on_grid = unit.split in KNOWN_SPLITS, re.fullmatch(_MGRS, unit.tile) is not None
        enough = on_grid or (known and not base.endswith(f".{parts[2]}")) or (parts[3] and not other_suffix)
        if is_split(unit.split) and enough:
            count = int(parts[3]) if parts[3] and len(parts[3]) < 10 and parts[0] == _without_copy(parts) else None
            sure = not other_suffix and (on_grid or (known and parts[3] is not None))
            return SourceName(unit, count, shard, sure, copy)
    raise BadName(
        "the name does not say which unit this is",
        where=printable(name),
        expected=f"{FORM}, as in {DATASET.name_example}",
        found=printable(base),
        todo="name the unit: --as SPLIT/TILE, as in --as train/50SMG",
    )


def _without_copy(parts: re.Match[str]) -> str:
    """The text up to the number: what follows it, as in train_50SMG_462_1, leaves open which number counts."""
    return parts.string[: parts.end(3)] if parts[3] else parts.string


def try_name(name: str) -> SourceName | None:
    """What a name says; None if it says nothing."""
    try:
        return read_name(name)
    except BadName:
        return None


def parse_name(name: str) -> tuple[UnitName, int | None]:
    """Unit and number of examples that a file name states, the number only where there is one.

    Parameters
    ----------
    name : str
        A path or name such as ``train_50SMG_462.7z``; see :func:`read_name`.

    Returns
    -------
    unit : UnitName
    count : int or None

    Raises
    ------
    BadName
        If the name does not say which unit this is. The form is given in the dataset's description,
        https://doi.org/10.5281/zenodo.10613705.
    """
    said = read_name(name)
    return said.unit, said.count
