"""Local files of a record: complete, partial, wrong, or under another name.

Files from a browser, wget or aria2 are adopted: complete ones by size and md5, under any name; partial ones by name.
No file of the user is deleted. A wrong file under the name of a record's file is renamed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
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
from .others import growing, has_control_file
from .partial import partial_path, set_aside
from .receipts import FOLDER, drop_receipt, has_receipt, is_unchanged, write_receipt


class State(Enum):
    """State of a file, found without reading it.

    Attributes
    ----------
    OK
        It has the right size, and s2ct has checked its md5 before.
    UNCHECKED
        It has the right size; its md5 was never checked.
    WRONG
        It is too large.
    PARTIAL
        It is too small, or under the name of an unfinished download.
    MISSING
        It does not exist.
    BUSY
        Another program is downloading it: aria2 has a control file beside it, or it grows.
    """

    OK = "ok"
    UNCHECKED = "unchecked"
    WRONG = "wrong size"
    PARTIAL = "partial"
    MISSING = "missing"
    BUSY = "busy"


@dataclass(frozen=True)
class Local:
    """Local state of a file of the record.

    Attributes
    ----------
    file : RecordFile
        Its name ``key``, its ``md5``, and its ``size`` in bytes (None if unknown).
    state : State
    have : int
        Bytes of it on this disk.
    """

    file: RecordFile
    state: State
    have: int


def check_folder(folder: Path) -> None:
    """Check that a path is a local folder or does not exist.

    Raises
    ------
    WrongUsage
    """
    check_path(folder)
    if folder.exists() and not folder.is_dir():
        raise WrongUsage("this is a file, not a folder", where=str(folder), todo="choose another path")


def look(folder: Path, file: RecordFile) -> Local:
    """Local state of a file, by stat alone."""
    final = folder / file.key
    if (size := _size(final)) is not None:
        if has_control_file(final):
            return Local(file, State.BUSY, size)
        if file.size is not None and size != file.size:
            return Local(file, State.PARTIAL if size < file.size else State.WRONG, size)
        return Local(file, State.OK if has_receipt(folder, file.key, file.md5) else State.UNCHECKED, size)
    if (size := _size(partial_path(final, file))) is not None:
        return Local(file, State.PARTIAL, size)
    return Local(file, State.MISSING, 0)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def survey(
    folder: Path, files: Sequence[RecordFile], *, paranoid: bool, repair: bool = False, on_event: OnEvent
) -> list[Local]:
    """Find all local files, adopt files of other downloaders and rename wrong ones.

    After this every file is OK, PARTIAL, MISSING or BUSY. Temporary files of killed processes are deleted.

    Parameters
    ----------
    paranoid : bool
        Read files again that have a receipt.
    repair : bool
        The same, and keep the names of wrong files: they are UNCHECKED or WRONG afterwards.
    """
    for place in (folder, folder / FOLDER):
        sweep(place)
    _adopt(folder, files, on_event)
    found = [look(folder, file) for file in files]
    whole = [folder / one.file.key for one in found if (folder / one.file.key).is_file() and one.state is not State.OK]
    busy = growing(whole) | {path for path in whole if has_control_file(path)}
    found = [replace(one, state=State.BUSY) if folder / one.file.key in busy else one for one in found]
    unread = [
        one.file
        for one in found
        if one.state in (State.UNCHECKED, State.WRONG) or ((paranoid or repair) and one.state is State.OK)
    ]
    if unread:
        on_event(Checking(len(unread), sum((folder / file.key).stat().st_size for file in unread)))
    before = [(folder / file.key).stat() for file in unread]
    unnoted: dict[str, os.stat_result] = {}  # right, in a folder without room for receipts
    with closing(_md5s([folder / file.key for file in unread], on_event)) as found_md5s:
        for file, status, md5 in zip(unread, before, found_md5s, strict=True):
            if md5 == file.md5:
                if not write_receipt(folder, file.key, md5, status):
                    unnoted[file.key] = status
                continue
            if repair:
                drop_receipt(folder, file.key)
                on_event(Message(f"{file.key}: its md5 is {md5}, not {file.md5}; repairing it"))
                continue
            aside = set_aside(folder / file.key, folder / file.key, md5)
            on_event(Message(f"{file.key}: its md5 is {md5}, not {file.md5}; kept as {aside.name}, fetching it again"))
    if unnoted:
        on_event(Message(f"{folder} is read-only: the next run reads these files again"))
    for one in found:
        if one.state is State.PARTIAL and (final := folder / one.file.key).exists():
            _continue(final, final, one.file, on_event)
    after = [one if one.state is State.BUSY else look(folder, one.file) for one in found]
    same = {key for key, status in unnoted.items() if is_unchanged(folder / key, status)}
    return [replace(one, state=State.OK) if one.file.key in same else one for one in after]


def _adopt(folder: Path, files: Sequence[RecordFile], on_event: OnEvent) -> None:
    """Rename files of other downloaders to their names in the record."""
    missing = [file for file in files if look(folder, file).state is State.MISSING]
    strangers = list(_strangers(folder, {file.key for file in files})) if missing else []
    for path in growing(strangers):
        strangers.remove(path)
        on_event(Message(f"{path.name} is growing: another program writes it, and it is left alone"))
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
            partials = [
                path for path in strangers if _is_partial(path, file) and path.stat().st_size < (file.size or 0)
            ]
            if partials:
                longest = max(partials, key=lambda path: path.stat().st_size)
                _continue(longest, folder / file.key, file, on_event)
                strangers.remove(longest)


def _strangers(folder: Path, keys: set[str]) -> Iterator[Path]:
    """Files in a folder that belong neither to the record nor to s2ct."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        ours = re.search(r"\.(bad-[0-9a-f]{32}|lock\.json|lease|[0-9a-f]{8}\.part)$", path.name)
        if path.is_file() and not path.is_symlink() and path.name not in keys and not ours and path.name != FOLDER:
            yield path


def _is_partial(path: Path, file: RecordFile) -> bool:
    """Whether a browser or wget may have given this name to a download of the file."""
    if has_control_file(path):
        return False
    stem, dot, suffix = file.key.rpartition("/")[2].rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    firefox = r"(\.[A-Za-z0-9_-]{6,10}(?=.*\.part$))?"  # x.Xy12AbCd.7z.part
    pattern = (
        rf"{re.escape(stem)}( ?\(\d+\))?{firefox}{re.escape(dot + suffix)}"
        r"(\?download=1|%3Fdownload%3D1|@download=1)?(\.\d+)?(\.part|\.crdownload|\.download|\.partial|\.tmp)?"
    )
    return re.fullmatch(pattern, path.name) is not None


def _continue(path: Path, final: Path, file: RecordFile, on_event: OnEvent) -> None:
    """Use the partial file of another downloader, unless ours is at least as long."""
    part = partial_path(final, file)
    if (_size(part) or 0) >= path.stat().st_size:
        if path == final:
            kept = free_name(path.with_name(f"{path.name}.left-alone"))
            os.rename(path, kept)
            on_event(Message(f"{file.key}: this partial file cannot be resumed, kept as {kept.name}"))
        return
    os.replace(path, part)
    on_event(Message(f"{path.name}: {part.stat().st_size:,} of {file.size:,} bytes, resumed"))


def free_name(path: Path) -> Path:
    """The path itself if it is free, else with the first free number appended."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return next(one for one in chain([path], numbered) if not os.path.lexists(one))


def _md5s(paths: Sequence[Path], on_event: OnEvent) -> Generator[str]:
    return file_digests("md5", paths, lambda n: on_event(Checked(n)))
