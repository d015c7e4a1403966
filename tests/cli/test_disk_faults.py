"""A disk that fails while it is read or written (EIO), and sources that change or are cut while they are read."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from archives.sevenzip import handmade, put
from makers import random_group, write_tfrecord
from servers.zenodo import RECORD, serving

import s2ct_convert
from s2ct_convert.archives.extract import extract_archive
from s2ct_convert.errors import EXIT_MACHINE, S2ctError
from s2ct_convert.names import UnitName
from s2ct_convert.units.events import UnitProgress
from s2ct_convert.units.ledger import Ledger

pytestmark = pytest.mark.slow

# Fails the Nth read or write of files whose path contains $EIO_PATH: read, pread64, write, pwrite64, fsync.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd, const char *what) {
    static int seen;
    char link[64], path[4096];
    const char *wanted = getenv("EIO_PATH"), *call = getenv("EIO_CALL");
    if (!wanted || !call || strcmp(call, what)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    if (!strstr(path, wanted) || ++seen < atoi(getenv("EIO_AFTER"))) return 0;
    errno = EIO;
    return 1;
}
#define REAL(name) ((ssize_t (*)())dlsym(RTLD_NEXT, name))
ssize_t read(int fd, void *p, size_t n) { return fails(fd, "read") ? -1 : REAL("read")(fd, p, n); }
ssize_t pread64(int fd, void *p, size_t n, off_t o) { return fails(fd, "read") ? -1 : REAL("pread64")(fd, p, n, o); }
ssize_t pread(int fd, void *p, size_t n, off_t o) { return fails(fd, "read") ? -1 : REAL("pread64")(fd, p, n, o); }
ssize_t write(int fd, const void *p, size_t n) { return fails(fd, "write") ? -1 : REAL("write")(fd, p, n); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t o) {
    return fails(fd, "write") ? -1 : REAL("pwrite64")(fd, p, n, o);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t o) {
    return fails(fd, "write") ? -1 : REAL("pwrite64")(fd, p, n, o);
}
int fsync(int fd) { return fails(fd, "fsync") ? -1 : (int)REAL("fsync")(fd); }
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "eio.c").write_text(SHIM)
    subprocess.run(["cc", "-w", "-shared", "-fPIC", "-o", "eio.so", "eio.c", "-ldl"], cwd=folder, check=True)
    return folder / "eio.so"


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return Path(shutil.copy(s2ct_convert.sample_sources()[0], tmp_path / "in"))


def s2ct(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s2ct_convert", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=200
    )


COMMANDS = {
    "convert to Zarr": (("convert", "in", "x.zarr", "-j1", "--unpacker", "python"), "x.zarr"),
    "convert to HDF5": (("convert", "in", "x.h5", "-j1", "--unpacker", "python"), "x.h5"),
    "extract": (("extract", "in", "out", "--unpacker", "python"), "out"),
    "verify sources": (("verify", "sources", "in", "--unpacker", "python"), None),
}


@pytest.mark.parametrize("call", ["read", "write", "fsync"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_error_ends_a_command_with_the_file_and_it_resumes(shim, source, tmp_path, command, call):
    words, made = COMMANDS[command]
    place = f"/in/{source.name}" if call == "read" else f"/{made}"
    if made is None and call != "read":
        pytest.skip("it writes nothing")
    environment = {
        "LD_PRELOAD": str(shim),
        "EIO_PATH": place,
        "EIO_CALL": call,
        "EIO_AFTER": "1" if made == "out" else "4",
    }
    done = s2ct(*words, cwd=tmp_path, **environment)
    assert done.returncode == EXIT_MACHINE, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Input/output error" in done.stderr + done.stdout
    assert source.name in done.stderr + done.stdout or str(made) in done.stderr
    again = s2ct(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    if made == "out":
        assert [one.name for one in (tmp_path / "out").iterdir()] == [source.stem]
    elif made:
        assert s2ct("verify", "store", made, "--against", "in", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("call", ["read", "write", "fsync"])
def test_a_disk_error_ends_a_download_and_it_resumes(shim, tmp_path, call):
    data = os.urandom(900_000)
    with serving({"train_50SMG_2.7z": data}) as zenodo:
        environment = {"S2CT_ZENODO_URL": zenodo.url}
        words = ("download", "out", "--record", RECORD)
        faults = {"LD_PRELOAD": str(shim), "EIO_PATH": "/out/train", "EIO_CALL": call, "EIO_AFTER": "1"}
        if call == "read":
            (tmp_path / "out").mkdir()
            part = f"train_50SMG_2.7z.{hashlib.md5(data).hexdigest()[:8]}.part"
            (tmp_path / "out" / part).write_bytes(data[:400_000])
        done = s2ct(*words, cwd=tmp_path, **environment, **faults)
        assert done.returncode == EXIT_MACHINE, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "Input/output error" in done.stderr
        assert not (tmp_path / "out" / "train_50SMG_2.7z").exists()
        again = s2ct(*words, cwd=tmp_path, **environment)
        assert again.returncode == 0, again.stderr
    assert (tmp_path / "out" / "train_50SMG_2.7z").read_bytes() == data


class Changing:
    """Changes a file once, when it is called for the first time."""

    def __init__(self, path: Path, how: str) -> None:
        self._path, self._how, self._done = path, how, False

    def __call__(self, *args: object) -> None:
        if self._done:
            return
        self._done, size = True, self._path.stat().st_size
        with open(self._path, "r+b") as file:
            if self._how == "changed":
                file.seek(size // 2)
                file.write(bytes(size // 3))
            else:
                file.truncate(size // 2 if self._how == "cut" else 0)


HOW = pytest.mark.parametrize("how", ["cut", "changed", "emptied"])


@HOW
@pytest.mark.parametrize("unpacker", ["python", "auto"])
def test_an_archive_that_changes_while_it_is_extracted_is_an_error(tmp_path, how, unpacker):
    data = np.random.default_rng(5).bytes(40_000_000)
    archive = put(tmp_path / "a.7z", handmade({"a": data[:30_000_000], "b": data[30_000_000:]}))
    with pytest.raises(S2ctError):
        extract_archive(archive, tmp_path / "out", unpacker=unpacker, on_bytes=Changing(archive, how))
    assert list((tmp_path / "out").iterdir()) == []


@HOW
def test_a_source_that_changes_while_it_is_converted_makes_no_unit(tmp_path, how):
    groups = [random_group(np.random.default_rng(6), localid, 60) for localid in range(6)]
    source = write_tfrecord(tmp_path, groups * 6)
    change = Changing(source, how)
    with pytest.raises(S2ctError):
        s2ct_convert.convert(
            source, tmp_path / "x.zarr", jobs=1,
            on_event=lambda event: change() if isinstance(event, UnitProgress) else None,
        )  # fmt: skip
    assert not Ledger(tmp_path / "x.zarr").entry(UnitName("train", "50SMG"))


@HOW
def test_a_source_that_changes_while_it_is_verified_is_an_error(tmp_path, how):
    groups = [random_group(np.random.default_rng(6), localid, 60) for localid in range(6)]
    source = write_tfrecord(tmp_path, groups * 6)
    (report,) = s2ct_convert.verify_sources(source, on_bytes=Changing(source, how))
    assert report.error
