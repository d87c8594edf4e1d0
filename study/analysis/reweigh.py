"""Measurements are scored again here, to see what other weights or limits change in the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from objectives.capacity.limits import LIMIT_MS, Limit, limit_names
from objectives.engines.registry import hears_alike
from objectives.errors import BadInput
from objectives.fitness import (
    PRESETS,
    Fitness,
    Preset,
    Reference,
    fitness,
    fixed_fitness,
    reference_of,
)
from objectives.measurement import Measurement
from objectives.recording.kept_replies import Rows, under
from objectives.speech.wer import Gate, gate_constraint, worst_gate
from study.analysis.decision import Decision, decision_of
from study.cards.card_scales import CardScales, scales_of
from study.spec.model import FitnessRule
from study.storage.context import StudyContext
from study.storage.trial import Trial
from study.text import meant


def weighed(rule: FitnessRule, preset: Preset | None) -> FitnessRule:
    """Return the rule with a preset's weights in place of its own; None changes nothing."""
    return rule if preset is None else replace(rule, preset=preset, weights=None)


def changed_limits(
    own_ms: Mapping[str, float], changes_ms: Mapping[str, float | None], apis: Mapping[str, str]
) -> dict[str, float]:
    """Return limits with some of them changed, ms by name.

    Args:
        own_ms: The limits under which it was measured.
        changes_ms: Those that take the place of its own of the same names; None
            leaves one out.
        apis: The API of each service.

    Raises:
        BadInput: A name is no limit of these services, a value no time, or no limit is left.
    """
    names = limit_names(apis)
    if not isinstance(changes_ms, Mapping):
        raise BadInput(
            f"limits are {str(changes_ms)[:40]!r}; give ms by name, e.g. {{{names[-1]!r}: 100}}"
        )
    for name, ms in changes_ms.items():
        if name not in names:
            raise BadInput(f"no limit is named {name!r} here; {meant(str(name), names)}")
        if ms is None:
            continue
        if isinstance(ms, bool) or not isinstance(ms, int | float):
            raise BadInput(f"the limit {name} is {str(ms)[:40]!r}; it is a number of ms, or None")
        try:
            Limit.of(name, ms)
        except ValueError as error:
            raise BadInput(str(error)) from error
        if not LIMIT_MS.low <= ms <= LIMIT_MS.high:
            raise BadInput(f"the limit {name} is {str(ms)[:40]} ms; it is from 1 to 1e7 ms")
    limits_ms = {name: ms for name, ms in {**own_ms, **changes_ms}.items() if ms is not None}
    if not limits_ms:
        raise BadInput(f"no limit is left; keep one, e.g. {names[0]}")
    return limits_ms


def judged(
    trials: Sequence[Trial], replies: Mapping[int, Rows], context: StudyContext
) -> list[Trial]:
    """Return the trials with the goodput, capacity and fitness that the limits of a context give.

    Args:
        trials: What was measured, under whatever limits.
        replies: The requests of each launch, by the number of its trial; one that is not there has
            neither goodput nor capacity.
        context: It holds the limits, the pause of a user and the weights.
    """
    pause_s = context.workload.pause_s
    again = [
        replace(t, measurement=under(t.measurement, replies.get(t.number), context.limits, pause_s))
        if t.measurement is not None
        else t
        for t in trials
    ]
    return rescored(again, context)


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


def rescored(rows: Sequence[Trial], context: StudyContext) -> list[Trial]:
    """Return the trials with their fitness under a context's rule; gates and failures stay.

    What a card measured that differs by more than noise is held against its own baseline.
    """
    rule, (base, alike) = context.fitness, _alike(rows, context.fitness)
    own = _scales(rows, context, alike).references(base) if _has_several_cards(rows) else {}
    trials = []
    for r in rows:
        if r.measurement is None:
            trials.append(r)
            continue
        value, own_card = alike[r.number], None
        if own and (card := r.measurement.measured_on or "") in own:
            value, own_card = _fitness(r.measurement, own[card], rule), r.measurement.measured_on
        trials.append(
            replace(r, fitness=value.value, contributions=value.contributions, own_card=own_card)
        )
    return trials


