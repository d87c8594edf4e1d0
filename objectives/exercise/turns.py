"""Turns are sent up a ramp and at constant rates, again where our own requests left late."""

from __future__ import annotations

from typing import Any

from objectives.capacity.holds import Hold
from objectives.capacity.lateness import is_hold_late, is_ramp_late
from objectives.capacity.ramp_figures import ramp_figures
from objectives.capacity.ramp_range import RampRange
from objectives.evaluation import Phase, Step
from objectives.exercise.idle import has_left_work, still_busy
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.drive_turns import TurnSource, drive_hold, drive_ramp
from objectives.load.turns_under_way import SentTurns
from objectives.servers.blame import failed_load


def ramp(
    source: TurnSource, servers: ReadyServers, known: RampRange | None
) -> tuple[SentTurns, RampRange, dict[str, Any]]:
    """Send turns at a rising rate until they miss their limits.

    The first ramp of a study begins far below what is expected. It finds the range of all
    others, and is measured again in that.

    Args:
        source: What sends the turns.
        servers: The servers.
        known: The range of the study's ramps; None where this is the first.

    Returns:
        The ramp that counts, its range, and its figures by flat name.

    Raises:
        TrialFailed: A service ended or ran out of memory under the load.
    """
    workload, services, limits = source.workload, source.endpoints, source.limits
    here = known or RampRange.below(workload.least_per_s, workload.ramp_doubling_s)
    step = Step.RAMP
    while True:
        servers.on_phase(Phase(step))
        sent = drive_ramp(source, here.rate)
        if sent.aborted is not None:
            raise failed_load(servers.suspects, sent.aborted)
        _settle(source, sent)
        is_late = is_ramp_late(sent.replies, services, here.rate, limits)
        if is_late and step is not Step.RAMP_LATE:
            step = Step.RAMP_LATE
            continue
        figures = ramp_figures(
            sent.replies,
            services,
            here.rate,
            limits,
            pause_s=workload.pause_s,
            kv_full_s=sent.kv_full_s,
        )
        figures["lag_exceeded"] = is_late
        capacity_per_s = figures["capacity_turns_per_s"]
        if known is not None or not capacity_per_s:
            return sent, here, figures
        known = RampRange.around(capacity_per_s, workload.ramp_doubling_s, workload.ramp_s)
        if known == here:
            return sent, here, figures
        here, step = known, Step.RAMP_AGAIN


def hold(
    source: TurnSource, servers: ReadyServers, rate_per_s: float
) -> tuple[Hold, SentTurns, bool]:
    """Send turns at a constant rate, and count those that meet their limits.

    Args:
        source: What sends the turns.
        servers: The servers.
        rate_per_s: The rate, turns/s.

    Returns:
        What the hold shows, all that was sent, and whether it is lost since our own requests left
        late, again.

    Raises:
        TrialFailed: A service ended or ran out of memory under the load.
    """
    for step in (Step.HOLD, Step.HOLD_LATE):
        servers.on_phase(Phase(step))
        held, sent = drive_hold(source, rate_per_s)
        if sent.aborted is not None:
            raise failed_load(servers.suspects, sent.aborted)
        is_late = is_hold_late(sent.replies, source.endpoints, source.limits, len(sent.times_s))
        if not is_late or step is Step.HOLD_LATE:
            break
        _settle(source, sent)
    return held, sent, is_late


def _settle(source: TurnSource, sent: SentTurns) -> None:
    """Wait for servers that may go on with turns that nobody waits for any more.

    Raises:
        TrialFailed: They do not come to rest.
    """
    if has_left_work(r.error for r in (*sent.replies, *sent.beside)) and not source.settle():
        raise still_busy()
