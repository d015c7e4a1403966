"""``s2ct verify``: checks of archives, TFRecords and stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..words import shell_path
from . import options
from .group import Group
from .record_options import fetch_again
from .results import print_json
from .stopping import NO_RESULT, keeps
from .verify_sources import sources
from .verify_store import store

if TYPE_CHECKING:
    from ..record.checksums import Checksum


@click.group(cls=Group, short_help="Check archives, TFRecords and stores.")
def verify() -> None:
    """Check archives, TFRecords and stores. The exit code is 0 only if every check passes."""


@verify.command(short_help="Check md5 sums of archives.")
@click.argument("paths", nargs=-1, type=options.DATA_PATH, metavar="[PATH]...")
@click.option("--manifest", type=options.ANY_PATH, help="An md5sum file or a lock to compare with.")
@click.option("--write", "write_", type=options.ANY_PATH, help="Write the md5 sums to a file for md5sum -c.")
@options.as_json
@options.progress
def checksums(
    paths: tuple[Path, ...], manifest: Path | None, write_: Path | None, json_: bool, quiet: bool, verbose: bool
) -> None:
    """Check the md5 of files, or of all files of the record in folders (default: this folder).

    The md5 is compared with --manifest, else with the lock beside the files, else with the locks in the folders of a
    folder, else with the bundled md5 sums of record 10613705. The exit code is 4 if a file is wrong, short or unknown,
    and 3 if files are only missing.

    \b
    s2ct verify checksums archives/
    s2ct verify checksums train_50SMG_462.7z --manifest md5sums.txt
    """
    import sys

    from ..errors import WrongUsage
    from ..kinds import kind_of
    from ..record.checksums import check_files
    from ..record.manifest import md5sum_line, read_manifest
    from ..show.progress import byte_progress
    from ..show.terminal import width_of

    if manifest is not None and not manifest.is_file():
        raise click.BadParameter(f"{manifest}: there is no such file", param_hint="--manifest")
    if write_ is not None and not write_.parent.is_dir():
        raise click.BadParameter(f"{write_.parent}: there is no such folder", param_hint="--write")
    for path in paths:
        if (kind := kind_of(path)) and kind.is_store:
            raise WrongUsage(
                f"this is {kind}; the record has no md5 of it",
                where=str(path),
                todo=f"s2ct verify store {shell_path(path)}",
            )
    known = read_manifest(manifest) if manifest else None
    keeps(NO_RESULT)
    with byte_progress("reading", quiet=quiet) as progress:
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
                for line in _lines(one, width_of(sys.stdout)):
                    print(line)
        print(", ".join(f"{n} {state}" for state, n in counts.items() if n or state == "ok"))
    _raise(found)


_STATES = ("ok", "wrong", "short", "missing", "unknown")


def _lines(one: Checksum, width: int | None) -> list[str]:
    """A file and what is wrong with it: one line, or more where a terminal has no room for md5 sums."""
    from ..show.terminal import line_of

    state, details = one.state.value.ljust(8), _details(one)
    if width is None or len(state) + len(str(one.path)) + len(details) <= width:
        return [f"{state}{one.path}{details}"]
    return [line_of(str(one.path), "", width, state), *(f"  {part.strip()}" for part in details.split(",") if part)]


def _details(one: Checksum) -> str:
    """What is wrong with a file; empty if nothing is."""
    return {
        "wrong": f"  md5 {one.found}, expected {one.expected or 'an md5 of the record'}",
        "short": f"  only {one.size:,} bytes" if one.size is not None else "",
        "unknown": "  the record has no such file" if one.found is None else f"  md5 {one.found} is not in the record",
    }.get(one.state.value, "")


def _document(one: Checksum) -> dict[str, str | int | None]:
    return {
        "path": str(one.path),
        "state": one.state.value,
        "expected_md5": one.expected,
        "md5": one.found,
        "size": one.size,
    }


def _relative(path: Path, folder: Path) -> str:
    """The path relative to the folder of the list, for ``md5sum -c`` in that folder."""
    import os

    return os.path.relpath(path, folder)


def _write(path: Path, text: str) -> None:
    """Replace a regular file atomically. Write directly to anything else, such as /dev/stdout or a symlink."""
    import os

    from ..durable import write_atomic

    data = os.fsencode(text)  # file names may not be valid UTF-8
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(data)
    else:
        write_atomic(path, data)


def _raise(found: list[Checksum]) -> None:
    from ..errors import Difference, Incomplete
    from ..words import plural

    wrong, short, missing, unknown = (
        [one.path for one in found if one.state.value == state] for state in ("wrong", "short", "missing", "unknown")
    )
    total = plural(len(found), "file")
    if bad := len(wrong) + len(short) + len(unknown):
        if wrong:
            todo = f"fetch only the damaged parts again: {fetch_again(wrong + short, repair=True)}"
        elif short:
            todo = f"download the rest: {fetch_again(short)}"
        else:
            todo = "give the list that has them: --manifest FILE; or move them away"
        raise Difference(f"{bad} of {total} {'does' if bad == 1 else 'do'} not match", todo=todo)
    if missing:
        is_ = "is" if len(missing) == 1 else "are"
        raise Incomplete(
            f"{len(missing)} of {total} {is_} missing", todo=f"download the rest: {fetch_again(missing, named=False)}"
        )


for command in (sources, store):
    verify.add_command(command)
