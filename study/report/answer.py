"""Tell the answer of a study in words, before anybody confirmed it, and how sure it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.capacity.ramp_capacity import ENOUGH_TURNS
from objectives.figures import FITNESS
from study.analysis.compare import is_capacity_order_known
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.analysis.noise import noise_of
from study.storage.context import StudyContext
from study.tournament import Standing
from study.wording import allocation_in_words, short


def answer(decision: Decision, context: StudyContext, *, is_confirmed: bool) -> str:
    """Say what to run, without a full stop; before a confirmation that is a candidate."""
    if decision.winner is not None:
        what = "run with" if is_confirmed else "the best candidate is"
        winner = allocation_in_words(decision.winner.allocation)
        return f"{what} {winner} (today: {short(context.baseline)})"
    if decision.standing(decision.baseline) is not None:
        return f"stay with {allocation_in_words(context.baseline)}"
    if decision.baseline is not None and any(t.is_feasible for t in decision.baseline.measured):
        return (
            "no answer: the allocation in use today worked only some of the times it was launched"
        )
    return "no answer: the allocation in use today could not be measured, or nothing works"


def unconfirmed_standing(decision: Decision, context: StudyContext) -> str:
    """Say in a few words how sure an answer is that no fresh launches were made for."""
    if decision.winner is None:
        return "nothing to confirm"
    if context.is_replay:
        return "a replay, measured elsewhere: not valid for this machine"
    return "not confirmed: a candidate"


def launches_in_words(configuration: Configuration) -> str:
    """Say how often a configuration was measured, with the standard error where there is one."""
    return ", ".join(reversed(launches_and_error(configuration)))


def launches_and_error(configuration: Configuration) -> list[str]:
    """Return the parts of `launches_in_words`: the count, and the error where there is one."""
    count = len(configuration.measured)
    if count == 1:
        return ["1 launch"]
    return [f"{count} launches", f"± {configuration.standard_error or 0.0:.3f}"]


def certainty(decision: Decision) -> list[str]:
    """Say how sure the winner is, or the baseline that stays, and which single trial was best.

    Each is a sentence without a full stop.
    """
    choice = decision.winner or decision.baseline
    s = decision.standing(choice)
    if choice is None or s is None:
        return []
    today = decision.baseline.allocation if decision.baseline else None
    error = "not known" if s.standard_error is None else FITNESS.text(s.standard_error)
    may = "" if decision.contenders == len(decision.standings) else " that may be promoted"
    sure = f" (standard error {error}, {_measurements(s)}); "
    sure += f"probability {s.probability_best:.2f} of being the best of "
    if not decision.is_noise_known:
        sure = "; nothing was measured twice, so it is not known how sure that is, among "
    if len(decision.standings) == 1:
        fitness = f"its mean fitness is {FITNESS.text(s.mean)}"
        return [f"{short(choice.allocation)}: {fitness}; nothing else that works was measured"]
    mean = (
        f"smoothed with its neighbours, which decides, the mean fitness is {FITNESS.text(s.mean)}"
    )
    lines = [f"{short(choice.allocation, today)}: {mean}{sure}{decision.contenders}{may}"]
    if (other := decision.ahead_alone) and (t := decision.standing(other)) is not None:
        name = short(other.allocation, today)
        alone = f"by its own launches alone {name} is ahead of it: {FITNESS.text(t.raw_mean)}"
        lines.append(f"{alone} ({_measurements(t)}), smoothed {FITNESS.text(t.mean)}")
    if (best := decision.luckiest) is not None:
        held = ", which is held back" if decision.against(best.allocation) else ""
        score = f"{FITNESS.text(best.fitness)} in trial {best.number}{held}"
        name = short(best.allocation, today)
        lines.append(f"the best single trial was another: {name}, {score}")
    return lines


def _measurements(s: Standing) -> str:
    return f"{s.n} measurements" if s.n > 1 else "1 measurement"


def capacity_known(today: Configuration | None) -> list[str]:
    """Say what keeps the capacity of today's allocation from being known well; a line at most."""
    launches = [t.measurement for t in today.measured if t.measurement] if today else []
    turns = [m.capacity_turns_below for m in launches if m.capacity_turns_below is not None]
    if not launches:
        return []
    if any(m.ladder for m in launches):
        how = "version 0.1, which measured this, counted sessions by a ladder"
        return [f"Capacity is not known and counts for nothing here: {how}."]
    if not turns:
        return ["Capacity was not measured and counts for nothing here."]
    if all(m.capacity_turns_per_s is None for m in launches):
        bound = f"first missed: {launches[0].capacity_bound_by}"
        return [
            f"No rate of turns is good with today's allocation ({bound}): capacity counts as 0."
        ]
    if min(turns) < ENOUGH_TURNS:
        few = f"today's capacity rests on {min(turns)} turns below the break, not {ENOUGH_TURNS}"
        return [f"Wide: {few}; two launches may differ by more than 10 %."]
    return []


def fitness_gap(
    today: Configuration | None,
    other: Configuration | None,
    configurations: Sequence[Configuration],
) -> list[str]:
    """Say whether noise alone could explain the difference in fitness, and what else is in it.

    The list is empty where there are no two configurations with a fitness.
    """
    if not today or not other or today.fitness is None or other.fitness is None:
        return []
    gap = other.fitness - today.fitness
    name = short(other.allocation, today.allocation)
    name += " (what is not named is as today)" if short(other.allocation) != name else ""
    scores = (
        f"{name} scores {FITNESS.text(other.fitness)} and today's {FITNESS.text(today.fitness)}"
    )
    counts = f"({launches_in_words(other)}; today's: {launches_in_words(today)})"
    more = f"{_capacity(today, other)}{_cards(today, other)}"
    if (half := noise_of(FITNESS.flat, today, other, configurations)) is None:
        unknown = f"How much of the difference of {gap:+.4f} is noise was not measured."
        return [f"{scores} {counts}. {unknown}{more}"]
    verdict = "noise alone could explain it" if abs(gap) <= half else "more than noise explains"
    verdict += _best_of_several(configurations) if gap > half else ""
    between = f"95 % interval {gap - half:+.4f} to {gap + half:+.4f}"
    if min(len(today.measured), len(other.measured)) < 2:
        scores += f" {counts}"
    return [f"{scores}: a difference of {gap:+.4f}, {between}: {verdict}.{more}"]


def _best_of_several(configurations: Sequence[Configuration]) -> str:
    """Warn that the best of several equal ones, chosen for its score, looks better than it is."""
    works = sum(c.is_feasible for c in configurations)
    if works < 3:
        return ""
    return f"; but it is the best of {works}, and the best of several looks better than it is"


def _capacity(today: Configuration, other: Configuration) -> str:
    old, new = (c.contributions.get("capacity") for c in (today, other))
    if old is None or new is None or new == old or is_capacity_order_known(today, other):
        return ""
    what = "comes from capacity, where a lower bound leaves open which has more"
    return f" {new - old:+.4f} of it {what}."


def _cards(today: Configuration, other: Configuration) -> str:
    old, new = (
        {t.measurement.measured_on for t in c.measured if t.measurement} - {None}
        for c in (today, other)
    )
    if not old or not new or old == new:
        return ""
    counts = "" if len(old) == len(new) else f" (today's on {len(old)}, the other on {len(new)})"
    return f" The two were not measured on the same cards{counts}; how the cards differ is in it."
