"""The case for the answer of a study: its trials under the weights that are asked for, and what they say in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from objectives.allocation import Allocation
from objectives.figures import SHOWN
from objectives.fitness import Preset
from objectives.measurement import Measurement
from study.analysis.compare import SAME_PCT, bounds_tell, contrast, rival
from study.analysis.configurations import Cell, cells, of
from study.analysis.decision import Decision, decide
from study.analysis.interference import warnings
from study.analysis.noise import FITNESS, SESSIONS, is_noise
from study.analysis.reweigh import rescored, weighed
from study.confirmation.lookup import Told, confirmation_in, confirmation_of
from study.report.answer import answer, doubt
from study.report.answer import how_sure as standing_of
from study.report.answer import standing as standing_alone
from study.storage.context import StudyContext, context_of
from study.storage.trials import Row, counted
from study.wording import allocation_in_words, short

CONFIRMED_IN = "confirmed_in"  # of a replay: the promotion beside its recording that was confirmed where it was made


@dataclass(frozen=True, slots=True)
class Case:
    """A study as it is reported: its trials under the weights that are asked for, and what follows.

    is_ended: False of a replay that never came to look for what fresh launches showed of its winner
    """

    asked: StudyContext
    rows: Sequence[Row]
    cells: Sequence[Cell]
    decision: Decision
    study: str
    sampler: str
    preset: Preset | None
    confirmation: Told | None = None
    is_ended: bool = True

    @property
    def measured(self) -> list[tuple[Allocation, Measurement]]:
        """Every launch that gave a measurement."""
        return [
            (c.allocation, r.measurement)
            for c in self.cells
            for r in c.measured
            if r.measurement is not None
        ]

    @property
    def is_rejected(self) -> bool:
        """Whether fresh launches of the winner spoke against it, so that what is in use today stays."""
        return self.confirmation is not None and self.confirmation.verdict == "rejected"

    @property
    def today(self) -> Cell | None:
        """The allocation in use today."""
        return of(self.asked.baseline, self.cells)

    @property
    def other(self) -> Cell | None:
        """The winner; where the baseline stays, what came closest to it, held back or not."""
        return rival(self.cells, self.decision, self.asked)


def case(
    study: optuna.Study, preset: Preset | None = None, promotions: Sequence[Path] | None = ()
) -> Case:
    """The case of a study; with a preset, its measurements are weighed anew.

    promotions: folders where a confirmation of its winner may lie; None asks for none
    """
    asked, found = context_of(study), counted(study)
    if preset is not None:
        asked = replace(asked, fitness=weighed(asked.fitness, preset))
        found = rescored(found, asked, asked.fitness)
    sampler = f"{study.user_attrs.get('sampler', 'not told')}, seed {study.user_attrs.get('seed', 'not told')}"
    decision, name = decide(found, asked), study.study_name
    said = None
    if decision.winner is not None and promotions is not None:
        said = confirmation(study, decision.winner.allocation, promotions)
    is_ended = not asked.is_replay or CONFIRMED_IN in study.user_attrs
    return Case(asked, found, cells(found), decision, name, sampler, preset, said, is_ended)


def confirmation(
    study: optuna.Study, winner: Allocation, promotions: Sequence[Path]
) -> Told | None:
    """What fresh launches said of the winner: those on the recorded device before those of the study's own promotions.

    raises: BadInput where a promotion was changed after it was sealed, or the one beside the recording is gone
    """
    beside = study.user_attrs.get(CONFIRMED_IN)
    told = confirmation_in(Path(beside), winner) if beside else None
    return told or confirmation_of(study.study_name, winner, promotions)


def standing(told: Case) -> str:
    """How sure the answer is, in a few words."""
    return (
        told.confirmation.standing
        if told.confirmation
        else standing_alone(told.decision, told.asked)
    )


def sentence(told: Case) -> str:
    """The answer in one sentence, and where noise alone could explain its gain, that in a second one."""
    today, other = told.today, told.other
    is_confirmed = told.confirmation is not None and told.confirmation.verdict == "confirmed"
    said = answer(told.decision, told.asked, is_confirmed=is_confirmed)
    said = said[0].upper() + said[1:]
    if told.is_rejected and told.other is not None:
        refused = short(told.other.allocation)
        stays = allocation_in_words(told.asked.baseline)
        return f"Stay with {stays}: {refused} won the study, and fresh launches rejected it."
    if told.decision.winner is None or today is None or other is None:
        return said
    if not told.is_ended:
        return f"Run the replay again, which did not come to its end, before you believe what won so far: {said}"
    parts = []
    for name, what in (("stt_latency_p95_ms", "speech answers"), ("llm_latency_p95_ms", "the LLM")):
        new, old = other.figure(name), today.figure(name)
        if new and old and math.isfinite(new + old):
            pct = 100 * (new - old) / old
            when = f"{abs(pct):.0f} % {'sooner' if pct < 0 else 'later'}"
            is_same = abs(pct) < SAME_PCT or is_noise(name, today, other, told.cells)
            parts.append(f"{what} {'as soon' if is_same else when}")
    new, old = other.figure(SESSIONS), today.figure(SESSIONS)
    if new is not None:
        was = "not measured" if old is None else f"{'at least ' * today.is_lower_bound}{old:.0f}"
        which = ", within noise" if is_noise(SESSIONS, today, other, told.cells) else ""
        which = which if bounds_tell(today, other) else "; which has more is not known"
        parts.append(
            f"{'at least ' * other.is_lower_bound}{new:.0f} voice sessions at once (today: {was}{which})"
        )
    told_of = ("stt_latency_p95_ms", "llm_latency_p95_ms", SESSIONS)
    rest = [x for x in contrast(today, other, told.cells, without=told_of) if x.sense == "worse"]
    worse = "; ".join(f"{x.title} {x.change.replace(', worse', '')}" for x in rest)
    worse = f" Worse: {worse}." if rest else ""
    unsure = {
        None: " How much of that is noise was not measured.",
        True: " Noise alone could explain the difference in fitness.",
        False: "",
    }[is_noise(FITNESS, today, other, told.cells)]
    return f"{said.rstrip('.')}: {', '.join(parts)}.{worse}{'' if told.confirmation else unsure}"


def how_sure(told: Case) -> list[str]:
    """What speaks for the answer and against it, a sentence each."""
    asked, decision, today = told.asked, told.decision, told.today
    said = []
    if asked.is_replay:
        said.append(
            f"These figures were {asked.measured_elsewhere}. They hold for that machine and say nothing about another: "
            "measure yours, as the project's README shows."
        )
    if told.confirmation is not None:
        said.append(fresh(told.confirmation))
    elif decision.winner is not None and not asked.is_replay:
        said.append(
            "Not confirmed: the best of one study is a candidate. Fresh runs of both, in turn, would confirm it."
        )
    said += doubt(told.today, told.other, told.cells)
    said += [f"{sentence}." for sentence in standing_of(decision)]
    works = sum(c.is_feasible for c in told.cells)
    said.append(
        f"{len(told.cells)} configurations were tried, {works} of them work within every limit."
    )
    said += [
        f"{s[0].upper()}{s[1:]}."
        for s in warnings(told.measured, asked.workload, asked.services.llm.args)
    ]
    if told.rows and not any(r.contributions.get("capacity") is not None for r in told.rows):
        said.append(
            "Voice sessions count for nothing in these scores: they were not measured for today's allocation."
        )
    if decision.winner is None and today is not None and today.is_feasible:
        said.append("Nothing that may be promoted scored better than what is in use today.")
    elif decision.winner is None:
        said.append(f"{decision.reason[0].upper()}{decision.reason[1:]}.")
    return said


def fresh(confirmed: Told) -> str:
    """What fresh launches of both said, and what speaks against the winner by them."""
    said = [
        f"Fresh launches of both, in turn ({confirmed.measured}): {confirmed.summary}. {confirmed.says}."
    ]
    said += [n for n in confirmed.notes if n.startswith("Against it")]
    for metric in dict.fromkeys(x.metric for x in confirmed.lines if x.standing == "worse"):
        found = [
            f"{x.gain} on {x.workload}"
            for x in confirmed.lines
            if (x.metric, x.standing) == (metric, "worse")
        ]
        title = SHOWN[metric].title if metric in SHOWN else metric
        said.append(f"Worse, {title} ({metric}): {', '.join(found)}.")
    return " ".join(said)
