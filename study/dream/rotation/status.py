"""Show where every experiment stands, and when its next turn is."""

from __future__ import annotations

from datetime import datetime

from rich.table import Table

from study.dream.experiments.file import DreamFile
from study.dream.experiments.model import Experiment
from study.dream.rotation.progress import Progress, State, Wait


def trend_in_words(progress: Progress) -> str:
    """Say how the best fitness went over the last generations.

    >>> trend_in_words(Progress(trend=(0.1, 0.2, 0.2)))
    'better by 0.1 in 3 generations'
    >>> trend_in_words(Progress(trend=(0.2, 0.2), stale=4))
    'no better for 4 generations'
    """
    if len(progress.trend) < 2:
        return "-"
    if progress.stale:
        return f"no better for {progress.stale} generation{'s' * (progress.stale > 1)}"
    difference = progress.trend[-1] - progress.trend[0]
    return f"better by {difference:.3g} in {len(progress.trend)} generations"


def next_in_words(progress: Progress, wait: Wait | None, *, is_running: bool, patience: int) -> str:
    """Say when an experiment has its next turn."""
    if is_running:
        return "running now"
    at = datetime.fromtimestamp(progress.retry_at).astimezone()
    words = {
        None: "in this cycle",
        Wait.PAUSE: f"after {at:%H:%M:%S}: {progress.reason}",
        Wait.BUSY: f"after {at:%H:%M:%S}: {progress.reason}",
        Wait.RARELY: f"cycle {progress.next_cycle(patience)}: {wait}",
        Wait.DONE: f"cycle {max(progress.cycle + 1, progress.next_cycle(patience))}",
        Wait.STOPPED: f"stopped: {progress.reason}",
    }
    return words.get(wait, str(wait))


def status_table(
    file: DreamFile, state: State, waits: dict[str, Wait | None], *, is_alive: bool
) -> Table:
    """Return a row for every experiment of the file.

    Args:
        waits: Why each has no turn now, by name.
        is_alive: Whether a runner runs; what was running when it died does not.
    """
    table = Table(title=f"cycle {state.cycle}{'' if is_alive else ', no runner runs'}")
    for title in ("experiment", "generations", "hours", "best", "candidate", "trend", "next turn"):
        table.add_column(title, overflow="fold")
    for experiment in file.experiments:
        table.add_row(*_row(experiment, state, waits.get(experiment.name), is_alive))
    for broken in file.broken:
        what = f"skipped: {broken.reason}" if broken.is_enabled else str(Wait.DISABLED)
        table.add_row(broken.name, "-", "-", "-", "-", "-", what)
    return table


def _row(experiment: Experiment, state: State, wait: Wait | None, is_alive: bool) -> list[str]:
    progress = state.of(experiment.name, experiment.digest)
    is_running = is_alive and experiment.name in state.running
    coming = next_in_words(progress, wait, is_running=is_running, patience=experiment.patience)
    params = progress.best_params or {}
    return [
        experiment.name,
        str(progress.epochs),
        f"{progress.seconds / 3600:.2f}",
        "not measured" if progress.best is None else f"{progress.best:.4g}",
        " ".join(f"{k}={v}" for k, v in params.items()) or "-",
        trend_in_words(progress),
        coming if experiment.is_enabled or is_running else str(Wait.DISABLED),
    ]
