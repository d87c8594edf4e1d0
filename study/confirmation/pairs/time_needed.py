"""This module estimates how long the next step of a confirmation takes, and all that is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from objectives.capacity.holds import MOST
from objectives.servers.phase_times import RAMP, TimedPhase
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Workload
from study.confirmation.held_out import held_out_traffics
from study.confirmation.pairs.next_step import Next
from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.records import Pair, PairsJournal
from study.confirmation.spec_rule import claim_of
from study.confirmation.subject import AA_PAIRS, Subject
from study.confirmation.verdict.assess import hold_to_come
from study.rule.pairs import ROLES, Role
from study.rule.rule import LOOKS, Claim
from study.search.expected_time import START_GUESS_S, guess_s
from study.spec.model import Spec
from study.spec.traffic import WindowTraffic

ONE_LAUNCH = 0.75  # of a pair, at most: the stress, or what is in use today
COMPILING_GUESS_S = 60.0  # of the first pair with a winner, whose engine may have to
DRAIN_GUESS_S = 15.0  # of a hold: the warm-up before it, and what is open at its end


def until_looks_s(spec: Spec, trial_s: float) -> tuple[float, ...]:
    """Return the seconds of a confirmation of a live study up to each look at its pairs.

    Args:
        spec: The study's spec.
        trial_s: What a trial of the study takes, seconds.

    Raises:
        BadInput: A captured trace of the spec cannot be read, or nothing measures its claim.
    """
    claim = claim_of(spec.claim, spec.workload.ramp_s)
    held_out = held_out_traffics((), spec, claim, read_clips(spec.workload.clips))
    pair_s = 2 * (trial_s + _held_out_s(held_out))
    rest_s = trial_s + _holds_s(spec.workload, claim)
    return tuple((AA_PAIRS + pairs) * pair_s + rest_s for pairs in LOOKS)


def _holds_s(workload: Workload, claim: Claim) -> float:
    """Return the seconds of all holds, where a capacity may be claimed."""
    of_role_s = START_GUESS_S + MOST * _hold_s(workload)
    return 2 * of_role_s if Claim.CAPACITY in claim.parts else 0.0


def expected_step_s(
    step: Next, journal: PairsJournal, of: Subject, card: str, serving: Role | None = None
) -> float:
    """Return what the step took at most so far, s, or a guess.

    Args:
        step: What is measured next.
        journal: What is measured so far.
        of: What is confirmed.
        card: The UUID of the card that measures it, those of a set with spaces between them.
        serving: Whose servers run there since the hold before.
    """
    if step.step == "hold":
        return _expected_hold_s(journal, of, card, serving)
    if step.step in ("stress", "today"):
        launches_s = [ONE_LAUNCH * _pair_s(p, is_ramped=False) for p in journal.pairs]
        return max(launches_s, default=guess_s(of.spec.workload))
    pairs = sorted(journal.of("ab"), key=lambda p: p.at)
    # engines compile in the first pair of a card, which takes up to twice as long as the rest
    own = [p.wall_s for p in pairs if p.card == card][1:]
    if took := own or [p.wall_s for p in pairs]:
        return 1.05 * max(took)
    of_baseline = [_pair_s(p) for p in journal.of("aa")]
    return 1.05 * max(of_baseline) + COMPILING_GUESS_S if of_baseline else _guess_pair_s(of)


def _hold_s(workload: Workload) -> float:
    return workload.hold_s + DRAIN_GUESS_S


def _expected_hold_s(journal: PairsJournal, of: Subject, card: str, serving: Role | None) -> float:
    """Return what the next hold takes, s; where holds of another card go for it, what all take."""
    if any(h.card != card for h in journal.holds):
        return _holds_left_s(replace(journal, holds=()), of, card)
    to_come = hold_to_come(journal, of)
    role = to_come[0] if to_come else "winner"
    starts_s = 0.0 if serving == role else _start_s(journal, role, card)
    return starts_s + _hold_s(of.spec.workload)


def _holds_left_s(journal: PairsJournal, of: Subject, card: str = "") -> float:
    left = {role: MOST - len(journal.holds_of(role)) for role in ROLES}
    hold_s = _hold_s(of.spec.workload)
    return sum(_start_s(journal, role, card) + n * hold_s for role, n in left.items() if n > 0)


def _start_s(journal: PairsJournal, role: Role, card: str) -> float:
    """Return what a start of a role's servers took at most, s: on this card, or on any."""
    pairs = journal.of("ab")
    launches = [p.of(role) for p in pairs if p.card == card] or [p.of(role) for p in pairs]
    phases = [launch.measured["main"].phase_s.items() for launch in launches]
    took = [sum(s for name, s in own if TimedPhase.of(name).service) for own in phases]
    return max(took, default=0.0) or START_GUESS_S


