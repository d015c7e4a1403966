"""The server that workers are forked from. Start it before large imports: then it and its parent import in parallel."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker

# All modules that a worker uses, also those it would import later; otherwise each worker would import them again.
_PRELOAD = ["s2ct_convert.engines.worker", "s2ct_convert.archives.archive", "s2ct_convert.record.manifest", "numcodecs"]
_COMMANDS = "s2ct_convert.cli"  # multiprocessing imports the main script in each worker, and that of s2ct imports this
_LONGEST_FOLDER = 70  # bytes; Linux allows 107 for the path of a socket, macOS 103, and multiprocessing adds 32
_CONTAINERS = {"hdf5": "s2ct_convert.store.hdf5_container", "zarr": "s2ct_convert.store.zarr_container"}


def start_server(format: str | None = None) -> None:
    """Start the server, unless it runs, for stores of a format. Ctrl-C does not reach the server or a new worker."""
    modules = _PRELOAD + ([_CONTAINERS[format]] if format else list(_CONTAINERS.values()))
    if format != "zarr":
        modules.append("deflate")  # reads HDF5 stores; the server leaves out what is not installed
    if _COMMANDS in sys.modules:
        modules.append(_COMMANDS)
    resource_tracker.ensure_running()  # otherwise the server starts it, and unblocks the signal that is blocked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.set_forkserver_preload(modules)
        with _short_temporary_folder():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Let multiprocessing make its sockets in /tmp if TMPDIR is too long for the path of a socket."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) > _LONGEST_FOLDER and os.access("/tmp", os.W_OK | os.X_OK):
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = usual
