"""Job scripts, printed ones and those in scripts/batch, run by SLURM, a stand-in for PBS, and a shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import plain
import pytest
from servers import slurm as slurm_daemons
from servers.slurm import Slurm

import s2ct_convert

from .helpers import right_source, state

BATCH = Path(__file__).resolve().parents[2] / "scripts" / "batch"
QSUB = Path(slurm_daemons.__file__).with_name("qsub.py")
UNITS = ("train_50SMG", "train_51SMG", "val_50SMG")
WORKED = sorted(BATCH.glob("*.sh"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("in")
    return [right_source(folder, unit, (7, 3, *range(20, 20 + n))) for n, unit in enumerate(UNITS)]


@pytest.fixture(scope="module")
def digest(sources, tmp_path_factory) -> str:
    """The digest of the store that ``convert`` makes on this machine."""
    found = s2ct_convert.convert(sources, tmp_path_factory.mktemp("whole") / "x.zarr").digest
    assert found
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if reason := slurm_daemons.why_not():
        pytest.skip(reason)
    with slurm_daemons.running(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture
def on_path(tmp_path, monkeypatch) -> Path:
    """A folder at the front of PATH with ``s2ct`` and a ``qsub`` that runs jobs at once."""
    programs, jobs = tmp_path / "bin", tmp_path / "jobs"
    jobs.mkdir()
    programs.mkdir()
    for name, command in {"s2ct": "-m s2ct_convert", "qsub": f"{QSUB} {jobs}"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs


def printed(run, sources, store: Path, scheduler: str, *options: object) -> Path:
    """Initialise a store and write its job script to a file beside it."""
    assert run("batch", "init", *sources, store).returncode == 0
    done = run("batch", "script", store, "--scheduler", scheduler, *options)
    assert done.returncode == 0, done.stderr
    script = store.with_name("job.sh")
    script.write_text(done.stdout)
    return script


def finished(store: Path) -> str:
    with s2ct_convert.open_store(store) as opened:
        assert len(opened.units) == len(UNITS)
        assert opened.digest
        return opened.digest


def shell(script: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(script), *map(str, arguments)]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, timeout=100, **options)


class TestText:
    """Checks of the scripts by a shell and by shellcheck, without running them."""

    @pytest.fixture(params=["slurm", "pbs", "shell", *(path.name for path in WORKED)])
    def script(self, request, run, sources, tmp_path) -> Path:
        if request.param.endswith(".sh"):
            return BATCH / request.param
        folder = tmp_path / 'a folder\'s "x"'
        folder.mkdir()
        return printed(run, sources, folder / "x y.zarr", request.param)

    def test_a_shell_parses_it_and_no_placeholder_is_left(self, script):
        text = script.read_text()
        shells = ["bash", "dash"] if text.startswith("#!/bin/sh\n") and shutil.which("dash") else ["bash"]
        for program in shells:
            assert subprocess.run([program, "-n", script], capture_output=True, text=True).stderr == ""
        assert "$$" not in text
        if script.parent != BATCH:
            assert not re.search(r"\$\{?(title|name|units|threads|memory|time|final|run|store)\b", text)
            if shutil.which("shellcheck"):
                assert checked(script) == ""

    def test_shellcheck_accepts_the_scripts_of_the_repository(self):
        if not shutil.which("shellcheck"):
            pytest.skip("shellcheck is not installed; printed scripts were not checked either")
        assert checked(*WORKED) == ""


def checked(*scripts: Path) -> str:
    return subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True).stdout


@pytest.mark.parametrize("scheduler", ["slurm", "pbs"])
def test_memory_and_time_come_from_the_plan_with_a_margin(run, sources, tmp_path, scheduler):
    text = printed(run, sources, tmp_path / "x.zarr", scheduler, "--throttle", 2, "-j", 3).read_text()
    plan = json.loads(run("plan", *sources, tmp_path / "y.zarr", "--json").stdout)
    memory = re.search(r"--mem=(\d+)M|mem=(\d+)mb", text)
    assert plan["peak_memory"] < int(memory[1] or memory[2]) << 20 < 1.5 * plan["peak_memory"]
    hours, minutes = map(int, re.search(r"(?:time|walltime)=(\d\d):(\d\d):00", text).groups())
    longest = max(unit["seconds"] for unit in plan["units"])
    assert longest + 600 <= 3600 * hours + 60 * minutes < 10 * longest + 900
    assert ("1-3%2" in text) == (scheduler == "slurm")
    assert ("max_run_subjobs=2" in text) == (scheduler == "pbs")
    assert re.search(r"cpus-per-task=3|ncpus=3", text)


def test_a_script_needs_an_initialised_store(run, tmp_path):
    done = run("batch", "script", tmp_path / "x.zarr")
    assert done.returncode == 2
    assert "no batch was started here" in done.stderr
    assert done.stdout == ""


class TestSlurm:
    """Runs with real SLURM daemons on this machine."""

    def submitted(self, done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
        """Job ids of the array and of the job that finalises the store."""
        assert done.returncode == 0, done.stderr
        return re.search(r"Submitted array job (\d+)\nSubmitted batch job (\d+)", done.stdout).groups()

    @pytest.mark.slow
    def test_a_printed_script_makes_the_store_of_one_machine(self, run, cluster, sources, digest, tmp_path):
        store = tmp_path / "x.zarr"
        array, job = self.submitted(shell(printed(run, sources, store, "slurm"), env=cluster.environment))
        assert cluster.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")["JobState"] == "COMPLETED"
        assert finished(store) == digest
        assert sorted(path.name for path in tmp_path.glob("*.log")) == [
            *(f"s2ct-{array}_{n}.log" for n in (1, 2, 3)),
            f"s2ct-finalise-{job}.log",
        ]
        assert digest in (tmp_path / f"s2ct-finalise-{job}.log").read_text()

    @pytest.mark.slow
    def test_the_repository_script_submits_only_missing_units(self, run, cluster, on_path, sources, digest, tmp_path):
        store = tmp_path / "x.zarr"
        assert run("batch", "init", *sources, store).returncode == 0
        assert run("batch", "run", store, 2).returncode == 0
        environment = {**cluster.environment, "PATH": os.environ["PATH"]}
        command = [str(BATCH / "slurm.sh"), *map(str, sources), store.name]
        done = subprocess.run(["bash", *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        _, job = self.submitted(done)
        assert cluster.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")["JobState"] == "COMPLETED"
        assert finished(store) == digest
        assert sorted(path.name[-6:] for path in tmp_path.glob("s2ct-*_*.log")) == ["_1.log", "_3.log"]

    @pytest.fixture
    def held(self, run, cluster, sources, tmp_path) -> Iterator[tuple[Path, str, str]]:
        """A store with a submitted array whose first unit waits for the lease of a dead host."""
        script = printed(run, sources, tmp_path / "x.zarr", "slurm", "--throttle", 1)
        lease = tmp_path / "x.zarr.s2ct" / "leases" / f"{first_unit(tmp_path / 'x.zarr')}.lease"
        lease.write_text(json.dumps({"host": "another", "pid": 7, "boot": "x"}))
        array, job = self.submitted(shell(script, env=cluster.environment))
        cluster.wait_for(f"{array}_1", "RUNNING")
        log = tmp_path / f"s2ct-{array}_1.log"
        while not log.exists() or ": started" not in log.read_text():  # it waits for the lease next
            assert cluster.state(f"{array}_1")["JobState"] == "RUNNING"
        yield lease, array, job
        cluster("scancel", array, job)

    @pytest.mark.slow
    def test_a_cancelled_task_stays_cancelled(self, cluster, held, tmp_path):
        _, array, _ = held
        cluster("scancel", array)
        assert cluster.wait_for(f"{array}_1", "CANCELLED", "PENDING", "FAILED")["JobState"] == "CANCELLED"
        log = (tmp_path / f"s2ct-{array}_1.log").read_text()
        assert "done and kept\n  to go on: s2ct batch run " in log

    @pytest.mark.slow
    @pytest.mark.parametrize("by", ["its time is up", "preemption"])
    def test_a_requeued_task_resumes(self, cluster, held, digest, tmp_path, by):
        lease, array, job = held
        task, command = f"{array}_1", ["scontrol", "requeue", f"{array}_1"]
        if by == "its time is up":
            command = ["scancel", "--signal=USR1", "--batch", task]
        with subprocess.Popen(command, env=cluster.environment) as asking:
            cluster.wait_for(task, "PENDING", "CANCELLED", "FAILED")
            asking.kill()  # otherwise scancel would signal the requeued task too
        assert cluster.wait_for(f"{array}_1", "PENDING", "CANCELLED", "FAILED")["Restarts"] == "1"
        lease.unlink()
        assert cluster.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")["JobState"] == "COMPLETED"
        assert finished(tmp_path / "x.zarr") == digest


def first_unit(store: Path) -> str:
    plan = json.loads((store.with_name(f"{store.name}.s2ct") / "plan.json").read_text())
    return plan["units"][0]["unit"].replace("/", "_")


class TestPbs:
    @pytest.mark.parametrize("units", [2, pytest.param(1, marks=pytest.mark.slow)])
    @pytest.mark.slow
    def test_a_printed_script_makes_the_store_of_one_machine(self, run, on_path, sources, tmp_path, units, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        store = tmp_path / "x.zarr"
        done = shell(printed(run, sources[:units], store, "pbs"))
        assert done.returncode == 0, done.stderr
        assert len(state(store)) == units

    @pytest.mark.slow
    @pytest.mark.parametrize("units", [3, 1])
    def test_the_repository_script_makes_the_store_of_one_machine(self, on_path, sources, digest, tmp_path, units):
        done = subprocess.run(
            ["bash", str(BATCH / "pbs.sh"), *map(str, sources[:units]), "x.zarr"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert len(state(tmp_path / "x.zarr")) == units

    @pytest.mark.slow
    def test_a_failed_unit_blocks_finalise_and_the_same_command_resumes(self, run, on_path, sources, tmp_path):
        mine = [Path(shutil.copy2(source, tmp_path)) for source in sources]
        store = tmp_path / "x.zarr"
        script = printed(run, mine, store, "pbs")
        gone = mine[1].rename(tmp_path / "gone")
        assert shell(script).returncode == 0
        status = json.loads(run("batch", "status", store, "--json").stdout)
        assert (status["counts"]["done"], status["finished"]) == (2, False)
        gone.rename(mine[1])
        assert shell(script).returncode == 0
        assert json.loads(run("batch", "status", store, "--json").stdout)["finished"] is True


class TestShell:
    @pytest.mark.slow
    def test_a_printed_script_resumes_and_makes_the_store(self, run, sources, tmp_path):
        mine = [Path(shutil.copy2(source, tmp_path)) for source in sources[:2]]
        store = tmp_path / "x.zarr"
        script = printed(run, mine, store, "shell", "-j", 1)
        gone = mine[1].rename(tmp_path / "gone")
        done = shell(script)
        assert done.returncode != 0
        assert "writing the index" not in done.stderr
        gone.rename(mine[1])
        done = shell(script)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("is done") == 1
        assert len(state(store)) == 2

    @pytest.mark.slow
    def test_the_repository_script_needs_only_a_shell(self, on_path, sources, digest, tmp_path):
        command = ["sh", BATCH / "shell.sh", *sources, "x.zarr"]
        done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert finished(tmp_path / "x.zarr") == digest
        assert plain.store_digest(tmp_path / "x.zarr") == digest
