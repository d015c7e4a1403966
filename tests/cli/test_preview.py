"""``s2ct preview``: pictures, their description, and errors."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from makers import write_tfrecord
from PIL import Image
from store.conftest import empty_group
from twins import SUFFIXES

import s2ct_convert

from .helpers import assert_says, right_source, tree

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, sample_stores: dict[str, Path], suffix: str) -> Path:
    """A folder that holds only the bundled sample, as ``s.zarr`` or ``s.h5``."""
    (tmp_path / f"s.{suffix}").symlink_to(sample_stores[suffix])
    return tmp_path


def pictures(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith("s.")}


def test_without_options_the_first_varied_sample_is_drawn(run, folder, suffix):
    done = run("preview", f"s.{suffix}", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert pictures(folder) == {f"{_stem(folder, suffix)}_train_31TCJ_16.png"}
    assert "16 of train/31TCJ: the first with at least 5 of the 6 classes" in done.stdout
    assert "28 of 28 observations" in done.stdout
    assert "2018-05-17 to 2018-10-04" in done.stdout


def _stem(folder: Path, suffix: str) -> str:
    return (folder / f"s.{suffix}").stem


@pytest.mark.slow
def test_json_describes_the_picture(run, folder, suffix):
    done = run("preview", f"s.{suffix}", "--sample", "222", "--limit", "9", "-o", "a.png", "--json", cwd=folder)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "picture": "a.png",
        "kind": "sample",
        "bytes": (folder / "a.png").stat().st_size,
        "unit": "train/34VFN",
        "localid": 222,
        "why": "as requested",
        "samples": 1,
        "observations": 104,
        "shown": 9,
        "time_first": "2018-01-02",
        "time_last": "2019-07-06",
    }
    done = run("preview", f"s.{suffix}", "--summary", "-o", "b.pdf", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert (found["kind"], found["samples"], found["observations"], found["shown"]) == ("store", 13, 309, 309)
    assert found["unit"] is None
    assert pictures(folder) == {"a.png", "b.pdf"}


@pytest.mark.slow
def test_quiet_prints_only_the_name_of_the_picture(run, folder, suffix):
    done = run("preview", f"s.{suffix}", "--summary", "-q", cwd=folder)
    assert done.stdout == f"{_stem(folder, suffix)}_summary.png\n"
    assert pictures(folder) == {done.stdout.strip()}


@pytest.mark.slow
def test_both_containers_give_the_same_picture(run, sample_stores, tmp_path):
    for suffix, store in sample_stores.items():
        run("preview", store.name, "--summary", "-o", tmp_path / f"{suffix}.png", cwd=store.parent)
    shapes = {suffix: Image.open(tmp_path / f"{suffix}.png").size for suffix in sample_stores}
    assert len(set(shapes.values())) == 1
    zarr, h5 = (np.asarray(Image.open(tmp_path / f"{suffix}.png"))[70:] for suffix in ("zarr", "h5"))
    assert (zarr == h5).all(), "they differ only in the title, which has the store name"


@pytest.mark.slow
def test_a_seed_gives_the_same_bytes_twice_and_seeds_differ(run, sample_stores, tmp_path):
    def draw(name: str, seed: int) -> str:
        options = ("--random", "--seed", seed, "--limit", 4, "-o", name, "--json")
        done = run("preview", sample_stores["zarr"], *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return f"{json.loads(done.stdout)['unit']} {json.loads(done.stdout)['localid']}"

    drawn = [draw(f"{i}.png", seed) for i, seed in enumerate((3, 3, 4, 5))]
    assert drawn[0] == drawn[1]
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    assert len(set(drawn)) > 1


WRONG = {
    "another suffix": (["-o", "a.jpg"], ("a.jpg: a picture must be a PNG or a PDF", ".png or .pdf", "found:    .jpg")),
    "no suffix": (["-o", "picture"], ("picture: a picture must be a PNG", "no suffix")),
    "no such folder": (["-o", "nowhere/a.png"], ("nowhere: there is no such folder", "to do:")),
    "a tile that is not there": (["--tile", "33UUU"], ("--tile 33UUU", "train/31TCJ", "val/34VFN", "to do:")),
    "a sample that is not there": (["--sample", "1"], ("there is no sample 1", "16, 20, 70, 86", "to do:")),
    "a sample of another tile": (["--sample", "16", "--tile", "34VFN"], ("no sample 16 with --tile 34VFN", "222")),
    "a split that is not there": (["--split", "test"], ("--split test", "train/31TCJ", "val/34VFN", "to do:")),
    "no patches at all": (["--limit", "0"], ("--limit", "x>=1")),
    "a sample at random": (["--random", "--sample", "16"], ("--random and --sample",)),
    "a summary of a tile": (["--summary", "--tile", "31TCJ"], ("--summary shows the whole store",)),
    "a summary of a sample": (["--summary", "--sample", "16"], ("--summary shows the whole store",)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_reported_and_writes_nothing(run, sample_stores, tmp_path, case):
    options, parts = WRONG[case]
    assert_says(run("preview", sample_stores["zarr"], *options, cwd=tmp_path), 2, *parts)
    assert tree(tmp_path) == {}


@pytest.mark.slow
def test_an_existing_picture_needs_overwrite(run, sample_stores, tmp_path):
    store, taken = sample_stores["zarr"], tmp_path / "a.png"
    taken.write_bytes(b"a holiday")
    options = ("--sample", 143, "-o", "a.png")
    assert_says(run("preview", store, *options, cwd=tmp_path), 2, "a.png: the picture exists already", "--overwrite")
    assert taken.read_bytes() == b"a holiday"
    assert run("preview", store, *options, "--overwrite", cwd=tmp_path).returncode == 0
    assert Image.open(taken).format == "PNG"
    assert set(tree(tmp_path)) == {"a.png"}, "no temporary file is left"
    assert run("preview", store, "--sample", 143, cwd=tmp_path).returncode == 0
    assert_says(run("preview", store, "--sample", 143, cwd=tmp_path), 2, "143.png: the picture exists")
    (tmp_path / "b.png").mkdir()
    done = run("preview", store, *options[:2], "-o", "b.png", "--overwrite", cwd=tmp_path)
    assert_says(done, 2, "b.png: this is a folder")


def test_a_read_only_folder_is_reported(run, sample_stores, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    done = run("preview", sample_stores["zarr"], "-o", tmp_path / "a.png")
    tmp_path.chmod(0o700)
    assert_says(done, 6, "Permission denied", "to do:")


class TestStores:
    def test_an_unfinished_store_is_refused(self, run, tmp_path):
        assert run("batch", "init", right_source(tmp_path / "in"), tmp_path / "x.zarr").returncode == 0
        done = run("preview", tmp_path / "x.zarr", "-o", "a.png", cwd=tmp_path)
        assert_says(done, 3, "x.zarr: the conversion of this store has not finished", "to do:")
        assert not (tmp_path / "a.png").exists()

    @pytest.mark.parametrize("options", [[], ["--summary"], ["--random"]], ids=str)
    def test_a_store_without_observations_is_refused(self, run, tmp_path, options):
        s2ct_convert.convert([write_tfrecord(tmp_path / "in", [empty_group(5)])], tmp_path / "x.h5", jobs=1)
        assert_says(run("preview", "x.h5", *options, cwd=tmp_path), 2, "x.h5: there are no observations to show")
        assert not list(tmp_path.glob("*.png"))

    @pytest.mark.parametrize("options", [[], ["--summary"]], ids=str)
    def test_a_store_without_samples_is_refused(self, run, tmp_path, options):
        s2ct_convert.convert([write_tfrecord(tmp_path / "in", [])], tmp_path / "x.zarr", jobs=1)
        assert_says(run("preview", "x.zarr", *options, cwd=tmp_path), 2, "x.zarr: there are no observations to show")

    def test_none(self, run, tmp_path):
        assert_says(run("preview", "x.zarr", cwd=tmp_path), 2, "x.zarr: this store does not exist")
        (tmp_path / "notes.txt").write_text("?")
        assert_says(run("preview", "notes.txt", cwd=tmp_path), 2, "notes.txt: neither a Zarr directory")


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

sys.meta_path.insert(0, Blocker())
sys.argv[0] = "s2ct"
from s2ct_convert.cli import main
main()
"""


