"""Read our own experiment: a study of this project as an entry of a D-REAM file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    entry: YamlEntry, common: Mapping[str, Any], path: Path, *, allows_gpu: bool
) -> OwnExperiment:
    """Return our experiment; its spec is read as that of any study.

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
    spec = load(path, common["name"])
    if spec.measure == "live" and spec.device != "cpu" and not allows_gpu:
        raise entry.at("device").wrong("run.global_budget forbids a GPU", "allow it there")
    if units and spec.measure != "live":
        raise lending.wrong("a replay needs no GPU", "remove it, or write `measure: live`")
    return OwnExperiment(
        **common,
        device=spec.device if spec.measure == "live" else None,
        max_generations=spec.budget.max_generations,
        lend_from=units,
        max_outage=outage,
        notes=spec.notes,
    )


def spec_of(experiment: OwnExperiment, path: Path) -> Spec:
    """Return the spec of our experiment, under the name of its files.

    What it notes and ignores is told once, not in every turn.
    """
    return replace(load(path, experiment.name), name=experiment.slug, ignored=(), notes=())
