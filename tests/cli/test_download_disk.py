"""Disk space: checked before the first byte; a disk that fills up later loses and damages nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import RECORD, Handler, StandIn, serving

from s2ct_convert.errors import EXIT_MACHINE

from .helpers import assert_says

RNG = np.random.default_rng(63)
FILES = {f"train_{zone}SMG_2.7z": RNG.bytes(1_000_000) for zone in (50, 51, 52)}
FIRST = min(FILES)
# Sets a limit on the size of files, then runs the given command.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def zenodo(clean_environment, monkeypatch) -> Iterator[StandIn]:
    with serving(dict(FILES)) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


def files_asked(zenodo: StandIn) -> list[str]:
    return [request.path for request in zenodo.requests if "/files/" in request.path]


def free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def fill_after(n: int, folder: Path):
    """Send ``n`` bytes, fill the disk once they are written, then send the rest."""

    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.head(200, len(data), {})
        handler.wfile.write(data[:n])
        handler.wfile.flush()
        part = wait_for_part(handler, folder, n)
        if part is not None:
            (folder / "filler").write_bytes(b"x" * (free(folder) - 100_000))
        with suppress(OSError):  # the client disconnects when the disk is full
            handler.wfile.write(data[n:])
        handler.close_connection = True

    return vice


def wait_for_part(handler: Handler, folder: Path, n: int) -> Path | None:
    """Poll until the partial file of the first file has ``n`` bytes; writes of another process give no event."""
    for _ in range(4000):
        if found := [path for path in folder.glob(f"{FIRST}.*part") if path.stat().st_size >= n]:
            return found[0]
        if handler.server.stand_in.release.wait(0.005):
            return None
    return None


def right_names(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.7z")}


def test_disk_space_is_checked_before_any_request_for_a_file(run, zenodo, disk):
    folder = disk("size=2m")
    done = run("download", folder, "--record", RECORD)
    assert_says(done, EXIT_MACHINE, str(folder), "not enough disk space", "3,000,000 bytes free", "--tile")
    assert files_asked(zenodo) == []
    fits = run("download", folder, "--record", RECORD, "--tile", "50SMG")
    assert fits.returncode == 0, fits.stderr
    assert right_names(folder) == {FIRST: FILES[FIRST]}


def test_existing_bytes_need_no_more_disk_space(run, zenodo, disk):
    folder = disk("size=3200k")
    for key, data in FILES.items():
        (folder / f"{key}.part").write_bytes(data[:900_000])
    assert free(folder) < 1_000_000
    done = run("download", folder, "--record", RECORD)
    assert done.returncode == 0, done.stderr
    assert right_names(folder) == FILES
    assert {zenodo.asked(key)[0] for key in FILES} == {900_000}


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_download_resumes_after_a_full_disk(run, zenodo, disk, jobs):
    folder = disk("size=4m")
    zenodo.vices[FIRST] = [fill_after(300_000, folder)]
    command = ("download", folder, "--record", RECORD, "--file", FIRST if jobs == 1 else "*", "-j", jobs)
    done = run(*command)
    assert_says(done, EXIT_MACHINE, FIRST, "No space left on device", "free some space", "run the same command again")
    assert "unit" not in done.stderr, "a download has no units"
    there = right_names(folder)
    assert there == {key: FILES[key] for key in there}
    assert FIRST not in there
    (part,) = folder.glob(f"{FIRST}.*.part")
    had = part.stat().st_size
    assert 300_000 <= had < 1_000_000
    assert part.read_bytes() == FILES[FIRST][:had]
    assert list(folder.glob("*.lease")) == []
    (folder / "filler").unlink()
    zenodo.requests.clear()
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert zenodo.asked(FIRST) == [had]
    assert right_names(folder) == (FILES if jobs == 3 else {FIRST: FILES[FIRST]})


def test_a_full_disk_stops_the_other_files_too(run, zenodo, disk):
    folder = disk("size=4m")
    zenodo.vices[FIRST] = [fill_after(300_000, folder)]
    done = run("download", folder, "--record", RECORD, "-j", 1)
    assert done.returncode == EXIT_MACHINE
    assert done.stderr.count("FAILED") == 1
    assert len(files_asked(zenodo)) == 1
    assert "3 of 3 files could not be downloaded" in done.stderr
    assert "failed      1 file\nnot tried   2 files\n" in done.stdout


@pytest.mark.slow
def test_a_file_above_the_size_limit_is_reported_and_resumes_later(zenodo, tmp_path):
    """A limit on the size of files; some quotas look like this to a program."""
    command = [sys.executable, "-m", "s2ct_convert", "download", str(tmp_path), "--record", RECORD, "--file", FIRST]
    done = subprocess.run([sys.executable, "-c", LIMITED, *command], capture_output=True, text=True)
    assert_says(done, EXIT_MACHINE, FIRST, "File too large")
    assert right_names(tmp_path) == {}
    (part,) = tmp_path.glob("*.part")
    assert part.read_bytes() == FILES[FIRST][:400_000]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert zenodo.asked(FIRST) == [0, 400_000]
    assert right_names(tmp_path) == {FIRST: FILES[FIRST]}


def test_a_disk_too_full_for_the_lock_is_reported(run, zenodo, disk):
    folder = disk("size=64k")
    (folder / "filler").write_bytes(b"x" * free(folder))
    done = run("download", folder, "--record", RECORD)
    assert_says(done, EXIT_MACHINE, str(folder), "No space left on device")
    assert files_asked(zenodo) == []
    assert [path.name for path in folder.iterdir()] == ["filler"]


def test_a_disk_that_fills_during_extraction_leaves_no_partial_file(run, archives, disk, monkeypatch):
    folder = disk("size=256k")
    with serving({"train_50SMG_2.7z": archives["train_50SMG_2.7z"]}) as zenodo:
        monkeypatch.setenv("S2CT_ZENODO_URL", zenodo.url)
        command = ("download", folder, "--record", RECORD)
        assert run(*command).returncode == 0
        (folder / "filler").write_bytes(b"x" * (free(folder) - 8192))
        done = run(*command, "--extract")
        assert_says(done, EXIT_MACHINE, "No space left on device")
        assert {path.name for path in folder.glob("*train*")} == {"train_50SMG_2.7z"}
        (folder / "filler").unlink()
        assert run(*command, "--extract").returncode == 0
        assert (folder / "train_50SMG_2").exists()
        assert zenodo.asked("train_50SMG_2.7z") == [0]


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["nothing", "receipts", "lock"])
def test_a_read_only_folder_where_all_is_right_is_done(tmp_path, missing):
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("only root can mount a folder read-only, and not in every container")
    folder = tmp_path / "a"
    with serving({"train_50SMG_2.7z": b"x" * 1000}) as zenodo:
        command = [sys.executable, "-m", "s2ct_convert", "download", str(folder), "--record", RECORD]
        environment = {**os.environ, "S2CT_ZENODO_URL": zenodo.url}
        subprocess.run([*command, "-q"], env=environment, check=True, capture_output=True)
        if missing == "receipts":
            shutil.rmtree(folder / ".s2ct-receipts")
        if missing == "lock":
            (folder / f"{RECORD}.lock.json").unlink()
        read_only = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", read_only, str(folder), *command],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert "kept        1 file" in done.stdout
    assert ("is read-only" in done.stderr) == (missing != "nothing")