def test_without_matplotlib_the_install_command_is_printed(sample_stores, tmp_path):
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    for options in ([], ["--summary"]):
        done = run("preview", sample_stores["zarr"], *options)
        assert_says(done, 2, "pictures need matplotlib", "to do:    pip install '.[plot]'")
    assert_says(run("preview", "no-store.zarr"), 2, "pictures need matplotlib")  # checked before the store is opened
    assert tree(tmp_path) == {}
    assert run("info", sample_stores["zarr"]).returncode == 0
    assert "the extra [plot]" in run("preview", "--help").stdout


class TestPage:
    """docs/preview.md and its pictures."""

    TEXT = (DOCS / "preview.md").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", ["sample.png", "store.png"])
    @pytest.mark.slow
    def test_the_command_makes_the_picture_of_the_page(self, run, tmp_path, sample_stores, name):
        """Compare size and nearly all pixels: other versions of matplotlib draw text slightly differently."""
        assert f"](images/{name})" in self.TEXT
        (line,) = re.findall(rf"^\$ (s2ct preview s2ct-demo/.* -o {re.escape(name)})$", self.TEXT, re.MULTILINE)
        (tmp_path / "s2ct-demo").mkdir()
        (tmp_path / "s2ct-demo" / "sample.zarr").symlink_to(sample_stores["zarr"])
        done = run(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        made, shown = (
            np.asarray(Image.open(path).convert("RGB")) for path in (tmp_path / name, DOCS / "images" / name)
        )
        assert made.shape == shown.shape
        assert (made == shown).all(-1).mean() > 0.97

    @pytest.mark.parametrize("path", sorted((DOCS / "images").glob("*.*")), ids=lambda path: path.name)
    def test_pictures_are_small_and_used_on_a_page(self, path):
        assert path.stat().st_size < 300_000
        pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
        assert any(f"images/{path.name})" in page.read_text(encoding="utf-8") for page in pages)

    @pytest.mark.slow
    def test_the_python_of_the_page_runs(self, tmp_path, sample_stores, monkeypatch):
        (tmp_path / "s2ct-demo").mkdir()
        (tmp_path / "s2ct-demo" / "sample.zarr").symlink_to(sample_stores["zarr"])
        monkeypatch.chdir(tmp_path)
        (code,) = re.findall(r"^```python\n(.*?)^```", self.TEXT, re.DOTALL | re.MULTILINE)
        exec(compile(code, "preview.md", "exec"), {})
        assert (tmp_path / "sample.png").exists()
        assert (tmp_path / "store.png").exists()
