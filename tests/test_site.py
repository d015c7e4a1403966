"""The site of the documentation: it builds without a warning, it is complete, and it loads nothing from another host.

The build needs the packages of the extra ``docs`` and takes half a minute, so these tests are slow.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

import s2ct_convert
import s2ct_convert.torch
from s2ct_convert.cli import cli
from s2ct_convert.errors import EXIT_CODES

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("furo", "matplotlib", "myst_nb", "myst_parser", "numpydoc", "sphinx", "sphinx_copybutton")
PACKAGES += ("sphinx_external_toc",)

LOADED = {"audio", "embed", "iframe", "img", "link", "object", "script", "source", "track", "video"}  # not <a>


class Page(HTMLParser):
    """What a page loads, where its links lead, its anchors, and its text outside code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        addresses = [values[name] for name in ("src", "href", "data", "poster") if name in values]
        addresses += [one.split()[0] for one in values.get("srcset", "").split(",") if one.strip()]
        if tag in LOADED:
            self.loads += addresses
        else:
            self.links += addresses
        self._code += tag in ("pre", "code", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("pre", "code", "script", "style")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._code else data


def pages(folder: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}


def external(folder: Path) -> list[str]:
    """Everything that pages and style sheets load from another host."""
    found = []
    for path, page in pages(folder).items():
        found += [f"{path.name}: {one}" for one in page.loads if urlsplit(one).netloc]
    for path in folder.rglob("*.css"):
        addresses = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s;]+)", path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {one}" for one in addresses if urlsplit(one).netloc]
    return found


def broken(folder: Path) -> list[str]:
    """Links and loaded files that are not there, and links to headings that no page has."""
    known, found = pages(folder), []
    for path, page in known.items():
        for one in (*page.links, *page.loads):
            parts = urlsplit(one)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in known and anchor not in known[target].anchors):
                found.append(f"{path.name}: {one}")
    return found


def commands(command: click.Command = cli, name: str = "s2ct") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from commands(child, f"{name}-{child.name}")


def entries(site: Path) -> dict[str, str]:
    """The index of names that Sphinx writes for other sites: the page of each ``kind name``."""
    data = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(data).decode().splitlines()
    return {f"{kind} {name}": uri for name, kind, _, uri in (line.split(" ", 4)[:4] for line in lines)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[docs]' brings it")
    folder = tmp_path_factory.mktemp("built")
    options = ["-q", "-E", "-W", "--keep-going", "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, "docs", str(folder / "site")]
    return folder / "site", subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(built):
    assert built[1].returncode == 0, built[1].stderr
    assert built[1].stderr == ""


@pytest.mark.slow
def test_every_public_name_has_an_entry_on_the_site(built):
    known = {name.split(" ")[1]: uri for name, uri in entries(built[0]).items() if name.startswith("py:")}
    for module in (s2ct_convert, s2ct_convert.torch):
        for name in module.__all__:
            full = f"{module.__name__}.{name}"
            assert full in known, full
            assert (built[0] / known[full].partition("#")[0]).exists(), full


@pytest.mark.slow
def test_every_command_and_option_has_an_entry_on_the_site(built):
    known = entries(built[0])
    for name, command in commands():
        if command is cli:
            continue
        page = (built[0] / "commands" / f"{name.split('-')[1]}.html").read_text(encoding="utf-8")
        assert f'id="{name}"' in page, name
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                for flag in option.opts:
                    assert f"std:cmdoption {name}.{flag}" in known, f"{name} {flag}"


@pytest.mark.slow
def test_every_exit_code_is_in_the_table_of_the_site(built):
    text = (built[0] / "exit-codes.html").read_text(encoding="utf-8")
    codes = re.findall(r"<tr[^>]*><td><p>(\d+)</p></td>", text)
    assert [int(code) for code in codes] == list(EXIT_CODES)


@pytest.mark.slow
def test_the_site_loads_nothing_from_another_host(built):
    assert len(pages(built[0])) > 30
    assert external(built[0]) == []


@pytest.mark.slow
def test_every_link_of_the_site_leads_to_a_page_and_heading(built):
    assert broken(built[0]) == []


@pytest.mark.slow
def test_no_page_shows_its_raw_markup(built):
    for path, page in pages(built[0]).items():
        left = re.findall(r"[:{]\w+[:}]`.*|\.\. [\w-]+::.*|<(?:function|Dataset) .*|\]\(\S+\)", page.text)
        assert not left, f"{path.name}: {left}"


def test_a_load_from_another_host_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="https://a.org/x">x</a> <img src="b.png" srcset="//b.org/2.png 2x"> <link href="https://c.org/c.css">'
    )
    (tmp_path / "b.css").write_text('@import "https://d.org/d.css"; a { background: url(//e.org/e.png) } b { url(f) }')
    found = [
        "a.html: //b.org/2.png",
        "a.html: https://c.org/c.css",
        "b.css: https://d.org/d.css",
        "b.css: //e.org/e.png",
    ]
    assert external(tmp_path) == found


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<h1 id="one">1</h1><a href="#one"></a><a href="b.html#two"></a><img src="c.png">')
    (tmp_path / "b.html").write_text('<a href="a.html#one"></a><a href="d.html"></a><a href="mailto:x@y.z"></a>')
    assert broken(tmp_path) == ["a.html: b.html#two", "a.html: c.png", "b.html: d.html"]
