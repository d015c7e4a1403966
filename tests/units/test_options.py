"""Each option is the same everywhere: in its dataclass, in the keywords, in ``help()`` and on the command line."""

from __future__ import annotations

import inspect
import typing
from dataclasses import fields

import pytest

import s2ct_convert
from s2ct_convert.cli import cli
from s2ct_convert.conversion.build import BuildKeywords
from s2ct_convert.conversion.fetching import FetchKeywords, FetchOptions
from s2ct_convert.keywords import sort_options
from s2ct_convert.units.options import (
    ConvertKeywords,
    EngineKeywords,
    EngineOptions,
    PlanKeywords,
    PlanOptions,
    RunKeywords,
    RunOptions,
)

pytestmark = pytest.mark.every_variant  # all are quick

KINDS = {
    PlanOptions: PlanKeywords,
    RunOptions: RunKeywords,
    EngineOptions: EngineKeywords,
    FetchOptions: FetchKeywords,
}
TAKEN = {
    "convert": (ConvertKeywords, PlanOptions, RunOptions, EngineOptions),
    "build": (BuildKeywords, PlanOptions, RunOptions, FetchOptions),
}


@pytest.mark.parametrize("kind", KINDS)
def test_keywords_have_the_types_of_the_fields(kind):
    assert typing.get_type_hints(KINDS[kind]) == {name: typing.get_type_hints(kind)[name] for name in names(kind)}


@pytest.mark.parametrize("function", TAKEN)
def test_the_signature_shows_every_option_with_its_default(function):
    keywords, *kinds = TAKEN[function]
    shown = inspect.signature(getattr(s2ct_convert, function)).parameters
    defaults = {field.name: field.default for kind in kinds for field in fields(kind)}
    assert {name: shown[name].default for name in defaults} == defaults
    assert typing.get_type_hints(keywords).keys() == defaults.keys()
    assert "options" not in shown


@pytest.mark.parametrize("function", TAKEN)
def test_the_docstring_has_each_option_once(function):
    documented = inspect.getdoc(getattr(s2ct_convert, function)).splitlines()
    begin, end = documented.index("Parameters"), documented.index("Returns")
    entries = [line.split(" : ")[0] for line in documented[begin + 2 : end] if line and not line.startswith(" ")]
    listed = [name for entry in entries for name in entry.split(", ")]
    assert sorted(listed) == sorted(inspect.signature(getattr(s2ct_convert, function)).parameters)
    assert "{options}" not in documented


@pytest.mark.parametrize(
    ("command", "kinds"), [("convert", TAKEN["convert"][1:]), ("build", TAKEN["build"][1:]), ("plan", [PlanOptions])]
)
def test_the_command_line_has_every_option(command, kinds):
    there = {parameter.name for parameter in cli.commands[command].params}
    python_alone, wanted = {"policy", "dataset"}, {name for kind in kinds for name in names(kind)}
    assert wanted - there == python_alone & wanted


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(TypeError, match="there is no option 'codek'"):
        s2ct_convert.convert(tmp_path / "x", tmp_path / "x.zarr", codek="fast")
    with pytest.raises(TypeError, match="there is no option 'engine'"):
        s2ct_convert.build(tmp_path / "x.zarr", engine="dask")
    assert list(tmp_path.iterdir()) == []


def test_iterators_are_read_once():
    plan, run, _ = sort_options(
        {"tiles": iter(["50SMG"]), "overwrite_units": iter(["train/50SMG"])}, PlanOptions, RunOptions, EngineOptions
    )
    assert (plan.tiles, run.overwrite_units) == (("50SMG",), ("train/50SMG",))


def names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]
