"""``s2ct verify``: are things what they should be?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .verify_sources import sources
from .verify_store import store

if TYPE_CHECKING:
    from ..record.checksums import Checksum


@click.group(short_help="Check archives, TFRecords and stores.")
def verify() -> None:
    """Check archives, TFRecords and stores. Exit code 0 only if all is as it should be."""


@verify.command(short_help="Check md5 sums of archives.")
@click.argument("paths", nargs=-1, type=options.DATA_PATH, metavar="[PATH]...")
@click.option("--manifest", type=options.ANY_PATH, help="An md5sum file, or a lock, to compare with.")
@click.option("--write", "write_", type=options.ANY_PATH, help="Write what was found, as md5sum -c accepts it.")
@options.as_json
@options.progress
def checksums(
    paths: tuple[Path, ...], manifest: Path | None, write_: Path | None, json_: bool, quiet: bool, verbose: bool
) -> None:
    """Check files, or all files of the record in folders (default: this folder), by their md5.

    They are compared with --manifest, else with the lock beside them, else with the bundled md5 sums of record
    10613705. Exit code 4 if anything is wrong, short or unknown; 3 if files are missing only.

    \b
    s2ct verify checksums archives/
    s2ct verify checksums train_50SMG_462.7z --manifest md5sums.txt
    """
    from ..record.checksums import check_files
    from ..record.manifest import md5sum_line, read_manifest
    from ..show.bar import file_progress
    from ..show.tables import print_json

    if manifest is not None and not manifest.is_file():
        raise click.BadParameter(f"{manifest}: there is no such file", param_hint="--manifest")
    if write_ is not None and not write_.parent.is_dir():
        raise click.BadParameter(f"{write_.parent}: there is no such folder", param_hint="--write")
    known = read_manifest(manifest) if manifest else None
    with file_progress("reading", 0, quiet=quiet) as progress:
        found = check_files(paths or (Path(),), manifest=known, on_total=progress.set_total, on_bytes=progress.advance)
    if write_:
        lines = [md5sum_line(one.found, _relative(one.path, write_.parent)) for one in found if one.found]
        _write(write_, "".join(lines))
    counts = {state: sum(one.state.value == state for one in found) for state in _STATES}
    if json_:
        print_json({"files": [_document(one) for one in found], "counts": counts, "ok": counts["ok"] == len(found)})
    else:
        for one in found:
            if not quiet or one.state.value != "ok":
                print(_line(one))
        print(", ".join(f"{n} {state}" for state, n in counts.items() if n or state == "ok"))
    _raise(counts, len(found))


_STATES = ("ok", "wrong", "short", "missing", "unknown")


def _line(one: Checksum) -> str:
    told = {
        "wrong": f"  md5 {one.found}, expected {one.expected or 'one of the record'}",
        "short": f"  {one.size:,} bytes are there" if one.size is not None else "",
        "unknown": "  the record has no such file" if one.found is None else f"  md5 {one.found} is none of the record",
    }
    return f"{one.state.value.ljust(8)}{one.path}{told.get(one.state.value, '')}"


def _document(one: Checksum) -> dict[str, str | int | None]:
    return {
        "path": str(one.path),
        "state": one.state.value,
        "expected_md5": one.expected,
        "md5": one.found,
        "size": one.size,
    }


def _relative(path: Path, folder: Path) -> str:
    """As ``md5sum -c`` finds it from the folder the list is in."""
    import os

    return os.path.relpath(path, folder)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole; what is no file, as /dev/stdout, and what a link leads to is written as it is."""
    import os

    from ..durable import write_atomic

    data = os.fsencode(text)  # names in it need not be UTF-8
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(data)
    else:
        write_atomic(path, data)


def _raise(counts: dict[str, int], total: int) -> None:
    from ..errors import Difference, Incomplete

    if bad := counts["wrong"] + counts["short"] + counts["unknown"]:
        raise Difference(f"{bad} of {total} files are not as they should be", todo="fetch them again: s2ct download")
    if counts["missing"]:
        raise Incomplete(f"{counts['missing']} of {total} files are missing", todo="fetch them: s2ct download")


for command in (sources, store):
    verify.add_command(command)
