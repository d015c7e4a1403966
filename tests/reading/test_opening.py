"""Errors while opening name the cause and never advise to delete an unreadable file."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import DestinationExists, MachineError, NotAStore, S2ctError, StoreDamaged
from s2ct_convert.reading.opening import open_store
from s2ct_convert.store import hdf5_file

WRITER = "import sys, h5py; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"


@pytest.fixture(params=["h5", "linked"])
def own(request, made, tmp_path) -> Path:
    """A copy of an HDF5 store, without its ledger."""
    folder = Path(shutil.copytree(made[request.param].parent, tmp_path / "own"))
    for other in folder.glob("*.s2ct"):
        shutil.rmtree(other)
    return folder / made[request.param].name


def hdf5_files(store: Path) -> list[Path]:
    """The first and the last file that opening a store opens."""
    units = store.with_name(f"{store.name}.units")
    return [store, *sorted(units.glob("*.h5"))[-1:]]


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that has a file open for writing."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.stdin.close()  # the program then closes the file, unless it was killed
            process.wait()


def names_the_lock(text: str) -> bool:
    low = text.lower()
    words = "lock" in low and "another program" in low and "HDF5_USE_FILE_LOCKING=FALSE" in text
    return words and not any(word in low for word in ("damaged", "delete", "--overwrite", "missing"))


def test_a_file_open_for_writing_is_locked_and_not_damaged(own):
    for path in hdf5_files(own):
        with writer(path), pytest.raises(MachineError) as error:
            open_store(own)
        assert error.value.exit_code == 6
        assert error.value.where == str(path)
        assert names_the_lock(str(error.value)), str(error.value)


@pytest.mark.parametrize("command", ["info", "preview", "verify store", "croissant"])
def test_every_command_names_the_lock(s2ct, own, command, tmp_path):
    with writer(own):
        done = s2ct(*command.split(), own, cwd=tmp_path)
    assert done.returncode == 6, done.stderr
    assert names_the_lock(done.stderr), done.stderr
    assert "cannot open the" not in done.stdout


def test_a_locked_store_is_never_overwritten(s2ct, own, made_sources):
    before = {path: path.read_bytes() for path in own.parent.rglob("*") if path.is_file()}
    with writer(own):
        for flag in ([], ["--overwrite"]):
            done = s2ct("convert", made_sources[0], own, *flag)
            assert done.returncode == 6, done.stderr
            assert names_the_lock(done.stderr), done.stderr
    after = {path: path.read_bytes() for path in own.parent.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} <= {own}  # its writer marks it as open


@pytest.mark.every_variant
@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gives_the_lock_error(made, monkeypatch, number):
    """The message of HDF5 1.14, H5FD__sec2_lock."""

    def refuse(*_: object) -> None:
        message = f"unable to lock file, errno = {number}, error message = '{os.strerror(number)}'"
        raise OSError(number, f"Unable to synchronously open file ({message})")

    monkeypatch.setattr(hdf5_file.h5py, "File", refuse)
    with pytest.raises(MachineError) as error:
        open_store(made["h5"])
    assert names_the_lock(str(error.value))


@pytest.mark.every_variant
@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM])
@pytest.mark.parametrize("number_in", ["the error", "its text"])
def test_an_error_of_the_operating_system_is_a_machine_error(made, monkeypatch, number, number_in):
    def refuse(*_: object) -> None:
        message = f"unable to open file: errno = {number}, error message = '{os.strerror(number)}', flags = 0"
        raise OSError(number, message) if number_in == "the error" else RuntimeError(message)

    monkeypatch.setattr(hdf5_file.h5py, "File", refuse)
    with pytest.raises(MachineError, match=os.strerror(number)) as error:
        open_store(made["h5"])
    assert error.value.where == str(made["h5"])


@pytest.mark.parametrize("kind", ["zarr", "h5"])
def test_too_many_open_files_are_not_damage(made, kind):
    open_store(made[kind]).close()  # imports all modules
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
        with pytest.raises(OSError, match="Too many"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(MachineError, match="Too many open files"):
            open_store(made[kind])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
@pytest.mark.parametrize("kind", ["zarr", "h5"])
def test_a_missing_permission_is_not_damage(made, tmp_path, kind):
    copy = shutil.copytree if kind == "zarr" else shutil.copy
    own = Path(copy(made[kind], tmp_path / f"own.{kind}"))
    (own / "zarr.json" if kind == "zarr" else own).chmod(0)
    with pytest.raises(MachineError, match="Permission denied"):
        open_store(own)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def left_by_a_dead_writer(path: Path) -> None:
    with writer(path) as process:
        process.kill()
        process.wait()


def foreign_hdf5(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["images"] = [1]


def not_hdf5(path: Path) -> None:
    path.write_text("tile,localid\n")


def of_a_newer_layout(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["s2ct_layout_version"] = 99


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (truncated, StoreDamaged, "truncated"),
        (left_by_a_dead_writer, StoreDamaged, "died while it wrote"),
        (foreign_hdf5, NotAStore, "not an s2ct store"),
        (not_hdf5, NotAStore, "neither a Zarr directory nor an HDF5 file"),
        (of_a_newer_layout, NotAStore, "layout version 99"),
    ],
)
def test_each_other_cause_has_its_own_error(made, tmp_path, make, error, words):
    own = Path(shutil.copy(made["h5"], tmp_path / "own.h5"))
    make(own)
    with pytest.raises(error, match=words) as caught:
        open_store(own)
    assert type(caught.value) is error
    assert "delete" not in str(caught.value)
    assert "--overwrite" not in str(caught.value)


@pytest.mark.parametrize("make", [truncated, left_by_a_dead_writer])
def test_verification_of_an_unopened_file_gives_no_advice(s2ct, made, tmp_path, make):
    own = Path(shutil.copy(made["h5"], tmp_path / "own.h5"))
    make(own)
    done = s2ct("verify", "store", own)
    assert done.returncode == 4
    assert "cannot open the store" in done.stdout
    assert "delete" not in done.stdout + done.stderr
    assert "--overwrite" not in done.stdout + done.stderr


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_of_unknown_origin_is_not_deleted(made, made_sources, tmp_path, overwrite):
    own = Path(shutil.copy(made["h5"], tmp_path / "own.h5"))
    truncated(own)
    before = own.read_bytes()
    with pytest.raises(DestinationExists) as error:
        s2ct_convert.convert(made_sources[:1], own, overwrite=overwrite)
    assert "--overwrite" not in error.value.todo
    assert own.read_bytes() == before


def test_an_unreadable_ledger_is_not_deleted(tmp_path, rng):
    source = write_tfrecord(tmp_path / "s", [random_group(rng, 1, 2)])
    s2ct_convert.convert([source], tmp_path / "x.zarr")
    (tmp_path / "x.zarr.s2ct/store.json").write_text("{")
    with pytest.raises(S2ctError) as error:
        s2ct_convert.convert([source], tmp_path / "x.zarr")
    assert "ledger" in str(error.value)
    assert "--overwrite" not in str(error.value)
