"""NEW MODULE."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from study.analysis.compare import bounds_tell
from study.analysis.configurations import Configuration, launches
from study.analysis.decision import Decision
from study.analysis.noise import FITNESS, noise_of
from study.storage.context import StudyContext
from study.tournament import Standing
from study.wording import allocation_in_words, short


def how_sure(decision: Decision) -> list[str]:
    """What is known of the winner, or of the baseline that stays, and of the best single trial; a sentence each."""
    chosen = decision.winner or decision.baseline
    s = decision.standing(chosen)
    if chosen is None or s is None:
        return []
    today = decision.baseline.allocation if decision.baseline else None
    error = "not known" if s.standard_error is None else f"{s.standard_error:.4f}"
    may = "" if decision.contenders == len(decision.standings) else " that may be promoted"
    sure = f" (standard error {error}, {_measurements(s)}); probability {s.probability_best:.2f} of being the best of "
    if not decision.is_noise_known:
        sure = "; nothing was measured twice, so it is not known how sure that is, among "
    if len(decision.standings) == 1:
        return [
            f"{short(chosen.allocation)}: its mean fitness is {s.mean:.4f}; nothing else that works was measured"
        ]
    mean = f"smoothed with its neighbours, which decides, the mean fitness is {s.mean:.4f}"
    said = [f"{short(chosen.allocation, today)}: {mean}{sure}{decision.contenders}{may}"]
    if (other := decision.ahead_alone) is not None and (t := decision.standing(other)) is not None:
        alone = f"by its own launches alone {short(other.allocation, today)} is ahead of it: {t.raw_mean:.4f}"
        said.append(f"{alone} ({_measurements(t)}), smoothed {t.mean:.4f}")
    if (best := decision.luckiest) is not None:
        held = ", which is held back" if decision.against(best.allocation) else ""
        score = f"{best.fitness:.4f} in trial {best.number}{held}"
        said.append(f"the best single trial was another: {short(best.allocation, today)}, {score}")
    return said


def _measurements(s: Standing) -> str:
    return f"{s.n} measurements" if s.n > 1 else "1 measurement"


def answer(decision: Decision, asked: StudyContext, *, is_confirmed: bool) -> str:
    """One sentence: what to run, which is only told of what fresh launches confirmed; the rest is a candidate."""
    if decision.winner is not None:
        what = "run with" if is_confirmed else "the best candidate is"
        return f"{what} {allocation_in_words(decision.winner.allocation)} (today: {short(asked.baseline)})."
    if decision.standing(decision.baseline) is not None:
        return f"stay with {allocation_in_words(asked.baseline)}."
    if decision.baseline is not None and decision.baseline.is_feasible:
        return (
            "no answer: the allocation in use today worked only some of the times it was launched."
        )
    return "no answer: the allocation in use today could not be measured, or nothing works."


def standing(decision: Decision, asked: StudyContext) -> str:
    """How sure the answer is, in a few words."""
    if decision.winner is None:
        return "nothing to confirm"
    return (
        "a replay, measured elsewhere: not valid for this machine"
        if asked.is_replay
        else "not confirmed: a candidate"
    )


def doubt(
    today: Configuration | None, other: Configuration | None, found: Sequence[Configuration]
) -> list[str]:
    """Whether noise alone could explain the difference, and what else is in it; nothing where there are no two."""
    if not today or not other or today.fitness is None or other.fitness is None:
        return []
    gap = other.fitness - today.fitness
    named = short(other.allocation, today.allocation)
    named += " (what is not named is as today)" if short(other.allocation) != named else ""
    scores = f"{named} scores {other.fitness:.4f} and today's {today.fitness:.4f}"
    counts = f"({launches(other)}; today's: {launches(today)})"
    more = f"{_sessions(today, other)}{_cards(today, other)}"
    if (half := noise_of(FITNESS, today, other, found)) is None:
        return [
            f"{scores} {counts}. How much of the difference of {gap:+.4f} is noise was not measured.{more}"
        ]
    verdict = "noise alone could explain it" if abs(gap) <= half else "more than noise explains"
    verdict += _chosen(found) if gap > half else ""
    between = f"95 % interval {gap - half:+.4f} to {gap + half:+.4f}"
    if min(len(today.scores), len(other.scores)) < 2:
        scores += f" {counts}"
    return [f"{scores}: a difference of {gap:+.4f}, {between}: {verdict}.{more}"]


def _chosen(found: Sequence[Configuration]) -> str:
    """The best of several equal ones looks better than it is: an interval does not know that it was chosen."""
    works = sum(c.is_feasible for c in found)
    return (
        ""
        if works < 3
        else f"; but it is the best of {works}, and the best of several looks better than it is"
    )


def _sessions(today: Configuration, other: Configuration) -> str:
    old, new = (_capacity_term(c) for c in (today, other))
    if old is None or new is None or new == old or bounds_tell(today, other):
        return ""
    return f" {new - old:+.4f} of it comes from voice sessions, where a lower bound leaves open which has more."


def _capacity_term(c: Configuration) -> float | None:
    known = [v for r in c.measured if (v := r.contributions.get("capacity")) is not None]
    return fmean(known) if known else None


def _cards(today: Configuration, other: Configuration) -> str:
    old, new = (
        {r.measurement.measured_on for r in c.measured if r.measurement} - {None}
        for c in (today, other)
    )
    if not old or not new or old == new:
        return ""
    counts = "" if len(old) == len(new) else f" (today's on {len(old)}, the other on {len(new)})"
    return f" The two were not measured on the same cards{counts}; how the cards differ is in it."


NAMED = 3  # of what is held back for one reason; a promotion names all


def held_back(found: Sequence[Configuration], decision: Decision) -> list[str]:
    """What scored better than the answer and may not be promoted, a sentence for each reason.

    Best first by the smoothed mean, which is what decides and is shown; of many the first are named, with what of
    them is not as today.
    """
    reasons: dict[str, list[tuple[Configuration, float]]] = {}
    for s in decision.standings:
        for c in (c for c in found if dict(c.allocation.values) == s.params):
            if why := decision.against(c.allocation):
                reasons.setdefault(why.partition("; about ")[0], []).append((c, s.mean))
    said, today = [], decision.baseline.allocation if decision.baseline else None
    for why, which in reasons.items():
        names = [f"{short(c.allocation, today)} (smoothed {mean:.4f})" for c, mean in which[:NAMED]]
        names += [f"{len(which) - len(names)} more"] if len(which) > len(names) else []
        said.append(f"{'; '.join(names)}: {why}{_audio([c for c, _ in which])}")
    return said


def _audio(which: Sequence[Configuration]) -> str:
    """How many minutes of clips more would tell whether their words are as good."""
    wanted = sorted(
        {f"{r.minutes_more_audio:.0f}" for c in which for r in c.measured if r.minutes_more_audio},
        key=int,
    )
    if not wanted:
        return ""
    return f"; about {' to '.join(dict.fromkeys((wanted[0], wanted[-1])))} more minutes of audio would decide"
