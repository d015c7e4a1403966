"""Processes from /proc on Linux, and what they print on a terminal."""

from __future__ import annotations

import os
from pathlib import Path

_SERVER = b"multiprocessing.forkserver"


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    out = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            out.append(int(status.parent.name))
    return out


def workers_of(pid: int) -> list[int]:
    """Worker processes of a run: forked from its fork server, with the same command line.

    Any other program that the server starts has this command line for a moment: libraries run ``uname`` on import.
    """
    return [worker for server in servers_of(pid) for worker in children_of(server) if _SERVER in command_of(worker)]


def servers_of(pid: int) -> list[int]:
    """The fork server that a process runs for its workers, if it has started."""
    return [child for child in children_of(pid) if _SERVER in command_of(child)]


def command_of(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def read_terminal(master: int) -> bytes:
    """All that a process prints on a pseudo-terminal, until it closes its end. Closes ``master``."""
    seen = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    return seen
