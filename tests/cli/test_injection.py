"""Names of stores that a shell could take for something else: in job scripts, and in every command that is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import s2ct_convert
from s2ct_convert.cli import stopping
from s2ct_convert.conversion.job_script import job_script
from s2ct_convert.conversion.plan_file import write_plan
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.plan import make_plan
from s2ct_convert.words import shell_join, shell_path

ALL_AT_ONCE = "-{} a\ntouch pwned\n$(touch pwned)`touch pwned`\\n*?['\"; touch pwned #%j ~ \N{SNOWMAN}\t\x1b[31m\u2028!"
NAMES = [
    ALL_AT_ONCE,
    *("a\nb", "{}", "a\\b", "*", "[a]", "-x", "--help", "\N{SNOWMAN}", "a b", "'", '"', "$HOME", "$(id)", "`id`", "#a"),
    *("%j", "~", "a;b", "a|b", "a&b", "a\tb", "a\rb", "\x7f", "a\udcffb", "!!", "$$", "a\\", "\u00a0"),
]
SOURCES = s2ct_convert.sample_sources()[:2]
STUBS = {
    # Runs the script as the one task of an array, or the command of --wrap.
    "sbatch": 'case "$*" in *--wrap=*) for a; do case $a in --wrap=*) sh -c "${a#--wrap=}";; esac; done;; *) '
    'SLURM_ARRAY_TASK_ID=2 bash "$2" >&2; echo 17;; esac',
    # Runs the script as the one task of an array, or the commands on standard input.
    "qsub": 'case "$*" in *-N*) sh;; *) PBS_ARRAY_INDEX=2 bash "$1" >&2; echo 17;; esac',
}


@pytest.fixture
def called(tmp_path, monkeypatch):
    """Puts stand-ins first on the PATH; gives the arguments of each call of s2ct since the last time."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    log.touch()
    for name in ("s2ct", "python"):
        (folder / name).write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" END >>'{log}'\n")
    for name, body in STUBS.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
    for one in folder.iterdir():
        one.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def calls() -> list[list[str]]:
        text = os.fsdecode(log.read_bytes())
        log.write_bytes(b"")
        return [call.split("\0")[:-1] for call in text.split("END\0")[:-1]]

    return calls


def in_bash(command: str, cwd: Path) -> None:
    done = subprocess.run(["bash", "-c", os.fsencode(command)], cwd=cwd, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not list(cwd.rglob("pwned"))


@pytest.fixture(params=NAMES, ids=ascii)
def store(request, tmp_path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here" / f"{request.param}.zarr"


@pytest.mark.parametrize("scheduler", ["slurm", "pbs", "shell"])
def test_a_job_script_names_its_store_whatever_the_name(called, store, scheduler, monkeypatch):
    ledger = Ledger(store)
    ledger.path.mkdir()
    write_plan(make_plan(SOURCES, store), ledger.plan_path)
    monkeypatch.setattr(sys, "executable", str(store.parents[1] / "bin" / "python"))
    text = job_script(store, scheduler, throttle=1, threads=3)
    (store.parent / "job.sh").write_bytes(os.fsencode(text))
    in_bash("bash job.sh", store.parent)
    run = ["-m", "s2ct_convert", "batch", "run", str(store)]
    runs = [[*run, n, "-j", "3"] for n in "12"]
    task = {"slurm": [*run, "-j", "3"], "pbs": [*run, "-j", "3"]}
    expected = runs if scheduler == "shell" else [task[scheduler]]
    made = called()
    assert made[-1] == ["-m", "s2ct_convert", "batch", "finalise", str(store)]
    assert made[:-1] == expected
    (watch,) = re.findall("^# Watch:  (.*)$", text, re.MULTILINE)
    in_bash(watch, store.parent)
    assert called() == [["-m", "s2ct_convert", "batch", "status", str(store)]]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_printed_command_is_one_line_that_means_the_same(called, tmp_path, name, monkeypatch):
    command = shell_join(["s2ct", "info", name, "--", f"{name}x"])
    assert command.isprintable()
    in_bash(command, tmp_path)
    assert called() == [["info", name, "--", f"{name}x"]]
    in_bash(f"s2ct info {shell_path(name)}", tmp_path)
    ((_, word),) = called()
    assert not word.startswith("-")
    assert Path(word) == Path(name)
    monkeypatch.setattr(sys, "argv", ["s2ct", "convert", "--", name])
    assert stopping.go_on() == shell_join(["s2ct", "convert", "--", name])


def advice(text: str) -> list[str]:
    """Commands in an output, without what a person adds to them."""
    return [one.partition(" > ")[0] for one in re.findall(r"(?:next:?|to do:|again:) +(s2ct .*)$", text, re.MULTILINE)]


@pytest.mark.slow
def test_every_command_advises_commands_that_name_the_store(run, called, store):
    def check(done: subprocess.CompletedProcess[str], at_least: int) -> None:
        commands = advice(done.stdout) + advice(done.stderr)
        assert len(commands) >= at_least, done.stdout + done.stderr
        for command in commands:
            in_bash(command, store.parent)
            (words,) = called()
            assert any(store.parent / word == store for word in words), command

    path = f"./{store.name}"
    check(run("batch", "init", *SOURCES, path, cwd=store.parent), 1)
    check(run("batch", "run", path, cwd=store.parent), 1)
    assert run("batch", "run", path, "1-2", cwd=store.parent).returncode == 0
    check(run("batch", "status", path, cwd=store.parent), 1)
