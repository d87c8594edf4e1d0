"""This module puts an answer in words: what to run, how much better, what gets worse; pure."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.capacity.ramp_capacity import ENOUGH_TURNS, seed_spread_pct
from objectives.engines.registry import apis_of
from objectives.figures import CAPACITY, FITNESS, figure, latency_p95_names
from study.analysis.compare import FREE, SAME_PCT, Difference, FigureVerdict
from study.analysis.configurations import Configuration
from study.analysis.decision import Conclusion, Decision
from study.analysis.gain import Gain
from study.report.comparison import change
from study.report.summary import Summary
from study.rule.rule import Claim
from study.storage.context import StudyContext
from study.wording.allocations import allocation_in_words, choice_in_words, short

NAMED = 3  # of what gets worse; the table has all
USERS = "concurrent_capacity"  # the capacity in other words


def choice(decision: Decision, context: StudyContext, *, is_confirmed: bool, today: str) -> str:
    """Say what to run, without a full stop; before a confirmation that is a candidate.

    Args:
        decision: What the study chose.
        context: What it asked.
        is_confirmed: Whether fresh launches confirmed it.
        today: How what is in use today fails (`failing`); empty where it does not.
    """
    if decision.winner is not None and today:
        name = short(context.baseline)
        what = allocation_in_words(decision.winner.allocation)
        return f"run with {what}: what is in use today, {name}, {today}"
    if decision.winner is not None:
        what = "run with" if is_confirmed else "the best candidate is"
        in_use = context.baseline if context.has_today else None
        return f"{what} {choice_in_words(decision.winner.allocation, in_use)}"
    if decision.standing(decision.baseline) is not None:
        return f"stay with {allocation_in_words(context.baseline)}"
    if decision.outcome is Conclusion.NOTHING_WORKS:
        return "no answer: nothing that was launched works"
    if decision.outcome is Conclusion.BASELINE_NOT_MEASURED:
        return "no answer: the allocation in use today could not be measured"
    return "no answer: of what works, nothing may be promoted"


def unconfirmed_standing(decision: Decision, context: StudyContext) -> str:
    """Say in a few words how sure an answer is that no fresh launches were made for."""
    if context.is_replay:
        return "a replay, measured elsewhere: not valid for this machine"
    return "nothing to confirm" if decision.winner is None else "not confirmed: a candidate"


def launches_in_words(configuration: Configuration) -> str:
    """Say how often a configuration was measured, with the standard error where there is one."""
    return ", ".join(reversed(launches_and_error(configuration)))


def launches_and_error(configuration: Configuration) -> list[str]:
    """Return the parts of `launches_in_words`: the count, and the error where there is one."""
    count = len(configuration.measured)
    if count == 1:
        return ["1 launch"]
    return [f"{count} launches", f"± {configuration.standard_error or 0.0:.3f}"]


def gain_in_words(gain: Gain, today: Configuration, other: Configuration) -> str:
    """Say by how much a configuration is better, with the interval where there is one."""
    if gain.figure is Claim.CAPACITY:
        old, new = (c.mean(CAPACITY) or 0.0 for c in (today, other))
        basis = f"{'at least ' * gain.is_at_least}{new:.2f} turns/s instead of {old:.2f}"
    else:
        basis = "the p95 of all services, weighed as in the fitness"
    return f"{amount_in_words(gain)} ({basis}; {_interval_in_words(gain, today, other)})"


def amount_in_words(gain: Gain) -> str:
    """Say a gain without its interval.

    >>> amount_in_words(Gain(Claim.LATENCY, 0.22, None, 0.95))
    '20 % less waiting'
    >>> amount_in_words(Gain(Claim.CAPACITY, 0.41, None, 0.95, is_at_least=True))
    'at least 51 % more capacity'
    """
    is_time, is_better = gain.figure is Claim.LATENCY, gain.log_ratio >= 0
    more = "less" if is_time == is_better else "more"
    what = "waiting" if is_time else "capacity"
    return f"{'at least ' * gain.is_at_least}{abs(gain.pct):.0f} % {more} {what}"


def _interval_in_words(gain: Gain, today: Configuration, other: Configuration) -> str:
    if (interval := gain.interval_pct) is None:
        return f"from {_launches_of(today, other)}, so without an interval"
    low, high = interval if gain.log_ratio >= 0 else (-interval[1], -interval[0])
    spread = f"{100 * gain.confidence:g} % interval {low:.0f} to {high:.0f} %"
    return spread if low > 0 else f"{spread}: noise could explain it"


def _launches_of(today: Configuration, other: Configuration) -> str:
    counts = dict.fromkeys(len(c.measured) for c in (other, today))
    launches = " and ".join(f"{n} launch{'es' * (n > 1)}" for n in counts)
    return f"{launches}{' each' * (len(counts) == 1)}"


def better(summary: Summary, today: Configuration, other: Configuration) -> str:
    """Say by how much the winner is better, as one figure with one interval."""
    gain = summary.gain
    if gain is None:
        return f"By how much it is better, by {summary.context.claim}, is not known."
    wide = ""
    if gain.figure is Claim.CAPACITY and (turns := _few_turns(today, other)) is not None:
        few = f"a capacity rests on {turns} turns below the break, not {ENOUGH_TURNS}"
        wide = f"; wide: {few}; {_spread_in_words(turns)}"
    is_open = gain.half_width is not None and not gain.is_shown
    how = "Not better" if gain.log_ratio < 0 else "Perhaps better" if is_open else "Better"
    return f"{how}: {gain_in_words(gain, today, other)}{wide}."


def in_figures(summary: Summary, other: Configuration) -> str:
    """Say what the winner does by itself, where nothing in use can be compared with it."""
    apis = apis_of(summary.context.services)
    parts = [
        f"{figure(name).title_in_text} {figure(name).text(value)} {figure(name).unit}"
        for name in (*latency_p95_names(apis), CAPACITY, FREE)
        if (value := other.mean(name)) is not None
    ]
    return f"What it does: {'; '.join(parts)}."


def _few_turns(today: Configuration, other: Configuration) -> int | None:
    """Return the fewest turns that a capacity of both rests on; None where they are enough."""
    records = [t.measurement for c in (today, other) for t in c.measured if t.measurement]
    turns = [m.capacity_turns_below for m in records if m.capacity_turns_below is not None]
    return min(turns) if turns and min(turns) < ENOUGH_TURNS else None


def worse(summary: Summary, today: Configuration, other: Configuration) -> str:
    """Name what gets worse beyond noise, the greatest change first."""
    differences = [d for d in summary.differences if d.name not in (FREE, USERS)]
    lost = [d for d in differences if d.verdict is FigureVerdict.WORSE]
    lost.sort(key=lambda d: abs(d.pct or 100.0), reverse=True)
    begin, none, unknown = "Gets worse", "nothing beyond noise", ", noise unknown"
    if all(d.noise is None for d in differences):
        begin += f" (the noise is not known from {_launches_of(today, other)})"
        none, unknown = f"nothing by {SAME_PCT:g} % or more", ""
    texts = [f"{_in_words(d)}{unknown * (d.noise is None)}" for d in lost]
    return f"{begin}: {'; '.join(first(texts)) or none}."


def _in_words(d: Difference) -> str:
    return f"{figure(d.name).title_in_text} {change(d, is_judged=False)}"


def free_memory(summary: Summary) -> list[str]:
    """Say what stays free of the memory: nothing where nearly as much does."""
    d = next((d for d in summary.differences if d.name == FREE), None)
    if d is None or d.old is None or d.new is None or d.verdict is not FigureVerdict.NEUTRAL:
        return []
    f = figure(FREE)
    return [f"Memory that stays free: {f.text(d.new)} {f.unit} instead of {f.text(d.old)}."]


def no_good_rate(today: Configuration | None) -> list[str]:
    """Say that today's allocation meets the owner's limits at no rate, where that was measured."""
    launches = [t.measurement for t in today.measured if t.measurement] if today else []
    if not any(m.capacity_turns_below is not None for m in launches):
        return []
    if any(m.capacity_turns_per_s is not None for m in launches):
        return []
    bound = launches[0].capacity_bound_by
    return [
        f"With today's allocation no rate of turns is good (first missed: {bound}): its capacity "
        "counts as 0."
    ]


def capacity_known(today: Configuration | None) -> list[str]:
    """Say what keeps the capacity of today's allocation from being known well; a line at most."""
    launches = [t.measurement for t in today.measured if t.measurement] if today else []
    turns = [m.capacity_turns_below for m in launches if m.capacity_turns_below is not None]
    if not launches:
        return []
    if any(m.ladder for m in launches):
        how = "version 0.1, which measured this, counted sessions by a ladder"
        return [f"Capacity is not known and counts for nothing here: {how}."]
    is_known = any(m.capacity_turns_per_s is not None for m in launches)
    if not turns:
        return [] if is_known else ["Capacity was not measured and counts for nothing here."]
    if is_known and min(turns) < ENOUGH_TURNS:
        few = f"today's capacity rests on {min(turns)} turns below the break, not {ENOUGH_TURNS}"
        return [f"Wide: {few}; {_spread_in_words(min(turns))}."]
    return []


