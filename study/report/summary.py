"""A summary is a study for its reports: its trials under chosen weights, and its decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import optuna

from objectives.allocation import Allocation
from objectives.engines.registry import apis_of
from objectives.fitness import Preset
from objectives.measurement import Measurement
from study.analysis.compare import Difference, closest_rival, figure_differences
from study.analysis.configurations import Configuration, configuration_of, configurations_in
from study.analysis.decision import Decision, decision_of
from study.analysis.gain import Gain, gain_of
from study.analysis.reweigh import (
    changed_limits,
    judged,
    of_all_cards,
    rescored,
    weighed,
    words_judged,
)
from study.confirmation.lookup import confirmation_in, confirmation_of
from study.confirmation.verdict_file import Confirmation
from study.promotion.status import Status
from study.storage.attributes import attribute
from study.storage.context import StudyContext, context_of
from study.storage.replies import replies_of
from study.storage.trial import Trial
from study.storage.trials import counted

CONFIRMED_IN = "confirmed_in"  # attribute of a replay: the promotion beside its recording


@dataclass(frozen=True)
class Summary:
    """The summary holds a study as it is reported; what follows from it is worked out once.

    Args:
        context: What the study asked, and where.
        trials: Every trial that counts, under the weights of `preset`.
        configurations: The trials by allocation.
        decision: Which configuration the study chose, and why.
        study: The name of the study.
        sampler: Its sampler and seed.
        preset: Whose weights count; None for the study's own.
        other_limits: Whether other limits than the study's judge its turns.
        unjudged: The number of launches whose replies were not found, so that other limits cannot
            judge them.
        confirmation: What fresh launches said of the winner; None where there were none.
        is_ended: False of a replay that never came to look for such launches.
    """

    context: StudyContext
    trials: Sequence[Trial]
    configurations: Sequence[Configuration]
    decision: Decision
    study: str
    sampler: str
    preset: Preset | None
    other_limits: bool = False
    unjudged: int = 0
    confirmation: Confirmation | None = None
    is_ended: bool = True

    @cached_property
    def measured(self) -> list[tuple[Allocation, Measurement]]:
        """Return every launch that gave a measurement."""
        launches = (t for c in self.configurations for t in c.measured)
        return [(t.allocation, t.measurement) for t in launches if t.measurement is not None]

    @property
    def service_weights(self) -> dict[str, float]:
        """Return how much the latency of each service counts in the fitness."""
        weights = self.context.fitness.effective_weights
        return {name: weights.get(name, 0.0) for name in self.context.services}

    @property
    def is_rejected(self) -> bool:
        """Return whether fresh launches spoke against the winner, so that the baseline stays."""
        return self.confirmation is not None and self.confirmation.verdict is Status.REJECTED

    @property
    def is_confirmed(self) -> bool:
        """Return whether fresh launches confirmed the winner."""
        return self.confirmation is not None and self.confirmation.verdict is Status.CONFIRMED

    @cached_property
    def today(self) -> Configuration | None:
        """Return the configuration in use today; None where it was not launched, or nothing is."""
        if not self.context.has_today:
            return None
        return configuration_of(self.context.baseline, self.configurations)

    @cached_property
    def reference(self) -> Configuration | None:
        """Return what the winner is compared with; None where it is compared with nothing."""
        reference, other = self.decision.reference, self.other
        if reference is None:
            return None
        if other is not None and str(other.allocation) == str(reference.allocation):
            return None
        return configuration_of(reference.allocation, self.configurations)

    @cached_property
    def other(self) -> Configuration | None:
        """Return the winner; where the baseline stays, what came closest to it, eligible or not."""
        return closest_rival(self.configurations, self.decision, self.context)

    @cached_property
    def differences(self) -> Sequence[Difference]:
        """Return every figure of the other one beside the reference's; none where one is missing.

        The noise of each is that of all launches.
        """
        if self.reference is None or self.other is None:
            return ()
        apis = apis_of(self.context.services)
        return figure_differences(self.reference, self.other, self.configurations, apis)

    @cached_property
    def gain(self) -> Gain | None:
        """Return by how much the other one is better than the reference, in one figure."""
        if self.reference is None or self.other is None:
            return None
        weights, claim = self.service_weights, self.context.claim
        return gain_of(self.other, self.reference, self.configurations, weights, claim)


def summary(
    study: optuna.Study,
    preset: Preset | None = None,
    promotions: Sequence[Path] | None = (),
    *,
    limits_ms: Mapping[str, float] | None = None,
    folder: Path = Path(),
) -> Summary:
    """Summarize a study; with a preset its measurements are weighed anew, with limits judged anew.

    The study itself is not changed.

    Args:
        study: What was measured.
        preset: Whose weights count; None for the study's own.
        promotions: Folders where a confirmation of its winner may lie; None asks for none.
        limits_ms: Limits in place of the study's own of the same names, ms; None for its own.
        folder: The folder of the study.db, where the replies of its launches lie; only other limits
            need them.

    Raises:
        BadInput: The study holds no context, a limit is none, what was kept of a launch cannot be
            read, or a confirmation was changed.
    """
    context, unjudged = context_of(study), 0
    trials = of_all_cards(words_judged(counted(study), context), context)
    if preset is not None:
        context = replace(context, fitness=weighed(context.fitness, preset))
        trials = rescored(trials, context)
    if limits_ms is not None:
        own_ms, apis = context.limits, apis_of(context.services)
        context = replace(context, limits=changed_limits(own_ms, limits_ms, apis))
        replies = replies_of(study, trials, folder)
        launched = [t for t in trials if t.measurement is not None and t.repeat_of is None]
        unjudged = sum(t.number not in replies for t in launched)
        trials = judged(trials, replies, context)
    attributes = study.user_attrs
    decision = decision_of(trials, context)
    confirmation = None
    if decision.winner is not None and promotions is not None:
        confirmation = confirmation_for(study, decision.winner.allocation, promotions)
    sampler, seed = (attributes.get(name, "not told") for name in ("sampler", "seed"))
    return Summary(
        context=context,
        trials=trials,
        configurations=configurations_in(trials),
        decision=decision,
        study=study.study_name,
        sampler=f"{sampler}, seed {seed}",
        preset=preset,
        other_limits=limits_ms is not None,
        unjudged=unjudged,
        confirmation=confirmation,
        is_ended=not context.is_replay or CONFIRMED_IN in attributes,
    )


def confirmation_for(
    study: optuna.Study, winner: Allocation, promotions: Sequence[Path]
) -> Confirmation | None:
    """Return what fresh launches said of the winner.

    Those on the recorded device come before those of the study's own promotions.

    Raises:
        BadInput: A promotion was changed after it was sealed, or the one beside the recording is
            gone.
    """
    beside = attribute(study, CONFIRMED_IN, str)
    recorded = confirmation_in(Path(beside), winner) if beside else None
    return recorded or confirmation_of(study.study_name, winner, promotions)
