"""Work on files of a record in several threads, each with one connection at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..threads import WAKE_SECONDS
from .run import FetchRun

STOP_SECONDS = 0.7  # for lanes to clean up after Ctrl-C


def run_lanes(run: FetchRun, work: Callable[[], bool], lanes: int) -> None:
    """Call ``work`` in ``lanes`` threads, again and again, until it returns false or the run is stopped.

    The first exception of ``work`` stops all lanes and is raised here.
    """
    bugs: list[BaseException] = []
    ended = threading.Semaphore(0)

    def lane() -> None:
        try:
            while not run.stop.is_set() and work():
                pass
        except BaseException as error:  # raised below: an exception in a thread is not seen
            bugs.append(error)
            run.end()
        finally:
            ended.release()

    # Daemon threads: a lane that waits for a response must not keep the process alive after Ctrl-C.
    threads = [threading.Thread(target=lane, name=f"s2ct-lane-{i}", daemon=True) for i in range(lanes)]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            while not ended.acquire(timeout=WAKE_SECONDS):
                pass  # wake up to handle signals, also those delivered to another thread
        if bugs:  # a lane that died must not look finished
            raise bugs[0]
    except BaseException:
        run.end()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in filter(threading.Thread.is_alive, threads):  # a signal may arrive before all are started
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
