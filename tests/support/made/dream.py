"""This module makes D-REAM files, evaluators and experiments for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from study.dream.experiments.file import read_dream_file
from study.dream.experiments.model import GenericExperiment

TOY = """
import os, subprocess, sys, time
class Toy:
    def __init__(self, top=3): self.top = top
    def evaluate(self, candidate):
        height = 10 - abs(candidate["x"] - self.top)
        return {"status": "pass", "metrics": {"height": height, "ms": 5}}
"""
ENTRY: dict[str, Any] = {
    "name": "spica_toy",
    "search_space": {"x": [0, 1, 2, 3, 4, 5]},
    "evaluator": {"path": "toy.py", "class": "Toy"},
    "budget": {"wallclock_sec": 20, "max_candidates": 3},
    "metrics": {"target_direction": {"height": "up", "ms": "down"}},
}


def entry(**changes: Any) -> dict[str, Any]:
    """Return the toy's entry with changes; None takes a key out."""
    return {k: v for k, v in {**ENTRY, **changes}.items() if v is not None}


def dream_file(folder: Path, *entries: dict[str, Any], code: str = TOY, **top: Any) -> Path:
    """Write a D-REAM file and its evaluator; return the file."""
    (folder / "toy.py").write_text(code)
    path = folder / "dream.yaml"
    path.write_text(yaml.safe_dump({**top, "experiments": list(entries)}, sort_keys=False))
    return path


def experiment(folder: Path, code: str = TOY, **changes: Any) -> GenericExperiment:
    """Return the toy's experiment, read from its file."""
    file = read_dream_file(dream_file(folder, entry(**changes), code=code))
    assert not file.broken, file.broken
    (only,) = file.experiments
    assert isinstance(only, GenericExperiment)
    return only
