"""This module measures one pair: two fresh launches on one card, with equal arrivals."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from objectives.colocation import Colocation
from objectives.devices.device import Identity
from objectives.evaluation import Failure
from study.confirmation.pairs.arrivals import traffics_of
from study.confirmation.pairs.launcher import Launcher
from study.confirmation.pairs.next_step import Next
from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.records import ROLES, FailedLaunch, Pair, PairLaunch, Role
from study.provenance import measuring_code


def roles_of(step: Next, part: Part = WHOLE) -> tuple[Role, Role]:
    """Return who is launched first in a pair and who then: ABBA, by the number of the pair.

    >>> [roles_of(Next("ab", n))[0] for n in (1, 2, 3)]
    ['baseline', 'winner', 'baseline']
    >>> [roles_of(Next("ab", n), Part(2, 2))[0] for n in (2, 4, 6)]
    ['baseline', 'winner', 'baseline']
    """
    first, second = ROLES
    return (second, first) if part.place(step.number) % 2 else (first, second)


def measure_pair(
    step: Next,
    launcher: Launcher,
    colocation: Colocation,
    folder: Path,
    device: Identity,
    part: Part = WHOLE,
) -> Pair | FailedLaunch | str:
    """Return the pair whole, the launch of it that failed, or why it is left out.

    Args:
        step: Which pair.
        launcher: It launches what is confirmed.
        colocation: The servers.
        folder: Where the logs go.
        device: The device they run on.
        part: Which pairs are this card's, of which every second begins with the winner.
    """
    of, launches = launcher.of, list[PairLaunch]()
    began_s, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="microseconds")
    traffics = traffics_of(step, of.traffics, of.clips)
    for role in roles_of(step, part):
        allocation = of.winner if (role, step.step) == ("winner", "ab") else of.baseline
        name = f"{step.step}-{step.number}-{role}"
        launch = launcher.launch(role, allocation, colocation, folder / name, traffics)
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
