"""``s2ct peek`` as Python functions: look at archives of the record, or at one archive by its URL."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Unpack
from urllib.parse import unquote, urlsplit

from ..errors import WrongUsage
from ..events import OnEvent, ignore
from ..names import visible
from ..record.api import file_urls, record_id
from ..record.choice import FileChoice
from ..record.lanes import run_lanes
from ..record.live import check_published, fetch_manifest
from ..record.manifest import DEFAULT_RECORD, Manifest, RecordFile
from ..record.policy import RetryPolicy
from ..record.run import FetchRun, ServiceOptions, open_run
from ..record.service import is_web, redact
from ..store.codecs import CODECS, DEFAULT_CODEC
from .events import FilePeeked, PeekPlanned
from .look import last_day, look
from .ranges import Ranges
from .results import PeekedFile, PeekReport, StoreEstimate, pixel_bytes

EXAMPLES = 2  # of each file, unless all files are looked at
LANES = 3
POLICY = RetryPolicy(attempts=4)


def peek(
    *,
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    all: bool = False,
    examples: int | None = None,
    on_event: OnEvent = ignore,
    **service: Unpack[ServiceOptions],
) -> PeekReport:
    """Look at archives of a record without downloading them.

    Only parts of them are requested: two requests and 66,560 bytes of each for its headers, and some MB for its first
    examples. Nothing is written. Nothing is verified, since no md5 can be checked.

    Parameters
    ----------
    record : str
        Id, DOI or URL of a Zenodo record.
    tiles, splits, files : iterable of str
        Look only at these; ``files`` are shell patterns of names. By default the first file of the record.
    all : bool
        Look at all files of the record instead.
    examples : int, optional
        Examples to read of each file. By default 2, or 0 with ``all``; 0 reads the headers alone.
    on_event : callable
        Called with every event, one call at a time; see :mod:`s2ct_convert.peeking.events`.
    base_url, user_agent, policy, budget : optional
        As of :func:`s2ct_convert.download`.

    Returns
    -------
    PeekReport
        A file that cannot be looked at is in it, with its ``error``.

    Raises
    ------
    WrongUsage
        If no file matches.
    NetworkError
        If the list of files cannot be fetched.
    Difference
        If the file list of record 10613705 differs from the published one.

    Examples
    --------
    >>> import s2ct_convert
    >>> report = s2ct_convert.peek(all=True)  # doctest: +SKIP
    >>> {one.file: one.observations for one in report.files}  # doctest: +SKIP
    """
    choice = FileChoice.of(tiles, splits, files)
    chosen = bool(choice.tiles or choice.splits or choice.globs)
    if chosen and all:
        raise WrongUsage("all files and a choice of files cannot be combined", todo="leave out one of them")
    examples = _count(0 if examples is None and all else examples)
    began, record = _began(service), record_id(record)
    with open_run(record, on_event=on_event, **_patient(service)) as run:
        manifest = fetch_manifest(run)
        check_published(manifest)
        wanted = choice.of_manifest(manifest) if chosen or all else [_first(manifest)]
        looks = [_of_record(run, one, examples) for one in wanted]
        return _report(run, record, looks, len(manifest.files), began)


def peek_url(
    url: str, *, examples: int | None = None, on_event: OnEvent = ignore, **service: Unpack[ServiceOptions]
) -> PeekReport:
    """Look at one archive by its URL, as :func:`peek` does.

    Parameters
    ----------
    url : str
        An http or https URL of a ``.7z`` file. The token of the service is sent to its own host only.
    examples : int, optional
        Examples to read; by default 2.
    on_event, base_url, user_agent, policy, budget : optional
        As of :func:`peek`.

    Returns
    -------
    PeekReport

    Raises
    ------
    WrongUsage
        If this is not a URL.
    """
    if not is_web(url):
        raise WrongUsage("this is not the URL of a file", where=visible(redact(url)), expected="https://host/file.7z")
    began, path = _began(service), urlsplit(url).path.removesuffix("/content")
    name = unquote(path.rpartition("/")[2]) or urlsplit(url).netloc
    count = _count(examples)
    with open_run("", on_event=on_event, **_patient(service)) as run:

        def look_at() -> PeekedFile:
            return look(Ranges(run, visible(name), [url]), PeekedFile(name, redact(url)), count, last_day(None))

        return _report(run, None, [look_at], 1, began)


class _Began(NamedTuple):
    """Time and requests when a look began."""

    seconds: float
    requests: int


def _began(service: ServiceOptions) -> _Began:
    budget = service.get("budget")
    return _Began(time.monotonic(), budget.requests if budget else 0)


def _count(examples: int | None) -> int:
    if examples is not None and examples < 0:
        raise WrongUsage("the number of examples is negative", found=str(examples))
    return EXAMPLES if examples is None else examples


def _patient(service: ServiceOptions) -> ServiceOptions:
    """The options with our policy, unless they have one: someone waits for a look."""
    return service if service.get("policy") else {**service, "policy": POLICY}


def _first(manifest: Manifest) -> RecordFile:
    """The first archive of the record, or its first file if there is none."""
    return next((one for one in manifest.files if one.key.lower().endswith(".7z")), manifest.files[0])


def _of_record(run: FetchRun, file: RecordFile, examples: int) -> Callable[[], PeekedFile]:
    urls = file_urls(run.service.base, run.record, file.key)

    def look_at() -> PeekedFile:
        ranges = Ranges(run, visible(file.key), urls, size=file.size, md5=file.md5)
        seen = PeekedFile(file.key, redact(urls[0]), file.size, file.md5)
        return look(ranges, seen, examples, last_day(run.record))

    return look_at


def _report(
    run: FetchRun, record: str | None, looks: Sequence[Callable[[], PeekedFile]], of: int, began: _Began
) -> PeekReport:
    """Look at all files, some at the same time."""
    run.on_event(PeekPlanned(len(looks)))
    waiting: queue.SimpleQueue[tuple[int, Callable[[], PeekedFile]]] = queue.SimpleQueue()
    for numbered in enumerate(looks):
        waiting.put(numbered)
    found: dict[int, PeekedFile] = {}

    def look_next() -> bool:
        try:
            number, look_at = waiting.get_nowait()
        except queue.Empty:
            return False
        peeked = look_at()
        if not run.stop.is_set():
            found[number] = peeked
            run.on_event(FilePeeked(peeked))
        return True

    run_lanes(run, look_next, min(LANES, len(looks)))
    files = tuple(found[i] for i in sorted(found))
    requests, n = run.budget.requests - began.requests, sum(one.bytes for one in files)
    return PeekReport(record, files, of, requests, n, time.monotonic() - began.seconds, _stores(files))


def _stores(files: Sequence[PeekedFile]) -> tuple[StoreEstimate, ...]:
    """Stores with the default codec of each format."""
    pixels, out = pixel_bytes(sum(one.unpacked or 0 for one in files)), []
    for format, name in DEFAULT_CODEC.items():
        ratio = CODECS[format][name].figures.ratio
        size = int(pixels * ratio)
        out.append(StoreEstimate(format, name, ratio, size, size * (2 if format == "hdf5" else 1)))
    return tuple(out)
