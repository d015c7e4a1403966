"""``s2ct extract``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from . import options
from .results import print_json
from .stopping import keeps


@click.command(short_help="Unpack archives and check their checksums.")
@click.argument("paths", nargs=-1, type=options.DATA_PATH, metavar="ARCHIVE... DEST")
@options.overwrite
@options.unpacker
@options.jobs
@options.as_json
@options.progress
def extract(
    paths: tuple[Path, ...],
    overwrite: bool,
    unpacker: str,
    jobs: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Unpack archives (.7z), or all archives in folders, to the folder DEST.

    A conversion does not need this. A file gets its name only when it is whole and its CRC-32 matches. Run the same
    command again to resume: files with the right size and CRC-32 stay.

    \b
    s2ct extract train_50SMG_462.7z unpacked/
    s2ct extract archives/ unpacked/
    """
    from ..archives.extract import Extracted, extract_archive, find_archives, unpacked_size
    from ..errors import S2ctError, SomeFailed
    from ..show.progress import byte_progress
    from ..show.tables import print_named
    from ..words import plural, size

    given, destination = _check(paths)
    archives = find_archives(given)
    done: list[Extracted] = []
    failures: list[S2ctError] = []
    links: list[str] = []
    keeps(f"unpacked files stay in {destination}")
    with byte_progress("extracting", unpacked_size(archives), quiet=quiet) as progress:
        for archive in archives:
            try:
                done += extract_archive(
                    archive, destination, overwrite=overwrite, jobs=jobs or options.available_cores(),
                    unpacker=unpacker, on_bytes=progress.advance,
                    on_file=lambda f: progress.named(
                        str(f.path), f": {size(f.bytes)}{', already there' if f.was_there else ''}"
                    ),
                    on_link=partial(_note_link, links, progress.line, archive),
                )  # fmt: skip
            except S2ctError as error:
                failures.append(error)
                progress.line(f"{archive.name}: FAILED\n{error}", always=True)
    if json_:
        print_json(
            {
                "files": [{"path": str(f.path), "bytes": f.bytes, "was_there": f.was_there} for f in done],
                "failed": [str(error) for error in failures],
                "links": links,
            }
        )
    elif not quiet:
        print_named(str(destination), "", f"{plural(len(done), 'file')}, {size(sum(f.bytes for f in done))} in ")
    if failures:
        codes = {error.exit_code for error in failures}
        raise SomeFailed(f"{len(failures)} of {plural(len(archives), 'archive')} failed", codes, some_done=bool(done))


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
