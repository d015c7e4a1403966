"""``s2ct doctor``."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import click

from . import options, record_options
from .results import print_json


@click.command(short_help="Examine this machine: versions, unpackers, locks, limits, network.")
@click.argument("folder", type=options.ANY_PATH, default=".", metavar="[FOLDER]")
@click.option("--offline", is_flag=True, help="Do not ask the service.")
@record_options.which_record
@options.as_json
@options.debugging
def doctor(folder: Path, offline: bool, record: str, base_url: str | None, user_agent: str | None, json_: bool) -> None:
    """Examine what s2ct needs: software, FOLDER for stores (default: this folder), limits of this process, network.

    Writes two small files to FOLDER, deletes them, and asks the service once (10 seconds at most). A problem is a
    finding, not an error: the exit code is 0.

    \b
    s2ct doctor
    s2ct doctor /scratch/me --offline
    s2ct doctor --json > doctor.json
    """
    from ..doctor.examine import examine

    found = examine(folder, offline=offline, record=record, base_url=base_url, user_agent=user_agent)
    problems = [{"what": one.what, "todo": one.todo} for one in found.problems]
    if json_:
        advice = [{"what": one.what, "todo": one.todo} for one in found.advice]
        print_json({**found.values, "problems": problems, "advice": advice, "ok": not problems})
        return
    width = max(len(name) for name, _ in found.facts)
    for name, words in found.facts:
        _print(name.ljust(width + 2), words)
    print()
    for one in found.advice:
        _print("advice:  ", one.what)
        _print("         ", one.todo)
    for one in found.problems:
        _print("problem: ", one.what)
        _print("  to do: ", one.todo)
    if not problems:
        print("No problem found")


def _print(head: str, words: str) -> None:
    """Print a line after its head, in lines of the terminal's width. Paths are not broken."""
    width = max(40, min(shutil.get_terminal_size().columns, 100) - len(head))
    lines = textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines or [""]):
        print((head if number == 0 else " " * len(head)) + line)
