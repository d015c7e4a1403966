"""``s2ct verify store``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from . import options
from .cloud_options import StoreOrAddress, cloud, max_requests
from .results import print_json
from .stopping import NO_RESULT, keeps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..errors import S2ctError
    from ..verify.findings import Finding
    from ..verify.report import StoreReport


class Compared(NamedTuple):
    """The result of the comparison with the sources. ``lacking``: what salvaged units lack of them."""

    examples: int
    units: int
    lacking: tuple[str, ...] = ()


_DAMAGED = "repair it: s2ct convert SOURCE... STORE --overwrite-unit SPLIT/TILE"
_ALONE = "convert again to another store; this one can be repaired only with its folder STORE.s2ct"
_OTHER = "find out which is right; to take the source: s2ct convert SOURCE... STORE --overwrite-unit SPLIT/TILE"
_UNFINISHED = "run the command that made the store again; it resumes"
# The state of the rest of the store is unknown; it may be intact.
_UNOPENED = "restore the named file from a copy, or convert again to another store"


@click.command(short_help="Check a store against itself, and against its sources.")
@click.argument("path", type=StoreOrAddress(), metavar="STORE")
@click.argument("more", type=options.PathOrUrl(), nargs=-1, metavar="[--against SOURCE...]")
@click.option(
    "--against",
    "against",
    type=options.PathOrUrl(),
    multiple=True,
    metavar="SOURCE",
    help="Archives, TFRecords or folders of them; the store must hold every example of them, bit for bit.",
)
@options.as_unit
@click.option(
    "--fraction",
    "--sample",
    "fraction",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="FRACTION",
    help="Check only this fraction of the pixels, such as 0.05, and everything else in full.",
)
@click.option("--seed", type=int, default=0, help="Seed of --fraction.  [default: 0]")
@options.bounds
@options.jobs
@max_requests
@cloud
@options.as_json
@options.progress
def store(
    path: Path | str,
    more: tuple[Path | str, ...],
    against: tuple[Path | str, ...],
    unit: str | None,
    fraction: float,
    seed: int,
    jobs: int | None,
    max_requests: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
    **bounds: Any,
) -> None:
    """Check that a store has not changed since it was written: structure and attributes, every chunk, the checksum of
    every image, offsets and order, the index, all digests. With --against, also compare it with its sources.

    Each difference is reported with unit, sample, rows and file. The exit code is 4 if there is a difference, 5 if
    a source is damaged, and 3 if a source could not be compared.

    \b
    s2ct verify store clouds.zarr
    s2ct verify store clouds.zarr --fraction 0.05
    s2ct verify store clouds.zarr --against archives/*.7z
    """
    from ..errors import Difference, Incomplete, S2ctError
    from ..show.progress import byte_progress
    from ..show.tables import print_lines
    from ..verify.store import verify_store
    from ..words import plural

    left_out: list[str] = []
    unread: list[S2ctError] = []
    if more and not against:
        raise click.UsageError(f"Got unexpected extra arguments ({' '.join(map(str, more))})")
    against += more  # a shell expands archives/*.7z to several arguments
    keeps(NO_RESULT)
    with byte_progress("checking", quiet=quiet) as progress:
        report = verify_store(
            path,
            fraction=fraction,
            seed=seed,
            max_requests=max_requests,
            on_total=progress.set_total,
            on_bytes=progress.advance,
        )
    findings, compared = list(report.findings), None
    if against and report.units:
        try:
            compared, differences = _compare(path, against, unit, jobs, quiet, left_out.append, unread.append, bounds)
            findings += differences
        except S2ctError as error:
            if not findings:
                raise
            unread.append(error)  # what was found so far is reported
    lacking = compared.lacking if compared else ()
    if json_:
        print_json(_document(report, findings, [*left_out, *lacking], unread, compared))
    else:
        print_lines(line for one in (*findings, *unread) for line in str(one).splitlines())
        print_lines(f"remark: {remark}" for remark in (*report.remarks, *left_out, *lacking))
        if report.opened:
            _print_summary(report, compared, bool(findings or left_out or unread or lacking))
    if findings:
        if report.unfinished and len(findings) == 1:
            raise Incomplete(findings[0].what, where=str(path), todo=_UNFINISHED)
        raise Difference(f"{plural(len(findings), 'difference')} found", where=str(path), todo=_advice(report))
    _raise_not_compared(path, unread, left_out, lacking)


def _raise_not_compared(
    path: Path | str, unread: Sequence[S2ctError], left_out: Sequence[str], lacking: Sequence[str]
) -> None:
    from ..errors import Incomplete, SomeFailed
    from ..words import plural

    if unread:
        codes = {error.exit_code for error in unread}
        raise SomeFailed(f"{plural(len(unread), 'source')} could not be read and compared", codes, some_done=False)
    if left_out:
        raise Incomplete(
            f"{plural(len(left_out), 'source')} could not be compared with the store",
            where=str(path),
            todo="complete the store with s2ct convert, or leave these sources out",
        )
    if lacking:
        raise Incomplete(
            "the store lacks examples of these sources, since units were salvaged from damaged ones",
            where=str(path),
            todo="convert these sources: a good source replaces a salvaged unit",
        )


def _advice(report: StoreReport) -> str:
    from ..durable import beside

    if report.unfinished:
        return _UNFINISHED
    if not report.opened:
        return _UNOPENED
    if not report.findings:  # the store is sound, and a source has something else
        return _OTHER
    there = isinstance(report.path, Path) and beside(report.path, ".s2ct").exists()
    return _DAMAGED if there else _ALONE


def _document(
    report: StoreReport,
    findings: list[Finding],
    left_out: list[str],
    unread: list[S2ctError],
    compared: Compared | None,
) -> dict[str, Any]:
    """Return the result for --json."""
    return {
        "store": str(report.path),
        "units": report.units,
        "samples": report.samples,
        "observations": report.observations,
        "observations_checked": report.checked,
        "usage": report.usage._asdict() if report.usage else None,
        "units_compared": compared.units if compared else None,
        "examples_compared": compared.examples if compared else None,
        "findings": [{**one.document(), "text": str(one)} for one in findings],
        "unread": [str(error) for error in unread],
        "remarks": [*report.remarks, *left_out],
        "ok": not findings and not left_out and not unread,
    }


def _compare(
    path: Path | str,
    against: tuple[Path | str, ...],
    unit: str | None,
    jobs: int | None,
    quiet: bool,
    on_remark: Callable[[str], None],
    on_error: Callable[[S2ctError], None],
    bounds: dict[str, Any],
) -> tuple[Compared, list[Finding]]:
    """Return the number of examples compared, and the differences."""
    from ..show.progress import byte_progress
    from ..verify.against import verify_against
    from ..words import plural

    with byte_progress("comparing", quiet=quiet) as progress:
        comparisons = verify_against(
            path,
            against,
            progress.advance,
            jobs=jobs or options.available_cores(),
            unit=unit,
            on_remark=on_remark,
            on_error=lambda path, error: on_error(error),
            on_total=progress.set_total,
            **bounds,
        )
    lacking = tuple(
        f"{one.unit} is salvaged: it lacks {plural(one.lacking, 'example')} of the source"
        for one in comparisons
        if one.lacking
    )
    compared = Compared(sum(one.examples for one in comparisons), len({one.unit for one in comparisons}), lacking)
    return compared, [line for one in comparisons for line in one.differences]


def _print_summary(report: StoreReport, compared: Compared | None, wrong: bool) -> None:
    from ..show.summary import usage_words
    from ..show.tables import print_lines
    from ..words import plural

    parts = [plural(report.units, "unit"), plural(report.samples, "sample"), plural(report.observations, "observation")]
    if report.checked < report.observations:
        parts.append(f"pixels of {report.checked:,} checked")
    if compared is not None:
        units = "" if compared.units == report.units else f" of {compared.units} of {plural(report.units, 'unit')}"
        parts.append(f"{plural(compared.examples, 'example')}{units} compared with the sources")
    print_lines([f"{report.path}: {', '.join(parts)}{'' if wrong else '; no differences'}"])
    if report.usage:
        print_lines([f"requests: {usage_words(report.usage)}"])
