"""This module reads which figures an experiment wants, which way, and how much each weighs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from objectives.figures import Direction
from objectives.plain_data.ranges import Range
from study.dream.experiments.model import Goal
from study.spec.yaml_node import YamlEntry

OWN_FIGURE = "fitness"  # of an evaluator for which no figure is named


def read_goals(top: YamlEntry, weights: Mapping[str, float], notes: list[str]) -> tuple[Goal, ...]:
    """Return the goals of an entry: `metrics:`, with the weights of the file or its own.

    Args:
        top: The entry.
        weights: The file's own, by canonical name.
        notes: Gets a sentence about what is not as it looks.

    Raises:
        BadInput: Something is wrong with them; the error is one line, with file, line and key.
    """
    metrics = top.at("metrics")
    if not metrics.is_null:
        metrics.only(("target_direction", "map", "target"))
    wanted = metrics.at("target_direction")
    directions = {OWN_FIGURE: Direction.UP}
    if not wanted.is_null:
        directions = {n: e.build(Direction) for n, e in wanted.items().items()}
    mapped = _texts(metrics.at("map"))
    targets = _numbers(metrics.at("target"))
    overrides = top.at("overrides")
    if not overrides.is_null:
        overrides.only(("fitness_weights", "mutators"))
        if not (own := overrides.at("fitness_weights")).is_null:
            weights = _numbers(own)
    if unknown := [name for name in targets if name not in directions]:
        raise metrics.at("target", unknown[0]).unknown(directions)
    goals = tuple(
        Goal(
            name,
            canonical := mapped.get(name, name),
            direction,
            abs(weights.get(canonical, 1.0)),
            targets.get(name),
        )
        for name, direction in directions.items()
    )
    if not any(g.counts for g in goals):
        raise metrics.wrong("no figure has a weight", "name one that is up or down")
    for g in goals:
        if g.direction is Direction.NEUTRAL and g.target is None:
            notes.append(f"{g.name} is neutral and has no target: it has no weight")
    canonical_names = [g.canonical for g in goals if g.counts]
    for name in dict.fromkeys(canonical_names):
        if canonical_names.count(name) > 1:
            several = " and ".join(g.name for g in goals if g.canonical == name and g.counts)
            notes.append(f"{several} are mapped to {name}: they are averaged")
        if weights.get(name, 1.0) < 0:
            notes.append(f"the weight of {name} is negative: target_direction says which way")
    return goals


def _texts(entry: YamlEntry) -> dict[str, str]:
    return {} if entry.is_null else {n: e.build(str) for n, e in entry.items().items()}


def _numbers(entry: YamlEntry) -> dict[str, float]:
    if entry.is_null:
        return {}
    numbers: dict[str, float] = entry.build(Mapping[str, Annotated[float, Range(-1e9, 1e9)]])
    return numbers
