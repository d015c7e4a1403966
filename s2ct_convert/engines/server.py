"""The server that workers are forked from. Begun before anything large is imported, it imports beside its parent."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import forkserver, resource_tracker

# What a worker needs, with what it would import as it goes: each would have to do it anew.
_PRELOAD = [
    "s2ct_convert.engines.worker",
    "s2ct_convert.archives.archive",
    "s2ct_convert.store.hdf5_container",
    "s2ct_convert.store.zarr_container",
]


def start_server() -> None:
    """Start the server, unless it runs. Ctrl-C reaches neither it nor a new worker."""
    resource_tracker.ensure_running()  # or the server does it, and lifts what is blocked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.set_forkserver_preload(_PRELOAD)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