def of_all_cards(rows: Sequence[Trial], context: StudyContext) -> list[Trial]:
    """Return the trials of a study; of one with several cards they are scored alike.

    A run scores by what it knows of its cards then, so that an early trial may have been told
    another value.
    """
    return rescored(rows, context) if _has_several_cards(rows) else list(rows)


def _has_several_cards(rows: Sequence[Trial]) -> bool:
    return len({r.measurement.measured_on for r in rows if r.measurement is not None}) > 1


def card_scales(rows: Sequence[Trial], context: StudyContext) -> CardScales:
    """Return what the cards of these trials measured, against the study's one reference."""
    return _scales(rows, context, _alike(rows, context.fitness)[1])


def _alike(rows: Sequence[Trial], rule: FitnessRule) -> tuple[Reference, Mapping[int, Fitness]]:
    """Return the study's one reference, and each trial's fitness against it, by number."""
    base = reference(rows) or Reference({}, None)
    return base, {
        r.number: _fitness(m, base, rule) for r in rows if (m := r.measurement) is not None
    }


def _scales(
    rows: Sequence[Trial], context: StudyContext, alike: Mapping[int, Fitness]
) -> CardScales:
    """Return what the cards measured.

    Args:
        rows: The trials.
        context: What the study asks.
        alike: The fitness of each against the study's one reference, by number.
    """
    return scales_of(rows, str(context.baseline), lambda trial: alike[trial.number].value)


def _fitness(measured: Measurement, base: Reference, rule: FitnessRule) -> Fitness:
    weights = rule.effective_weights
    if rule.normalisation == "fixed":
        return fixed_fitness(measured, weights)
    return fitness(measured, base, weights, headroom_mib=rule.headroom_mib)


def words_judged(trials: Sequence[Trial], context: StudyContext) -> list[Trial]:
    """Return the trials with their words held against today's speech model in any launch.

    Where that was never measured either, they are held against those of the reference. Nothing
    changes where the baseline was measured: its words judged each trial as it ended.
    """
    launched = [t for t in trials if t.measurement is not None and t.repeat_of is None]
    today = context.baseline
    if any(str(t.allocation) == str(today) for t in launched):
        return list(trials)
    services = context.services
    first = sorted(
        launched,
        key=lambda t: (not hears_alike(services, t.allocation, today), not t.is_reference),
    )
    basis = next((t for t in first if t.measurement and t.measurement.words), None)
    if basis is None or basis.measurement is None:
        return list(trials)
    known: dict[tuple[str, ...], Gate] = {}
    old = basis.measurement.words
    judged = []
    for t in trials:
        if t.measurement is None:
            judged.append(t)
            continue
        keys = {n: t.allocation.words_key(n) for n in {**old, **t.measurement.words}}
        speech = tuple(keys.values())
        if speech not in known:  # the clips are the same, and scored once
            known[speech] = worst_gate(
                t.measurement.words,
                old,
                same={n for n, key in keys.items() if key == basis.allocation.words_key(n)},
                limit_points=context.gates.wer_points,
            )
        share = gate_constraint(known[speech], context.gates.wer_points)
        constraints = {**t.constraints, "word_error_rate": share}
        judged.append(replace(t, word_gate=known[speech].verdict, constraints=constraints))
    return judged


def preset_decisions(
    rows: Sequence[Trial], context: StudyContext, own: Decision
) -> Mapping[Preset, Decision]:
    """Return what each preset would decide.

    Args:
        rows: What was measured.
        context: What the study asks.
        own: What is decided of these trials as they are, which one of the presets gives as well.
    """
    rules = {p: replace(context, fitness=weighed(context.fitness, p)) for p in PRESETS}
    trials = {p: rescored(rows, other) for p, other in rules.items()}
    return {p: own if t == rows else decision_of(t, context) for p, t in trials.items()}


def is_contested(decisions: Mapping[Preset, Decision]) -> bool:
    """Return whether the presets do not all choose the same configuration."""
    return len({str(d.winner.allocation) if d.winner else None for d in decisions.values()}) > 1
