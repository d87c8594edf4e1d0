"""This module holds a constant rate on the servers of baseline or winner."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from objectives.colocation.colocation import Colocation
from objectives.devices.device import Identity
from objectives.evaluation import Failure, Job
from objectives.exercise.exercise import Exercise
from study.confirmation.pairs.arrivals import hold_seed
from study.confirmation.records import FailedLaunch, PairsJournal, RoleHold
from study.confirmation.subject import Subject
from study.rule.pairs import Role

UNDER = "a constant rate"


def measure_hold(
    of: Subject,
    journal: PairsJournal,
    role: Role,
    rate_per_s: float,
    colocation: Colocation,
    folder: Path,
    device: Identity,
) -> RoleHold | FailedLaunch | Failure:
    """Hold one rate; the servers of the first hold of a role are fresh, and stay for the others.

    A launch that does not work is a `FailedLaunch`; a `Failure` says nothing of it.

    Args:
        of: What is confirmed.
        journal: What is measured so far.
        role: Whose servers.
        rate_per_s: The rate, turns/s.
        colocation: The servers.
        folder: Where the logs and the replies go.
        device: The device they run on.
    """
    began_s, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    number = len(journal.holds_of(role)) + 1
    workload = of.traffics[0].workload
    workload = replace(workload, seed=hold_seed(workload.seed, number))
    within = folder / f"hold-{role}-{number}"
    within.mkdir(parents=True, exist_ok=True)
    colocation.under(Exercise(workload, of.clips), None)
    allocation = of.winner if role == "winner" else of.baseline
    outcome = colocation.hold(Job(allocation, 0, within, is_fresh=number == 1), rate_per_s)
    if isinstance(outcome, Failure):
        return FailedLaunch(role, UNDER, outcome.diagnosis) if outcome.is_ruled_out else outcome
    return RoleHold(
        role=role,
        hold=outcome,
        at=at,
        wall_s=round(time.monotonic() - began_s, 1),
        card=device.uuid,
        driver=device.driver,
        seed=workload.seed,
    )
