"""Processes as Linux tells of them in /proc."""

from __future__ import annotations

from pathlib import Path

_SERVER = b"multiprocessing.forkserver"


def children_of(pid: int) -> list[int]:
    """Processes whose parent this is."""
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
    """Processes that make units for this one: forked from the server it keeps, whose command line they have.

    So has, for a moment, any other program that the server starts: libraries ask ``uname`` while they are imported.
    """
    return [worker for server in servers_of(pid) for worker in children_of(server) if _SERVER in command_of(worker)]


def servers_of(pid: int) -> list[int]:
    """The server this process keeps for its workers, if it has begun."""
    return [child for child in children_of(pid) if _SERVER in command_of(child)]


def command_of(pid: int) -> bytes:
    """Its command line; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
