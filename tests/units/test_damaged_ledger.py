"""A damaged file of a ledger, plan, lease or receipt: not done, made again, or one error that names it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import s2ct_convert
from s2ct_convert.conversion.file_notes import read_note, write_note
from s2ct_convert.conversion.plan_file import read_plan, write_plan
from s2ct_convert.errors import S2ctError
from s2ct_convert.export.folder import check_folder
from s2ct_convert.lease import Lease
from s2ct_convert.names import UnitName, parse_name
from s2ct_convert.record.manifest import RecordFile, read_lock
from s2ct_convert.record.receipts import has_receipt, write_receipt
from s2ct_convert.source.notes import Note
from s2ct_convert.units.entries import Failure
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.plan import make_plan

pytestmark = pytest.mark.slow  # thousands of files; scripts/fuzz asks the same of a few in `make test`

VALUES: tuple[Any, ...] = (None, "x", -1, 1.5, [1], {"a": 1}, float("inf"), float("nan"), 10**30, True, "a\0b", [[]])
BYTES = {
    "empty": b"", "NUL": bytes(100), "a number": b"7", "null": b"null", "a list": b"[1, 2]", "text": b'"abc"',
    "not UTF-8": b"\xff\xfe{", "nested": b"[" * 100_000, "nested objects": b'{"a":' * 100_000, "torn": b'{"unit": "tr',
}  # fmt: skip
FILE = RecordFile("train_50SMG_2.7z", "0" * 32, 7)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A folder with a store that has one unit done and one failed, a plan, a lock, a receipt and a lease."""
    folder = tmp_path_factory.mktemp("good")
    sources = s2ct_convert.sample_sources()[:1]
    s2ct_convert.convert(sources, folder / "x.zarr")
    ledger = Ledger(folder / "x.zarr")
    (unit,) = ledger.planned()
    write_plan(make_plan(sources, folder / "x.zarr"), ledger.plan_path)
    ledger.write_failure(Failure(str(unit), "a", 5, "m", "h", 3))
    ledger.refused.note(unit, ["b"])
    ledger.refused.note_others(["a"])
    write_note(ledger, FILE, ())
    (folder / "a").write_bytes(b"x")
    write_receipt(folder, "a", "0" * 32)
    lock = {"s2ct_lock": 1, "record": "1", "files": [{"key": "a", "md5": "0" * 32, "size": 1}], "doi": ""}
    (folder / "1.lock.json").write_text(json.dumps(lock))
    lease = {"host": "h", "pid": 7, "boot": "b", "started": 3, "lease": "x"}
    (ledger.path / "leases" / "run.lease").write_text(json.dumps(lease))
    (folder / "out").mkdir()
    (folder / "out" / "export.json").write_text(json.dumps({"s2ct_export": "1", "files": {"a": {}}}))
    note = {"file": FILE.key, "units": [{"unit": str(unit), "member": "a", "content": [1, 2]}]}
    next((ledger.path / "files").iterdir()).write_text(json.dumps(note))
    return folder


def entry(folder: Path) -> object:
    """The entry, used as a summary and ``s2ct info`` use it."""
    found = Ledger(folder / "x.zarr").entry(UNIT)
    if found:
        sums = [found.bytes + found.samples + found.observations + found.source_bytes, found.seconds * 1.0]
        return sums, [note.line() for note in found.notes], [sum(found.label_count)], found.source_file.split()
    return None


def lease(folder: Path) -> object:
    one = Lease(Ledger(folder / "x.zarr").path / "leases" / "run.lease", folder, "busy", beats=True)
    return one.owner(), one._state(), one._is_ours()


def note(folder: Path) -> object:
    found = read_note(Ledger(folder / "x.zarr"), FILE) or ()
    return [(UnitName.from_path(one.unit), one.member, one.candidate(FILE)) for one in found]


UNIT = parse_name(s2ct_convert.sample_sources()[0].name)[0]
READERS: dict[str, Callable[[Path], object]] = {
    f"x.zarr.s2ct/units/{UNIT.key}.json": entry,
    f"x.zarr.s2ct/failed/{UNIT.key}.json": lambda folder: Ledger(folder / "x.zarr").failure(UNIT),
    "x.zarr.s2ct/refused.json": lambda folder: ", ".join(Ledger(folder / "x.zarr").refused.names([])),
    f"x.zarr.s2ct/refused/{UNIT.key}.json": lambda folder: ", ".join(Ledger(folder / "x.zarr").refused.names([UNIT])),
    "x.zarr.s2ct/store.json": lambda folder: [str(unit) for unit in Ledger(folder / "x.zarr").planned()],
    "x.zarr.s2ct/plan.json": lambda folder: read_plan(folder / "x.zarr.s2ct" / "plan.json").units,
    "x.zarr.s2ct/leases/run.lease": lease,
    "x.zarr.s2ct/files": note,
    "1.lock.json": lambda folder: read_lock(folder, "1"),
    ".s2ct-receipts": lambda folder: has_receipt(folder, "a", "0" * 32),
    "out/export.json": lambda folder: check_folder(folder / "out", overwrite=True),
}  # fmt: skip


@pytest.fixture
def damaged(good, tmp_path) -> Callable[[str], Path]:
    """Copies the folder; gives the file of a reader in it."""
    shutil.copytree(good, tmp_path / "x")

    def path_of(name: str) -> Path:
        path = tmp_path / "x" / name
        return next(path.iterdir()) if path.is_dir() else path

    return path_of


def ask(name: str, path: Path) -> object:
    """The answer of a reader; an error is one of ours, or of the system with the path of the file."""
    folder = next(parent for parent in path.parents if parent.name == "x")
    try:
        return READERS[name](folder)
    except S2ctError as error:
        return error
    except OSError as error:
        assert error.filename
        return error


def with_values(document: Any) -> list[Any]:
    """The document with each value replaced by each of ``VALUES``, and without it."""
    out: list[Any] = []
    if isinstance(document, dict | list):
        keys = list(document) if isinstance(document, dict) else range(min(len(document), 1))
        for key in keys:
            copies = [(key, value) for value in (*VALUES, *with_values(document[key]))]
            for at, value in copies:
                copy = document.copy()
                copy[at] = value
                out.append(copy)
            if isinstance(document, dict):
                out.append({name: value for name, value in document.items() if name != key})
    return out


@pytest.mark.parametrize("name", READERS)
def test_any_value_in_a_file_is_an_answer_or_one_error(damaged, name):
    path = damaged(name)
    original = path.read_bytes()
    for content in BYTES.values():
        path.write_bytes(content)
        ask(name, path)
    for document in with_values(json.loads(original)):
        path.write_text(json.dumps(document))
        ask(name, path)


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_or_a_folder_in_place_of_a_file_never_blocks(damaged, name, kind):
    path = damaged(name)
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    ask(name, path)


def test_a_note_of_a_later_version_means_not_done(damaged):
    path = damaged(f"x.zarr.s2ct/units/{UNIT.key}.json")
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "notes": [vars(Note("of_tomorrow", 1, ""))]}))
    assert ask(f"x.zarr.s2ct/units/{UNIT.key}.json", path) is None
