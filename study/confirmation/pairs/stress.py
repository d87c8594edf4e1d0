"""This module puts the winner under stress, and again after speech was restarted beside the LLM."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from objectives.colocation.colocation import Colocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.evaluation import Failure, Job
from objectives.exercise.exercise import Exercise
from objectives.speech.wer import WordErrors
from study.confirmation.records import PairsJournal, Stress
from study.confirmation.subject import Subject
from study.spec.traffic import stress


def measure_stress(
    of: Subject,
    journal: PairsJournal,
    colocation: Colocation,
    folder: Path,
    word_errors: dict[str, tuple[WordErrors, ...]],
    tell: Callable[[str], None],
) -> Stress | Failure:
    """Send the longest prompts and every clip at once, restart speech, and send them again.

    Args:
        of: The promotion whose winner is put under stress.
        journal: What is measured so far; its A/A pairs say how large the KV cache is.
        colocation: The servers.
        folder: Where the logs of both halves go.
        word_errors: Word errors by speech configuration, which are not scored again.
        tell: Called with each line for the user.

    Returns:
        What was measured, or the failure that says nothing of the winner.
    """
    began_s, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    bound = _kv_bound(of, journal)
    free_mib: list[float | None] = []
    diagnosis: Diagnosis | None = None
    for half in ("stress", "restart"):
        seed = 8_000_009 + 1000 * len(free_mib)
        traffic = stress(of.traffics[0], of.traffics[1:], of.clips, bound, seed=seed)
        job = Job(of.winner, 0, folder / half, is_fresh=half == "stress")
        job.folder.mkdir(parents=True, exist_ok=True)
        exercise = Exercise(traffic.workload, of.clips, traffic.requests, of.words)
        exercise.word_errors = word_errors
        colocation.under(exercise, None)
        failed = colocation.restart_first(job) if half == "restart" else None
        outcome = (failed or colocation.measure(job)).raise_for_setup()
        if outcome.failure is not None:
            if not outcome.failure.is_ruled_out:
                return outcome.failure
            tell(f"  {outcome.failure}")
            diagnosis = outcome.failure.diagnosis
            break
        if outcome.measurement is not None:
            free_mib.append(outcome.measurement.device.free_memory_mib)
    return Stress(
        requests=sum(r.prompt_tokens > 0 for r in traffic.requests),
        clips=len(of.clips),
        prompt_tokens=max(r.prompt_tokens for r in traffic.requests),
        free_memory_mib=free_mib[0] if free_mib else None,
        after_restart_mib=free_mib[1] if len(free_mib) > 1 else None,
        failure=diagnosis,
        in_restart=diagnosis is not None and bool(free_mib),
        at=at,
        wall_s=round(time.monotonic() - began_s, 1),
    )


def _kv_bound(of: Subject, journal: PairsJournal) -> int | None:
    """Return how many of the longest requests the larger KV cache holds.

    The winner's is as its study measured it, the baseline's as the newest A/A pair did.
    """
    figures = of.data.get("metrics")
    winner = figures.get("winner") if isinstance(figures, dict) else None
    of_winner = winner.get("kv_capacity_bound") if isinstance(winner, dict) else None
    pairs = journal.of("aa")
    of_baseline = pairs[-1].of("baseline").measured["main"].kv_capacity_bound if pairs else None
    return max((b for b in (of_winner, of_baseline) if type(b) is int), default=None)
