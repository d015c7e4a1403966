"""Kills a conversion with SIGKILL before its first durable step, its second, ... its last, and resumes each time.

A durable step is a system call whose effect survives a crash: fsync, rename, unlink, mkdir. Run as a program, because
only a process without threads can fork safely:

    crash_driver.py SUFFIX LINKED|WHOLE NEW|GROWN STRIDE WORK SOURCE...

With GROWN, the store already holds its first source. With a stride of 5, only every fifth step is tried.

Prints the number of steps, or what was wrong and at which step.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# Imported before the first fork, so that the conversions do not import them again.
import numcodecs  # noqa: F401

import s2ct_convert
import s2ct_convert.conversion.convert
import s2ct_convert.reading.hdf5_groups
import s2ct_convert.reading.opening
import s2ct_convert.store.hdf5_container
import s2ct_convert.store.zarr_container
from s2ct_convert.errors import S2ctError

STEPS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir")


def die_before(step: int) -> None:
    """Kill this process before its ``step``-th durable step."""
    left, lock = step, threading.Lock()

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal left
            with lock:
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process; return its wait status."""
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def content(root: Path) -> dict[str, bytes]:
    """Every file of a store by its path, with its linked units."""
    files = [path for path in root.parent.rglob("*") if path.is_file() and ".s2ct" not in path.as_posix()]
    return {path.relative_to(root.parent).as_posix(): path.read_bytes() for path in files}


def looks_complete(store: Path) -> bool:
    try:
        with s2ct_convert.open_store(store):
            return True
    except S2ctError:
        return False


def main() -> None:
    suffix, linked, grown = sys.argv[1], sys.argv[2] == "linked", sys.argv[3] == "grown"
    stride, work, sources = int(sys.argv[4]), Path(sys.argv[5]), sys.argv[6:]
    os.environ["SOURCE_DATE_EPOCH"] = "86400"
    before, undisturbed, store = (work / name / f"x.{suffix}" for name in ("before", "undisturbed", "crashed"))

    def convert(to: Path, sources: list[str] = sources) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        s2ct_convert.convert(sources, to, linked=linked, command="s2ct convert in x")

    assert in_child(lambda: convert(undisturbed)) == 0
    before.parent.mkdir()
    if grown:
        assert in_child(lambda: convert(before, sources[:1])) == 0

    def crash() -> None:
        shutil.copytree(before.parent, store.parent)
        die_before(step)
        convert(store)

    def resume() -> None:
        right = content(undisturbed)
        if looks_complete(store):
            left_over = content(store).keys() - right.keys()
            assert all(f"{store.name}.units" in name for name in left_over), "extra files in a complete store"
            is_whole = content(store).items() >= right.items()
            assert is_whole or (grown and content(store).items() >= content(before).items()), (
                "looks complete and is not"
            )
        convert(store)
        assert content(store) == right, "resuming gave another store"
        strays = {path.name for path in store.parent.iterdir()} - {path.name for path in undisturbed.parent.iterdir()}
        assert not strays, f"left behind: {strays}"
        assert not list((store.parent / f"{store.name}.s2ct" / "work").iterdir()), "left behind in the ledger"
        assert not [path for path in store.parent.rglob("*") if "s2ct-tmp" in path.name], "left behind"

    step = 1
    while True:
        shutil.rmtree(store.parent, ignore_errors=True)
        status = in_child(crash)
        if in_child(resume):
            sys.exit(f"after a kill before step {step}")
        if not os.WIFSIGNALED(status):
            break
        step += stride
    assert os.waitstatus_to_exitcode(status) == 0
    print(step)


if __name__ == "__main__":
    main()
