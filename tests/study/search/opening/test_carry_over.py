"""A study whose limits changed carries over what its kept replies can judge, or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import Outcome, make, write_spec
from made.ramps import kept_cell, kept_of
from processes.commands import run_study

from objectives.allocation import Scalar
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.evaluation import Failure
from objectives.recording.kept_replies import Rows
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Idle, Space
from study.search.ask import ask_trial
from study.search.opening.carry_over import carry
from study.search.tell import tell_failure
from study.showcase.dataframe import overview_of
from study.storage.trials import rows

SMALL = {"vllm_memory_util": [0.45, 0.5], "whisper_model_size": ["base"]}
TIGHTER = {"llm_ttft_p95_ms": 700.0}


def replayed(folder: Path, kept: Any = kept_of) -> tuple[Path, Path]:
    """Return the spec and the folder of its replay, under the default limits."""

    def cell(share: float, size: str) -> Outcome:
        return kept_cell(share, size, kept(share, size))

    spec = make(folder, cell, kept=kept, repeats=1, changes={"search_space": SMALL})
    assert run_study(spec, "--out", folder / "out").returncode == 0
    return spec, folder / "out"


def figures(out: Path, study: str, limits: Any = None) -> list[tuple[object, ...]]:
    """Return fitness, goodput and rates of each launch; -1 where no rate is good."""
    names = ("goodput_pct", "breaking_point_turns_per_s", "capacity_turns_per_s")
    overview = overview_of(out / "made/study.db", study, limits=limits)
    return sorted(
        (str(t.allocation), t.fitness, *(t.measurement.figure(n) or -1.0 for n in names))
        for t in overview.trials
        if t.measurement
    )


def test_changed_limits_judge_anew_what_was_measured_and_nothing_is_measured(
    tmp_path: Path,
) -> None:
    spec, out = replayed(tmp_path)
    tighter_figures = figures(out, "made-tournament-0", TIGHTER)
    write_spec(tmp_path, search_space=SMALL, limits=TIGHTER)
    ran = run_study(spec, "--out", out)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not list(out.glob("made/epoch_2"))
    grown = figures(out, "made-tournament-0-2")
    assert grown == tighter_figures != figures(out, "made-tournament-0")
    fresh = run_study(spec, "--out", tmp_path / "fresh", "--study-name", "fresh")
    assert fresh.returncode == 0
    measured = figures(tmp_path / "fresh", "fresh")
    for row, known in zip(grown, measured, strict=True):
        assert row[0] == known[0] and row[1:] == pytest.approx(known[1:], rel=1e-4)
    assert run_study(spec, "--out", out).returncode == 0
    assert not list(out.glob("made/epoch_2"))
    write_spec(tmp_path, search_space=SMALL)  # and back, by the replies of the first study
    assert run_study(spec, "--out", out).returncode == 0
    own = figures(out, "made-tournament-0")
    for row, known in zip(figures(out, "made-tournament-0-3"), own, strict=True):
        assert row[0] == known[0] and row[1:] == pytest.approx(known[1:], rel=1e-4)


def half_kept(share: float, size: str) -> Rows | None:
    return kept_of(share, size) if share > 0.47 else None


def ended_early(share: float, size: str) -> Rows:
    """Return a ramp that ended once it was broken, with every request answered."""
    return [row for row in kept_of(share, size) if row[2] is None or row[2] < 140]


@pytest.mark.parametrize(
    ("kept", "ttft_ms", "why"),
    [
        (half_kept, 700.0, "kept no replies that are found; run with --fresh"),
        (ended_early, 60_000.0, "ended their ramp before it breaks under these"),
        (kept_of, 50.0, "began their ramp above any rate that is good under these"),
    ],
)
def test_where_they_cannot_be_judged_it_is_refused_and_the_study_stays(
    tmp_path: Path, kept: Any, ttft_ms: float, why: str
) -> None:
    spec, out = replayed(tmp_path, kept)
    before = (out / "made/study.db").read_bytes()
    write_spec(tmp_path, search_space=SMALL, limits={"llm_ttft_p95_ms": ttft_ms})
    ran = run_study(spec, "--out", out)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "measured under other conditions: limits; of its launches" in ran.stderr
    assert why in ran.stderr
    assert (out / "made/study.db").read_bytes() == before
    assert run_study(spec, "--out", out, "--fresh").returncode == 0


def test_an_option_that_does_nothing_is_carried_without_a_value() -> None:
    eager = Parameter("vllm.enforce_eager", (True, False))
    capture = Parameter("vllm.max_cudagraph_capture_size", (64, 256))
    fixed: dict[str, Scalar] = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    space = Space((eager, capture), fixed, {capture.name: Idle(eager.name, True, 256)})
    old, new = (optuna.create_study(direction="maximize") for _ in range(2))
    old.enqueue_trial({eager.name: True})
    trial, allocation = ask_trial(old, space)
    diagnosis = Diagnosis("oom_startup", "llm", FailurePhase.START, 5.0, "out of memory")
    tell_failure(old, trial, Failure(diagnosis, True, {}))
    carry(new, space, rows(old)[0], None, None)
    assert new.trials[0].params == old.trials[0].params == {eager.name: True}
    assert str(rows(new)[0].allocation) == str(allocation)
    assert allocation.values[capture.name] == 256
