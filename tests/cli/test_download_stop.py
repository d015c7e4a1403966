"""Signals at any step of a download: it stops at once and keeps its bytes, and the same command resumes.

Each step that is interrupted would never end by itself, so the tests depend on no time except timeouts.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from record.test_fetching import status
from servers.zenodo import RECORD, Handler, StandIn, serving

from .test_stop_and_resume import read_to

RNG = np.random.default_rng(65)
FILES = {f"train_{zone}SMG_2.7z": RNG.bytes(1_000_000) for zone in (50, 51, 52)}
ONE = min(FILES)
MD5 = hashlib.md5(FILES[ONE]).hexdigest()
ENDLESS = 1 << 40  # bytes of a sparse file, too large to be read to the end
SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are found in /proc")
KEPT = "; whole and partial files stay in "


@pytest.fixture
def zenodo(clean_environment, monkeypatch) -> Iterator[StandIn]:
    with serving(dict(FILES)) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


def stall_forever(n: int):
    """Send ``n`` bytes, then stall until the test ends."""

    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.head(200, len(data), {})
        handler.wfile.write(data[:n])
        handler.wfile.flush()
        handler.server.stand_in.release.wait()
        handler.hang_up()

    return vice


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "s2ct_convert", "download", str(folder), "--record", RECORD, *options]


def stop(folder: Path, word: str, ready: Callable[[int], bool], *signals: int) -> tuple[int, str]:
    """Send signals once ``word`` is printed and ``ready(pid)`` holds; return exit code and stderr."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(folder), start_new_session=True, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            seen = read_to(process, word)
            while not ready(process.pid):
                assert process.poll() is None
            for number in signals:
                os.killpg(process.pid, number)
            stdout, rest = process.communicate(timeout=20)
        finally:
            process.kill()  # if it did not stop
    assert stdout == ""
    return process.returncode, seen + rest


def assert_stopped(code: int, stderr: str, expected: int, word: str) -> None:
    assert code == expected, stderr
    kept, command = stderr.splitlines()[-2:]
    assert kept.startswith(f"s2ct: {word}{KEPT}")
    assert command.startswith("  to go on: s2ct download ")
    assert "Traceback" not in stderr
    assert "FAILED" not in stderr


def parts(folder: Path) -> list[int]:
    return sorted(path.stat().st_size for path in folder.glob("*.part"))


def assert_resumes(zenodo: StandIn, folder: Path, asked: int) -> None:
    """Check that the same command requests only the missing bytes and completes."""
    zenodo.vices.clear()
    zenodo.requests.clear()
    done = subprocess.run(command(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in folder.glob("*.7z")} == FILES
    assert {start for key in FILES for start in zenodo.asked(key)} == {asked}
    assert not [path.name for path in folder.iterdir() if path.name.endswith((".part", ".lease"))]


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
def test_a_signal_during_a_stall_keeps_the_partial_files(zenodo, tmp_path, number, code, word):
    zenodo.vices = {key: [stall_forever(200_000)] for key in FILES}
    three = [200_000] * 3
    assert_stopped(*stop(tmp_path, ": started", lambda pid: parts(tmp_path) == three, number), code, word)
    assert parts(tmp_path) == three
    assert list(tmp_path.glob("*.7z")) == list(tmp_path.glob("*.lease")) == []
    assert_resumes(zenodo, tmp_path, 200_000)


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
@pytest.mark.slow
def test_a_signal_during_retry_after_stops_at_once(zenodo, tmp_path, number, code, word):
    zenodo.vices = {key: [status(503, Retry_After="600")] for key in FILES}
    assert_stopped(*stop(tmp_path, "retries in 0:10:00", lambda pid: True, number), code, word)
    assert parts(tmp_path) == []
    assert_resumes(zenodo, tmp_path, 0)


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
@pytest.mark.slow
def test_a_signal_during_a_retry_of_the_file_list_stops_at_once(zenodo, tmp_path, number, code, word):
    zenodo.record_vices = [status(503, Retry_After="600")]
    assert_stopped(*stop(tmp_path, f"record {RECORD}: the service answers 503", lambda pid: True, number), code, word)
    assert_resumes(zenodo, tmp_path, 0)


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
@pytest.mark.slow
def test_a_signal_during_a_stall_of_the_file_list_stops_at_once(zenodo, tmp_path, number, code, word):
    zenodo.record_vices = [status(503, Retry_After="0"), stall_forever(10)]
    assert_stopped(*stop(tmp_path, "retries in", lambda pid: len(zenodo.requests) == 2, number), code, word)
    assert_resumes(zenodo, tmp_path, 0)


def endless(zenodo: StandIn, path: Path) -> None:
    """Give a file of the record a huge size, and make a sparse file of that size."""
    document = zenodo.document()
    next(one for one in document["files"] if one["key"] == ONE)["size"] = ENDLESS
    zenodo.document = lambda: document
    with open(path, "wb") as file:
        file.truncate(ENDLESS)


def has_open(path: Path) -> Callable[[int], bool]:
    """A check whether a process has a file open."""

    def ready(pid: int) -> bool:
        links = []
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                links.append(link.readlink())
        return path in links

    return ready


@linux_only
@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
def test_a_signal_during_the_check_of_a_file_leaves_no_receipt(zenodo, tmp_path, number, code, word):
    """A file that was not read to the end gets no receipt and no other name."""
    endless(zenodo, tmp_path / ONE)
    assert_stopped(*stop(tmp_path, "checking 1 existing file", has_open(tmp_path / ONE), number), code, word)
    assert {path.name for path in tmp_path.iterdir()} == {ONE, f"{RECORD}.lock.json"}
    assert (tmp_path / ONE).stat().st_size == ENDLESS


@linux_only
@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
def test_a_signal_during_the_check_of_a_partial_file_keeps_it(zenodo, tmp_path, number, code, word):
    part = tmp_path / f"{ONE}.{MD5[:8]}.part"
    endless(zenodo, part)
    os.truncate(part, ENDLESS - 1)
    lease = part.with_name(f"{part.name}.lease")
    assert_stopped(*stop(tmp_path, "to download", has_open(part), number), code, word)
    assert part.stat().st_size == ENDLESS - 1
    assert not lease.exists()


@pytest.mark.slow
def test_three_ctrl_c_give_no_traceback_and_lose_nothing(zenodo, tmp_path):
    zenodo.vices = {key: [stall_forever(200_000)] for key in FILES}
    code, stderr = stop(tmp_path, ": started", lambda pid: parts(tmp_path) == [200_000] * 3, *[signal.SIGINT] * 3)
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert f"s2ct: interrupted{KEPT}{tmp_path}" in stderr.splitlines()[-2]
    assert_resumes(zenodo, tmp_path, 200_000)


def test_files_that_are_whole_before_the_signal_stay(zenodo, tmp_path):
    zenodo.vices[ONE] = [stall_forever(200_000)]
    others = set(FILES) - {ONE}

    def ready(pid: int) -> bool:
        return {path.name for path in tmp_path.glob("*.7z")} == others and parts(tmp_path) == [200_000]

    assert_stopped(*stop(tmp_path, ": done", ready, signal.SIGINT), 130, "interrupted")
    zenodo.requests.clear()
    done = subprocess.run(command(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [len(zenodo.asked(key)) for key in sorted(others)] == [0, 0]
    assert zenodo.asked(ONE) == [200_000]
