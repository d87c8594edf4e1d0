"""Score the measurements of a study again, to see how other weights would change the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from objectives.fitness import PRESETS, Preset, Reference, fitness, fixed_fitness, reference_of
from study.analysis.decision import Decision, decision_of
from study.spec.model import FitnessRule
from study.storage.context import StudyContext
from study.storage.trials import Trial


def weighed(rule: FitnessRule, preset: Preset | None) -> FitnessRule:
    """Return the rule with a preset's weights in place of its own; None changes nothing."""
    return rule if preset is None else replace(rule, preset=preset, weights=None)


def reference(rows: Sequence[Trial]) -> Reference | None:
    """Return what the terms of these trials are relative to.

    None where no launch had finite latencies.
    """
    launches = [r for r in rows if r.measurement is not None and r.repeat_of is None]
    references = (
        reference_of(r.measurement)
        for r in sorted(launches, key=lambda r: not r.is_reference)
        if r.measurement
    )
    return next((x for x in references if x is not None), None)


def rescored(rows: Sequence[Trial], rule: FitnessRule) -> list[Trial]:
    """Return the trials with their fitness under another rule; gates and failures stay."""
    base, weights = reference(rows) or Reference({}, None), rule.effective_weights
    trials = []
    for r in rows:
        if r.measurement is None:
            trials.append(r)
            continue
        if rule.normalisation == "fixed":
            value = fixed_fitness(r.measurement, weights)
        else:
            value = fitness(r.measurement, base, weights, headroom_mib=rule.headroom_mib)
        trials.append(replace(r, fitness=value.value, contributions=value.contributions))
    return trials


def preset_decisions(rows: Sequence[Trial], context: StudyContext) -> Mapping[Preset, Decision]:
    """Return what each preset would decide."""
    return {p: decision_of(rescored(rows, weighed(context.fitness, p)), context) for p in PRESETS}


def is_contested(decisions: Mapping[Preset, Decision]) -> bool:
    """Return whether the presets do not all choose the same configuration."""
    return len({str(d.winner.allocation) if d.winner else None for d in decisions.values()}) > 1
