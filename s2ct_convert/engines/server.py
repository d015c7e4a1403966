"""The server that workers are forked from. Start it before large imports: then it and its parent import in parallel."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import forkserver, resource_tracker

# All modules that a worker uses, also those it would import later; otherwise each worker would import them again.
_PRELOAD = ["s2ct_convert.engines.worker", "s2ct_convert.archives.archive"]
_CONTAINERS = {"hdf5": "s2ct_convert.store.hdf5_container", "zarr": "s2ct_convert.store.zarr_container"}


def start_server(format: str | None = None) -> None:
    """Start the server, unless it runs, for stores of a format. Ctrl-C does not reach the server or a new worker."""
    containers = [_CONTAINERS[format]] if format else list(_CONTAINERS.values())
    resource_tracker.ensure_running()  # otherwise the server starts it, and unblocks the signal that is blocked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.set_forkserver_preload([*_PRELOAD, *containers])
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
