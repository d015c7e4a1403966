"""md5 of files, several at a time, stopped at once when the user stops."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BLOCK = 1 << 20


def md5s(paths: Sequence[Path], on_bytes: Callable[[int], None], threads: int | None = None) -> Generator[str]:
    """md5 of each file, in order, as they come; ``on_bytes`` is told, from many threads, of bytes read.

    To be closed by whoever may stop in between, so that no thread goes on reading.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max(1, min(len(paths), threads or os.cpu_count() or 1))) as pool:
        try:
            yield from pool.map(lambda path: _md5(path, on_bytes, stop), paths)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _md5(path: Path, on_bytes: Callable[[int], None], stop: threading.Event) -> str:
    """md5 of a file; of its beginning, which nobody will look at, if ``stop`` is set."""
    md5, buffer = hashlib.md5(usedforsecurity=False), memoryview(bytearray(_BLOCK))
    with open(path, "rb", buffering=0) as file:
        while (n := file.readinto(buffer)) and not stop.is_set():
            md5.update(buffer[:n])
            on_bytes(n)
    return md5.hexdigest()
