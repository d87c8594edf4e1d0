"""The options about lending are the same for every script that measures live."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from objectives.errors import BadInput
from study.service_pause.containers import ContainerState, find_container, is_container
from study.service_pause.lent_units import closure
from study.service_pause.pause import must_end_after_s
from study.systemd.manager import UnitState, find_unit
from study.systemd.systemctl import SPAN_S

LEAST_OUTAGE_S = 60.0


@dataclass(frozen=True, slots=True)
class Lending:
    """These units and containers lend their GPU, and for so long.

    Args:
        units: Their names, as the user wrote them.
        max_outage_s: The longest that they may be without it, s; None: no limit.
    """

    units: tuple[str, ...] = ()
    max_outage_s: float | None = None

    def left_s(self, began: float) -> float:
        """Return the seconds until a measurement must have ended.

        Args:
            began: When the outage began, seconds of the monotonic clock.
        """
        if self.max_outage_s is None:
            return float("inf")
        return max(1.0, began + must_end_after_s(self.max_outage_s) - time.monotonic())

    def states(self) -> list[UnitState | ContainerState]:
        """Return all that would be lent, as it is now.

        Raises:
            BadInput: One cannot be lent.
            SetupError: No systemd runs.
        """
        units = closure([find_unit(name) for name in self.units if not is_container(name)])
        return [*units, *(find_container(name) for name in self.units if is_container(name))]


def add_lending(parser: argparse.ArgumentParser) -> None:
    """Add the options that `lending` reads."""
    about = (
        "sudo .venv/bin/python scripts/... --lend-from judge.service --max-outage 45m "
        "(study/guides/lending.md)"
    )
    group = parser.add_argument_group("the GPU is in use by units of systemd", about)
    units_help = (
        "stop this unit meanwhile, bring it back whatever happens; "
        "may be repeated; user:UNIT for your own, container:NAME for a container"
    )
    group.add_argument("--lend-from", action="append", default=[], metavar="UNIT", help=units_help)
    outage_help = "such as 45m: by then the units start again, even in the middle of a trial"
    group.add_argument("--max-outage", metavar="TIME", help=outage_help)


def lending(arguments: argparse.Namespace) -> Lending:
    """Read the options about lending.

    Raises:
        BadInput: They are no time, or do not fit together.
    """
    outage_s = (
        None if arguments.max_outage is None else seconds(arguments.max_outage, "--max-outage")
    )
    if outage_s is not None and not arguments.lend_from:
        raise BadInput("--max-outage says how long units are lent; add --lend-from UNIT")
    if outage_s is not None and outage_s < LEAST_OUTAGE_S:
        raise BadInput(
            f"--max-outage {arguments.max_outage} is too short for a start; write at least 1m"
        )
    return Lending(tuple(arguments.lend_from), outage_s)


def seconds(text: str, what: str) -> float:
    """Read a time such as 90s, 45m, 1.5h or 1d, in seconds.

    Raises:
        BadInput: It is no time; the message names `what`.

    >>> seconds("45m", "--max-outage"), seconds("90", "--max-outage")
    (2700.0, 90.0)
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(s|m|min|h|d)?", text.strip(), re.ASCII)
    if match is None or not float(match[1]):
        raise BadInput(f"{what} {text!r} is no time; write such as 90s, 45m or 24h")
    return float(match[1]) * SPAN_S[match[2] or "s"]


def outage(
    states: Sequence[UnitState | ContainerState], expected_s: float, max_outage_s: float | None
) -> list[str]:
    """Return lines that say what the units would go through.

    Args:
        expected_s: How long the measurement takes, s.
    """
    at_most_s = expected_s if max_outage_s is None else min(expected_s, max_outage_s)
    limit = "" if max_outage_s is None else f", at most {max_outage_s / 60:.0f} min"
    lines = [
        f"outage: about {at_most_s / 60:.0f} min{limit}, and what the units take to start; "
        "nothing is stopped now:"
    ]
    for s in states:
        if isinstance(s, ContainerState):
            as_it_is = f"{s.program.rpartition('/')[2]}; {s.status}, restart {s.restart}"
        else:
            as_it_is = f"{s.manager.name}; {s.active}, {s.enabled or 'not installed'}"
        lines.append(f"  {s.unit} ({as_it_is}): " + ("stopped" if s.is_on else "stays off"))
    return lines
