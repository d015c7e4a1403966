"""Download, list, check and extract from Python, with the public names of the package."""

from __future__ import annotations

import doctest
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Unpack, get_args, get_origin, get_type_hints

import pytest
from makers import random_group, tfrecord_bytes, write_archive
from servers.zenodo import RECORD, StandIn, serving

import s2ct_convert
from s2ct_convert import Check, State
from s2ct_convert.errors import WrongUsage
from s2ct_convert.record.events import FileStarted

pytestmark = pytest.mark.every_variant  # all are quick

TRAIN, VAL, ABOUT = "train_50SMG_2.7z", "val_50SMG_2.7z", "about.txt"


@pytest.fixture
def zenodo(tmp_path, rng, monkeypatch) -> Iterator[StandIn]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "ZENODO" in name:
            monkeypatch.delenv(name)
    files = {ABOUT: b"about this record\n"}
    for key in (TRAIN, VAL):
        data = tfrecord_bytes([random_group(rng, localid, 2) for localid in (1, 2)])
        files[key] = write_archive(tmp_path / "made" / key, {key.removesuffix(".7z"): data}).read_bytes()
    with serving(files) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


def test_a_record_is_listed_fetched_checked_unpacked_and_read(zenodo, tmp_path):
    folder = str(tmp_path / "archives")
    listed = s2ct_convert.list_files(folder, record=RECORD, tiles=["50SMG"])
    assert [(one.file.key, one.file.size, one.state, one.have) for one in listed] == [
        (key, len(zenodo.files[key]), State.MISSING, 0) for key in (TRAIN, VAL)
    ]
    assert not Path(folder).exists()

    events: list[object] = []
    report = s2ct_convert.download(folder, record=RECORD, splits=["train"], on_event=events.append)
    assert isinstance(report, s2ct_convert.Report)
    assert [done.key for done in report.done] == [TRAIN]
    assert (report.before, report.failed, report.left) == ((), (), ())
    assert report.done[0] in events

    found = s2ct_convert.check_files(folder)
    assert {one.path.name: one.state for one in found} == {TRAIN: Check.OK, VAL: Check.MISSING, ABOUT: Check.MISSING}
    assert [one.state for one in s2ct_convert.check_files([Path(folder, TRAIN)])] == [Check.OK]

    here = s2ct_convert.list_files(folder, record=RECORD, offline=True)
    assert {one.file.key: one.state for one in here} == {TRAIN: State.OK, VAL: State.MISSING, ABOUT: State.MISSING}

    (unpacked,) = s2ct_convert.extract_archive(f"{folder}/{TRAIN}", folder)
    assert unpacked.path == Path(folder, TRAIN.removesuffix(".7z"))
    assert len(list(s2ct_convert.read_examples(unpacked.path))) == 2


def test_files_are_compared_with_a_manifest_given_by_its_path(zenodo, tmp_path):
    folder = tmp_path / "archives"
    s2ct_convert.download(folder, record=RECORD)
    lock = (folder / f"{RECORD}.lock.json").rename(tmp_path / "kept.json")
    (folder / VAL).write_bytes(zenodo.files[VAL][::-1])
    states = {one.path.name: one.state for one in s2ct_convert.check_files(str(folder), manifest=str(lock))}
    assert states == {TRAIN: Check.OK, VAL: Check.WRONG, ABOUT: Check.OK}


def test_a_failed_download_raises_an_error_with_the_report(zenodo, tmp_path):
    zenodo.files[VAL] = b"another file"
    true = zenodo.document()
    zenodo.files[VAL] = b"another FILE"
    zenodo.document = lambda: true
    with pytest.raises(s2ct_convert.FilesFailed) as caught:
        s2ct_convert.download(tmp_path, record=RECORD)
    assert isinstance(caught.value, s2ct_convert.S2ctError)
    assert [failed.key for failed in caught.value.report.failed] == [VAL]
    assert {done.key for done in caught.value.report.done} == {TRAIN, ABOUT}


def test_an_error_in_the_callback_ends_the_download(zenodo, tmp_path):
    """A lane that dies must not look finished."""

    def listen(event: object) -> None:
        if isinstance(event, FileStarted) and event.key == VAL:
            raise ZeroDivisionError("of the caller")

    with pytest.raises(ZeroDivisionError, match="of the caller"):
        s2ct_convert.download(tmp_path, record=RECORD, on_event=listen)
    assert not (tmp_path / VAL).exists()
    assert list(tmp_path.glob("*.lease")) == []
    s2ct_convert.download(tmp_path, record=RECORD)
    assert {key: (tmp_path / key).read_bytes() for key in zenodo.files} == zenodo.files


def test_urls_equal_those_of_the_command(s2ct, zenodo, tmp_path):
    for form in ("plain", "aria2", "wget", "curl"):
        printed = s2ct("urls", tmp_path, "--record", RECORD, "--format", form, "--tile", "50SMG").stdout
        urls = s2ct_convert.list_urls(tmp_path, format=form, record=RECORD, tiles=["50SMG"])
        assert "".join(urls) == printed
        assert len(urls) == 2
    with pytest.raises(WrongUsage, match="no such format"):
        s2ct_convert.list_urls(tmp_path, format="axel", record=RECORD)


def test_offline_without_a_lock_is_an_error(zenodo, tmp_path):
    with pytest.raises(WrongUsage, match="has no lock"):
        s2ct_convert.list_files(tmp_path, record=RECORD, offline=True)
    assert zenodo.requests == []


def parameters(function: Callable[..., object]) -> set[str]:
    """Names of all parameters, also of those that are typed by ``**x: Unpack[SomeTypedDict]``."""
    names = set(inspect.signature(function).parameters)
    for name, hint in get_type_hints(function).items():
        if get_origin(hint) is Unpack:
            names = names - {name} | set(get_args(hint)[0].__annotations__)
    return names


@pytest.mark.parametrize("name", s2ct_convert.__all__)
def test_every_public_name_exists_and_is_documented(name):
    value = getattr(s2ct_convert, name)
    if inspect.isfunction(value):
        assert value.__doc__
        assert {one for one in parameters(value) if one not in value.__doc__} == set()


@pytest.mark.parametrize("name", ["download", "check_files", "list_files", "list_urls", "extract_archive"])
def test_examples_in_docstrings_run_or_are_marked(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(s2ct_convert, name), name)
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_importing_the_package_loads_nothing_heavy():
    code = "import s2ct_convert, sys; print([m for m in ('numpy', 'zarr', 'urllib3', 'h5py') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
