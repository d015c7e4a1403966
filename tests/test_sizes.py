"""Files, functions and signatures of the package stay short.

Docstrings do not count as lines of a function. Commands of click have a parameter for each option.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "s2ct_convert"
FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 60, 9

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(package: Path) -> Iterator[tuple[str, Function]]:
    """Every function, method and function in a function, by file and name."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(package).as_posix()} {node.name}", node


def long_files(package: Path) -> dict[str, int]:
    sizes = {
        path.relative_to(package).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in package.rglob("*.py")
    }
    return {name: size for name, size in sizes.items() if size > FILE_LINES}


def long_functions(package: Path) -> dict[str, int]:
    sizes = {}
    for name, function in functions(package):
        first = function.body[0]
        words = first if ast.get_docstring(function) is not None else None
        assert function.end_lineno is not None
        size = function.end_lineno - function.lineno + 1
        if words is not None:
            assert words.end_lineno is not None
            size -= words.end_lineno - words.lineno + 1
        sizes[name] = max(size, sizes.get(name, 0))
    return {name: size for name, size in sizes.items() if size > FUNCTION_LINES}


def long_signatures(package: Path) -> dict[str, int]:
    sizes = {}
    for name, function in functions(package):
        if any("click." in ast.unparse(one) for one in function.decorator_list):
            continue
        of = function.args
        names = [one.arg for one in (*of.posonlyargs, *of.args, *of.kwonlyargs, of.vararg, of.kwarg) if one]
        sizes[name] = max(len(names) - (names[:1] in (["self"], ["cls"])), sizes.get(name, 0))
    return {name: size for name, size in sizes.items() if size > PARAMETERS}


@pytest.mark.parametrize("find", [long_files, long_functions, long_signatures])
def test_nothing_is_longer_than_its_limit(find):
    assert find(PACKAGE) == {}


@pytest.mark.parametrize(
    ("find", "text", "found"),
    [
        (long_files, "\n" * 300, {}),
        (long_files, "\n" * 301, {"a.py": 301}),
        (long_functions, "def f():\n" + "    x\n" * 59, {}),
        (long_functions, "def f():\n" + "    x\n" * 60, {"a.py f": 61}),
        (long_functions, "class C:\n  async def f():\n" + "    x\n" * 60, {"a.py f": 61}),
        (long_functions, 'def f():\n    """' + "\n" * 90 + '    """\n' + "    x\n" * 59, {}),
        (long_signatures, "def f(self, a, b, c, d, *e, f, g, h, i): ...", {}),
        (long_signatures, "def f(a, b, c, d, /, e, *, f, g, h, i, **j): ...", {"a.py f": 10}),
        (long_signatures, "@click.command()\ndef f(a, b, c, d, e, f, g, h, i, j): ...", {}),
    ],
)
def test_the_check_finds_what_it_is_for(tmp_path, find, text, found):
    (tmp_path / "a.py").write_text(text)
    assert find(tmp_path) == found
