"""``s2ct extract``."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .results import print_json


@click.command(short_help="Unpack archives and check their checksums.")
@click.argument("archives", nargs=-1, required=True, type=options.DATA_PATH, metavar="ARCHIVE...")
@click.argument("destination", type=options.ANY_PATH, metavar="DEST")
@options.overwrite
@options.unpacker
@options.jobs
@options.as_json
@options.progress
def extract(
    archives: tuple[Path, ...],
    destination: Path,
    overwrite: bool,
    unpacker: str,
    jobs: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Unpack archives (.7z) to the folder DEST.

    A conversion does not need this. A file gets its name only when it is whole and its CRC-32 matches. Run the same
    command again to resume: files with the right size and CRC-32 stay.
    """
    from ..archives.extract import Extracted, extract_archive, unpacked_size
    from ..errors import S2ctError, SomeFailed, WrongUsage
    from ..show.bar import file_progress
    from ..words import plural, size

    for archive in archives:
        if not archive.is_file():
            raise WrongUsage("there is no such file", where=str(archive), todo="check the path")
    done: list[Extracted] = []
    failures: list[S2ctError] = []
    with file_progress("extracting", unpacked_size(archives), quiet=quiet) as progress:
        for archive in archives:
            try:
                done += extract_archive(
                    archive, destination, overwrite=overwrite, jobs=jobs or options.available_cores(),
                    unpacker=unpacker, on_bytes=progress.advance,
                    on_file=lambda f: progress.line(
                        f"{f.path}: {size(f.bytes)}{', already there' if f.was_there else ''}"
                    ),
                )  # fmt: skip
            except S2ctError as error:
                failures.append(error)
                progress.line(f"{archive.name}: FAILED\n{error}", always=True)
    if json_:
        print_json(
            {
                "files": [{"path": str(f.path), "bytes": f.bytes, "was_there": f.was_there} for f in done],
                "failed": [str(error) for error in failures],
            }
        )
    elif not quiet:
        print(f"{plural(len(done), 'file')}, {size(sum(f.bytes for f in done))} in {destination}")
    if failures:
        codes = {error.exit_code for error in failures}
        raise SomeFailed(f"{len(failures)} of {plural(len(archives), 'archive')} failed", codes, some_done=bool(done))
