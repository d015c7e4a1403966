"""Help where a user looks for it: ``s2ct`` alone, ``s2ct help``, typing errors; exit codes in one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s2ct_convert import errors
from s2ct_convert.cli import cli

from .helpers import assert_says

ROOT = Path(__file__).resolve().parents[2]


def test_s2ct_alone_prints_a_short_help(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done, full = run(), run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "s2ct convert archives/ clouds.zarr" in done.stdout
    assert "s2ct help COMMAND" in done.stdout
    assert len(done.stdout.splitlines()) < 24 < len(full.stdout.splitlines())
    assert all(name in done.stdout for name in cli.commands)


@pytest.mark.every_variant
@pytest.mark.parametrize("words", ["", "convert", "verify", "verify store", "batch finalise", "help"])
def test_help_of_a_command_is_that_of_its_option(run, words):
    asked, option = run("help", *words.split()), run(*words.split(), "-h")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == option.stdout


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("covnert a b", "'s2ct convert'"),
        ("verify stor x.zarr", "'s2ct verify store'"),
        ("checksums archives", "'s2ct verify checksums'"),
        ("ls", "'s2ct list'"),
        ("CONVERT", "'s2ct convert'"),
        ("help covnert", "'s2ct convert'"),
        ("convert --codek small", "--codec"),
    ],
)
def test_a_typing_error_brings_a_suggestion(run, words, meant):
    done = run(*words.split())
    assert_says(done, 2, meant)
    assert "Did you mean" in done.stderr or "Possible options" in done.stderr  # the second: click 8.1


def test_a_path_instead_of_a_command_leads_to_info(run, tmp_path):
    (tmp_path / "clouds.zarr").mkdir()
    assert_says(run("clouds.zarr", cwd=tmp_path), 2, "s2ct info clouds.zarr")


def test_a_word_far_from_all_commands_brings_no_suggestion(run):
    done = run("xyzzy")
    assert_says(done, 2, "No such command 'xyzzy'.")
    assert "Did you mean" not in done.stderr


def test_the_exit_codes_of_help_and_documentation_are_the_table(run):
    listed = re.findall(r"^  (\d+)  +(.+)$", run("--help").stdout.partition("Exit codes:")[2], re.MULTILINE)
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert dict(listed) == dict(documented) == {str(code): text for code, text in errors.EXIT_CODES.items()}


def test_every_exit_code_of_an_error_is_in_the_table():
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_") and isinstance(value, int)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.S2ctError)]
    assert {0} | codes == set(errors.EXIT_CODES)
    assert {kind.exit_code for kind in kinds} <= codes
