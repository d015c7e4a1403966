"""``s2ct download``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options, record_options
from .results import print_json
from .stopping import keeps

if TYPE_CHECKING:
    from ..record.download import Report

_MORE = """
Files that another program downloaded to DEST are used: whole files are recognised by their md5, under any name, and
partial files resume. A wrong file is renamed to <name>.bad-<md5>. Nothing is deleted. With --repair, a wrong file keeps
its name until the repaired one replaces it.

Environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY; S2CT_ZENODO_URL for a mirror; S2CT_ZENODO_TOKEN for a restricted
record (sent in a header, to that host only, and never shown)."""


@click.command(short_help="Download the archives of the record, or resume.", epilog=_MORE)
@click.argument("destination", type=options.ANY_PATH, default=".", metavar="[DEST]")
@record_options.which_files
@click.option(
    "-j", "--jobs", type=click.IntRange(1, 16), default=3, show_default=True, help="Files to download at the same time."
)
@click.option("--extract", is_flag=True, help="Also unpack the archives in DEST, after their md5 is checked.")
@click.option("--paranoid", is_flag=True, help="Check files again that an earlier run checked.")
@click.option(
    "--repair",
    is_flag=True,
    help="Check all files again, and fetch only the damaged parts of those with the wrong md5.",
)
@click.option(
    "--accept-record",
    is_flag=True,
    help="Use the list of files of the service even if it differs from the lock or the published list. The lock before "
    "it is kept under another name.",
)
@record_options.which_record
@options.as_json
@options.progress
def download(
    destination: Path,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    files: tuple[str, ...],
    jobs: int,
    extract: bool,
    paranoid: bool,
    repair: bool,
    accept_record: bool,
    record: str,
    base_url: str | None,
    user_agent: str | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Download the archives of the record to DEST (default: this folder).

    Run the same command again to resume: whole files stay, partial files continue. A file gets its name only when its
    size and md5 match the record. If its md5 is wrong, only the damaged parts are fetched again.

    \b
    s2ct download archives/
    s2ct download archives/ --tile 50SMG --split train
    s2ct download archives/ --file 'val_*' -j 2
    s2ct download archives/ --repair
    """
    from ..conversion.download import download as run
    from ..record.download import FilesFailed
    from ..show.progress import show_progress

    failure: FilesFailed | None = None
    keeps(f"whole and partial files stay in {destination}")
    with show_progress(quiet=quiet, verbose=verbose) as on_event:
        try:
            report = run(
                destination,
                record=record,
                tiles=tiles,
                splits=splits,
                files=files,
                jobs=jobs,
                paranoid=paranoid,
                repair=repair,
                accept_record=accept_record,
                base_url=base_url,
                user_agent=user_agent,
                on_event=on_event,
            )
        except FilesFailed as failed:
            failure, report = failed, failed.report
    extracted: list[str] = []
    try:
        if extract:
            _extract(report, extracted, quiet=quiet)
    finally:
        _print(report, extracted, json_)
    if failure is not None:
        raise failure


def _extract(report: Report, out: list[str], *, quiet: bool) -> None:
    """Unpack the archives that are whole in their own folder, and append the paths to ``out``."""
    from ..archives.extract import extract_archive, unpacked_size
    from ..errors import DestinationExists
    from ..show.progress import byte_progress
    from ..words import size

    archives = [report.folder / key for key in sorted((*report.before, *(one.key for one in report.done)))]
    archives = [archive for archive in archives if archive.suffix == ".7z"]
    with byte_progress("extracting", unpacked_size(archives), quiet=quiet) as progress:
        for archive in archives:
            try:
                cores = options.available_cores()
                files = extract_archive(archive, archive.parent, jobs=cores, on_bytes=progress.advance)
            except DestinationExists as error:  # s2ct download has no --overwrite
                todo = "move the file away, or unpack with s2ct extract --overwrite"
                raise DestinationExists(error.what, where=error.where, todo=todo) from error
            for file in files:
                out.append(str(file.path))
                progress.named(str(file.path), f": {size(file.bytes)}{', already there' if file.was_there else ''}")


def _print(report: Report, extracted: list[str], json_: bool) -> None:
    from ..show.tables import print_facts
    from ..words import plural, seconds, size

    fetched = sum(one.fetched for one in report.done)
    if json_:
        document: dict[str, Any] = {
            "folder": str(report.folder),
            "record": report.record,
            "fetched": [dataclasses.asdict(one) for one in report.done],
            "before": list(report.before),
            "failed": [dataclasses.asdict(one) for one in report.failed],
            "left": list(report.left),
            "extracted": extracted,
            "bytes_fetched": fetched,
            "seconds": round(report.seconds, 3),
        }
        print_json(document)
        return
    rate = f", {size(fetched / report.seconds)}/s" if fetched and report.seconds else ""
    facts = [
        ("folder", str(report.folder)),
        ("downloaded", f"{plural(len(report.done), 'file')}, {size(fetched)} in {seconds(report.seconds)}{rate}"),
        ("kept", plural(len(report.before), "file")),
    ]
    if repaired := [one for one in report.done if one.repaired]:
        again = size(sum(one.repaired for one in repaired))
        facts.append(("repaired", f"{plural(len(repaired), 'file')}, {again} fetched again"))
    facts += [("failed", plural(len(report.failed), "file"))] if report.failed else []
    facts += [("not tried", plural(len(report.left), "file"))] if report.left else []
    facts += [("extracted", plural(len(extracted), "file"))] if extracted else []
    print_facts(facts)
