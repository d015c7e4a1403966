"""The notebook of the site: it is clean in the repository, and it runs from its first to its last cell.

To run it takes a minute and the packages of the extra ``docs``, so these tests are slow.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from documents import ROOT

NOTEBOOK = ROOT / "docs" / "notebooks" / "tour.ipynb"


def read() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def text_of(cell: Any) -> str:
    """Everything that a cell printed."""
    return "".join(one.get("text", "") for one in cell.get("outputs", []))


@pytest.fixture(scope="module")
def run_notebook() -> Any:
    """Run the notebook, after a cell of the test, and return its cells."""
    for package in ("ipykernel", "matplotlib", "nbclient"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[docs]' brings it")
    import nbformat
    from nbclient import NotebookClient

    def run(before: str = "") -> list[Any]:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
        folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
        client = NotebookClient(notebook, resources=folder, timeout=550)
        client.execute()
        return notebook.cells[1:]

    return run


def figures(cells: list[Any]) -> int:
    return sum("image/png" in one.get("data", {}) for cell in cells for one in cell.get("outputs", []))


def test_the_notebook_is_committed_without_results():
    notebook = read()
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), cell["id"]
        assert cell.get("execution_count") is None, cell["id"]
        assert set(cell["metadata"]) <= {"tags"}, cell["id"]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}  # no version of whoever ran it last
    assert NOTEBOOK.stat().st_size < 300_000
    assert not re.findall(r"[\"'(]/\w+/", NOTEBOOK.read_text(encoding="utf-8"))  # no absolute path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_notebook_draws_four_figures_and_beats_the_majority(run_notebook):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    cells = run_notebook()
    assert figures(cells) == 4
    found = re.search(r"val accuracy (0\.\d\d), majority class (0\.\d\d)", "".join(map(text_of, cells)))
    assert found
    assert float(found[1]) > float(found[2]) + 0.2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_notebook_without_torch_says_that_it_trains_nothing(run_notebook):
    cells = run_notebook("import sys\nsys.modules['torch'] = None  # as if it were not installed")
    assert figures(cells) == 3
    assert "PyTorch is not installed, so nothing is trained here" in "".join(map(text_of, cells))
