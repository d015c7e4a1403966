"""The packages of a release: the same bytes whoever builds them, and all that an empty environment needs."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CACHES = (".venv*", "*_cache", ".hypothesis", "__pycache__", "node_modules", "s2ct-demo", "dist")
NOT_OURS = shutil.ignore_patterns(".git", *CACHES)
EPOCH = "1700000000"

pytestmark = pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")


def build(tree: Path, *options: str, epoch: str = EPOCH) -> dict[str, bytes]:
    """Build the sdist and the wheel of a tree; their bytes by name."""
    out = tree.parent / f"{tree.name}-dist"
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out), *options]
    environment = os.environ | {"SOURCE_DATE_EPOCH": epoch}
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    tree = tmp_path_factory.mktemp("one") / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_OURS)
    return build(tree)


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(built, tmp_path):
    tree = tmp_path / "elsewhere"
    shutil.copytree(ROOT, tree, ignore=NOT_OURS, copy_function=shutil.copy)  # other times
    for path in tree.rglob("*.md"):
        path.chmod(0o600)  # as with another umask
    assert len(built) == 2
    assert build(tree) == built


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(built, tmp_path):
    (name,) = (name for name in built if name.endswith(".tar.gz"))
    (tmp_path / name).write_bytes(built[name])
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path, filter="data")
    made = build(tmp_path / name.removesuffix(".tar.gz"), "-t", "wheel")
    assert made == {other: data for other, data in built.items() if other != name}


@pytest.mark.slow
def test_the_sdist_has_every_file_of_the_repository(built, tmp_path):
    (name,) = (name for name in built if name.endswith(".tar.gz"))
    (tmp_path / name).write_bytes(built[name])
    with tarfile.open(tmp_path / name) as archive:
        packed = {member.partition("/")[2] for member in archive.getnames()}
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a clone: git does not list the files")
    assert set(done.stdout.splitlines()) - packed == set()


def can_install(python: Path) -> str:
    """Why pip cannot install one of our dependencies into an environment; empty if it can."""
    done = subprocess.run([python, "-m", "pip", "install", "-q", "click"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_empty_environment(built, tmp_path):
    (name,) = (name for name in built if name.endswith(".whl"))
    (tmp_path / name).write_bytes(built[name])
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    if reason := can_install(programs / "python"):
        pytest.skip(f"pip cannot install packages here: {reason}")
    subprocess.run([programs / "python", "-m", "pip", "install", "-q", tmp_path / name], check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run([programs / "s2ct", "demo"], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("match the archives bit for bit") == 2
    assert (tmp_path / "s2ct-demo" / "sample.zarr" / "zarr.json").exists()


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package(built):
    (data,) = (data for name, data in built.items() if name.endswith(".whl"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        packed = set(archive.namelist())
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "s2ct_convert").rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} <= packed
