"""This module reads a D-REAM file; an entry that is wrong does not hide the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import yaml

from objectives.errors import BadInput
from objectives.plain_data.ranges import Range
from study.dream.experiments.generic import name_is_plain, read_generic
from study.dream.experiments.model import Experiment
from study.dream.experiments.own import is_own, read_own
from study.dream.experiments.quiet_hours import QuietHours, read_quiet_hours
from study.dream.experiments.values import plain_value
from study.spec.yaml_file import read_yaml
from study.spec.yaml_node import YamlEntry

BACKOFF_S = 60.0
PATIENCE = 8
FOLDERS = ("promotions", "winners", "survivors")  # beside those of experiments
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
        content: The bytes of the file.
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
    content: bytes = field(repr=False)

    @property
    def entries(self) -> tuple[Experiment | Broken, ...]:
        """Return every entry, those that can be run first."""
        return (*self.experiments, *self.broken)

    def named(self, name: str) -> Experiment | Broken | None:
        """Return the entry of this name."""
        return next((e for e in self.entries if e.name == name), None)


def read_dream_file(path: Path, content: bytes | None = None) -> DreamFile:
    """Return the file.

    Args:
        path: The file.
        content: Its bytes, where it may have changed since they were read.

    Raises:
        BadInput: The file as a whole cannot be used; the error is one line.
    """
    top, _, content = read_yaml(path, content)
    keys = top.items()
    if "experiments" not in keys:
        raise top.at("experiments").wrong("it is missing", "add a list of experiments")
    entries = keys["experiments"].elements()
    if not entries:
        raise keys["experiments"].wrong("the list is empty", "add an experiment")
    run = top.at("run")
    scheduling, cap = run.at("scheduling"), run.at("global_budget")
    weights: dict[str, float] = {}
    if not (weights_entry := top.at("fitness_aggregation", "weights")).is_null:
        weights = weights_entry.build(Mapping[str, Annotated[float, Range(-1e9, 1e9)]])
    plain_run: Any = plain_value(run) if run.is_mapping else {}
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
            experiment = _entry(entry, digest, path, content, weights, plain_run, caps)
            _refuse_known(entry.at("name"), experiment, readable, broken)
            readable.append(experiment)
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
        content=content,
    )


def _entry(
    entry: YamlEntry,
    digest: str,
    path: Path,
    content: bytes,
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
        return read_own(entry, common, path, content, caps)
    generic = read_generic(entry, common, weights, run, caps)
    try:  # another evaluator may do what this one did not
        code = generic.evaluator.path.read_bytes()
    except OSError as error:
        raise entry.at("evaluator").wrong(
            f"{generic.evaluator.path} cannot be read ({error.strerror})", "name another file"
        ) from error
    return replace(generic, digest=hashlib.sha256(digest.encode() + code).hexdigest()[:16])


def _refuse_known(
    entry: YamlEntry, experiment: Experiment, readable: list[Experiment], broken: list[Broken]
) -> None:
    """Refuse a name that another entry has, or whose files another entry writes."""
    name, slug = experiment.name, experiment.slug
    if name in [*(e.name for e in readable), *(b.name for b in broken)]:
        raise entry.wrong(f"{name!r} is here twice", "give it another name")
    other = next((e.name for e in readable if e.slug == slug), None)
    if other is not None:
        raise entry.wrong(f"{name} and {other} would write the same files", "rename one")
    if slug in FOLDERS:
        raise entry.wrong(f"{slug} is the folder of all {slug}", "give it another name")


def _number(entry: YamlEntry, kind: type, low: float, high: float) -> Any:
    return None if entry.is_null else entry.build(kind, Range(low, high))


def _path(entry: YamlEntry) -> Path | None:
    return None if entry.is_null else Path(os.path.expanduser(entry.build(str)))  # noqa: PTH111
