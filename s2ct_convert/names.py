"""Names of the record's files: ``train_50SMG_462`` <-> split, tile, number of examples.

A name is only a hint: the content decides whether a file is a TFRecord or an archive of one. So many forms of a name
are accepted, and :class:`SourceName` says whether the name alone makes the file a source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .dataset import DATASET
from .errors import BadName, WrongUsage

INDEX = "index"  # the only top group of a store that is not a split
KNOWN_SPLITS = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval", "evaluation", "trainval")
)
FORM = DATASET.name_form

_MGRS = "[0-9]{2}[A-Z]{3}"  # zone, band and square; also letters that the grid does not use
_PARTS = re.compile(r"([A-Za-z]+)[-_. ]+([A-Za-z0-9]+)(?:[-_. ]+([0-9]+))?(?:_[0-9]{1,2})?")
_SUFFIX = re.compile(r"\.(?:7z|tfrecords?|tfrec|gz|gzip|zlib|zz)", re.IGNORECASE)
_OTHER_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,11}")
_SHARD = re.compile(r"[-_. ]([0-9]{1,9})[-_]of[-_]([0-9]{1,9})", re.IGNORECASE)
# Suffixes that browsers, file managers and wget append to copies and repeated downloads.
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
    """Whether a word is a valid split (a group of a store): lower-case letters, not ``index``."""
    return re.fullmatch("[a-z]+", word) is not None and word != INDEX


def is_tile(word: str) -> bool:
    """Whether a word is a valid tile (a group of a store): capital letters and digits."""
    return re.fullmatch("[A-Z0-9]+", word) is not None


def fold_split(word: str) -> str:
    """Normalise a split to the form in stores: lower case."""
    return word.strip().lower()


def fold_tile(word: str) -> str:
    """Normalise a tile to the form in stores: upper case, MGRS tiles without a leading T."""
    word = word.strip().upper()
    return word[1:] if re.fullmatch(f"T{_MGRS}", word) else word


@dataclass(frozen=True, order=True)
class UnitName:
    """One split of one tile. Sorts by split, then tile, as in a store."""

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
        """A unit that a user gives, such as ``train/50SMG``: any case, with or without the T of the tile.

        Raises
        ------
        WrongUsage
        """
        split, _, tile = text.partition("/")
        unit = cls(fold_split(split), fold_tile(tile))
        if not (is_split(unit.split) and is_tile(unit.tile)):
            raise WrongUsage(
                "this is not a unit",
                where=text,
                expected="SPLIT/TILE, as in train/50SMG: letters for the split, letters and digits for the tile",
            )
        return unit


@dataclass(frozen=True)
class SourceName:
    """The parts of a file name.

    Attributes
    ----------
    unit : UnitName
    count : int or None
        The number in the name.
    shard : (int, int) or None
        Number of the shard and number of shards, from ``-00000-of-00002``.
    sure : bool
        Whether the name has the published form. If true, the file should be a source, and other content is an error.
        If false, the name counts only if the content is a source.
    copy : bool
        Whether the name marks a copy, as `` (1)`` does.
    """

    unit: UnitName
    count: int | None
    shard: tuple[int, int] | None = None
    sure: bool = True
    copy: bool = False

    @property
    def tells(self) -> bool:
        """Whether the unit is reliable: the name is sure, or its tile has the MGRS form."""
        return self.sure or re.fullmatch(_MGRS, self.unit.tile) is not None


def printable(name: str) -> str:
    r"""A file name as valid text for attributes of stores: bytes that are not UTF-8 become ``\xe9``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def visible(name: str) -> str:
    r"""A name from elsewhere for a terminal: control characters, and bytes that are not UTF-8, become ``\x1b``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in printable(name))


def stem(name: str) -> str:
    """Last part of a path (``/`` or ``\\``), without suffixes, shard number and copy marks."""
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
    # Search the tail only: the length of a name has no limit here.
    for found in pattern.finditer(text, max(0, len(text) - 40)):
        if found.end() == len(text):
            return found
    return None


def volume_of(name: str) -> tuple[str, int] | None:
    """Archive and number of a volume: ``x.7z.001`` is the first of ``x.7z``. None if the file is not a volume."""
    found = _VOLUME.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def read_name(name: str) -> SourceName:
    """Parse a file name.

    The published form is ``<split>_<tile>_<number of examples>``. Also accepted: any case; ``-``, ``.`` or blanks
    instead of ``_``; any word as split or tile, if the rest of the name has the form; a missing number.

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
    """The text up to the number. In train_50SMG_462_1 more follows, so the count is ambiguous."""
    return parts.string[: parts.end(3)] if parts[3] else parts.string


def try_name(name: str) -> SourceName | None:
    """Parse a file name as :func:`read_name` does; None if it does not say a unit."""
    try:
        return read_name(name)
    except BadName:
        return None


def parse_name(name: str) -> tuple[UnitName, int | None]:
    """Unit and number of examples in a file name.

    Parameters
    ----------
    name : str
        A path or name such as ``train_50SMG_462.7z``; see :func:`read_name`.

    Returns
    -------
    unit : UnitName
    count : int or None
        None if the name has no number.

    Raises
    ------
    BadName
        If the name does not say which unit this is. The form is documented at
        https://doi.org/10.5281/zenodo.10613705.
    """
    parsed = read_name(name)
    return parsed.unit, parsed.count
