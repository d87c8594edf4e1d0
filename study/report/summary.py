"""A study as it is reported: its trials under the weights that are asked for, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from objectives.allocation import Allocation
from objectives.figures import SHOWN
from objectives.fitness import Preset
from objectives.measurement import Measurement
from study.analysis.compare import Difference, Verdict, difference, differences, rival
from study.analysis.configurations import Configuration, configuration_of, configurations
from study.analysis.decision import Decision, decide
from study.analysis.interference import warnings
from study.analysis.noise import FITNESS, SESSIONS, is_noise
from study.analysis.reweigh import rescored, weighed
from study.confirmation.lookup import confirmation_in, confirmation_of
from study.confirmation.verdict_file import Confirmation
from study.report import answer
from study.report.comparison import change
from study.report.reasons import why
from study.storage.context import StudyContext, context_of
from study.storage.trials import Trial, counted
from study.wording import allocation_in_words, short

CONFIRMED_IN = "confirmed_in"  # attribute of a replay: the promotion beside its recording
SPOKEN = {"stt_latency_p95_ms": "speech answers", "llm_latency_p95_ms": "the LLM"}


@dataclass(frozen=True, slots=True)
class Summary:
    """A study as it is reported, and what follows.

    Args:
        preset: whose weights count; None for the study's own
        confirmation: what fresh launches said of the winner; None where there were none
        is_ended: False of a replay that never came to look for such launches
    """

    context: StudyContext
    trials: Sequence[Trial]
    configurations: Sequence[Configuration]
    decision: Decision
    study: str
    sampler: str
    preset: Preset | None
    confirmation: Confirmation | None = None
    is_ended: bool = True

    @property
    def measured(self) -> list[tuple[Allocation, Measurement]]:
        """Every launch that gave a measurement."""
        launches = (t for c in self.configurations for t in c.measured)
        return [(t.allocation, t.measurement) for t in launches if t.measurement is not None]

    @property
    def is_rejected(self) -> bool:
        """Whether fresh launches of the winner spoke against it, so that the baseline stays."""
        return self.confirmation is not None and self.confirmation.verdict == "rejected"

    @property
    def today(self) -> Configuration | None:
        """The configuration in use today."""
        return configuration_of(self.context.baseline, self.configurations)

    @property
    def other(self) -> Configuration | None:
        """The winner; where the baseline stays, what came closest to it, eligible or not."""
        return rival(self.configurations, self.decision, self.context)


def summary(
    study: optuna.Study, preset: Preset | None = None, promotions: Sequence[Path] | None = ()
) -> Summary:
    """The summary of a study; with a preset, its measurements are weighed anew.

    promotions: folders where a confirmation of its winner may lie; None asks for none
    raises: BadInput where the study holds no context, or a confirmation was changed
    """
    context, trials = context_of(study), counted(study)
    if preset is not None:
        context = replace(context, fitness=weighed(context.fitness, preset))
        trials = rescored(trials, context, context.fitness)
    attributes = study.user_attrs
    sampler = f"{attributes.get('sampler', 'not told')}, seed {attributes.get('seed', 'not told')}"
    decision = decide(trials, context)
    confirmation = None
    if decision.winner is not None and promotions is not None:
        confirmation = confirmation_for(study, decision.winner.allocation, promotions)
    is_ended = not context.is_replay or CONFIRMED_IN in attributes
    return Summary(
        context,
        trials,
        configurations(trials),
        decision,
        study.study_name,
        sampler,
        preset,
        confirmation,
        is_ended,
    )


def confirmation_for(
    study: optuna.Study, winner: Allocation, promotions: Sequence[Path]
) -> Confirmation | None:
    """What fresh launches said of the winner.

    Those on the recorded device come before those of the study's own promotions.
    raises: BadInput where a promotion was changed after it was sealed, or the one beside the
        recording is gone
    """
    beside = study.user_attrs.get(CONFIRMED_IN)
    recorded = confirmation_in(Path(beside), winner) if beside else None
    return recorded or confirmation_of(study.study_name, winner, promotions)


def standing(s: Summary) -> str:
    """How sure the answer is, in a few words."""
    return s.confirmation.standing if s.confirmation else answer.standing(s.decision, s.context)


def sentence(s: Summary) -> str:
    """The answer in one sentence; where noise alone could explain its gain, that in a second."""
    today, other = s.today, s.other
    is_confirmed = s.confirmation is not None and s.confirmation.verdict == "confirmed"
    plain = _capital(answer.answer(s.decision, s.context, is_confirmed=is_confirmed))
    if s.is_rejected and other is not None:
        stays, name = allocation_in_words(s.context.baseline), short(other.allocation)
        return f"Stay with {stays}: {name} won the study, and fresh launches rejected it."
    if s.decision.winner is None or today is None or other is None:
        return plain
    if not s.is_ended:
        return (
            "Run the replay again, which did not come to its end, before you believe what won so "
            f"far: {plain}"
        )
    parts = [
        text
        for name in SPOKEN
        if (text := _sooner(difference(name, today, other, s.configurations)))
    ]
    if other.mean(SESSIONS) is not None:
        parts.append(_sessions(today, other, s.configurations))
    rest = differences(today, other, s.configurations, without=(*SPOKEN, SESSIONS))
    worse = "; ".join(
        f"{SHOWN[d.name].title} {change(d, is_judged=False)}"
        for d in rest
        if d.verdict is Verdict.WORSE
    )
    unsure = {
        None: " How much of that is noise was not measured.",
        True: " Noise alone could explain the difference in fitness.",
        False: "",
    }[is_noise(FITNESS, today, other, s.configurations)]
    ending = f" Worse: {worse}." if worse else ""
    return f"{plain.rstrip('.')}: {', '.join(parts)}.{ending}{'' if s.confirmation else unsure}"


def _sooner(d: Difference) -> str:
    """How much sooner a service answers; empty where either was not measured."""
    if d.pct is None or d.verdict is Verdict.NOT_MEASURED or not d.new:
        return ""
    is_same = d.verdict in (Verdict.EQUAL, Verdict.ABOUT_EQUAL, Verdict.WITHIN_NOISE)
    when = f"{abs(d.pct):.0f} % {'sooner' if d.pct < 0 else 'later'}"
    return f"{SPOKEN[d.name]} {'as soon' if is_same else when}"


def _sessions(today: Configuration, other: Configuration, launched: Sequence[Configuration]) -> str:
    d = difference(SESSIONS, today, other, launched)
    was = "not measured" if d.old is None else f"{'at least ' * d.old_is_bound}{d.old:.0f}"
    which = ", within noise" if is_noise(SESSIONS, today, other, launched) else ""
    which = "; which has more is not known" if d.verdict is Verdict.BOUND else which
    return f"{'at least ' * d.new_is_bound}{d.new:.0f} voice sessions at once (today: {was}{which})"


def how_sure(s: Summary) -> list[str]:
    """What speaks for the answer and against it, a sentence each."""
    context, decision, today = s.context, s.decision, s.today
    lines = []
    if context.is_replay:
        lines.append(
            f"These figures were {context.measured_elsewhere}. They hold for that machine and say "
            "nothing about another: measure yours, as the project's README shows."
        )
    if s.confirmation is not None:
        lines.append(fresh(s.confirmation))
    elif decision.winner is not None and not context.is_replay:
        lines.append(
            "Not confirmed: the best of one study is a candidate. "
            "Fresh runs of both, in turn, would confirm it."
        )
    lines += answer.doubt(today, s.other, s.configurations)
    lines += [f"{line}." for line in answer.how_sure(decision)]
    count, works = len(s.configurations), sum(c.is_feasible for c in s.configurations)
    lines.append(f"{count} configurations were tried, {works} of them work within every limit.")
    unpressed = warnings(s.measured, context.workload, context.services.llm.args)
    lines += [f"{_capital(line)}." for line in unpressed]
    if s.trials and not any(t.contributions.get("capacity") is not None for t in s.trials):
        lines.append(
            "Voice sessions count for nothing in these scores: "
            "they were not measured for today's allocation."
        )
    if decision.winner is None and today is not None and today.is_feasible:
        lines.append("Nothing that may be promoted scored better than what is in use today.")
    elif decision.winner is None:
        lines.append(f"{_capital(why(decision, context))}.")
    return lines


def fresh(confirmation: Confirmation) -> str:
    """What fresh launches of both said, and what speaks against the winner by them."""
    c = confirmation
    lines = [f"Fresh launches of both, in turn ({c.measured}): {c.summary}. {c.says}."]
    lines += [f"Against it: {reason}." for reason in c.against]
    for metric in dict.fromkeys(x.metric for x in c.lines if x.standing == "worse"):
        gains = [
            f"{x.gain} on {x.workload}"
            for x in c.lines
            if (x.metric, x.standing) == (metric, "worse")
        ]
        title = SHOWN[metric].title if metric in SHOWN else metric
        lines.append(f"Worse, {title} ({metric}): {', '.join(gains)}.")
    return " ".join(lines)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
