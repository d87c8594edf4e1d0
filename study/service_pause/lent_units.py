"""A pause lends more than the named units: what starts them, and what stops with them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from objectives import waiting
from objectives.errors import BadInput
from study.service_pause.restore_promise import PROMISE_PREFIX
from study.systemd.manager import UNIT_NAME, Manager, UnitState, state
from study.systemd.wakers import wakers_of

BACK_S = 30.0


def closure(named: Sequence[UnitState]) -> list[UnitState]:
    """Return these units, what would start them meanwhile, and what stops with them and runs.

    Raises:
        BadInput: One could not be given back.
    """
    states: dict[tuple[Manager, str], UnitState] = {}
    waiting = list(named)
    while waiting:
        s = waiting.pop()
        if (s.manager, s.unit) in states:
            continue
        _refuse(s)
        states[s.manager, s.unit] = s
        wakers = [w.unit.unit for w in wakers_of(s)]  # also of what is off and requires it
        for unit in (*wakers, *s.stopped_with):
            other = state(s.manager, unit)
            if other.is_on and not UNIT_NAME.fullmatch(unit):
                raise BadInput(
                    f"to stop {s.unit} would stop {unit} too; "
                    "remove that dependency, or leave it out"
                )
            if other.is_on and other.load == "loaded":
                waiting.append(other)
    return list(states.values())


def _refuse(s: UnitState) -> None:
    if s.load != "loaded":
        raise BadInput(
            f"--lend-from {s.unit}: it is {s.load}; leave it out, or see "
            f"`systemctl list-units '{PROMISE_PREFIX}*' --all` for a study that has it"
        )
    if s.enabled == "transient":
        raise BadInput(
            f"--lend-from {s.unit}: it was made by systemd-run and is gone once stopped; "
            "stop it yourself"
        )


def changed_units(states: Sequence[UnitState]) -> list[str]:
    """Return a sentence for each unit that is not as it was.

    One that was on may take a moment to be on again.
    """
    deadline = time.monotonic() + BACK_S
    while True:
        problems = []
        for before in states:
            now = state(before.manager, before.unit)
            if now.is_on != before.is_on or now.load != before.load:
                problems.append(
                    f"{before.unit} is {now.load} and {now.active}, "
                    f"it was {before.load} and {before.active}"
                )
            elif now.enabled != before.enabled:
                problems.append(f"{before.unit} is {now.enabled}, it was {before.enabled}")
        if not problems or time.monotonic() > deadline:
            return problems
        waiting.sleep(0.1)
