"""``s2ct list`` and ``s2ct urls``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options, record_options
from .results import print_json


@click.command("list", short_help="List the files of the record and their state here.")
@click.argument("folder", type=options.ANY_PATH, default=".", metavar="[DEST]")
@record_options.which_files
@click.option("--offline", is_flag=True, help="Do not ask the service: use the lock in DEST, else the bundled list.")
@record_options.which_record
@options.as_json
@options.verbose
@options.debugging
def list_(
    folder: Path,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    files: tuple[str, ...],
    offline: bool,
    record: str,
    base_url: str | None,
    user_agent: str | None,
    json_: bool,
    verbose: bool,
) -> None:
    """List the files of the record with their state in DEST (default: this folder).

    States: ok (md5 checked before), unchecked (right size, md5 not checked), partial, wrong size, missing. This command
    compares only sizes; s2ct verify checksums DEST reads the files. On a terminal, md5 sums are shown with -v.
    """
    from ..errors import WrongUsage
    from ..record.api import record_id
    from ..record.choice import FileChoice
    from ..record.listing import find_manifest
    from ..record.local import look
    from ..record.manifest import published
    from ..words import plural, size

    record = record_id(record)
    manifest = find_manifest(folder, record, offline=offline, base_url=base_url, user_agent=user_agent)
    if manifest is None:
        if tiles or splits or files:
            raise WrongUsage(
                "files cannot be selected without a lock: the bundled list has no names",
                where=str(folder),
                todo="leave out --offline, or leave out --tile, --split and --file",
            )
        _print_published(record, published(record), json_)
        return
    rows = [_row(look(folder, file)) for file in FileChoice.of(tiles, splits, files).of_manifest(manifest)]
    total = sum(row["size"] for row in rows)
    if json_:
        print_json({"record": record, "doi": manifest.doi, "files": rows, "bytes": total})
        return
    _print_rows(rows, verbose)
    here = [row for row in rows if row["state"] in ("ok", "unchecked")]
    print(f"{plural(len(rows), 'file')}, {size(total)}; {len(here)} here")


def _row(local: Any) -> dict[str, Any]:
    from ..names import try_name

    file = local.file
    row = {"key": file.key, "split": None, "tile": None, "examples": None, "size": file.size or 0, "md5": file.md5}
    if (name := try_name(file.key)) and name.sure:  # otherwise the file is not an archive of a unit
        row |= {"split": name.unit.split, "tile": name.unit.tile, "examples": name.count}
    return {**row, "state": local.state.value, "have": local.have}


def _print_rows(rows: list[dict[str, Any]], verbose: bool) -> None:
    from ..show.tables import Column, print_table
    from ..words import size

    columns = [Column("file", left=True, name=True), Column("split", left=True), Column("tile", left=True)]
    columns += [Column("examples"), Column("size"), Column("md5", detail=True, part=1), Column("here", part=1)]
    cells = (
        (
            row["key"],
            row["split"] or "-",
            row["tile"] or "-",
            "-" if row["examples"] is None else f"{row['examples']:,}",
            size(row["size"]),
            row["md5"],
            row["state"] + (f" {100 * row['have'] // row['size']} %" if row["state"] == "partial" else ""),
        )
        for row in rows
    )
    print_table(columns, cells, verbose=verbose)


def _print_published(record: str, known: Any, json_: bool) -> None:
    from ..errors import WrongUsage
    from ..show.tables import Column, print_lines, print_table

    if not known:
        raise WrongUsage(
            "there is no bundled list of this record, and no lock in this folder",
            where=f"record {record}",
            todo="leave out --offline",
        )
    if json_:
        files = [{"position": one.position, "md5": one.md5, "listed_size": one.listed_size} for one in known]
        print_json({"record": record, "doi": f"10.5281/zenodo.{record}", "published": files})
        return
    columns = (Column("position"), Column("size"), Column("md5"))
    print_table(columns, [(str(one.position), one.listed_size, one.md5) for one in known])
    print_lines([f"{len(known)} files, as listed on the page of the record; leave out --offline to get their names"])


@click.command(short_help="Print the URLs of the files for another downloader.")
@click.argument("folder", type=options.ANY_PATH, default=".", metavar="[DEST]")
@click.option(
    "--format",
    "-f",
    "format_",
    type=click.Choice(["plain", "aria2", "wget", "curl"]),
    default="plain",
    show_default=True,
    help="plain: one URL per line; aria2: an input file with checksums; wget, curl: commands.",
)
@record_options.which_files
@record_options.which_record
@options.debugging
def urls(
    folder: Path,
    format_: str,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    files: tuple[str, ...],
    record: str,
    base_url: str | None,
    user_agent: str | None,
) -> None:
    """Print the URLs of the files, for another downloader.

    The file list comes from the lock in DEST (default: this folder) if there is one, else from the service. Check the
    files afterwards with s2ct verify checksums DEST, or with s2ct download DEST, which also downloads missing files.

    \b
    s2ct urls --format aria2 > urls.txt; aria2c -i urls.txt -c -j 3
    s2ct urls --format wget --tile 50SMG | sh
    """
    from ..record.listing import list_urls

    for text in list_urls(
        folder,
        format=format_,
        record=record,
        tiles=tiles,
        splits=splits,
        files=files,
        base_url=base_url,
        user_agent=user_agent,
    ):
        click.echo(text, nl=False)
