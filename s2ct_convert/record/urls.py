"""URLs of files in the formats of other downloaders."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from .api import file_urls
from .manifest import RecordFile


def _plain(base: str, record: str, file: RecordFile) -> str:
    return f"{file_urls(base, record, file.key)[0]}\n"


def _aria2(base: str, record: str, file: RecordFile) -> str:
    """Both URLs of a file, its name and its md5, in the format of ``aria2c -i``."""
    return "\t".join(file_urls(base, record, file.key)) + f"\n  out={file.key}\n  checksum=md5={file.md5}\n"


def _wget(base: str, record: str, file: RecordFile) -> str:
    folder = file.key.rpartition("/")[0]  # wget does not create it
    make = f"{shlex.join(['mkdir', '-p', folder])} && " if folder else ""
    return make + shlex.join(["wget", "-c", "-O", file.key, file_urls(base, record, file.key)[0]]) + "\n"


def _curl(base: str, record: str, file: RecordFile) -> str:
    url = file_urls(base, record, file.key)[0]
    return shlex.join(["curl", "-fL", "-C", "-", "--create-dirs", "-o", file.key, url]) + "\n"


FORMATS: dict[str, Callable[[str, str, RecordFile], str]] = {
    "plain": _plain,
    "aria2": _aria2,
    "wget": _wget,
    "curl": _curl,
}
