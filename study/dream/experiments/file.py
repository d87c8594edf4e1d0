"""Read a D-REAM file; an entry that is wrong does not hide the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml

from objectives.errors import BadInput
from objectives.plain_data.ranges import Range
from study.bounded_yaml import construct
from study.dream.experiments.generic import name_is_plain, read_generic
from study.dream.experiments.model import Experiment
from study.dream.experiments.own import is_own, read_own
from study.dream.experiments.quiet_hours import QuietHours, read_quiet_hours
from study.spec.yaml_file import read_yaml
from study.spec.yaml_node import YamlEntry

BACKOFF_S = 60.0
PATIENCE = 8
CAPS = ("wallclock_sec", "max_candidates", "max_generations")


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken entry cannot be run as it is written.

    Args:
        name: Its name, or its place in the list.
        reason: What is wrong: one line with file, line and the way out.
        digest: It changes with the entry.
        is_enabled: Whether it would take part in a cycle.
    """

    name: str
    reason: str
    digest: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamFile:
    """A D-REAM file is what holds for all experiments, and the experiments.

    Args:
        path: The file.
        artifact_root: Where it wants its artifacts; None leaves it to the command line.
        max_parallel: How many experiments may run at once; None leaves it likewise.
        backoff_s: The first pause after an experiment failed, seconds.
        cycle_s: The longest time of a cycle, seconds; None: no limit.
        quiet_hours: When nothing runs.
        cpu_pct: The share of the cores that experiments on the CPU may use, percent.
        experiments: The entries that can be run, in the order of the file.
        broken: The others.
        ignored: Keys that the ancestor had and never read, or that nothing here needs.
    """

    path: Path
    artifact_root: Path | None
    max_parallel: int | None
    backoff_s: float
    cycle_s: float | None
    quiet_hours: tuple[QuietHours, ...]
    cpu_pct: float
    experiments: tuple[Experiment, ...]
    broken: tuple[Broken, ...]
    ignored: tuple[str, ...]

    @property
    def entries(self) -> tuple[Experiment | Broken, ...]:
        """Return every entry, those that can be run first."""
        return (*self.experiments, *self.broken)

    def named(self, name: str) -> Experiment | Broken | None:
        """Return the entry of this name."""
        return next((e for e in self.entries if e.name == name), None)


def read_dream_file(path: Path) -> DreamFile:
    """Return the file.

    Raises:
        BadInput: The file as a whole cannot be used; the error is one line.
    """
    top, _, _ = read_yaml(path)
    keys = top.items()
    if "experiments" not in keys:
        raise top.at("experiments").wrong("it is missing", "add a list of experiments")
    entries = keys["experiments"].elements()
    if not entries:
        raise keys["experiments"].wrong("the list is empty", "add an experiment")
    run = top.at("run")
    scheduling, cap = run.at("scheduling"), run.at("global_budget")
    weights: dict[str, float] = {}
    if not (given := top.at("fitness_aggregation", "weights")).is_null:
        weights = given.build(Mapping[str, Annotated[float, Range(-1e9, 1e9)]])
    plain_run: Any = construct(run.node) if run.is_mapping else {}
    caps = {
        name: cap.at(name).build(float if name == "wallclock_sec" else int, Range(0.1, 1e7))
        for name in CAPS
        if cap.at(name).is_present
    }
    if cap.at("allow_gpu").is_present and cap.at("allow_gpu").build(bool) is False:
        caps["allow_gpu"] = False
    shared = f"{plain_run!r} {weights!r}"
    readable: list[Experiment] = []
    broken: list[Broken] = []
    for position, entry in enumerate(entries):
        digest = hashlib.sha256(f"{yaml.serialize(entry.node)} {shared}".encode()).hexdigest()[:16]
        name = entry.at("name").text if entry.is_mapping else ""
        try:
            readable.append(_entry(entry, digest, path, weights, plain_run, caps))
            if name in [*(e.name for e in readable[:-1]), *(b.name for b in broken)]:
                readable.pop()
                raise entry.at("name").wrong(f"{name!r} is here twice", "give it another name")
        except BadInput as error:
            is_enabled = not entry.is_mapping or entry.at("enabled").text.lower() != "false"
            broken.append(
                Broken(name or f"experiment {position + 1}", str(error), digest, is_enabled)
            )
    return DreamFile(
        path=path.absolute(),
        artifact_root=_path(run.at("artifact_root")),
        max_parallel=_number(scheduling.at("max_parallel"), int, 1, 1000),
        backoff_s=_number(scheduling.at("backoff_on_failure_sec"), float, 0, 1e6) or BACKOFF_S,
        cycle_s=_number(run.at("cycle_wallclock_sec"), float, 1, 1e8),
        quiet_hours=read_quiet_hours(
            top.at("quiet_hours") if top.at("quiet_hours").is_present else run.at("quiet_hours")
        ),
        cpu_pct=_number(cap.at("cpu_percent_cap"), float, 1, 100) or 100.0,
        experiments=tuple(readable),
        broken=tuple(broken),
        ignored=tuple(k for k in keys if k in ("spica_retention", "mutators", "logging")),
    )


def _entry(
    entry: YamlEntry,
    digest: str,
    path: Path,
    weights: Mapping[str, float],
    run: Mapping[str, Any],
    caps: Mapping[str, Any],
) -> Experiment:
    name = entry.at("name").build(str)
    if not name_is_plain(name):
        raise entry.at("name").wrong(f"{name!r} cannot name a file", "use letters, digits, _ and -")
    patience = _number(entry.at("convergence", "patience_gens"), int, 1, 100_000)
    enabled = entry.at("enabled")
    common = {
        "name": name,
        "is_enabled": enabled.build(bool) if not enabled.is_null else True,
        "digest": digest,
        "patience": patience or PATIENCE,
    }
    if is_own(entry):
        return read_own(entry, common, path, allows_gpu=caps.get("allow_gpu", True))
    return read_generic(entry, common, weights, run, caps)


def _number(entry: YamlEntry, kind: type, low: float, high: float) -> Any:
    return None if entry.is_null else entry.build(kind, Range(low, high))


def _path(entry: YamlEntry) -> Path | None:
    return None if entry.is_null else Path(os.path.expanduser(entry.build(str)))  # noqa: PTH111
