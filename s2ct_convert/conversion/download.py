"""Downloads files of a record, and mends damaged ones: joins the download and the search for damage (mending.py)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Unpack, cast

from ..events import OnEvent, ignore
from ..record.damage import Mending
from ..record.download import Report
from ..record.download import download as fetch
from ..record.manifest import DEFAULT_RECORD
from ..record.run import ServiceOptions
from .mending import find_damage


class DownloadKeywords(ServiceOptions, total=False):
    """Options of the connection, and what to do with damaged files; see :func:`s2ct_convert.download`."""

    repair: bool
    accept_record: bool


def download(
    folder: str | os.PathLike[str],
    *,
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    jobs: int = 3,
    paranoid: bool = False,
    on_event: OnEvent = ignore,
    **options: Unpack[DownloadKeywords],
) -> Report:
    """Download files of a record to a folder, or resume a download.

    If a file came whole with the wrong md5, only its damaged parts are fetched again.

    Parameters
    ----------
    folder : path-like
    record : str
        Id, DOI or URL of a Zenodo record.
    tiles, splits, files : iterable of str
        Download only these; ``files`` are shell patterns of names.
    jobs : int
        Number of files fetched at the same time.
    paranoid : bool
        Read files again that were checked before.
    repair : bool
        The same, and repair files with the wrong md5: fetch only the damaged parts again. Without this, such a file is
        renamed, and fetched again as a whole.
    accept_record : bool
        Use the file list of the service even if it differs from the lock or from the published list. The lock before it
        is kept as ``<record>.lock.json.before``.
    on_event : callable
        Called with every event, one call at a time; see :mod:`s2ct_convert.record.events`.
    base_url, user_agent, policy, budget : optional
        Root of the service (default: S2CT_ZENODO_URL, else https://zenodo.org); ``User-Agent`` header; waits and
        attempts; limit of requests.

    Returns
    -------
    Report

    Raises
    ------
    FilesFailed
        If some files could not be downloaded. The others are complete.
    Difference, NetworkError, MachineError, WrongUsage
        Difference: the file list of the service differs from the lock.

    Examples
    --------
    >>> import s2ct_convert
    >>> report = s2ct_convert.download("archives", tiles=["50SMG"], splits=["train"])  # doctest: +SKIP
    >>> [done.key for done in report.done]  # doctest: +SKIP
    ['train_50SMG_462.7z']
    """
    mending, accept = Mending(find_damage, existing=options.pop("repair", False)), options.pop("accept_record", False)
    return fetch(
        folder,
        record=record,
        tiles=tiles,
        splits=splits,
        files=files,
        jobs=jobs,
        paranoid=paranoid,
        on_event=on_event,
        mending=mending,
        accept_record=accept,
        **cast(ServiceOptions, options),
    )