def _pair_s(pair: Pair, *, is_ramped: bool = True) -> float:
    """Return what a pair like this one takes, s, by its second launch, with its ramps or without.

    The first launch of all finds the ranges of ramps and counts words, which no other one does.
    """
    phases = [m.phase_s for m in pair.launches[1].measured.values()]
    known_s = [s for own in phases for name, s in own.items() if is_ramped or name != str(RAMP)]
    return min(pair.wall_s, 2 * sum(known_s)) if known_s else pair.wall_s


def _guess_pair_s(of: Subject) -> float:
    return 2 * (guess_s(of.spec.workload) + _held_out_s(of.traffics[1:]))


def _held_out_s(traffics: Sequence[WindowTraffic]) -> float:
    return sum(1.2 * t.workload.window_s + t.workload.ramp_s + 5 for t in traffics)


def outlook(
    journal: PairsJournal, of: Subject, most: int, part: Part = WHOLE, cards: int = 1
) -> str:
    """Say what is left to measure and about how long it takes, before anything is launched.

    Args:
        journal: What is measured so far.
        of: What is confirmed.
        most: How many pairs to measure at most.
        part: Which of them are this card's.
        cards: How many cards measure pairs at once.
    """
    aa, done = max(0, of.aa_pairs - len(journal.of("aa"))), {p.number for p in journal.of("ab")}
    ab = [n for n in part.numbers(most) if n not in done]
    to_look = sum(n <= LOOKS[0] for n in ab) or len(ab)
    later = len(ab) - to_look
    took = [_pair_s(p) for p in journal.of("aa")]
    took += [p.wall_s for p in journal.of("ab")]
    pair_s = 1.05 * median(took) if took else _guess_pair_s(of)
    left = [f"{n} {what}" for n, what in ((aa, "A/A pairs"), (to_look, "pairs")) if n]
    total_s = (math.ceil(aa / cards) + math.ceil(to_look / cards)) * pair_s
    if of.today is not None and journal.today is None:
        left.insert(0, "what is in use today")
        total_s += ONE_LAUNCH * pair_s
    if journal.stress is None:
        left.insert(1 if aa else 0, "the stress")
        total_s += ONE_LAUNCH * pair_s
    holds_s = _holds_s(of.spec.workload, of.rule.claim)
    if hold_to_come(journal, of) is not None:
        left, total_s, later, took = ["the holds"], _holds_left_s(journal, of), 0, []
    elif not left:  # the baseline against itself is asked again
        left, total_s = ["more A/A pairs"], pair_s
    elif holds_s and part == WHOLE:
        left.append("the holds where a capacity is won")
        total_s += holds_s
    how = "by what a pair took" if took else "a guess from the workload"
    later_s = math.ceil(later / cards) * pair_s
    more = f"; {later} more pairs where they do not decide, {later_s / 60:.0f} min"
    return (
        f"to measure: {', '.join(left)}; about {total_s / 60:.0f} min ({how})"
        f"{more if later else ''}"
    )
