"""Helpers for tests of the command line: small sources, and checks that apply to every failure."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from makers import Group, example_bytes, random_group, record_bytes, tfrecord_bytes, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import Incomplete, NotAStore

Done = subprocess.CompletedProcess[str]

_INTERNALS = re.compile(
    r"Traceback|\bFile \"|\bline \d+, in|object at 0x|<class |\[Errno|NoneType|\b\w+Error\b|\b\w+Exception\b|py7zr|h5py"
)
_LEFT_OVER = re.compile(r"^\.|tmp|\.part$|\.sorted$")


def groups(*localids: int, n: int = 2, seed: int = 1) -> list[Group]:
    """Valid examples with ``n`` timestamps each."""
    rng = np.random.default_rng([seed, *localids])
    return [random_group(rng, localid, n) for localid in localids]


RECORDS = tfrecord_bytes(groups(7, 3))  # a file of two records


def right_source(folder: Path, unit: str = "train_50SMG", localids: tuple[int, ...] = (7, 3)) -> Path:
    """A small valid TFRecord."""
    return write_tfrecord(folder, groups(*localids), unit=unit)


def iso(days: int) -> str:
    """Days since 1970-01-01 as a date in JSON."""
    return str(np.datetime64(days, "D"))


def boundaries(parts: list[Group]) -> list[int]:
    """Byte offsets of the records of a TFRecord with these groups, and of its end."""
    return np.cumsum([0, *(len(record_bytes(example_bytes(group))) for group in parts)]).tolist()


def closing_message(done: Done) -> str:
    """The closing message of ``s2ct``, after all lines about units."""
    lines = done.stderr.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(("s2ct: ", "Usage: "))]
    assert len(starts) == 1, f"not one closing message:\n{done.stderr}"
    return "\n".join(lines[starts[0] :])


def assert_says(done: Done, exit_code: int, *parts: str) -> None:
    """Check the exit code, one closing message, that each part is in stderr, and that no Python internals are shown."""
    assert done.returncode == exit_code, done.stderr
    closing_message(done)
    assert not _INTERNALS.search(done.stderr), done.stderr
    assert not _INTERNALS.search(done.stdout), done.stdout
    for part in parts:
        assert part in done.stderr, f"{part!r} is not in:\n{done.stderr}"


def assert_unit_failed(done: Done, exit_code: int, name: str, *parts: str) -> None:
    """Check that one source failed, with one message that starts with the file name and contains ``parts``."""
    assert_says(done, exit_code)
    messages = failure_messages(done)
    assert len(messages) == 1, done.stderr
    what = messages[0].splitlines()[0]
    assert what.startswith((f"{name}: ", f"{name}.7z: ")) or f"/{name}: " in what, what
    for part in parts:
        assert part in messages[0], messages[0]
        assert messages[0].count(part) >= 1
    assert done.stderr.count(what) == 1, "the same message twice"


def failure_messages(done: Done) -> list[str]:
    """The message after each ``FAILED``."""
    found = re.findall(r": FAILED\n(.*\n(?:  .*\n)*)", done.stderr)
    assert len(found) == done.stderr.count("FAILED")
    return found


def assert_no_store(store: Path) -> None:
    """Check that there is no complete store at this path, and no temporary file."""
    if store.suffix == ".zarr" and store.exists():
        attributes = json.loads((store / "zarr.json").read_text())["attributes"]
        assert attributes["state"] == "incomplete"
        assert "content_digest" not in attributes or not attributes["content_digest"]
    else:
        assert not store.exists()
    with pytest.raises((Incomplete, NotAStore)):
        s2ct_convert.open_store(store)
    assert_tidy(store)


def assert_tidy(store: Path) -> None:
    """Check that beside a store are only its ledger and, for HDF5, the files of its units; no temporary files."""
    beside = {path.name for path in store.parent.iterdir() if store.name in path.name}
    units = {f"{store.name}.units"} if store.suffix == ".h5" else set()
    assert beside <= {store.name, f"{store.name}.s2ct"} | units
    work = store.with_name(f"{store.name}.s2ct") / "work"
    assert not work.exists() or not list(work.iterdir())
    for folder in (store, *(store.with_name(name) for name in beside)):
        assert [path for path in folder.rglob("*") if _LEFT_OVER.search(path.name)] == []


def state(store: Path) -> dict[str, str]:
    """The digests of the units of a complete store, by unit."""
    with s2ct_convert.open_store(store) as opened:
        return {str(name): unit.digest for name, unit in opened.units.items()}


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content, and every folder with None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
