"""``s2ct peek``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options, record_options
from .results import print_json
from .stopping import keeps

if TYPE_CHECKING:
    from ..peeking.results import PeekReport


@click.command(short_help="Look at archives of the record without downloading them.")
@click.argument("url", required=False, metavar="[URL]")
@click.option("--all", is_flag=True, help="All files of the record. Requests only their headers by default.")
@record_options.which_files
@click.option(
    "--examples",
    type=click.IntRange(0, 100),
    metavar="K",
    help="Examples to read of each file; 0 reads the headers alone.  [default: 2, or 0 with --all]",
)
@click.option(
    "--picture",
    type=options.ANY_PATH,
    metavar="FILE",
    help="Draw the first sample as a .png or .pdf file (needs the extra [plot]).",
)
@click.option("--overwrite", is_flag=True, help="Replace the picture.")
@record_options.which_record
@options.as_json
@options.progress
def peek(
    url: str | None,
    all: bool,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    files: tuple[str, ...],
    examples: int | None,
    picture: Path | None,
    overwrite: bool,
    record: str,
    base_url: str | None,
    user_agent: str | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Show what archives hold before you download them: method, unit, observations, first examples.

    Requests parts of the files only: about 67 kB for the headers of a file, and about 1 MB more for each example. With
    --all it takes 2 requests for each file, at most 60 requests a minute. Without --all, --tile, --split or --file it
    looks at the first archive of the record. A URL is the address of one archive.

    Nothing is verified, because no md5 can be checked.

    \b
    s2ct peek --all
    s2ct peek --tile 50SMG --split val --picture first.png
    s2ct peek --all --json > record.json
    """
    _check(url, all, bool(tiles or splits or files))
    if picture is not None:
        if examples == 0 or (all and not examples):
            raise click.UsageError("--picture needs an example: --examples 1")
        from ..pictures.peeked import check_drawing

        check_drawing(picture, overwrite=overwrite)
    from ..peeking.peek import peek as run
    from ..peeking.peek import peek_url
    from ..show.progress import show_progress

    keeps("a look keeps nothing")
    with show_progress(quiet=quiet, verbose=verbose) as on_event:
        if url is not None:
            report = peek_url(url, examples=examples, base_url=base_url, user_agent=user_agent, on_event=on_event)
        else:
            report = run(
                record=record,
                tiles=tiles,
                splits=splits,
                files=files,
                all=all,
                examples=examples,
                base_url=base_url,
                user_agent=user_agent,
                on_event=on_event,
            )
    finish_peek(report, json_=json_, verbose=verbose, picture=picture, overwrite=overwrite)


def _check(url: str | None, all: bool, chosen: bool) -> None:
    """Refuse what cannot be combined."""
    if url is not None and (all or chosen):
        raise click.UsageError("a URL cannot be combined with --all, --tile, --split or --file")
    if all and chosen:
        raise click.UsageError("--all cannot be combined with --tile, --split or --file")
    if url is not None and not options.is_url(url):
        raise click.UsageError(f"{url!r} is not an http or https URL; for a file on this machine: s2ct info PATH")


def finish_peek(
    report: PeekReport,
    *,
    json_: bool,
    verbose: bool = False,
    alone: bool = False,
    picture: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Print a report, draw the picture, and raise the error if a file failed. ``alone``: JSON is that of the file."""
    from ..errors import SomeFailed
    from ..show.peek import print_peek
    from ..show.tables import print_facts

    if json_:
        document = report.document()
        print_json({"format": "7z", "verified": False, **document["files"][0]} if alone else document)
    else:
        print_peek(report, verbose=verbose)
    failed = report.failed
    if len(failed) == 1 and failed[0].error is not None and len(report.files) == 1:
        raise failed[0].error
    if picture is not None:
        from ..peeking.results import with_examples
        from ..pictures.peeked import draw_peeked

        draw_peeked(with_examples(report.files) or report.files[0], picture, overwrite=overwrite)
        if not json_:
            print_facts([("picture", str(picture))])
    if failed:
        codes = {one.error.exit_code for one in failed if one.error is not None}
        raise SomeFailed(
            f"{len(failed)} of {len(report.files)} files could not be looked at, or not completely",
            codes,
            some_done=len(failed) < len(report.files),
            todo="run the same command again",
        )
