"""Groups of commands: help in the order of use, ``s2ct help``, and suggestions for a command that does not exist."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from ..errors import EXIT_CODES

# What users of other tools type.
_OTHER_WORDS = {
    "ls": "list",
    "get": "download",
    "fetch": "download",
    "unpack": "extract",
    "unzip": "extract",
    "show": "info",
    "plot": "preview",
    "draw": "preview",
    "browse": "view",
    "serve": "view",
    "check": "verify",
    "resume": "convert",
    "finalize": "batch finalise",
}


class Group(click.Group):
    """Lists commands in the order in which users need them, and suggests one for a typing error."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f"No such command {name!r}. {_suggestion(ctx, self, name)}".strip(), ctx)
        return super().resolve_command(ctx, args)


class Main(Group):
    """The program itself: its help ends with the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def short_help(ctx: click.Context) -> str:
    """The help of ``s2ct`` alone, which fits on a terminal of 24 lines."""
    formatter = ctx.make_formatter()
    program = ctx.command
    assert isinstance(program, click.Group)
    program.format_usage(ctx, formatter)
    program.format_help_text(ctx, formatter)
    with formatter.section("All commands"):
        formatter.write_text(", ".join(program.list_commands(ctx)))
    formatter.write_paragraph()
    formatter.write("s2ct help COMMAND explains a command; s2ct -h lists them with a line each.\n")
    return formatter.getvalue()


@click.command("help", short_help="Explain s2ct or a command, as -h does.")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of s2ct or of a command.

    \b
    s2ct help convert
    s2ct help verify store
    """
    above = ctx.find_root()
    for word in words:
        command = above.command
        if not isinstance(command, click.Group):
            raise click.UsageError(f"'{above.command_path}' has no command {word!r}.", above)
        name, found, _ = command.resolve_command(above, [word])
        assert found is not None
        above = click.Context(found, info_name=name, parent=above)
    click.echo(above.command.get_help(above))


def _suggestion(ctx: click.Context, group: click.Group, word: str) -> str:
    """What the user may have meant, as a sentence; empty if nothing is close."""
    above = ctx.command_path
    if above == "s2ct" and Path(word).exists():
        return f"To see what this file or folder is: s2ct info {shlex.quote(word)}"
    if above == "s2ct verify" and Path(word).exists():
        from ..kinds import kind_of

        kind = kind_of(Path(word))
        return f"Did you mean '{above} {'store' if kind and kind.is_store else 'sources'} {shlex.quote(word)}'?"
    known = {name: f"{above} {name}" for name in group.commands}
    if word.lower() in known:
        return f"Did you mean '{known[word.lower()]}'?"
    if word.lower() in _OTHER_WORDS:
        return f"Did you mean 's2ct {_OTHER_WORDS[word.lower()]}'?"
    if close := difflib.get_close_matches(word.lower(), known, n=2):
        return f"Did you mean {' or '.join(repr(known[name]) for name in close)}?"
    elsewhere = dict(_paths(ctx.find_root().command, "s2ct"))  # commands of other groups
    close = difflib.get_close_matches(word.lower(), elsewhere, n=1)
    return f"Did you mean '{elsewhere[close[0]]}'?" if close else ""


def _paths(command: click.Command, above: str) -> Iterator[tuple[str, str]]:
    """The name of every command, with the words that call it."""
    for name, one in getattr(command, "commands", {}).items():
        yield name, f"{above} {name}"
        yield from _paths(one, f"{above} {name}")
