"""This module gives every pair arrivals of its own, equal in both arms.

With one seed in all pairs, the interval of a gain holds for that one trace: it covers the truth in
14 to 50 of 100 cases instead of 95. A workload that replays a trace has another slice of it in
each pair, of the same length, besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from objectives.traffic.clips import Clip
from study.confirmation.pairs.next_step import Next
from study.rule.rule import LOOKS
from study.spec.traces.replaying import on_slice, other_slices
from study.spec.traffic import WindowTraffic

HOLDS = 500  # above the number of any pair
STEP = 1_000_000  # far above what lies between the seeds of one study's workloads


def traffics_of(
    step: Next, of_study: Sequence[WindowTraffic], clips: Sequence[Clip] = ()
) -> tuple[WindowTraffic, ...]:
    """Return what both launches of a pair get: the study's workloads, with the pair's seeds.

    No two pairs share a seed, A/A pairs included, and none has the study's. No two share a slice
    of a trace either, as long as the trace has another; where it has none, all replay the study's
    own. A capture that is replayed whole has its arrivals as they were.

    Args:
        step: The pair.
        of_study: The traffic of the study.
        clips: The clips of speech, which the lines of a capture name.

    Raises:
        BadInput: The file of a trace cannot be read any more.

    >>> from objectives.traffic.workload import Workload
    >>> main = [WindowTraffic("main", Workload(seed=7))]
    >>> steps = [Next("aa", 1), Next("ab", 1), Next("aa", 2), Next("ab", 2)]
    >>> [traffics_of(step, main)[0].workload.seed for step in steps]
    [1000007, 2000007, 3000007, 4000007]
    """
    shift = STEP * (2 * step.number - (step.step == "aa"))  # stays below that of holds
    place = step.number - 1 + LOOKS[-1] * (step.step == "aa")  # pairs choose before A/A pairs
    moved = []
    for traffic in of_study:
        seed, trace = traffic.workload.seed + shift, traffic.workload.trace
        workload = replace(traffic.workload, seed=seed)
        if trace is not None:
            begins_s = other_slices(traffic.workload, clips) or (trace.options.from_s,)
            workload = on_slice(workload, begins_s[place % len(begins_s)], seed, clips)
        moved.append(replace(traffic, workload=workload))
    return tuple(moved)


def slices_in_words(
    of_study: Sequence[WindowTraffic], pairs: int, clips: Sequence[Clip] = ()
) -> Iterator[str]:
    """Say what each trace has for the pairs, and where that is too little for a slice each.

    Args:
        of_study: The traffic of the study.
        pairs: How many pairs of baseline and winner there may be.
        clips: The clips of speech, which the lines of a capture name.

    Raises:
        BadInput: The file of a trace cannot be read any more.
    """
    for traffic in of_study:
        if traffic.workload.trace is None:
            continue
        count = len(other_slices(traffic.workload, clips))
        has = f"{traffic.name}: its trace has {count or 'no'} other slice{'s' * (count != 1)}"
        if count >= pairs:
            yield f"{traffic.name}: each of the {pairs} pairs replays another slice of the trace"
        elif count:
            yield f"{has} for {pairs} pairs: some are replayed again, so the interval is too narrow"
        else:
            yield f"{has}: all pairs replay the study's own, and the interval knows no other"


def hold_seed(of_study: int, number: int) -> int:
    """Return the seed of the n-th hold of either allocation, which no pair and no study has.

    >>> hold_seed(7, 1)
    501000007
    """
    return of_study + STEP * (HOLDS + number)
