"""``s2ct verify sources``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .results import print_json
from .stopping import NO_RESULT, keeps

if TYPE_CHECKING:
    from ..verify.sources import SourceReport


@click.command(short_help="Check archives and TFRecords by their own checksums.")
@click.argument("paths", nargs=-1, type=options.DATA_PATH, required=True, metavar="SOURCE...")
@options.as_unit
@options.unpacker
@options.jobs
@options.as_json
@options.progress
def sources(
    paths: tuple[Path, ...],
    unit: str | None,
    unpacker: str,
    jobs: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Read archives and TFRecords to the end, and run all checks that need no other file: the CRC-32 of each file in an
    archive, both CRC-32C of each TFRecord record, the schema of each example, the number of examples.

    Nothing is written. The exit code is 5 if a source is damaged.

    \b
    s2ct verify sources archives/
    """
    from ..errors import EXIT_MACHINE, SomeFailed, SourceError
    from ..show.progress import byte_progress
    from ..show.tables import print_named
    from ..verify.sources import verify_sources
    from ..words import plural

    keeps(NO_RESULT)
    with byte_progress("reading", quiet=quiet) as progress:
        reports = verify_sources(
            paths,
            unit=unit,
            unpacker=unpacker,
            jobs=jobs or options.available_cores(),
            on_total=progress.set_total,
            on_bytes=progress.advance,
            on_note=lambda text: progress.line(f"note: {text}", always=True),
            on_source=lambda one: progress.named(*_words(one)) if verbose and not json_ else None,
        )
    bad = [one for one in reports if one.error]
    if json_:
        print_json({"sources": [_document(one) for one in reports], "ok": not bad})
    else:
        for one in reports:
            if one.error or not quiet:
                print_named(*_words(one))
        counts = {state: sum(one.state == state for one in reports) for state in ("damaged", "unusable")}
        unusable = f", {counts['unusable']} unusable" if counts["unusable"] else ""
        print(f"{plural(len(reports) - len(bad), 'source')} ok, {counts['damaged']} damaged{unusable}")
    if bad:
        message = f"{len(bad)} of {plural(len(reports), 'source')} cannot be used"
        codes = {one.error.exit_code for one in bad if one.error}
        if EXIT_MACHINE in codes:
            raise SomeFailed(message, codes, some_done=len(bad) < len(reports))
        damaged = [one for one in bad if one.state == "damaged"]
        raise SourceError(message, todo="download the damaged sources again: s2ct download" if damaged else "")


def _words(one: SourceReport) -> tuple[str, str, str]:
    """The name of a source, and the words after and before it."""
    if one.error:
        return "", str(one.error), f"{one.state.ljust(8)} "
    from ..words import plural

    counts = f"{plural(one.examples, 'example')}, {plural(one.observations, 'observation')}"
    return str(one.path), f": {one.unit}, {counts}", f"{one.state.ljust(8)} "


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
