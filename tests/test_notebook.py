"""The notebook: calls and prose only, saved without results, and executed from beginning to end."""

import ast
import json
from pathlib import Path

import pytest
from made_runs import needs

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((REPOSITORY / "study/notebooks").glob("*.ipynb"))
CALLS = ast.Import | ast.ImportFrom | ast.Assign | ast.Expr


def code_of(notebook):
    return [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_cells_hold_calls_and_no_logic(notebook):
    for cell in code_of(notebook):
        assert all(isinstance(node, CALLS) for node in ast.parse("".join(cell["source"])).body)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_saved_without_results(notebook):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_of(notebook))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs_from_beginning_to_end_and_shows_figures_and_tables(notebook, tmp_path, monkeypatch):
    needs("nbclient", "notebook")
    needs("ipykernel", "notebook")
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    ran = nbformat.read(notebook, as_version=4)
    NotebookClient(ran, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [set(out.get("data", {})) for cell in ran.cells for out in cell.get("outputs", [])]
    assert sum("image/png" in kinds for kinds in shown) >= 4
    assert sum("text/markdown" in kinds for kinds in shown) >= 4
    assert not any(out.get("name") == "stderr" for cell in ran.cells for out in cell.get("outputs", []))
