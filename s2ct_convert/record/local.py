"""What of a record is on this disk: whole, begun, wrong, or there under another name.

Files that a browser, wget or aria2 brought are taken as they are: whole ones by size and md5 whatever their name, begun
ones by name. Nothing of anybody's is deleted; what stands under a final name and is wrong gets a name that says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from itertools import chain, count
from pathlib import Path

from ..durable import sweep
from ..errors import WrongUsage
from ..events import Message, OnEvent, ignore
from ..hashing import file_digests
from ..paths import check_path
from .events import Checked, Checking
from .manifest import RecordFile
from .partial import partial_path, set_aside
from .receipts import FOLDER, has_receipt, write_receipt


class State(Enum):
    """State of a file, by what can be told without reading it."""

    OK = "ok"  # right size, and a receipt for its md5
    UNCHECKED = "unchecked"  # right size, never read
    WRONG = "wrong size"  # larger than it should be
    PARTIAL = "partial"
    MISSING = "missing"


@dataclass(frozen=True)
class Local:
    """A file of the record as it is on this disk: its state and how many bytes of it are there."""

    file: RecordFile
    state: State
    have: int


def check_folder(folder: Path) -> None:
    """See that what is to be a folder is none other.

    Raises
    ------
    WrongUsage
    """
    check_path(folder)
    if folder.exists() and not folder.is_dir():
        raise WrongUsage("this is a file, not a folder", where=str(folder), todo="choose another place")


def look(folder: Path, file: RecordFile) -> Local:
    """What is there of a file, by stat alone."""
    final = folder / file.key
    if (size := _size(final)) is not None:
        if file.size is not None and size != file.size:
            return Local(file, State.PARTIAL if size < file.size else State.WRONG, size)
        return Local(file, State.OK if has_receipt(folder, file.key, file.md5) else State.UNCHECKED, size)
    if (size := _size(partial_path(final, file))) is not None:
        return Local(file, State.PARTIAL, size)
    return Local(file, State.MISSING, 0)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def survey(folder: Path, files: Sequence[RecordFile], *, paranoid: bool, on_event: OnEvent) -> list[Local]:
    """See what is there, adopting and setting aside; after this every file is OK, PARTIAL or MISSING.

    What a process left that was killed while it wrote the lock or a receipt is deleted.

    Parameters
    ----------
    paranoid : bool
        Read files again that have a receipt.
    """
    for place in (folder, folder / FOLDER):
        sweep(place)
    _adopt(folder, files, on_event)
    found = [look(folder, file) for file in files]
    unread = [
        one.file for one in found if one.state in (State.UNCHECKED, State.WRONG) or (paranoid and one.state is State.OK)
    ]
    if unread:
        on_event(Checking(len(unread), sum((folder / file.key).stat().st_size for file in unread)))
    before = [(folder / file.key).stat() for file in unread]
    with closing(_md5s([folder / file.key for file in unread], on_event)) as found_md5s:
        for file, status, md5 in zip(unread, before, found_md5s, strict=True):
            if md5 == file.md5:
                write_receipt(folder, file.key, md5, status)
                continue
            aside = set_aside(folder / file.key, folder / file.key, md5)
            on_event(Message(f"{file.key}: its md5 is {md5}, not {file.md5}; kept as {aside.name} and fetched anew"))
    for one in found:
        if one.state is State.PARTIAL and (final := folder / one.file.key).exists():
            _continue(final, final, one.file, on_event)
    return [look(folder, file) for file in files]


def _adopt(folder: Path, files: Sequence[RecordFile], on_event: OnEvent) -> None:
    """Give files that others fetched the names they have in the record."""
    missing = [file for file in files if look(folder, file).state is State.MISSING]
    strangers = list(_strangers(folder, {file.key for file in files})) if missing else []
    for file in missing:
        same_size = [path for path in strangers if path.stat().st_size == file.size]
        before = [path.stat() for path in same_size]
        for path, status, md5 in zip(same_size, before, list(_md5s(same_size, ignore)), strict=True):
            if md5 == file.md5:
                (folder / file.key).parent.mkdir(parents=True, exist_ok=True)
                os.rename(path, folder / file.key)
                write_receipt(folder, file.key, md5, status)
                on_event(Message(f"{path.name} has the md5 of {file.key}: renamed"))
                strangers.remove(path)
                break
        else:
            begun = [path for path in strangers if _is_begun(path, file) and path.stat().st_size < (file.size or 0)]
            if begun:
                longest = max(begun, key=lambda path: path.stat().st_size)
                _continue(longest, folder / file.key, file, on_event)
                strangers.remove(longest)


def _strangers(folder: Path, keys: set[str]) -> Iterator[Path]:
    """Files in a folder that are neither of the record nor of ours."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        ours = re.search(r"\.(bad-[0-9a-f]{32}|lock\.json|lease|[0-9a-f]{8}\.part)$", path.name)
        if path.is_file() and not path.is_symlink() and path.name not in keys and not ours and path.name != FOLDER:
            yield path


def _is_begun(path: Path, file: RecordFile) -> bool:
    """Whether a name is what browsers and wget make of the file's while or after they fetch it."""
    if path.with_name(f"{path.name}.aria2").exists():
        return False  # aria2 writes pieces in any order: not a beginning
    stem, dot, suffix = file.key.rpartition("/")[2].rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    pattern = (
        rf"{re.escape(stem)}( ?\(\d+\))?{re.escape(dot + suffix)}"
        r"(\?download=1|%3Fdownload%3D1|@download=1)?(\.\d+)?(\.part|\.crdownload|\.download|\.partial|\.tmp)?"
    )
    return re.fullmatch(pattern, path.name) is not None


def _continue(path: Path, final: Path, file: RecordFile, on_event: OnEvent) -> None:
    """Take a file that somebody began to fetch as our own beginning, unless aria2 wrote it or ours is longer."""
    part = partial_path(final, file)
    if path.with_name(f"{path.name}.aria2").exists() or (_size(part) or 0) >= path.stat().st_size:
        if path == final:
            kept = _free(path.with_name(f"{path.name}.left-alone"))
            os.rename(path, kept)
            on_event(Message(f"{file.key}: what is there cannot be continued, kept as {kept.name}"))
        return
    os.replace(path, part)
    on_event(Message(f"{path.name}: {part.stat().st_size:,} of {file.size:,} bytes, continued from there"))


def _free(path: Path) -> Path:
    """The path, or with the first number at its end at which nothing is."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return next(one for one in chain([path], numbered) if not os.path.lexists(one))


def _md5s(paths: Sequence[Path], on_event: OnEvent) -> Generator[str]:
    return file_digests("md5", paths, lambda n: on_event(Checked(n)))
