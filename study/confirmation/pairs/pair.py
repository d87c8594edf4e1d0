"""This module measures one pair: two fresh launches on one card, with equal arrivals."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from objectives.evaluation import Failure
from study.confirmation.pairs.arrivals import traffics_of
from study.confirmation.pairs.launcher import Launched
from study.confirmation.pairs.next_step import Next
from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.records import FailedLaunch, Pair, PairLaunch
from study.confirmation.subject import Subject
from study.confirmation.verdict.arms import arms_of
from study.confirmation.verdict.cause_words import CLAIM_TITLES
from study.confirmation.verdict.wording import DIRECTIONS, gain_pct, signed
from study.provenance import measuring_code
from study.rule.claims import claim_gains
from study.rule.pairs import LOST, ROLES, Role
from study.rule.rule import Rule
from study.spec.traffic import WindowTraffic

PairOutcome = Pair | FailedLaunch | str


def roles_of(step: Next, part: Part = WHOLE) -> tuple[Role, Role]:
    """Return who is launched first in a pair and who then: ABBA, by the number of the pair.

    >>> [roles_of(Next("ab", n))[0] for n in (1, 2, 3)]
    ['baseline', 'winner', 'baseline']
    >>> [roles_of(Next("ab", n), Part(2, 2))[0] for n in (2, 4, 6)]
    ['baseline', 'winner', 'baseline']
    """
    first, second = ROLES
    return (second, first) if part.place(step.number) % 2 else (first, second)


def pair_in_words(step: Next, of: Subject, most: int, part: Part = WHOLE) -> str:
    """Say which pair it is, of how many at most, and what is launched."""
    target = f" of {most} at most" if step.step == "ab" else ""
    roles = " then ".join(roles_of(step, part))
    what = "baseline against itself" if step.step == "aa" else roles
    what = "the winner twice" if of.rule.is_alone else what
    return f"{step.step.upper()} pair {step.number}{target}: {what}"


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch of a pair is asked for.

    Args:
        role: Whose launch it is.
        allocation: What is launched.
        folder: Where its logs go.
        traffics: What it is measured under, in turn.
    """

    role: Role
    allocation: Allocation
    folder: Path
    traffics: Sequence[WindowTraffic]


def pair_of(
    step: Next, of: Subject, folder: Path, device: Identity, part: Part = WHOLE
) -> Generator[Launch, Launched, PairOutcome]:
    """Ask for both launches of a pair; return it whole, or the launch that failed, or why not.

    Args:
        step: Which pair.
        of: What is confirmed.
        folder: Where the logs go.
        device: The device of both launches.
        part: Which pairs are this card's, of which every second begins with the winner.
    """
    launches = list[PairLaunch]()
    began_s, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="microseconds")
    traffics = traffics_of(step, of.traffics, of.clips)
    for role in roles_of(step, part):
        allocation = of.winner if (role, step.step) == ("winner", "ab") else of.baseline
        within = folder / f"{step.step}-{step.number}-{role}"
        launch = yield Launch(role, allocation, within, traffics)
        if isinstance(launch, Failure):
            return f"{launch}"
        if isinstance(launch, FailedLaunch):
            actual: Role = role if step.step == "ab" else "baseline"
            return replace(launch, role="winner" if of.rule.is_alone else actual)
        launches.append(launch)
    if late := [n for x in launches for n, m in x.measured.items() if m.lag_exceeded]:
        return f"our own requests left late under {late[0]}"
    return Pair(
        stage="aa" if step.step == "aa" else "ab",
        number=step.number,
        launches=(launches[0], launches[1]),
        at=at,
        wall_s=round(time.monotonic() - began_s, 1),
        card=device.uuid,
        driver=device.driver,
        seed=traffics[0].workload.seed,
        code=measuring_code(),
    )


def gains_in_words(pair: Pair, rule: Rule) -> Iterator[str]:
    """Say what a pair alone shows; an interval is looked at after whole looks alone."""
    figures = arms_of([pair], rule)
    for claim in rule.claims:
        [gain] = claim_gains(claim, figures, rule.main, rule.weights)
        if gain is not None and gain != LOST:
            by = signed(gain_pct(DIRECTIONS[claim], gain))
            yield f"{CLAIM_TITLES[claim]}: {by} in this pair"
