"""help() and completion show every public name."""

from __future__ import annotations

import inspect
import pydoc
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
from twins import first_quick

import s2ct_convert
import s2ct_convert.torch

MODULES = pytest.mark.parametrize("module", [s2ct_convert, s2ct_convert.torch], ids=lambda module: module.__name__)


def described(module) -> dict[str, str]:
    """The names in the docstring of a module, each with its line."""
    return dict(re.findall(r"^    (\w+) +(\S.*)$", module.__doc__, re.MULTILINE))


@MODULES
def test_help_has_a_line_for_every_public_name(module):
    assert set(described(module)) == set(module.__all__)


@MODULES
def test_the_lines_of_help_fit_a_terminal(module):
    lines = (inspect.getdoc(module) or "").splitlines()[1:]  # help() indents them by 4
    assert len(lines) > 5
    assert [line for line in lines if len(line) > 76] == []


def test_help_of_the_package_shows_names_and_docstrings():
    text = pydoc.plain(pydoc.render_doc(s2ct_convert))
    for name in s2ct_convert.__all__:
        assert re.search(rf"^ +{name} +\S", text, re.MULTILINE), name
    assert "Convert archives or TFRecord files to a Zarr or HDF5 store" in text


@MODULES
def test_completion_offers_the_public_names_alone(module):
    if module is s2ct_convert.torch and find_spec("torch") is None:
        pytest.skip("torch is not installed")
    assert {name for name in dir(module) if not name.startswith("__")} == set(module.__all__) - {"__version__"}


@pytest.mark.parametrize("module", first_quick([s2ct_convert, s2ct_convert.torch]))
def test_every_public_name_has_a_docstring(module):
    if module is s2ct_convert.torch:
        pytest.importorskip("torch")
    for name in set(module.__all__) - {"__version__"}:
        assert len(inspect.getdoc(getattr(module, name)) or "") > 20, name


def test_help_of_the_datasets_works_without_torch():
    code = "import sys; sys.modules['torch'] = None\nimport pydoc, s2ct_convert.torch as t\nprint(pydoc.render_doc(t))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in s2ct_convert.torch.__all__)
