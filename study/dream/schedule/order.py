"""The order is fair by time, within the budgets of experiment and cycle. Pure."""

from __future__ import annotations

from collections.abc import Collection

from study.dream.experiments.model import Experiment
from study.dream.schedule.options import RunnerOptions
from study.dream.schedule.progress import RunnerState, Wait


def wait_of(
    experiment: Experiment, state: RunnerState, options: RunnerOptions, now: float
) -> Wait | None:
    """Return why an experiment has no turn now; None where it may have one.

    Args:
        experiment: The experiment.
        state: How far all have come.
        options: What the runner was asked for.
        now: Seconds since 1970.
    """
    return state.of(experiment.name, experiment.digest).wait(
        now=now,
        cycle=state.cycle,
        most=min(options.epochs_per_cycle, experiment.max_generations),
        patience=experiment.patience,
        total_s=experiment.total_s,
    )


def ready(
    wanted: Collection[Experiment],
    state: RunnerState,
    options: RunnerOptions,
    now: float,
    cycle_s: float | None,
) -> list[Experiment]:
    """Return those that may have a turn, the least recently run first.

    Nobody has more than a share of the cycle's time before the others had theirs.

    Args:
        wanted: Those that take part.
        state: How far all have come.
        options: What the runner was asked for.
        now: Seconds since 1970.
        cycle_s: The longest time of a cycle, seconds; None: no limit.
    """
    share_s = (cycle_s or float("inf")) / max(1, len(wanted))

    def key(experiment: Experiment) -> tuple[bool, float]:
        progress = state.of(experiment.name, experiment.digest)
        used_s = progress.seconds_in_cycle if progress.cycle == state.cycle else 0.0
        return used_s >= share_s, progress.last_ended

    may = (e for e in wanted if e.name not in state.running)
    return sorted((e for e in may if wait_of(e, state, options, now) is None), key=key)


def left_s(
    experiment: Experiment, state: RunnerState, cycle_s: float | None, elapsed_s: float
) -> float | None:
    """Return what the budgets leave to a turn; None where they set no limit.

    Args:
        experiment: The experiment.
        state: How far all have come.
        cycle_s: The longest time of a cycle, seconds; None: no limit.
        elapsed_s: The time of this cycle so far, seconds.
    """
    left = []
    if cycle_s is not None:
        left.append(cycle_s - elapsed_s)
    if experiment.total_s is not None:
        used_s = state.of(experiment.name, experiment.digest).seconds
        left.append(experiment.total_s - used_s)
    return max(0.0, min(left)) if left else None
