"""Limits of the process: cgroups of both versions, open files, memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from s2ct_convert import limits
from s2ct_convert.doctor import machine
from s2ct_convert.doctor.findings import Findings
from s2ct_convert.doctor.machine import examine_machine
from s2ct_convert.limits import cores, cpu_quota, memory_limit

V2, V1 = "0::/jobs/17\n", "5:cpu,cpuacct:/jobs/17\n4:memory:/jobs/17\n0::/\n"
TREES = {
    "version 2": (V2, {"jobs/17/cpu.max": "150000 100000", "jobs/17/memory.max": "3000000"}, 1.5, 3_000_000),
    "a limit above": (V2, {"jobs/cpu.max": "200000 100000", "jobs/17/cpu.max": "max 100000"}, 2.0, None),
    "the host's path in a container": (V2, {"cpu.max": "50000 100000", "memory.max": "max"}, 0.5, None),
    "version 1": (
        V1,
        {
            "cpu/jobs/17/cpu.cfs_quota_us": "300000",
            "cpu/jobs/17/cpu.cfs_period_us": "100000",
            "memory/jobs/17/memory.limit_in_bytes": "4000000",
        },
        3.0,
        4_000_000,
    ),
    "version 1 without limits": (
        V1,
        {
            "cpu/jobs/17/cpu.cfs_quota_us": "-1",
            "cpu/jobs/17/cpu.cfs_period_us": "100000",
            "memory/jobs/17/memory.limit_in_bytes": "9223372036854771712",
        },
        None,
        None,
    ),
    "nothing": (V2, {}, None, None),
}


def tree(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    (folder / "own").write_text(own)
    (folder / "cgroups").mkdir()
    for name, text in files.items():
        path = folder / "cgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder / "cgroups", folder / "own"


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY, reason="ulimit -v is set")
@pytest.mark.parametrize("case", TREES)
def test_the_limits_of_cgroups_are_read(tmp_path, case):
    own, files, quota, memory = TREES[case]
    place = tree(tmp_path, own, files)
    assert (cpu_quota(*place), memory_limit(*place)) == (quota, memory)


def test_cores_and_memory_stay_within_the_cgroup(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota, expected in ((2.5, 3), (20.0, 8), (None, 8)):
        monkeypatch.setattr(limits, "cpu_quota", lambda quota=quota: quota)
        assert limits.cores.__wrapped__() == expected
    monkeypatch.setattr(machine, "cpu_quota", lambda: 2.5)
    monkeypatch.setattr(machine, "memory_limit", lambda: 1 << 30)
    monkeypatch.setattr(machine, "cores", lambda: 3)
    found = Findings()
    examine_machine(found)
    assert "--memory 1024M" in found.problems[0].todo
    assert found.values["processor"]["quota"] == 2.5


def test_few_open_files_are_a_problem(tmp_path):
    command = f"ulimit -n 128; exec {sys.executable} -m s2ct_convert doctor {tmp_path} --offline --json"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["open_files"] == 128
    assert document["processor"]["usable"] == cores()
    assert any("ulimit -n" in one["todo"] for one in document["problems"])
