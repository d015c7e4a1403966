"""``s2ct extract``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .results import print_json
from .stopping import keeps

if TYPE_CHECKING:
    from ..archives.extract import Extracted
    from ..errors import S2ctError
    from ..source.salvaged_file import SalvagedFile


@click.command(short_help="Unpack archives and check their checksums.")
@click.argument("paths", nargs=-1, type=options.DATA_PATH, metavar="ARCHIVE... DEST")
@options.overwrite
@click.option(
    "--salvage",
    is_flag=True,
    help="From a damaged archive or TFRecord, write the whole records to NAME.salvaged.tfrecord, and what is missing "
    "to NAME.salvaged.json (exit code 3).",
)
@options.unpacker
@options.bounds
@options.jobs
@options.as_json
@options.progress
def extract(
    paths: tuple[Path, ...],
    overwrite: bool,
    salvage: bool,
    unpacker: str,
    jobs: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
    **bounds: Any,
) -> None:
    """Unpack archives (.7z), or all archives in folders, to the folder DEST.

    A conversion does not need this. A file gets its name only when it is whole and its CRC-32 matches. Run the same
    command again to resume: files with the right size and CRC-32 stay.

    \b
    s2ct extract train_50SMG_462.7z unpacked/
    s2ct extract archives/ unpacked/
    s2ct extract damaged/train_50SMG_462.7z unpacked/ --salvage
    """
    from ..archives.extract import extract_archive, find_archives, unpacked_size
    from ..errors import S2ctError
    from ..show.progress import byte_progress
    from ..source.salvage import DAMAGE
    from ..source.salvaged_file import salvage_tfrecord
    from ..words import size

    given, destination = _check(paths)
    bare = _bare_tfrecords(given) if salvage else []
    archives = find_archives([path for path in given if path not in bare]) if len(bare) < len(given) else []
    done: list[Extracted] = []
    salvaged: list[SalvagedFile] = []
    failures: list[S2ctError] = []
    links: list[str] = []
    keeps(f"unpacked files stay in {destination}")
    with byte_progress("extracting", unpacked_size(archives), quiet=quiet) as progress:
        for path in (*archives, *bare):
            try:
                try:
                    if path in bare:
                        salvaged += salvage_tfrecord(path, destination, overwrite=overwrite)
                        continue
                    done += extract_archive(
                        path, destination, overwrite=overwrite, jobs=jobs or options.available_cores(),
                        unpacker=unpacker, **bounds, on_bytes=progress.advance,
                        on_file=lambda f: progress.named(
                            str(f.path), f": {size(f.bytes)}{', already there' if f.was_there else ''}"
                        ),
                        on_link=partial(_note_link, links, progress.line, path),
                    )  # fmt: skip
                except DAMAGE as error:
                    if not salvage or path in bare:
                        raise
                    progress.line(f"note: {path.name}: {error.what}; taking the examples that are whole", always=True)
                    salvaged += salvage_tfrecord(path, destination, overwrite=overwrite)
            except S2ctError as error:
                failures.append(error)
                progress.line(f"{path.name}: FAILED\n{error}", always=True)
    _show(destination, done, salvaged, failures, links, json_=json_, quiet=quiet)
    _raise(len(archives) + len(bare), done, salvaged, failures)


def _bare_tfrecords(paths: tuple[Path, ...]) -> list[Path]:
    from ..kinds import Kind, kind_of

    return [path for path in paths if kind_of(path) is Kind.TFRECORD]


def _show(
    destination: Path,
    done: list[Extracted],
    salvaged: list[SalvagedFile],
    failures: list[S2ctError],
    links: list[str],
    *,
    json_: bool,
    quiet: bool,
) -> None:
    from ..show.gaps import gap_lines
    from ..show.tables import print_lines, print_named
    from ..words import plural, size

    if json_:
        print_json(
            {
                "files": [{"path": str(f.path), "bytes": f.bytes, "was_there": f.was_there} for f in done],
                "salvaged": [
                    {**dataclasses.asdict(one), "path": str(one.path), "report": str(one.report)} for one in salvaged
                ],
                "failed": [str(error) for error in failures],
                "links": links,
            }
        )
        return
    for one in salvaged:
        print_lines(f"salvaged  {line}" for line in gap_lines(str(one.path), one.examples, one.gaps))
    if not quiet and (done or not salvaged):
        print_named(str(destination), "", f"{plural(len(done), 'file')}, {size(sum(f.bytes for f in done))} in ")


def _raise(total: int, done: list[Extracted], salvaged: list[SalvagedFile], failures: list[S2ctError]) -> None:
    from ..errors import Incomplete, SomeFailed
    from ..words import plural

    if failures:
        codes = {error.exit_code for error in failures}
        raise SomeFailed(
            f"{len(failures)} of {plural(total, 'archive')} failed", codes, some_done=bool(done or salvaged)
        )
    if salvaged:
        raise Incomplete(
            f"{plural(len(salvaged), 'TFRecord')} salvaged from damaged sources, with what was whole in them",
            where=", ".join(str(one.report) for one in salvaged),
        )


def _note_link(links: list[str], say: Callable[..., None], archive: Path, name: str) -> None:
    """Say that a link was not extracted."""
    links.append(name)
    say(f"note: {archive.name}: {name!r} is a link, and links are not extracted", always=True)


def _check(paths: tuple[Path, ...]) -> tuple[tuple[Path, ...], Path]:
    """The archives and the destination. Forgetting DEST must not make the last archive the destination."""
    from ..errors import WrongUsage

    if not paths:
        raise click.UsageError("Missing argument 'ARCHIVE... DEST'.")
    *archives, destination = paths
    if destination.is_file() or not archives:
        raise WrongUsage(
            "the folder to unpack to is missing",
            where=str(destination),
            expected="a folder as the last argument",
            found="a file" if destination.is_file() else "no archive before it",
            todo="name the folder: s2ct extract ARCHIVE... FOLDER",
        )
    return tuple(archives), destination
