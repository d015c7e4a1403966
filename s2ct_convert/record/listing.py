"""Lists the files of a record: what they are, what of them is here, and where others may fetch them."""

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
    """The lock of a record in a folder, else what the service says; None if it is not to be asked."""
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
    """List the files of a record and what of them is in a folder. Nothing is read but sizes; nothing is changed.

    Parameters
    ----------
    folder : path-like
        Where the files are or will be. It need not be there.
    record : str
        Id, DOI or URL of a Zenodo record.
    tiles, splits, files : iterable of str
        Only these; ``files`` are shell patterns of names.
    offline : bool
        Do not ask the service if there is no lock in `folder`.
    base_url : str, optional
        Root of the service; by default S2CT_ZENODO_URL, else https://zenodo.org.
    user_agent : str, optional

    Returns
    -------
    list of Local
        Of each its ``file`` (``key``, ``md5``, ``size`` in bytes), ``state``, and ``have``, the bytes that are here.

    Raises
    ------
    WrongUsage
        If nothing fits what is asked for, or there is no lock and `offline` is true.
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
        raise WrongUsage("there is no lock of this record here", where=str(folder), todo="ask the service")
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
    """Tell where the files of a record are, as other downloaders take it.

    Parameters
    ----------
    folder : path-like
        If it has a lock of the record, the service is not asked.
    format : {"plain", "aria2", "wget", "curl"}
        A URL; an entry of an input file of aria2, with the md5; a command of a shell.
    record, tiles, splits, files, base_url, user_agent
        As of :func:`list_files`.

    Returns
    -------
    list of str
        One for each file, each with its end of line.

    Raises
    ------
    WrongUsage, NetworkError
    Difference
        If the service says something else of record 10613705 than is published.

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
        check_published(manifest)  # nothing that was changed is handed on in silence
    wanted = FileChoice.of(tiles, splits, files).of_manifest(manifest)
    return [FORMATS[format](root, record, file) for file in wanted]
