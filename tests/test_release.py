"""What a release consists of: advice that works, metadata, packages, templates."""

from __future__ import annotations

import os
import re
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from s2ct_convert.version import __version__, install_advice

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXTS = {".cff", ".md", ".py", ".pyi", ".sh", ".toml", ".yaml", ".yml", ""}
NOT_OURS = (".git", ".venv*", "node_modules", "*_cache", "dist")  # in a clone


@cache
def texts() -> dict[str, str]:
    """Every text of the repository, by its path."""
    found = {}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not any(fnmatch(name, pattern) for pattern in NOT_OURS))
        for path in (Path(folder, name) for name in sorted(names)):
            if path.suffix in TEXTS and path.is_file() and path != Path(__file__):
                found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8", errors="replace")
    return found


def test_no_advice_names_a_package_that_no_registry_has():
    found = texts()
    assert {"README.md", "Makefile", "s2ct_convert/version.py"} <= set(found)
    for place, text in found.items():
        assert not re.search(r"pip install [^\n`]*s2ct-convert", text), place


def test_advice_in_the_package_is_in_one_place():
    for place, text in texts().items():
        if place.startswith("s2ct_convert/") and place != "s2ct_convert/version.py":
            assert "pip install" not in text, place


@pytest.mark.parametrize("extra", re.findall(r"install_advice\(.(\w+).\)", "".join(texts().values())))
def test_advised_extras_exist(extra):
    assert extra in PROJECT["optional-dependencies"]
    assert f"'.[{extra}]'" in install_advice(extra)


def test_documents_advise_extras_that_exist():
    found = [extras for text in texts().values() for extras in re.findall(r"pip install [^\n]*?'\.\[([\w,]+)\]'", text)]
    assert {name for extras in found for name in extras.split(",")} <= set(PROJECT["optional-dependencies"])
    assert found


def changelog() -> dict[str, str]:
    """The headings of the changelog, and what is below each."""
    parts = re.split(r"^## (.+)\n", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_changelog_begins_with_what_is_unreleased():
    assert next(iter(changelog())) == "[Unreleased]"


def test_the_changelog_has_this_version_with_its_date():
    heading, text = list(changelog().items())[1]
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", heading)
    assert re.search(r"^### (Added|Changed|Deprecated|Removed|Fixed|Security)$", text, re.MULTILINE)
    assert re.search(r"^- ", text, re.MULTILINE)


def test_the_changelog_links_each_of_its_versions():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for heading in changelog():
        assert re.search(rf"^{re.escape(heading.split(' ')[0])}: \S+$", text, re.MULTILINE), heading


def test_the_citation_is_of_the_newest_release():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    date = list(changelog())[1].split(" - ")[1]
    assert f"version: {__version__}" in lines
    assert f"date-released: {date}" in lines


def test_the_conda_recipe_has_this_version_and_these_dependencies():
    text = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    (run,) = re.findall(r"^  run:\n((?:    - .+\n)+)", text, re.MULTILINE)
    conda_names = {"isal": "python-isal", "lazy-loader": "lazy_loader"}
    wanted = [f"python {PROJECT['requires-python']}"]
    for requirement in PROJECT["dependencies"]:
        name, bounds = re.fullmatch(r"([\w.-]+)(.*)", requirement).groups()
        wanted.append(f"{conda_names.get(name, name)} {bounds}")
    assert [line.removeprefix("    - ") for line in run.splitlines()] == wanted
    assert f'version: "{__version__}"' in text
    assert f"s2ct = {PROJECT['scripts']['s2ct']}" in text


# In two parts, so that this file names none of them.
REGISTRIES = ("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org"), ("npmjs", ".com"), ("anaconda", ".org")
REGISTRIES += ("docker", ".io"), ("ghcr", ".io"), ("quay", ".io"), ("prefix", ".dev"), ("crates", ".io")


@pytest.mark.parametrize("host", ["".join(parts) for parts in REGISTRIES])
def test_no_text_names_the_host_of_a_registry(host):
    assert [place for place, text in texts().items() if host in text] == []


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=[path.name for path in FORMS])
def test_issue_forms_are_yaml_with_the_fields_of_a_form(form):
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.name == "config.yml":
        assert document == {"blank_issues_enabled": True}
        return
    assert set(document) == {"name", "description", "labels", "body"}
    for field in document["body"]:
        assert field["type"] in ("markdown", "input", "textarea")
        assert set(field) <= {"type", "id", "attributes", "validations"}
        assert ("id" in field) == (field["type"] != "markdown")
    ids = [field["id"] for field in document["body"] if "id" in field]
    assert len(ids) == len(set(ids))
