"""Reference pages of the command line, for the site and for ``man``, from click itself; and the table of exit codes.

    python scripts/reference.py man build/man

writes ``s2ct.1``, ``s2ct-convert.1``, ... The site (``docs/conf.py``) calls ``write_site_pages``.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

from s2ct_convert import errors
from s2ct_convert.cli import cli
from s2ct_convert.version import __version__


@dataclass(frozen=True)
class Block:
    """A paragraph of a help text; ``verbatim`` where line breaks and spaces count."""

    text: str
    verbatim: bool


@dataclass(frozen=True)
class Page:
    """What click knows of one command."""

    name: str
    summary: str
    usage: str
    blocks: tuple[Block, ...]
    options: tuple[tuple[str, str], ...]
    epilog: str
    children: tuple[Page, ...]


@dataclass(frozen=True)
class ExitCode:
    """An exit code, its meaning, and the names of the errors that have it."""

    code: int
    meaning: str
    errors: tuple[str, ...]


def read_page(command: click.Command, name: str = "s2ct", parent: click.Context | None = None) -> Page:
    """The page of a command and of the commands below it."""
    ctx = click.Context(command, info_name=name.split()[-1], parent=parent, **command.context_settings)
    children = command.commands.values() if isinstance(command, click.Group) else ()
    records = (one.get_help_record(ctx) for one in command.get_params(ctx) if isinstance(one, click.Option))
    formatter = ctx.make_formatter()
    if not isinstance(command, click.Group):  # their pages have a table of exit codes already
        command.format_epilog(ctx, formatter)
    return Page(
        name,
        command.get_short_help_str(limit=1000),
        " ".join([name, *command.collect_usage_pieces(ctx)]),
        tuple(_blocks(command.help or "")),
        tuple(record for record in records if record),
        inspect.cleandoc(formatter.getvalue()),
        tuple(read_page(child, f"{name} {child.name}", ctx) for child in children if not child.hidden),
    )


def every_page(page: Page) -> Iterator[Page]:
    """The page and all pages below it."""
    yield page
    for child in page.children:
        yield from every_page(child)


def _blocks(text: str) -> Iterator[Block]:
    for part in re.split(r"\n\s*\n", inspect.cleandoc(text).partition("\f")[0]):
        body = part.removeprefix("\b\n")
        verbatim = body != part and bool(re.search(r"^s2ct |\S {2,}\S|^ ", body, re.MULTILINE))
        yield Block(body if verbatim else " ".join(body.split()), verbatim)


def exit_codes() -> list[ExitCode]:
    """All exit codes, ascending, with the errors of ``errors.py`` that have them."""
    found = [one for one in _below(errors.S2ctError) if one.__module__ == errors.__name__]
    found.remove(errors.SomeFailed)  # has the code of one of the others
    return [
        ExitCode(code, meaning, tuple(one.__name__ for one in found if one.exit_code == code))
        for code, meaning in errors.EXIT_CODES.items()
    ]


def _below(error: type[errors.S2ctError]) -> Iterator[type[errors.S2ctError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)


# --- the site: reStructuredText, whose directive ``option`` makes every option a target of links and of the search


def write_site_pages(folder: Path) -> None:
    """Write a page for each command, a list of them and the table of exit codes. Unchanged files stay."""
    folder.mkdir(exist_ok=True)
    root = read_page(cli)
    texts = {f"{page.name.split()[-1]}.rst": _site_page(page) for page in root.children}
    texts["_list.rst"] = _site_list(root)
    texts["_exit_codes.rst"] = _site_exit_codes()
    for old in folder.iterdir():
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _site_page(page: Page, line: str = "=") -> str:
    label = page.name.replace(" ", "-")
    parts = [f".. _{label}:", f"{page.name}\n{line * len(page.name)}"]
    parts.append(_literal("text", page.usage))
    parts += map(_site_block, page.blocks)
    if page.children:
        parts.append(
            "\n".join(f"* :ref:`{one.name.replace(' ', '-')}`: {_inline(one.summary)}" for one in page.children)
        )
    parts += [f".. rubric:: Options of ``{page.name}``", f".. program:: {page.name}"]
    parts += [f".. option:: {names}\n\n   {_inline(text)}" for names, text in page.options]
    if page.epilog:
        parts.append(_literal("text", page.epilog))
    parts += [_site_page(child, "-") for child in page.children]
    if line == "=":
        parts.append("The exit codes are those of every command: :doc:`/exit-codes`.")
    return "\n\n".join(parts) + "\n"


def _site_block(block: Block) -> str:
    lines = block.text.splitlines()
    if not block.verbatim:
        return _inline(block.text)
    if all(re.match(r"s2ct (?!.* {2})", line) for line in lines):
        return _literal("console", "\n".join(f"$ {line}" for line in lines))
    return _literal("text", block.text)


def _literal(language: str, text: str) -> str:
    return f".. code-block:: {language}\n\n" + "\n".join(f"   {line}" for line in text.splitlines())


@cache
def _special() -> re.Pattern[str]:
    """What is not plain in running text: a page of docs/; or a command, an option, a variable, an address."""
    names = sorted((page.name for page in every_page(read_page(cli))), key=len, reverse=True)
    commands = "|".join(names[:-1])  # without s2ct itself
    return re.compile(
        rf"docs/(\w+)\.md|((?:{commands})\b(?: -\w)?|(?<![\w-])--?[a-z][a-z-]*|S2CT_\w+|[a-z]+://[\w:/.]*[\w/])"
    )


def _inline(text: str) -> str:
    """Running text, with links and code."""
    out, end = [], 0
    for found in _special().finditer(text):
        out.append(_plain(text[end : found.start()]))
        out.append(f":doc:`{found[1]} </{found[1]}>`" if found[1] else f"``{found[2]}``")
        end = found.end()
    return "".join([*out, _plain(text[end:])])


def _plain(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def _site_list(root: Page) -> str:
    names = [(page, page.name.split()[-1]) for page in root.children]
    rows = [(f":doc:`{page.name} </commands/{name}>`", _inline(page.summary)) for page, name in names]
    return _site_table([("command", "does"), *rows])


def _site_exit_codes() -> str:
    rows = []
    for one in exit_codes():
        names = ", ".join(f":class:`~s2ct_convert.errors.{name}`" for name in one.errors)
        rows.append((str(one.code), _inline(one.meaning), names))
    return _site_table([("code", "meaning", "errors in Python"), *rows])


def _site_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


# --- man pages


def write_man_pages(folder: Path) -> list[Path]:
    """Write the man page of every command, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    root, paths = read_page(cli), []
    for page in every_page(root):
        path = folder / f"{page.name.replace(' ', '-')}.1"
        path.write_text(_man_page(page, root), encoding="utf-8")
        paths.append(path)
    return paths


