"""Conversions on machines that lack something: long TMPDIR, few open files, folders that cannot be synced, no /proc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import s2ct_convert
from s2ct_convert.verify.store import verify_store

CONVERT = [sys.executable, "-m", "s2ct_convert", "convert", *map(str, s2ct_convert.sample_sources()), "x.zarr", "-j2"]
NO_FOLDER_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

int fsync(int fd) {
    struct stat about;
    if (!fstat(fd, &about) && S_ISDIR(about.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"""


def convert(folder: Path, *, prefix: tuple[str, ...] = (), **environment: str) -> str:
    """stderr of a conversion in a folder. The store is checked."""
    done = subprocess.run(
        [*prefix, *CONVERT], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert verify_store(folder / "x.zarr").ok
    return done.stderr


@pytest.mark.slow
def test_a_long_tmpdir_is_no_obstacle(tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    convert(tmp_path, TMPDIR=str(long))


@pytest.mark.slow
def test_24_open_files_are_enough(tmp_path):
    convert(tmp_path, prefix=("sh", "-c", 'ulimit -n 24 && exec "$@"', "sh"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_file_system_that_cannot_sync_folders_is_mentioned_once(tmp_path):
    (tmp_path / "shim.c").write_text(NO_FOLDER_SYNC)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=tmp_path, check=True)
    said = convert(tmp_path, LD_PRELOAD=str(tmp_path / "shim.so"))
    assert said.count("note: this file system cannot sync folders") == 1
    assert "FolderSyncWarning" not in said


@pytest.mark.slow
@pytest.mark.parametrize("place", ["/proc", "/dev/shm"])
def test_a_machine_may_lack_proc_and_shared_memory(tmp_path, place):
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("only root can hide a folder, and not in every container")
    hide = f'mount -t tmpfs -o ro none {place} && exec "$@"'
    convert(tmp_path, prefix=("unshare", "-m", "sh", "-c", hide, "sh"))
