"""The documentation is correct: links, commands, examples, dependencies."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import s2ct_convert
from s2ct_convert.cli import cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [path.name for path in DOCUMENTS]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_to_files_exist(document):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands_parse(document):
    text = document.read_text(encoding="utf-8")
    lines = [line for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ s2ct ")]
    for line in lines:
        words = shlex.split(line.removeprefix("$ s2ct "), comments=True)
        words = words[: next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), len(words))]
        command: click.Command = cli
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        command.make_context("s2ct", words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_no_placeholder_is_left(document):
    text = document.read_text(encoding="utf-8")
    assert not re.findall(r"@[A-Z]+@|TODO|FIXME|XXX", text)


# Packages that the examples of a page need in addition to [dev].
NEEDS = {"store.md": ["tensorstore"], "croissant.md": ["mlcroissant"]}


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archives and stores that the pages use."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "archives").mkdir()
    sources = s2ct_convert.sample_sources()
    for source in sources:
        shutil.copy(source, folder / "archives")
    for name in ("clouds.zarr", "clouds.h5"):
        s2ct_convert.convert(sources, folder / name)
    s2ct_convert.write_croissant(folder / "clouds.zarr")
    return folder


def examples(page: str) -> list[str]:
    return blocks((ROOT / page).read_text(encoding="utf-8"), "python")


@pytest.mark.parametrize("number", range(len(examples("README.md"))))
def test_each_python_block_of_the_readme_is_a_script(documented, number):
    code = examples("README.md")[number]
    for package in ("torch", "xarray"):
        if re.search(rf"(import|from) {package}", code):
            pytest.importorskip(package)
    archive = sorted((documented / "archives").iterdir())[0].name
    script = documented / f"readme_{number}.py"
    script.write_text(code.replace("train_50SMG_462.7z", f"archives/{archive}"))
    done = subprocess.run([sys.executable, script.name], cwd=documented, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", list(NEEDS))
def test_the_python_of_a_page_runs(documented, page):
    document = next(path for path in DOCUMENTS if path.name == page)
    absent = [package for package in NEEDS[page] if importlib.util.find_spec(package) is None]
    code = "\n".join(
        one
        for one in blocks(document.read_text(encoding="utf-8"), "python")
        if not any(re.search(rf"(import|from) {name}", one) for name in absent)
    )
    body = "".join(f"    {line}\n" for line in code.splitlines())
    script = documented / f"{document.stem}.py"
    script.write_text(f"def main():\n    pass\n{body}\nif __name__ == '__main__':\n    main()\n")
    done = subprocess.run([sys.executable, script.name], cwd=documented, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if absent:
        pytest.skip(f"without the examples that need {', '.join(absent)}; the others ran")


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
            table[cells[1]] = [float(cell.replace(",", "")) for cell in cells[2:]]
    assert set(table) == {f"{format} {name}" for format, codecs in CODECS.items() for name in codecs}
    format = ""
    for line in codec_table():
        words = line.split()
        format = words.pop(0) if words and words[0] in CODECS else format
        if words and words[0] in CODECS.get(format, ()):
            figures = [float(n.replace(",", "")) for n in re.findall(r"0\.\d\d|[\d,]+(?= MB/s)", line)]
            ratio, packing, unpacking = table.pop(f"{format} {words[0]}")
            assert figures[0] == pytest.approx(ratio, abs=0.006), line
            assert figures[1] == pytest.approx(packing, rel=0.2), line
            assert figures[2] == pytest.approx(unpacking, rel=0.2), line
    assert table == {}


def command_lines(text: str) -> list[str]:
    """Every s2ct command in a document: in blocks of a shell, with or without a prompt, and in running text."""
    out = []
    for language in ("console", "bash", "sh", "shell"):
        for block in blocks(text, language):
            joined = re.sub(r"\\\n\s*", "", block)
            out += [line.removeprefix("$ ") for line in joined.splitlines() if re.match(r"(\$ )?s2ct( |$)", line)]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return out + re.findall(r"`(s2ct [^`\n]+)`", prose)


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands_and_options_in_blocks_and_text_exist(document):
    """Running text names commands without arguments, so only the command and its options are checked."""
    for line in command_lines(document.read_text(encoding="utf-8")):
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
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_to_headings_exist(document):
    for path, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in path:
            target = document.parent / path if path else document
            assert target.suffix != ".md" or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_python_in_documents_compiles(document):
    for block in blocks(document.read_text(encoding="utf-8"), "python"):
        compile(block, str(document), "exec")


def test_every_package_of_an_extra_has_a_reason():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    for extra, requirements in extras.items():
        (row,) = re.findall(rf"^\| `\[{extra}\]` \|.*$", text, re.MULTILINE)
        for requirement in requirements:
            name = re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower()
            assert extra in ("dev", "hdf5plugin") or name in row, f"{extra}: {name}"
