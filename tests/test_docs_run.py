"""Whatever a page shows is run as it is there: Python as scripts in new processes, commands in a folder of the page.

A page has `archives/` in its folder and, unless it makes them itself, the stores that it names.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.helpers import right_source
from documents import PAGES, ROOT, Block, blocks, console_commands
from makers import write_archive
from servers.zenodo import RECORD, serving

import s2ct_convert

# What cannot run here, by how the command begins, and why. Everything else runs.
NOT_RUN = {
    "make test": "it runs these tests",
    "pip install": "it needs a network; tests/test_packages.py installs the wheel",
    "s2ct view clouds.zarr": "a server never ends; tests/viewer starts servers",
    "s2ct review summary": "it needs a review that a person saved; tests/reading/test_review.py runs it",
    "s2ct preview clouds.zarr --review": "it needs such a review; tests/reading/test_review.py draws one",
    "python scripts/fuzz/run.py": "it runs for 20 minutes; tests/test_fuzz.py runs it for a second",
    "dask ": "a scheduler never ends; tests/engines starts schedulers and workers",
    "s2ct info https://": "it needs a network; tests/cli/test_peek.py looks at a URL of a stand-in",
    "s2ct convert /shared/archives": "it needs that scheduler; tests/engines converts with one",
}
# What needs a cluster, and what runs instead.
INSTEAD = {"bash job.sh": ["s2ct batch run clouds.zarr 1-6", "s2ct batch finalise clouds.zarr"]}
OF_THE_SERVICE = {
    "list",
    "download",
    "build",
    "peek",
}  # run with the record of a stand-in: s2ct knows the files of the real one
OPTIONAL = {"datasets", "duckdb", "mlcroissant", "tensorstore", "torch"}  # packages that are not in [dev]
# Scripts for torchrun are run by tests/training/test_page.py, with two processes.
SCRIPTS = [block for page in PAGES for block in blocks(page, "python") if "torchrun" not in block.code]
SHELL_SCRIPTS = [block for page in PAGES for block in blocks(page, "bash")]
PAGES_WITH_COMMANDS = [page for page in PAGES if console_commands(page)]
QUICK = {"README-1", "README-2", "README-3", "README-4", "store-1"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled sample, and two units with names from the pages."""
    folder = tmp_path_factory.mktemp("sources") / "archives"
    folder.mkdir()
    for source in s2ct_convert.sample_sources():
        shutil.copy(source, folder)
    for unit, name in (("train_50SMG", "train_50SMG_462"), ("val_50SMG", "val_50SMG_35")):
        data = right_source(folder.parent, unit).read_bytes()
        write_archive(folder / f"{name}.7z", {name: data})
    return folder


@pytest.fixture(scope="module")
def stores(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archives and the stores that pages name."""
    folder = tmp_path_factory.mktemp("stores")
    shutil.copytree(archives, folder / "archives")
    (folder / "s2ct-demo").mkdir()
    for suffix in ("zarr", "h5"):
        s2ct_convert.convert(archives, folder / f"clouds.{suffix}")
        s2ct_convert.convert(s2ct_convert.sample_sources(), folder / "s2ct-demo" / f"sample.{suffix}")
    s2ct_convert.write_croissant(folder / "clouds.zarr")
    return folder


@pytest.fixture
def empty(archives: Path, tmp_path: Path) -> Path:
    """A folder with the archives only."""
    shutil.copytree(archives, tmp_path / "archives")
    return tmp_path


def slow_unless_quick(block: Block) -> Any:
    return pytest.param(block, id=block.name, marks=() if block.name in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("block", [slow_unless_quick(block) for block in SCRIPTS])
def test_python_of_a_page_runs_as_a_script(block, request):
    for package in OPTIONAL & set(re.findall(r"^(?:import|from) (\w+)", block.code, re.MULTILINE)):
        pytest.importorskip(package)
    folder: Path = request.getfixturevalue("empty" if ".convert(" in block.code else "stores")
    script = folder / f"{block.name}.py"
    script.write_text(block.code, encoding="utf-8")
    done = subprocess.run([sys.executable, script.name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if ".mean()" in block.code:  # all readers of the page read the same sample
        assert [done.stdout.strip()] == re.findall(r"prints `([^`]+)`", block.page.read_text(encoding="utf-8"))


def words_of(command: str) -> tuple[list[str], str]:
    """The arguments of an ``s2ct`` command, and the file that its output goes to."""
    words = shlex.split(command, comments=True)
    assert not {"|", "&&", ";", "&"} & set(words), command
    target = words[words.index(">") + 1] if ">" in words else ""
    return words[1 : words.index(">") if target else None], target


@pytest.fixture
def service(archives: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for the service; its record has the archives."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "ZENODO" in name:
            monkeypatch.delenv(name)
    with serving({path.name: path.read_bytes() for path in archives.iterdir()}) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=[page.name for page in PAGES_WITH_COMMANDS])
def test_commands_of_a_page_run_in_their_order(page, empty, stores, service, run):
    commands = [line.partition(" #")[0].rstrip() for line in console_commands(page)]
    runs = [one for line in commands for one in INSTEAD.get(line, [line]) if not one.startswith(tuple(NOT_RUN))]
    if any(line.startswith("s2ct download") for line in runs):
        shutil.rmtree(empty / "archives")
    for name in ("clouds.zarr", "s2ct-demo"):
        if runs and not re.match(r"s2ct (convert|build|plan|batch init|demo|download)", runs[0]):
            shutil.copytree(stores / name, empty / name)
    for line in runs:
        assert line.startswith("s2ct "), f"nothing here runs {line}"
        words, target = words_of(line)
        done = run(*words, *(["--record", RECORD] if words[0] in OF_THE_SERVICE else []), cwd=empty)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if target:
            (empty / target).write_text(done.stdout, encoding="utf-8")


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints(run, tmp_path):
    (block,) = (block.code for block in blocks(ROOT / "README.md", "console") if "$ s2ct demo" in block.code)
    shown = [line for line in block.partition("$ s2ct demo")[2].splitlines()[1:] if line not in ("", "...")]
    printed = run("demo", cwd=tmp_path).stdout.splitlines()
    assert len(shown) == 4
    assert shown == [line for line in printed if line in shown]


@pytest.mark.parametrize("block", SHELL_SCRIPTS, ids=lambda block: block.name)
def test_shell_scripts_of_a_page_parse(block):
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_left_out_is_still_on_a_page():
    lines = [line for page in PAGES for line in console_commands(page)]
    for start in (*NOT_RUN, *INSTEAD):
        assert any(line.startswith(start) for line in lines), start
