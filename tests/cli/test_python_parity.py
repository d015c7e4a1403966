"""The command line and Python name the same things in the same way, with the same defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import click
import pytest

import s2ct_convert
from s2ct_convert.cli import cli

# Command, its function, and arguments with which the command parses.
PAIRS: dict[str, tuple[Callable[..., object], str]] = {
    "build": (s2ct_convert.build, "x.zarr"),
    "convert": (s2ct_convert.convert, "a x.zarr"),
    "croissant": (s2ct_convert.write_croissant, "x.zarr"),
    "download": (s2ct_convert.download, ""),
    "export": (s2ct_convert.export_tfrecord, "x.zarr out"),
    "extract": (s2ct_convert.extract_archive, "a out"),
    "list": (s2ct_convert.list_files, ""),
    "peek": (s2ct_convert.peek, ""),
    "preview": (s2ct_convert.preview, "x.zarr"),
    "urls": (s2ct_convert.list_urls, ""),
    "verify checksums": (s2ct_convert.check_files, ""),
    "verify sources": (s2ct_convert.verify_sources, "a"),
    "verify store": (s2ct_convert.verify_store, "x.zarr"),
}
# Only for people and shells.
ONLY_OPTIONS = {"--json", "--quiet", "--verbose", "--debug", "--nice", "--yes", "--plan", "--help", "--write", "--to"}
ONLY_OPTIONS |= {"--endpoint-url", "--no-sign-request", "--request-payer"}  # variables of the environment in Python
# Separate functions in Python: docs/cli.md lists them.
ONLY_OPTIONS_OF = {
    "download": {"--extract"},
    "export": {"--index", "--shard-size", "--localid", "--label", "--time", "--month", "--max-length", "--seed"},
    "extract": {"--salvage"},
    "peek": {"--picture", "--overwrite"},
    "verify sources": {"--salvage-report"},
    "verify store": {"--against", "--as", "--jobs", "--sample", "--max-unpacked", "--max-decoding"},
}
# `dataset`, `policy` and `budget` are objects; `command` is what the command line passes.
ONLY_PYTHON = {"dataset", "policy", "budget", "command"}
FLAGS = {"unit": "--as"}  # `as` is a word of Python
PLURAL = {"tiles", "splits", "files", "overwrite_units"}  # a list in Python, a repeated option


def command_of(name: str) -> click.Command:
    command: click.Command = cli
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return command


def flag(keyword: str) -> str:
    return FLAGS.get(keyword) or f"--{(keyword.removesuffix('s') if keyword in PLURAL else keyword).replace('_', '-')}"


def keywords(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Keywords with a default; those of TypedDicts by name."""
    found = {}
    for one in inspect.signature(function, eval_str=True).parameters.values():
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            (options,) = one.annotation.__args__
            found |= {
                name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
                for name in inspect.get_annotations(options)
            }
        elif one.kind is inspect.Parameter.KEYWORD_ONLY and not one.name.startswith("on_"):
            found[one.name] = one
    return {name: one for name, one in found.items() if name not in ONLY_PYTHON}


@pytest.mark.every_variant
@pytest.mark.parametrize("name", PAIRS)
def test_every_keyword_is_an_option_and_every_option_a_keyword(name):
    options = {
        opt
        for one in command_of(name).params
        if isinstance(one, click.Option)
        for opt in one.opts
        if opt.startswith("--")
    }
    options -= ONLY_OPTIONS | ONLY_OPTIONS_OF.get(name, set())
    positional = {"--output"}  # arguments of functions by position
    assert {flag(one) for one in keywords(PAIRS[name][0])} == options - positional


@pytest.mark.every_variant
@pytest.mark.parametrize("name", PAIRS)
def test_defaults_are_the_same(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    function, words = PAIRS[name]
    command = command_of(name)
    parsed = command.make_context(name, words.split()).params
    by_flag = {
        opt: parsed[one.name]
        for one in command.params
        if isinstance(one, click.Option) and one.name in parsed
        for opt in one.opts
    }
    for keyword, one in keywords(function).items():
        if keyword == "jobs" and name != "download":
            assert (one.default, by_flag["--jobs"]) == (1, None)  # docs/cli.md says why
        else:
            assert (by_flag[flag(keyword)] or None) == (one.default or None), keyword


def test_a_store_is_exported_by_its_path(sample_stores, tmp_path):
    done = s2ct_convert.export_tfrecord(str(sample_stores["zarr"]), tmp_path, tiles=["t31tcj"], splits=["VAL"])
    assert [(one.unit, one.path.parent) for one in done] == [("val/31TCJ", tmp_path)]
