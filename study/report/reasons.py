"""Typed reasons are put in words here: for the answer, and for what is ineligible; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from objectives.figures import FITNESS
from study.analysis.decision import Conclusion, Decision, PassedOver
from study.analysis.promotion_eligibility import Ineligibility, Reason, broken_limits
from study.storage.context import StudyContext
from study.storage.trial import Trial
from study.wording.allocations import short
from study.wording.failures import CONSTRAINTS

NAMED = 3  # of what is ineligible for one reason; a promotion names all
INELIGIBLE: Mapping[Reason, str] = {
    Reason.OUT_OF_MEMORY: "it ran out of memory",
    Reason.LATE_REQUESTS: "our own requests left late while it was measured",
    Reason.WORDS_WORSE: "its word error rate is over the gate",
    Reason.WORDS_UNSURE: "the clips are too few to tell whether its words are as good",
    Reason.WORDS_NOT_MEASURED: "its word error rate was not measured",
    Reason.LIMIT_MISSED: "a figure is outside its limit, or twice today's",
    Reason.NO_LEADING_TERM: "it leads by efficiency and stability only, not by latency or capacity",
}


def ineligible(why: Ineligibility) -> str:
    """Say why a configuration may not be promoted, and how much more speech would decide.

    >>> words = ineligible(Ineligibility(Reason.WORDS_UNSURE, (7.2, 8.0)))
    >>> print(words.replace("; ", ";\\n"))
    the clips are too few to tell whether its words are as good;
    about 7 more minutes of audio would decide
    """
    names = f": {', '.join(why.limits)}" if why.limits else ""
    return INELIGIBLE[why.reason] + names + _audio(why.minutes_more_audio[:1])


def passed_over(decision: Decision) -> list[str]:
    """Say of each that scored better why it may not be promoted, as a promotion keeps it."""
    return [
        f"{p.configuration.allocation} (fitness {FITNESS.text(p.configuration.fitness)}): "
        f"{ineligible(p.ineligibility)}"
        for p in decision.passed_over
    ]


def held_back(decision: Decision) -> list[str]:
    """Say what `passed_over` says for people, in a sentence for each reason.

    Best first; of many the first are named, with what of them is not as today.
    """
    by_reason: dict[Reason, list[PassedOver]] = {}
    for p in decision.passed_over:
        by_reason.setdefault(p.ineligibility.reason, []).append(p)
    today = decision.reference.allocation if decision.reference else None
    lines = []
    for reason, several in by_reason.items():
        names = [short(p.configuration.allocation, today) for p in several[:NAMED]]
        names += [f"{len(several) - len(names)} more"] if len(several) > len(names) else []
        minutes = [m for p in several for m in p.ineligibility.minutes_more_audio]
        lines.append(f"{'; '.join(names)}: {INELIGIBLE[reason]}{_audio(minutes)}")
    return lines


def _audio(minutes: Sequence[float]) -> str:
    """Say how many more minutes of clips would show whether words are as good."""
    if not minutes:
        return ""
    ends = dict.fromkeys(f"{m:.0f}" for m in (min(minutes), max(minutes)))
    return f"; about {' to '.join(ends)} more minutes of audio would decide"


def why(decision: Decision, context: StudyContext) -> str:
    """Say why the winner wins, or why the baseline stays."""
    match decision.outcome:
        case Conclusion.WINNER:
            return _gains(decision)
        case Conclusion.NOTHING_WORKS:
            return "no allocation met every constraint: the baseline stays"
        case Conclusion.BASELINE_NOT_MEASURED:
            return "the baseline stays: it was not measured, so nothing can be said to beat it"
        case Conclusion.NOTHING_ELIGIBLE:
            return "nothing that works may be promoted"
        case Conclusion.NOTHING_ELSE_MEASURED:
            rivals = "nothing else was measured"
        case Conclusion.NOTHING_ELIGIBLE_BETTER:
            rivals = "nothing that may be promoted beat it"
        case Conclusion.NOTHING_BETTER:
            rivals = "nothing beat it"
    baseline = decision.baseline
    score = f", fitness {FITNESS.text(baseline.fitness)}" if baseline else ""
    return f"the baseline stays: {rivals} ({context.baseline}{score})"


def _gains(decision: Decision) -> str:
    winner, reference = decision.winner, decision.reference
    if winner is None or reference is None:
        return ""
    what = "the baseline" if decision.baseline is not None else str(reference.allocation)
    if winner is reference:
        return f"fitness {FITNESS.text(winner.fitness)}: nothing else that works scored better"
    old = reference.contributions
    gains = {k: (v or 0.0) - (old.get(k) or 0.0) for k, v in winner.contributions.items()}
    parts = ", ".join(f"{k} {g:+.4f}" for k, g in sorted(gains.items(), key=lambda kv: -kv[1]))
    new, today = FITNESS.text(winner.fitness), FITNESS.text(reference.fitness)
    return f"fitness {new} against {what}'s {today}: {parts}"


def over(trials: Sequence[Trial]) -> list[str]:
    """Return the limits that any of these launches went over, in words."""
    return [CONSTRAINTS.get(name, name) for name in broken_limits(trials)]
