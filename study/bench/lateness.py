"""This module measures how late requests leave beside the real servers of a spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from objectives.colocation.colocation import Colocation
from objectives.devices.cores import cores_here
from objectives.errors import SetupError
from objectives.evaluation import Job, Phase
from objectives.exercise.exercise import Exercise
from objectives.load.figures_of_replies import nearest_rank
from objectives.plain_data.atomic import write_atomic
from objectives.traffic.clips import read_clips
from study.bench.bench import bench
from study.bench.loan import borrowed
from study.service_pause.options import Lending
from study.spec.model import Spec
from study.spec.setting import setting_of
from study.wording.phases import phase_in_words


@dataclass(frozen=True, slots=True)
class Lateness:
    """This is how late the requests of one window left.

    Args:
        per_s: Their rate, requests/s, half of them prompts and half of them clips.
        requests: Their number.
        p50_ms: The lateness within which half of them left, ms.
        p99_ms: The same of 99 %, ms.
        max_ms: The latest, ms.
        lag_exceeded: Whether that moved a figure beyond its own interval.
    """

    per_s: float
    requests: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    lag_exceeded: bool


def lateness_beside(
    spec: Spec, rates: Sequence[float], window_s: float, folder: Path, tell: Callable[[str], None]
) -> list[Lateness]:
    """Launch the baseline of a spec, and load it with windows of rising rates.

    Args:
        spec: A live spec.
        rates: Requests/s.
        window_s: The length of each window, seconds.
        folder: The folder for logs and replies.
        tell: It is given a line for each phase, and one that says whose cores are whose.

    Raises:
        SetupError: The servers do not run here, or break under the load.
    """
    setting = replace(setting_of(spec), precheck=False)
    machine, clips = bench(setting, spec), read_clips(spec.workload.clips)
    windows: list[Lateness] = []

    def on_phase(phase: Phase) -> None:
        tell(phase_in_words(phase))

    tell(str(cores_here()))
    with (
        borrowed(spec.baseline, machine, Lending(), tell) as machine,
        Colocation(machine.setting, machine.devices, folder, on_phase=on_phase) as colocation,
    ):
        words = Exercise(spec.workload, clips).word_errors
        for rate in rates:
            workload = replace(
                spec.workload,
                window_s=window_s,
                turns_per_s=0.0,
                llm_per_s=rate / 2,
                stt_per_s=rate / 2,
                llm_burst=1,
                ramp_s=0.0,
                alone_requests=0,
            )
            exercise = Exercise(workload, clips)
            exercise.word_errors = words
            colocation.under(exercise, None)
            job = Job(spec.baseline, 0, folder / f"{rate:g}")
            job.folder.mkdir(parents=True, exist_ok=True)
            outcome = colocation.measure(job).raise_for_setup()
            if outcome.measurement is None:
                raise SetupError(f"{spec.baseline} was not measured: {outcome.failure}")
            rows = (job.folder / "replies.jsonl").read_text().splitlines()
            late_ms = [_late_ms(json.loads(row)) for row in rows]
            windows.append(_lateness(rate, late_ms, is_held=outcome.measurement.lag_exceeded))
    return windows


def _late_ms(reply: Mapping[str, float]) -> float:
    return (reply["sent_s"] - reply["scheduled_s"]) * 1000.0


def _lateness(per_s: float, late_ms: Sequence[float], *, is_held: bool) -> Lateness:
    p50_ms, p99_ms, max_ms = (nearest_rank(late_ms, q) for q in (0.5, 0.99, 1.0))
    return Lateness(per_s, len(late_ms), p50_ms, p99_ms, max_ms, is_held)


def show_lateness(windows: Sequence[Lateness]) -> None:
    """Print a table, a row for each rate."""
    table = Table(*(field.name for field in fields(Lateness)))
    for row in windows:
        table.add_row(
            *(f"{v:.2f}" if isinstance(v, float) else str(v) for v in asdict(row).values())
        )
    Console(highlight=False).print(table)


def save_lateness(windows: Sequence[Lateness], path: Path) -> None:
    """Write a line of JSON for each rate, whole or not at all."""
    write_atomic(path, "".join(json.dumps(asdict(row)) + "\n" for row in windows))
