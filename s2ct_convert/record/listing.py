"""List the files of a record, their local state and their URLs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import WrongUsage
from ..paths import check_path
from .api import record_id
from .choice import FileChoice
from .live import check_published, fetch_manifest
from .local import Local, check_folder, look
from .manifest import DEFAULT_RECORD, Manifest, read_lock
from .policy import RetryPolicy
from .run import open_run
from .service import service_url
from .urls import FORMATS


def find_manifest(
    folder: Path, record: str, *, offline: bool = False, base_url: str | None = None, user_agent: str | None = None
) -> Manifest | None:
    """The lock of a record in a folder, else the file list of the service; None if there is no lock and ``offline``."""
    check_folder(folder)
    if (lock := read_lock(folder, record)) or offline:
        return lock
    with open_run(record, base_url=base_url, user_agent=user_agent, policy=RetryPolicy(attempts=4)) as run:
        return fetch_manifest(run)


def list_files(
    folder: str | os.PathLike[str] = ".",
    *,
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    offline: bool = False,
    base_url: str | None = None,
    user_agent: str | None = None,
) -> list[Local]:
    """List the files of a record and their state in a folder. Reads only sizes; changes nothing.

    Parameters
    ----------
    folder : path-like
        Folder of the files. It need not exist.
    record : str
        Id, DOI or URL of a Zenodo record.
    tiles, splits, files : iterable of str
        List only these; ``files`` are shell patterns of names.
    offline : bool
        Do not contact the service, also if `folder` has no lock.
    base_url : str, optional
        Root of the service; by default S2CT_ZENODO_URL, else https://zenodo.org.
    user_agent : str, optional

    Returns
    -------
    list of Local
        Each has ``file`` (``key``, ``md5``, ``size`` in bytes), ``state``, and ``have``, the bytes in the folder.

    Raises
    ------
    WrongUsage
        If no file matches, or there is no lock and `offline` is true.
    NetworkError

    Examples
    --------
    >>> import s2ct_convert
    >>> for one in s2ct_convert.list_files("archives", tiles=["50SMG"]):  # doctest: +SKIP
    ...     print(one.file.key, one.state.value)
    train_50SMG_462.7z ok
    """
    folder, record = check_path(folder), record_id(record)
    manifest = find_manifest(folder, record, offline=offline, base_url=base_url, user_agent=user_agent)
    if manifest is None:
        raise WrongUsage("this folder has no lock of the record", where=str(folder), todo="leave out offline")
    return [look(folder, file) for file in FileChoice.of(tiles, splits, files).of_manifest(manifest)]


def list_urls(
    folder: str | os.PathLike[str] = ".",
    *,
    format: str = "plain",
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    base_url: str | None = None,
    user_agent: str | None = None,
) -> list[str]:
    """List the URLs of the files of a record, in formats for other downloaders.

    Parameters
    ----------
    folder : path-like
        If it has a lock of the record, the service is not contacted.
    format : {"plain", "aria2", "wget", "curl"}
        A URL; an entry of an aria2 input file, with the md5; a shell command with wget or curl.
    record, tiles, splits, files, base_url, user_agent
        As of :func:`list_files`.

    Returns
    -------
    list of str
        One for each file, each with its line ending.

    Raises
    ------
    WrongUsage, NetworkError
    Difference
        If the file list of record 10613705 differs from the published one.

    Examples
    --------
    >>> import s2ct_convert
    >>> "".join(s2ct_convert.list_urls(files=["train_50SMG_*"]))  # doctest: +SKIP
    'https://zenodo.org/api/records/10613705/files/train_50SMG_462.7z/content\\n'
    """
    if format not in FORMATS:
        raise WrongUsage("there is no such format", where=repr(format), expected=", ".join(FORMATS))
    record, root = record_id(record), service_url(base_url)
    manifest = find_manifest(check_path(folder), record, base_url=base_url, user_agent=user_agent)
    assert manifest is not None
    if read_lock(Path(folder), record) is None:
        check_published(manifest)  # never list a changed record silently
    wanted = FileChoice.of(tiles, splits, files).of_manifest(manifest)
    return [FORMATS[format](root, record, file) for file in wanted]
