"""Whether a configuration may be promoted, and why not, is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from objectives.engines.registry import hears_alike
from objectives.speech.wer import WordVerdict
from study.analysis.common_cards import on_common_cards
from study.analysis.configurations import Configuration
from study.rule.limits import is_missed
from study.storage.context import StudyContext
from study.storage.trial import Trial

TRAILING_TERMS = ("stability", "efficiency")  # a lead by these alone promotes nothing


class Reason(StrEnum):
    """A reason says why a configuration is not eligible."""

    OUT_OF_MEMORY = "out_of_memory"
    LATE_REQUESTS = "late_requests"
    WORDS_WORSE = "words_worse"
    WORDS_UNSURE = "words_unsure"
    WORDS_NOT_MEASURED = "words_not_measured"
    LIMIT_MISSED = "limit_missed"
    NO_LEADING_TERM = "no_leading_term"


WORD_GATE_REASONS = {
    WordVerdict.FAIL: Reason.WORDS_WORSE,
    WordVerdict.CANNOT_TELL: Reason.WORDS_UNSURE,
    WordVerdict.NOT_MEASURED: Reason.WORDS_NOT_MEASURED,
}


@dataclass(frozen=True, slots=True)
class Ineligibility:
    """An ineligibility is why a configuration may not be promoted, with its detail.

    Args:
        reason: The reason.
        minutes_more_audio: How much more speech would decide, for each launch; empty where none
            would.
        limits: The flat names of the limits that it misses.
    """

    reason: Reason
    minutes_more_audio: tuple[float, ...] = ()
    limits: tuple[str, ...] = ()


def ineligibility(
    configuration: Configuration, context: StudyContext, baseline: Configuration | None = None
) -> Ineligibility | None:
    """Return why a configuration that works may not be promoted; None where nothing is against it.

    Args:
        configuration: A configuration that was launched.
        context: What the study asks.
        baseline: What it is to be promoted over, which also takes limits that are met as a
            confirmation asks, and a lead by latency or capacity; None leaves both out.
    """
    if not configuration.measured:
        return None
    records = [t.measurement for t in configuration.measured if t.measurement is not None]
    if any(m.oom_events for m in records):
        return Ineligibility(Reason.OUT_OF_MEMORY)
    if any(m.lag_exceeded for m in records):
        return Ineligibility(Reason.LATE_REQUESTS)
    own, today = configuration.allocation, context.baseline
    is_other_speech = not hears_alike(context.services, own, today)
    words = configuration.word_gate or WordVerdict.NOT_MEASURED
    if is_other_speech and words != WordVerdict.PASS:
        minutes = tuple(
            t.minutes_more_audio for t in configuration.measured if t.minutes_more_audio
        )
        return Ineligibility(WORD_GATE_REASONS[words], minutes)
    return None if baseline is None else _beside(baseline, configuration, context)


def _beside(
    baseline: Configuration, configuration: Configuration, context: StudyContext
) -> Ineligibility | None:
    """Return what is against promoting it over what is in use today."""
    if missed := _missed(configuration, baseline, context):
        return Ineligibility(Reason.LIMIT_MISSED, limits=missed)
    if _lead(configuration, baseline) <= 0:
        return Ineligibility(Reason.NO_LEADING_TERM)
    return None


def _missed(
    configuration: Configuration, baseline: Configuration, context: StudyContext
) -> tuple[str, ...]:
    """Return the names of the limits that it misses, and the baseline does not miss as far."""
    common = on_common_cards(baseline, configuration, [baseline, configuration])[:2]
    if all(c.measured for c in common):
        baseline, configuration = common
    return tuple(
        name
        for name, limit_ms in context.limits.items()
        if is_missed(limit_ms, baseline.values(name), configuration.values(name))
    )


def _lead(configuration: Configuration, baseline: Configuration) -> float:
    """Return by how much its latency and capacity terms are ahead of the baseline's."""
    new, old = configuration.contributions, baseline.contributions
    leading = [k for k in new if k not in TRAILING_TERMS]
    return sum((new.get(k) or 0.0) - (old.get(k) or 0.0) for k in leading)


def is_eligible(configuration: Configuration, context: StudyContext) -> bool:
    """Return whether a configuration works and nothing stands against promoting it."""
    return configuration.is_feasible and ineligibility(configuration, context) is None


def broken_limits(trials: Iterable[Trial]) -> list[str]:
    """Return the names of the constraints that any of these launches broke, each once."""
    return list(dict.fromkeys(k for t in trials for k, v in t.constraints.items() if v > 0))
