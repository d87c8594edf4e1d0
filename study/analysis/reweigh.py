"""How the answer would change with other weights: measurements are scored again, nothing is measured again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from objectives.fitness import PRESETS, Preset, Reference, fitness, fixed_fitness, reference_of
from study.analysis.decision import Decision, decide
from study.spec.model import FitnessRule
from study.storage.context import StudyContext
from study.storage.trials import Trial


def weighed(rule: FitnessRule, preset: Preset | None) -> FitnessRule:
    """The rule with a preset's weights in place of its own; None changes nothing."""
    return rule if preset is None else replace(rule, preset=preset, weights=None)


def reference(rows: Sequence[Trial]) -> Reference | None:
    """What the terms of these trials are relative to; None where no launch had finite latencies."""
    own = [r for r in rows if r.measurement is not None and r.repeat_of is None]
    found = [
        reference_of(r.measurement)
        for r in sorted(own, key=lambda r: not r.is_reference)
        if r.measurement
    ]
    return next((f for f in found if f is not None), None)


def rescored(rows: Sequence[Trial], asked: StudyContext, rule: FitnessRule) -> list[Trial]:
    """The same trials with their fitness under another rule; gates and failures stay as they are."""
    base, weights = reference(rows) or Reference({}, None), rule.effective_weights
    top = asked.workload.ladder_max_sessions
    found = []
    for r in rows:
        if r.measurement is None:
            found.append(r)
            continue
        if rule.normalisation == "fixed":
            value = fixed_fitness(r.measurement, weights)
        else:
            value = fitness(
                r.measurement, base, weights, headroom_mib=rule.headroom_mib, top_rung=top
            )
        found.append(replace(r, fitness=value.value, contributions=value.contributions))
    return found


def answers(rows: Sequence[Trial], asked: StudyContext) -> Mapping[Preset, Decision]:
    """What each preset would decide."""
    return {p: decide(rescored(rows, asked, weighed(asked.fitness, p)), asked) for p in PRESETS}


def is_contested(found: Mapping[Preset, Decision]) -> bool:
    """Whether the presets do not all choose the same configuration."""
    return len({str(d.winner.allocation) if d.winner else None for d in found.values()}) > 1
