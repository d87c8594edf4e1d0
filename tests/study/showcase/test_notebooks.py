"""The notebooks run from top to bottom, and hold calls and prose only."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from made.studies import Shared
from processes.commands import without

from objectives.fitness import PRESETS
from objectives.recording import read
from study.showcase.dataframe import reweighed, shipped_recording, table

NOTEBOOKS = Path(__file__).resolve().parents[3] / "study" / "notebooks"
EXPLORE, COMPARE = NOTEBOOKS / "explore_study.ipynb", NOTEBOOKS / "compare_samplers.ipynb"


def opened(notebook: Path) -> Any:
    """Read a notebook.

    Jupyter is imported only here, and without what makes a parser of addresses for 5 s.
    """
    with warnings.catch_warnings(), without("rfc3987_syntax"):  # warnings of Jupyter's own making
        warnings.simplefilter("ignore")
        import nbformat
    return nbformat.read(notebook, as_version=4)


def executed(
    notebook: Path, folder: Path, timeout_s: int, changes: Mapping[str, str] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Run a notebook in a folder, with some of its text changed, and return all its outputs."""
    book = opened(notebook)
    from nbclient import NotebookClient

    for old, new in changes.items():
        (cell,) = [c for c in book.cells if c.cell_type == "code" and old in c.source]
        cell.source = cell.source.replace(old, new)
    NotebookClient(book, timeout=timeout_s, resources={"metadata": {"path": str(folder)}}).execute()
    return [o for c in book.cells if c.cell_type == "code" for o in c.outputs]


@pytest.mark.filterwarnings("ignore")
def test_it_runs_from_top_to_bottom_without_a_word_on_stderr(tmp_path: Path) -> None:
    outputs = executed(EXPLORE, tmp_path, timeout_s=600)
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert sum("application/vnd.plotly.v1+json" in o.get("data", {}) for o in outputs) == 2
    kept = [o for c in opened(EXPLORE).cells if c.cell_type == "code" for o in c.outputs]
    for kind in ("image/svg+xml", "text/html"):
        of_kind = [o["data"][kind] for o in kept if kind in o.get("data", {})]
        assert of_kind and set(of_kind) <= {
            o["data"][kind] for o in outputs if kind in o.get("data", {})
        }, f"python tests/study/showcase/keep_outputs.py {EXPLORE}"
    assert any(
        " % of the memory for the LLM" in str(o.get("data", {}).get("text/plain")) for o in outputs
    )


@pytest.mark.filterwarnings("ignore")
def test_the_comparison_runs_from_top_to_bottom_and_shows_its_tables_and_figures(
    tmp_path: Path,
) -> None:
    smaller = {
        '"tpe", "nsga2", ': "",
        '"smooth", "cliff", ': "",
        "seeds=12": "seeds=2",
        "ask_sizes=[100, 300]": "ask_sizes=[20, 60]",
        # the files that a comparison draws are looked at in its own tests
        "folder = Path(mkdtemp())": "folder = Path(mkdtemp())\nchart.Chart.save = lambda *_: None",
    }
    outputs = executed(COMPARE, tmp_path, timeout_s=600, changes=smaller)
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 5
    assert sum("text/markdown" in o.get("data", {}) for o in outputs) == 4


@pytest.mark.parametrize("notebook", [EXPLORE, COMPARE], ids=lambda path: path.stem)
def test_it_holds_calls_and_prose_only(notebook: Path) -> None:
    code = [c for c in opened(notebook).cells if c.cell_type == "code"]
    kinds = {type(node) for c in code for node in ast.walk(ast.parse(c.source))}
    assert not kinds & {
        ast.FunctionDef,
        ast.ClassDef,
        ast.Lambda,
        ast.For,
        ast.While,
        ast.If,
        ast.With,
        ast.Try,
    }


@pytest.mark.parametrize(
    ("notebook", "most_bytes", "pictures"),
    [(EXPLORE, 100_000, {"image/svg+xml": 1}), (COMPARE, 250_000, {"image/png": 5})],
    ids=lambda value: value.stem if isinstance(value, Path) else None,
)
def test_it_keeps_its_results_and_pictures_small_and_nothing_of_a_machine(
    notebook: Path, most_bytes: int, pictures: Mapping[str, int]
) -> None:
    cells = [c for c in opened(notebook).cells if c.cell_type == "code"]
    shows = [c for c in cells if not c.source.startswith(("from ", "samplers = ")) or c.outputs]
    assert all(c.outputs for c in shows) and len(shows) >= len(cells) - 2, (
        f"python tests/study/showcase/keep_outputs.py {notebook}"
    )
    assert notebook.stat().st_size < most_bytes
    outputs = [o.get("data", {}) for c in cells for o in c.outputs]
    assert {kind: sum(kind in data for data in outputs) for kind in pictures} == pictures
    kept = notebook.read_text()
    assert not [word for word in ("/tmp/", "/home/", "/root/", "/work/") if word in kept]


def test_a_study_scored_anew_by_its_own_weights_has_its_own_scores(shared: Shared) -> None:
    launches = table(shared.shipped() / "artifacts/h200_recorded/study.db")
    assert len(launches) >= 8
    assert reweighed(launches, PRESETS["balanced"]).tolist() == pytest.approx(
        launches["fitness"].tolist()
    )
    failed = launches[launches["status"] == "pruned"]
    assert failed["llm_latency_p95_ms"].isna().all()
    assert set(failed["failure_class"]) == {"kv_too_small"}


def test_a_recording_has_every_launch_and_scores_relative_to_its_baseline() -> None:
    recorded = table(shipped_recording())
    weights = {"stt": 1, "llm": 1, "capacity": 0, "stability": 0, "efficiency": 0}
    scores = reweighed(recorded, weights)
    assert len(scores) == len(read(shipped_recording()).entries) > 8
    assert scores[recorded["is_reference"]].tolist() == [0.5]
