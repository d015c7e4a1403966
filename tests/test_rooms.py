"""A lower room never imports a higher one (docs/design.md section 4), and the command line starts fast."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "s2ct_convert"
LEVELS = (
    {
        "dataset",
        "names",
        "errors",
        "events",
        "gaps",
        "missing",
        "published",
        "durable",
        "hashing",
        "keywords",
        "kinds",
        "fields",
        "lease",
        "limits",
        "paths",
        "processes",
        "seekable",
        "threads",
        "tiles",
        "utm",
        "version",
        "words",
    },
    {"objects"},
    {"archives", "record", "store"},
    {"source", "reading"},
    {"units"},
    {"engines"},
    {"conversion", "croissant", "doctor", "export", "peeking", "pictures", "torch", "verify", "viewer"},
    {"show"},
    {"cli"},
)
OUTSIDE = {"__init__", "__main__", "sample"}  # the entry points, and data
NEEDS_TORCH = {
    f"torch/{name}.py" for name in ("batch", "batches", "observations", "progress", "ranks", "samples", "shuffled")
}  # imported late
HEAVY = {"tensorflow", "dask", "distributed", "matplotlib", "xarray", "torch", "pandas", "pyarrow", "webdataset"}
HEAVY |= {"netCDF4", "zarr"}  # the import of zarr took a third of the CPU time of a small conversion


def level(room: str) -> int:
    return next(i for i, rooms in enumerate(LEVELS) if room in rooms)


def rooms_of(package: Path) -> dict[str, list[Path]]:
    """Modules by room; a module at the top level is its own room."""
    out: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        out.setdefault(parts[0], []).append(path)
    return out


def imports(path: Path, package: Path, *, at_top: bool = False, typing: bool = True) -> Iterator[str]:
    """Full names that a module imports, such as ``s2ct_convert.store.layout``.

    ``at_top``: only at import time. ``typing``: also what only type checkers import.
    """
    here = (package.name, *path.relative_to(package).with_suffix("").parts)
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")), at_top=at_top, typing=typing):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else ()
            module = ".".join((*base, *(node.module.split(".") if node.module else ())))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _statements(tree: ast.AST, *, at_top: bool, typing: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if at_top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if (at_top or not typing) and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _statements(node, at_top=at_top, typing=typing)


def wrong_imports(package: Path) -> list[str]:
    """Imports of a higher room by a lower one, or of another room of the same level."""
    out = []
    for room, modules in rooms_of(package).items():
        if room in OUTSIDE:
            continue
        for module in modules:
            for name in imports(module, package):
                parts = name.split(".")
                if parts[0] != package.name or len(parts) < 2 or parts[1] in OUTSIDE:
                    continue
                other = parts[1]
                if other != room and level(other) >= level(room) and level(room) > 0:
                    out.append(f"{module.relative_to(package)} imports {name}")
                if level(room) == 0 and other != room and level(other) > 0:
                    out.append(f"{module.relative_to(package)} imports {name}")
    return out


def test_no_room_imports_a_higher_one_or_its_neighbour():
    assert wrong_imports(PACKAGE) == []


def test_every_room_has_a_level():
    known = OUTSIDE.union(*LEVELS)
    assert set(rooms_of(PACKAGE)) <= known


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("store/layout.py", "from ..conversion.run import convert", True),
        ("store/layout.py", "from ..source.find import Source", True),
        ("store/layout.py", "from ..errors import S2ctError", False),
        ("store/layout.py", "def f():\n    from ..show import words", True),
        ("store/layout.py", "import s2ct_convert.cli.info", True),
        ("store/layout.py", "from .. import cli", True),
        ("errors.py", "from .names import UnitName", False),
        ("errors.py", "from .store.layout import IMAGE", True),
        ("verify/against.py", "from ..conversion.run import convert", True),
        ("show/words.py", "from ..verify.against import verify", False),
        ("cli/info.py", "from ..words import size", False),
    ],
)
def test_the_check_finds_wrong_imports(tmp_path, module, line, wrong):
    path = tmp_path / "s2ct_convert" / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    assert bool(wrong_imports(tmp_path / "s2ct_convert")) == wrong


@pytest.mark.parametrize(
    ("room", "foreign"), [("source", {"zarr", "h5py", "numcodecs"}), ("store", {"py7zr", "google.protobuf"})]
)
def test_sources_know_no_containers_and_stores_know_no_archives(room, foreign):
    for module in rooms_of(PACKAGE)[room]:
        for name in imports(module, PACKAGE):
            assert not any(name == one or name.startswith(f"{one}.") for one in foreign), f"{module.name}: {name}"


def test_heavy_packages_are_imported_only_inside_functions():
    for module in PACKAGE.rglob("*.py"):
        tops = {name.split(".")[0] for name in imports(module, PACKAGE, at_top=True)}
        allowed = {"torch"} if module.relative_to(PACKAGE).as_posix() in NEEDS_TORCH else set()
        assert not tops & (HEAVY - allowed), module


def test_command_modules_import_no_heavy_packages_at_the_top():
    light = {"errors", "version", "words", "cli"}
    for module in rooms_of(PACKAGE)["cli"]:
        for name in imports(module, PACKAGE, at_top=True):
            parts = name.split(".")
            assert parts[0] not in {"numpy", "zarr", "h5py", "py7zr", "rich", "urllib3", "google"}, f"{module}: {name}"
            if parts[0] == PACKAGE.name and len(parts) > 1:
                assert parts[1] in light, f"{module}: {name}"


def test_every_module_has_a_docstring():
    for module in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))), module


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def cycles(package: Path) -> list[str]:
    """Modules in an import cycle, at the top or in functions. A package that contains the module does not count."""
    modules = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    left = {}
    for name, path in modules.items():
        targets = modules.keys() & set(imports(path, package, typing=False))
        left[name] = {one for one in targets if not f"{name}.".startswith(f"{one}.")}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    importers = {target for targets in left.values() for target in targets}
    return sorted(left.keys() & importers)


def test_no_import_cycles_exist():
    assert cycles(PACKAGE) == []


@pytest.mark.parametrize(
    ("lines", "ring"),
    [
        ({"a": "from .b import x", "b": "from .c import x", "c": ""}, []),
        ({"a": "from .b import x", "b": "from .c import x", "c": "from . import a"}, ["p.a", "p.b", "p.c"]),
        ({"a": "from .b import x", "b": "def f():\n    from .a import x"}, ["p.a", "p.b"]),
        ({"a": "if TYPE_CHECKING:\n    from .b import x", "b": "from .a import x"}, []),
        ({"a": "from p import b", "b": "import p.a", "d": "from .a import x"}, ["p.a", "p.b"]),
    ],
)
def test_the_check_finds_import_cycles(tmp_path, lines, ring):
    (tmp_path / "p").mkdir()
    for name, text in {"__init__": "", **lines}.items():
        (tmp_path / "p" / f"{name}.py").write_text(text + "\n")
    assert cycles(tmp_path / "p") == ring


def test_command_modules_import_only_click_from_other_packages():
    """Checks a list of allowed packages, because a list of forbidden ones is never complete."""
    allowed = {*sys.stdlib_module_names, "click", PACKAGE.name}
    for module in rooms_of(PACKAGE)["cli"]:
        foreign = {name.split(".")[0] for name in imports(module, PACKAGE, at_top=True)} - allowed
        assert not foreign, f"{module}: {foreign}"
