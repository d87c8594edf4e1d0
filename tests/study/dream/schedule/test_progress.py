"""Checks when an experiment has its turns: pauses that grow, patience, and what ends it."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from study.dream.schedule.progress import LONGEST_PAUSE_S, ExperimentProgress, RunnerState, Wait
from study.dream.turns.turn_job import Report, TurnEnding

RAN = Report(ending=TurnEnding.RAN, best=0.1, is_better=True)
SAME = Report(ending=TurnEnding.RAN, best=0.1)
FAILED = Report(ending=TurnEnding.FAILED, reason="no GPU")


def after(
    progress: ExperimentProgress, *reports: Report, cycle: int = 1, now: float = 1000.0
) -> ExperimentProgress:
    for report in reports:
        progress = progress.after(report, seconds=2.0, now=now, cycle=cycle, backoff_s=60.0)
    return progress


def wait(
    progress: ExperimentProgress, *, now: float = 1000.0, cycle: int = 1, most: int = 4
) -> Wait | None:
    return progress.wait(now=now, cycle=cycle, most=most, patience=2)


def test_pauses_grow_after_failures_and_end_with_a_run() -> None:
    pauses = [after(ExperimentProgress(), *[FAILED] * n).retry_at - 1000 for n in (1, 2, 3, 40)]
    assert pauses == [60, 120, 240, LONGEST_PAUSE_S]
    failed = after(ExperimentProgress(), FAILED, FAILED)
    assert (wait(failed), wait(failed, now=1120.0)) == (Wait.PAUSE, None)
    assert after(failed, RAN).failures == 0


def test_a_clock_that_is_set_back_does_not_hold_a_failed_one_off_for_years() -> None:
    failed = after(ExperimentProgress(), FAILED, now=2e9)
    assert wait(failed, now=1.7e9) is None and wait(failed, now=2e9) is Wait.PAUSE


def test_a_device_in_use_is_no_failure() -> None:
    busy = after(ExperimentProgress(), Report(ending=TurnEnding.BUSY, reason="in use"))
    assert (busy.failures, wait(busy), wait(busy, now=1060.0)) == (0, Wait.BUSY, None)


@pytest.mark.parametrize(
    ("ending", "expected"),
    [(TurnEnding.FINISHED, Wait.FINISHED), (TurnEnding.STOPPED, Wait.STOPPED)],
)
def test_what_has_ended_begins_again_with_another_entry(ending: TurnEnding, expected: Wait) -> None:
    ended = after(ExperimentProgress().of("a"), Report(ending=ending))
    assert wait(ended.of("a"), cycle=9) is expected
    assert wait(ended.of("b"), cycle=9) is None


def test_a_cycle_has_so_many_generations_of_each() -> None:
    done = after(ExperimentProgress(), *[RAN] * 3)
    assert (wait(done, most=4), wait(done, most=3), wait(done, most=3, cycle=2)) == (
        None,
        Wait.DONE,
        None,
    )


def test_an_experiment_that_does_not_improve_runs_less_often() -> None:
    cycles = []
    progress = after(ExperimentProgress(), RAN)
    for cycle in range(2, 40):
        if wait(progress, cycle=cycle) is None:
            cycles.append(cycle)
            progress = after(progress, SAME, cycle=cycle)
    gaps = [b - a for a, b in itertools.pairwise(cycles)]
    assert gaps[:8] == [1, 2, 2, 4, 4, 8, 8, 8]
    assert after(progress, RAN).stale == 0


def test_the_time_over_all_cycles_is_a_budget() -> None:
    progress = after(ExperimentProgress(), RAN, RAN)
    spent = progress.wait(now=1.0, cycle=5, most=4, patience=8, total_s=4.0)
    left = progress.wait(now=1.0, cycle=5, most=4, patience=8, total_s=4.1)
    assert (spent, left) == (Wait.SPENT, None)


def test_the_state_survives_and_a_torn_one_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = RunnerState(3, {"a": after(ExperimentProgress(digest="d"), RAN)}, ("a",))
    state.write(path)
    assert RunnerState.read(path) == state
    path.write_text(path.read_text()[:40])
    assert RunnerState.read(path) == RunnerState()
    assert replace(state).of("new", "d") == ExperimentProgress(digest="d")
