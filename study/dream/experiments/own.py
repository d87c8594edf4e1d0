"""This module reads our own experiment: a study of this project as an entry of a D-REAM file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.dream.experiments.generic import capped
from study.dream.experiments.model import OwnExperiment
from study.spec.load import load
from study.spec.model import Spec
from study.spec.yaml_node import YamlEntry

OWN_CLASS = "SpicaGPUAllocation"


def is_own(entry: YamlEntry) -> bool:
    """Say whether an entry is a study of this project.

    It has no evaluator, or that of the design, or says where its figures come from.
    """
    evaluator = entry.at("evaluator")
    if entry.at("measure").is_present or evaluator.at("class").text == OWN_CLASS:
        return True
    return evaluator.is_null and entry.at("domain_evaluator").is_null


def read_own(
    entry: YamlEntry,
    common: Mapping[str, Any],
    path: Path,
    content: bytes,
    caps: Mapping[str, Any],
) -> OwnExperiment:
    """Return our experiment; its spec is read as that of any study.

    Args:
        entry: The entry of the list.
        common: The arguments of every experiment.
        path: The file.
        content: Its bytes.
        caps: The file's limits of every budget, by the name of the budget's field.

    Raises:
        BadInput: Something is wrong with it; the error is one line, with file, line and key.
    """
    lending = entry.at("lending")
    units: tuple[str, ...] = ()
    outage = None
    if not lending.is_null:
        lending.only(("units", "max_outage"))
        units = lending.at("units").build(tuple[str, ...])
        outage = lending.at("max_outage").build(str | None)
    spec = load(path, common["name"], content=content)
    if spec.measure == "live" and spec.device != "cpu" and not caps.get("allow_gpu", True):
        raise entry.at("device").wrong("run.global_budget forbids a GPU", "allow it there")
    if units and spec.measure != "live":
        raise lending.wrong("a replay needs no GPU", "remove it, or write `measure: live`")
    notes = [*spec.notes]
    lower = capped(spec.budget, {k: v for k, v in caps.items() if k != "allow_gpu"}, notes)
    return OwnExperiment(
        **common,
        max_generations=int(lower.get("max_generations", spec.budget.max_generations)),
        total_s=spec.budget.total_sec,
        device=spec.device if spec.measure == "live" else None,
        lend_from=units,
        max_outage=outage,
        caps=lower,
        notes=tuple(notes),
    )


def spec_of(experiment: OwnExperiment, path: Path, content: bytes) -> Spec:
    """Return the spec of our experiment, under the name of its files and within the file's caps.

    What it notes and ignores is told once, not in every turn.
    """
    spec = load(path, experiment.name, content=content)
    caps: dict[str, Any] = {**experiment.caps}
    budget = replace(spec.budget, **caps)
    return replace(spec, name=experiment.slug, budget=budget, ignored=(), notes=())
