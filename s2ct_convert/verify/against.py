"""Compares a store with its sources."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Unpack

from ..archives.unpack_options import UnpackKeywords, UnpackOptions
from ..archives.unpackers import Unpacker, ask_python_too
from ..errors import S2ctError, StoreDamaged, WrongUsage, from_os_error
from ..keywords import takes
from ..names import UnitName
from ..objects.address import place_of
from ..objects.remote import AnyFile, GivenSource, given_sources
from ..reading.opening import open_to_verify
from ..reading.store import Store
from ..source.find import Source, find_sources
from ..source.found import no_source
from ..source.read import suited
from .compare import Comparison, compare
from .compare_salvaged import compare_salvaged
from .findings import Finding


@takes(UnpackOptions)
def verify_against(
    store: str | os.PathLike[str] | Store,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    on_bytes: Callable[[int], None] | None = None,
    *,
    jobs: int = 1,
    unit: str | None = None,
    on_remark: Callable[[str], None] = lambda text: None,
    on_error: Callable[[AnyFile, S2ctError], None] | None = None,
    on_total: Callable[[int], None] = lambda n: None,
    **unpacking: Unpack[UnpackKeywords],
) -> list[Comparison]:
    """Compare units with their sources. All sources are read, even if one is damaged.

    A salvaged unit may lack examples of a source (``Comparison.lacking``): they are in its gaps, and no difference. Of
    a damaged source, the whole examples are compared with it.

    Parameters
    ----------
    store : path-like or Store
    sources : path-like or sequence of path-like
        Archives, TFRecord files or folders of them; also addresses, as for :func:`s2ct_convert.convert`.
    on_bytes : callable, optional
        Called with the number of source bytes read since the last call.
    jobs : int
        Number of sources read at the same time. With fewer sources, each is unpacked by several threads.
    unit : str, optional
        Unit of a single source whose name does not give it, such as ``train/50SMG``.
    on_remark : callable, optional
        Called with a message for each source that is not compared: a second source of a unit, or the source of a unit
        that the store lacks.
    on_error : callable, optional
        Called with the path of each source that cannot be read, and the error, from several threads. Without it, the
        first such error is raised once all sources are read.
    on_total : callable, optional
        Called once with the number of source bytes to read.
    {options}

    Raises
    ------
    WrongUsage
        If there is no source, or the store has none of their units.
    SourceError, MachineError
        If a source is damaged or cannot be read.
    """
    chosen, errors = UnpackOptions(**unpacking).find(), list[S2ctError]()

    def failed(path: AnyFile, error: S2ctError) -> None:
        errors.append(error)
        if on_error:
            on_error(path, error)

    with _opened(store) as opened:
        compared = _to_compare(opened, given_sources(sources), unit, on_remark, failed)
        on_total(sum(source.size() for source in compared))
        threads = max(1, jobs // max(1, len(compared)))
        one = partial(_guarded, opened, on_bytes=on_bytes, threads=threads, unpacker=chosen, failed=failed)
        with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="s2ct-verify") as pool:
            try:
                comparisons = [found for found in pool.map(one, compared) if found]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    if errors and not on_error:
        raise errors[0]
    return comparisons


@contextmanager
def _opened(store: str | os.PathLike[str] | Store) -> Iterator[Store]:
    """The store, to verify. A store that is open already stays open."""
    if isinstance(store, Store):
        yield store.to_verify()
        return
    with open_to_verify(place_of(store)) as opened:
        yield opened


def _to_compare(
    store: Store,
    paths: Sequence[GivenSource],
    unit: str | None,
    on_remark: Callable[[str], None],
    failed: Callable[[AnyFile, S2ctError], None],
) -> list[Source]:
    """The sources of units in the store, and their copies."""
    salvage = any(one.salvaged for one in store.units.values())
    found = find_sources(paths, unit=UnitName.from_user(unit) if unit else None, salvage=salvage)
    if not found.sources and not found.unusable:
        raise no_source(paths, found)
    lacking = str(store.attributes.get("missing_units", "")).split()
    for unusable in found.unusable:
        if unusable.also_of is None and str(unusable.unit) not in lacking:
            failed(unusable.path, unusable.error)
        else:
            on_remark(f"not compared: {str(unusable.error).splitlines()[0]}")
    sources = [source for one in found.sources for source in (one, *one.copies)]
    compared = [source for source in sources if str(source.unit) in store.units]
    others = [source for source in sources if source not in compared]
    unknown = [source for source in others if str(source.unit) not in lacking]
    if unknown and not compared:
        raise WrongUsage(f"the store has no unit {unknown[0].unit}", where=str(unknown[0].path))
    for source in others:
        on_remark(f"not compared: {source.path}: the store has no unit {source.unit}")
    return compared


def _guarded(
    store: Store,
    source: Source,
    *,
    on_bytes: Callable[[int], None] | None,
    threads: int,
    unpacker: Unpacker,
    failed: Callable[[AnyFile, S2ctError], None],
) -> Comparison | None:
    """Compare a source with its unit. None if the source cannot be read.

    Small arrays that cannot be read are a difference, so that the other units are still compared.
    """
    unit = store[str(source.unit)]
    try:
        if unit.salvaged:
            return compare_salvaged(unit, source, on_bytes)
        return ask_python_too(
            lambda chosen: compare(unit, source, on_bytes, threads=threads, unpacker=chosen), suited(unpacker, source)
        )
    except StoreDamaged as error:
        what = f"cannot be compared: {' '.join(str(error).split())}"
        return Comparison(str(unit.name), 0, 0, "", (Finding(what, str(unit.name)),))
    except S2ctError as error:
        failed(source.path, error)
    except OSError as error:
        failed(source.path, from_os_error(error, str(source.path)))
    return None
