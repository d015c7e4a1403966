"""``s2ct verify sources``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .cloud_options import cloud
from .record_options import fetch_again
from .results import print_json
from .stopping import NO_RESULT, keeps

if TYPE_CHECKING:
    from ..objects.remote import AnyFile
    from ..verify.salvage import SalvageReport
    from ..verify.sources import SourceReport


@click.command(short_help="Check archives and TFRecords by their own checksums.")
@click.argument("paths", nargs=-1, type=options.PathOrUrl(), required=True, metavar="SOURCE...")
@options.as_unit
@click.option(
    "--salvage-report",
    "salvages",
    is_flag=True,
    help="Also show what convert --salvage would take from damaged sources, and the gaps.",
)
@options.unpacker
@options.bounds
@options.jobs
@cloud
@options.as_json
@options.progress
def sources(
    paths: tuple[Path | str, ...],
    unit: str | None,
    salvages: bool,
    unpacker: str,
    jobs: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
    **bounds: Any,
) -> None:
    """Read archives and TFRecords to the end, and run all checks that need no other file: the CRC-32 of each file in an
    archive, both CRC-32C of each TFRecord record, the schema of each example, the number of examples.

    Nothing is written. The exit code is 5 if a source is damaged.

    \b
    s2ct verify sources archives/
    s2ct verify sources train_50SMG_462.7z --salvage-report
    """
    from ..errors import EXIT_MACHINE, EXIT_NETWORK, SomeFailed, SourceError
    from ..objects.remote import given_sources
    from ..show.progress import byte_progress
    from ..show.tables import print_lines, print_named
    from ..verify.sources import verify_sources
    from ..words import plural

    keeps(NO_RESULT)
    if salvages:
        from ..source.addresses import check_no_salvage

        check_no_salvage(given_sources(paths))
    with byte_progress("reading", quiet=quiet) as progress:
        reports = verify_sources(
            paths,
            unit=unit,
            unpacker=unpacker,
            **bounds,
            jobs=jobs or options.available_cores(),
            on_total=progress.set_total,
            on_bytes=progress.advance,
            on_note=lambda text: progress.line(f"note: {text}", always=True),
            on_source=lambda one: progress.named(*_words(one)) if verbose and not json_ else None,
        )
    bad = [one for one in reports if one.error]
    salvage = _salvage(bad, unit, quiet=quiet) if salvages else {}
    if json_:
        found = [asdict(one) | {"path": str(one.path)} for of_path in salvage.values() for one in of_path]
        print_json({"sources": [_document(one) for one in reports], "ok": not bad, "salvage": found})
    else:
        for one in reports:
            if one.error or not quiet:
                print_named(*_words(one))
            if one.error:
                print_lines(line for found in salvage.pop(one.path, ()) for line in _salvage_lines(found))
        counts = {state: sum(one.state == state for one in reports) for state in ("damaged", "unusable")}
        unusable = f", {counts['unusable']} unusable" if counts["unusable"] else ""
        print(f"{plural(len(reports) - len(bad), 'source')} ok, {counts['damaged']} damaged{unusable}")
    if bad:
        message = f"{len(bad)} of {plural(len(reports), 'source')} cannot be used"
        codes = {one.error.exit_code for one in bad if one.error}
        if codes & {EXIT_MACHINE, EXIT_NETWORK}:
            raise SomeFailed(message, codes, some_done=len(bad) < len(reports))
        damaged = [one for one in bad if one.state == "damaged"]
        raise SourceError(message, todo=_advice(damaged) if damaged else "")


def _advice(damaged: list[SourceReport]) -> str:
    here = [one.path for one in damaged if isinstance(one.path, Path)]
    if len(here) < len(damaged):
        return "fetch the damaged archives again, and put them in the place of the objects"
    return f"fetch the damaged parts again: {fetch_again(here, repair=True)}"


def _words(one: SourceReport) -> tuple[str, str, str]:
    """The name of a source, and the words after and before it."""
    if one.error:
        return "", str(one.error), f"{one.state.ljust(8)} "
    from ..words import plural

    counts = f"{plural(one.examples, 'example')}, {plural(one.observations, 'observation')}"
    return str(one.path), f": {one.unit}, {counts}", f"{one.state.ljust(8)} "


def _salvage(bad: list[SourceReport], unit: str | None, *, quiet: bool) -> dict[AnyFile, list[SalvageReport]]:
    """What can be salvaged from each damaged file."""
    from ..show.progress import byte_progress
    from ..source.salvage import DAMAGE
    from ..verify.salvage import salvage_report

    files = [one.path for one in bad if isinstance(one.error, DAMAGE)]
    damaged = list(dict.fromkeys(path for path in files if isinstance(path, Path)))  # objects were refused before
    total = sum(path.stat().st_size for path in damaged)
    with byte_progress("looking for whole examples", total, quiet=quiet) as progress:
        return {path: salvage_report(path, unit=unit, on_bytes=progress.advance) for path in damaged}


def _salvage_lines(one: SalvageReport) -> list[str]:
    from ..show.gaps import gap_lines
    from ..words import plural

    if not one.examples:
        return ["  salvage:  no whole example was found"]
    first, *gaps = gap_lines(one.unit, one.examples, one.gaps)
    counts = f"{plural(one.samples, 'sample')}, {plural(one.observations, 'observation')}"
    return [f"  salvage:  {first}; {counts}", *(f"            {gap}" for gap in gaps)]


def _document(one: SourceReport) -> dict[str, Any]:
    return {
        "path": str(one.path),
        "member": one.member,
        "unit": one.unit or None,
        "state": one.state,
        "examples": one.examples,
        "samples": one.samples,
        "observations": one.observations,
        "md5": one.md5,
        "error": str(one.error) if one.error else None,
    }