def _man_page(page: Page, root: Page) -> str:
    title = page.name.replace(" ", "-")
    summary = _roff(page.summary.removesuffix("."))
    lines = [f'.TH "{title.upper()}" "1" "" "s2ct {__version__}" "s2ct"', ".SH NAME", f"{_roff(title)} \\- {summary}"]
    words = page.usage.removeprefix(page.name).strip()
    lines += [".SH SYNOPSIS", f".B {_roff(page.name)}", _roff(words), ".SH DESCRIPTION"]
    for block in page.blocks:
        lines += _man_verbatim(block.text) if block.verbatim else [".PP", _roff(block.text)]
    if page.children:
        lines.append(".SH COMMANDS")
        for child in page.children:
            lines += [".TP", f"\\fB{_roff(child.name.replace(' ', '-'))}\\fR(1)", _roff(child.summary)]
    lines.append(".SH OPTIONS")
    for names, text in page.options:
        lines += [".TP", f"\\fB{_roff(names)}\\fR", _roff(text)]
    if page.epilog:
        lines += [".SH NOTES", *_man_verbatim(page.epilog)]
    lines.append(".SH EXIT STATUS")
    for one in exit_codes():
        lines += [".TP", f".B {one.code}", _roff(one.meaning)]
    above = [one for one in every_page(root) if page.name.startswith(f"{one.name} ")]
    if above:
        names = ",\n".join(f".BR {_roff(one.name.replace(' ', '-'))} (1)" for one in above)
        lines += [".SH SEE ALSO", names]
    return "\n".join(lines) + "\n"


def _man_verbatim(text: str) -> list[str]:
    return [".PP", ".RS 4", ".nf", *(_roff(line) for line in text.splitlines()), ".fi", ".RE"]


def _roff(text: str) -> str:
    """Text that groff shows as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "man":
        sys.exit(f"usage: python {sys.argv[0]} man FOLDER")
    print(f"{len(write_man_pages(Path(sys.argv[2])))} man pages in {sys.argv[2]}")
