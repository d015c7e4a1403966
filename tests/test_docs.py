"""The documentation is correct: links, commands, options, figures, dependencies. test_docs_run.py runs its examples."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from documents import DOCUMENTS, PAGES, ROOT, blocks, console_commands, without_blocks

from s2ct_convert.cli import cli

IDS = [path.name for path in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_to_files_exist(document):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands_parse(document):
    for line in console_commands(document):
        if line.startswith("s2ct "):
            words = shlex.split(line.removeprefix("s2ct "), comments=True)
            words = words[: next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), len(words))]
            command: click.Command = cli
            while isinstance(command, click.Group):
                command = command.commands[words.pop(0)]
            command.make_context("s2ct", words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_no_placeholder_is_left(document):
    text = document.read_text(encoding="utf-8")
    assert not re.findall(r"@[A-Z]+@|TODO|FIXME|XXX", text)


def test_every_dependency_has_a_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for requirement in project["dependencies"]:
        name = re.match(r"[A-Za-z0-9_.-]+", requirement)[0]
        assert f"| {name} |" in text, name
    for extra in project["optional-dependencies"]:
        assert f"| `[{extra}]` |" in text, extra


def test_the_help_of_convert_has_the_figures_of_codecs_md():
    """docs/codecs.md has the measured figures; the help has them rounded."""
    from s2ct_convert.cli.planned import codec_table
    from s2ct_convert.store.codecs import CODECS

    table = {}
    for line in (ROOT / "docs" / "codecs.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[1].split(" ")[0] in CODECS:
            table[cells[1]] = [None if cell == "-" else float(cell.replace(",", "")) for cell in cells[2:]]
    assert set(table) == {f"{format} {name}" for format, codecs in CODECS.items() for name in codecs}
    format = ""
    for line in codec_table():
        words = line.split()
        format = words.pop(0) if words and words[0] in CODECS else format
        if words and words[0] in CODECS.get(format, ()):
            size = re.search(r" ([01]\.\d\d) ", line)
            speeds = [
                None if n == "-" else float(n.removesuffix(" MB/s").replace(",", ""))
                for n in re.findall(r"(?<= )(?:-|[\d,]+ MB/s)(?= |$)", line[size.end() :])
            ]
            ratio, *measured = table.pop(f"{format} {words[0]}")
            assert float(size[1]) == pytest.approx(ratio, abs=0.006), line
            assert [n is None for n in speeds] == [n is None for n in measured], line
            for shown, speed in zip(speeds, measured, strict=True):
                assert shown is None or shown == pytest.approx(speed, rel=0.2), line
    assert table == {}


def command_lines(document: Path) -> list[str]:
    """Every s2ct command in a document: in blocks of a shell, with or without a prompt, and in running text."""
    out = []
    for block in blocks(document, "console", "bash"):
        joined = re.sub(r"\\\n\s*", "", block.code)
        out += [line.removeprefix("$ ") for line in joined.splitlines() if re.match(r"(\$ )?s2ct( |$)", line)]
    return out + re.findall(r"`(s2ct [^`\n]+)`", without_blocks(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands_and_options_in_blocks_and_text_exist(document):
    """Running text names commands without arguments, so only the command and its options are checked."""
    for line in command_lines(document):
        if document.name in ("design.md", "CHANGELOG.md") and "|" in line:
            continue
        words = shlex.split(re.split(r" [|>;&]", line)[0], comments=True)[1:]
        command: click.Command = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        known |= set(command.get_help_option_names(click.Context(command)))
        for word in words:
            option = word.split("=")[0] if word.startswith("--") else word[:2]
            assert not re.match(r"--?[a-z]", word) or option in known, f"{line}: no option {word}"


def anchors(document: Path) -> set[str]:
    """The anchor of every heading, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_to_headings_exist(document):
    for path, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in path:
            target = document.parent / path if path else document
            assert target.suffix != ".md" or anchor in anchors(target), f"{path}#{anchor}"


LANGUAGES = {"python", "console", "bash"}  # tests/test_docs_run.py runs these


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_blocks_are_of_a_language_that_is_tested(document):
    fences = re.findall(r"^ *```(.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}
    if document not in PAGES:
        assert blocks(document, "python") == []


def test_every_package_of_an_extra_has_a_reason():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    for extra, requirements in extras.items():
        (row,) = re.findall(rf"^\| `\[{extra}\]` \|.*$", text, re.MULTILINE)
        for requirement in requirements:
            name = re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower()
            assert extra in ("dev", "hdf5plugin") or name in row, f"{extra}: {name}"