def _spread_in_words(turns_below: int) -> str:
    """Say how wide a capacity stays that few turns tell.

    >>> _spread_in_words(61)
    'other arrivals may move it by 16 % (one standard deviation)'
    >>> _spread_in_words(1)
    'other arrivals may move it to any other'
    """
    pct = seed_spread_pct(turns_below) if turns_below else 100.0
    if pct >= 100:
        return "other arrivals may move it to any other"
    return f"other arrivals may move it by {pct:.0f} % (one standard deviation)"


def ahead_by_its_own_launches(decision: Decision) -> list[str]:
    """Say which other choice has the greater mean, where the neighbours of the winner decided."""
    winner, other = decision.winner, decision.ahead_alone
    if winner is None or other is None:
        return []
    today = decision.reference.allocation if decision.reference else None
    own = f"{short(other.allocation, today)} scored {FITNESS.text(other.fitness)}"
    launches = launches_in_words(other)
    return [
        f"By its own launches alone {own} ({launches}), the winner {FITNESS.text(winner.fitness)}; "
        "the choice counts the launches of similar allocations too, since a few alone are luck."
    ]


def first(items: Sequence[str]) -> list[str]:
    """Return the first few of what a sentence lists, and how many more there are."""
    more = len(items) - NAMED
    return [*items[:NAMED], *([f"{more} more, see the report"] if more > 0 else [])]
