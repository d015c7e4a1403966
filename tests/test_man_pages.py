"""The man pages: one for each command, with every option, and groff renders them without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from s2ct_convert.errors import EXIT_CODES

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "scripts"))

import reference  # noqa: E402


@pytest.fixture(scope="module")
def man_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.stem: path for path in reference.write_man_pages(tmp_path_factory.mktemp("man"))}


def groff(*arguments: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-ww", "-man", "-Tutf8", "-P-c", "-rLL=78n", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def shown(path: Path) -> list[str]:
    """The lines of a page as a reader sees them. ``-P-c`` prints bold as a letter over itself."""
    return re.sub(r".\x08", "", groff(path).stdout).splitlines()


def words(path: Path) -> str:
    """The page in one line, with hyphenated words whole."""
    return " ".join(" ".join(shown(path)).replace("\N{HYPHEN} ", "").split())


def test_every_command_has_a_man_page(man_pages):
    def names(command: click.Command, name: str) -> list[str]:
        children = command.commands.values() if isinstance(command, click.Group) else ()
        return [name, *(one for child in children for one in names(child, f"{name}-{child.name}"))]

    assert sorted(man_pages) == sorted(names(reference.cli, "s2ct"))


def test_man_pages_render_without_a_warning(man_pages):
    assert groff("-z", *man_pages.values()).stderr == ""


def test_man_rendering_would_show_a_warning(tmp_path):
    (tmp_path / "bad.1").write_text(".TH X 1\n.SH NAME\nx \\- y\n.nosuch\n")
    assert "nosuch" in groff("-z", tmp_path / "bad.1").stderr


def test_a_man_page_has_every_option_and_exit_code(man_pages):
    text = words(man_pages["s2ct-convert"])
    for option in reference.cli.commands["convert"].params:
        if isinstance(option, click.Option):
            assert f"{', '.join(option.opts)} " in text, option.opts
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {' '.join(meaning.split())}" in text, code


def test_a_man_page_keeps_the_lines_of_examples(man_pages):
    lines = [line.strip() for line in shown(man_pages["s2ct-batch"])]
    assert "s2ct batch script clouds.zarr --scheduler slurm > job.sh" in lines


def test_man_pages_show_special_characters_as_they_stand(tmp_path):
    (tmp_path / "x.1").write_text(f".TH X 1\n.SH NAME\nx \\- y\n.PP\n{reference._roff(chr(92) + 'n .a -x')}\n.PP\n")
    assert "\\n .a -x" in words(tmp_path / "x.1")
    assert reference._roff(".a") == "\\&.a"
