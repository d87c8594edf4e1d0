"""Tests show what is computed from launches alone: configurations, Pareto set, other weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import BEST, Outcome, cell, make, measurement, oom, words
from processes.commands import run_study

from objectives.allocation import Allocation
from study.analysis.configurations import Configuration, configuration_of, configurations_in
from study.analysis.pareto import pareto
from study.analysis.reweigh import is_contested, preset_decisions, rescored
from study.report.headline import sentence
from study.report.reasons import over
from study.report.summary import Summary, summary
from study.storage.find import study_in


def summary_of(folder: Path, cells: object = cell, *arguments: object) -> Summary:
    """Return the summary of a study on made-up cells."""
    spec = make(folder, cells, repeats=1)  # type: ignore[arg-type]
    ran = run_study(spec, "--out", folder / "out", *arguments)
    assert ran.returncode in (0, 4), ran.stderr
    return summary(study_in(f"sqlite:///{folder}/out/made/study.db"))


def torn(share: float, size: str) -> Outcome:
    """The larger the share, the sooner the LLM answers and the fewer sessions fit."""
    if share > 0.57:
        return oom()
    return measurement(
        llm_latency_p95_ms=2500.0 - 16_000 * (share - 0.5),
        capacity_turns_per_s=round(8 - 100 * (share - 0.5)),
        word_errors=words(6 if size == "tiny" else 4),
    )


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summary_of(tmp_path_factory.mktemp("usual"))


@pytest.fixture(scope="module")
def contested(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summary_of(tmp_path_factory.mktemp("contested"), torn)


def test_rescoring_by_its_own_weights_changes_nothing(usual: Summary) -> None:
    assert rescored(usual.trials, usual.context) == list(usual.trials)


def test_one_launch_has_no_standard_error_and_several_have(usual: Summary) -> None:
    one = usual.configurations[0]
    assert one.standard_error is None
    row = one.measured[0]
    three = Configuration(
        one.allocation, tuple(replace(row, fitness=f) for f in (0.6, 0.7, 0.8)), ()
    )
    assert three.fitness == pytest.approx(0.7)
    assert three.standard_error == pytest.approx(0.1 / 3**0.5)


def test_launches_of_one_allocation_are_one_configuration_and_told_repeats_are_none(
    usual: Summary,
) -> None:
    row = usual.configurations[0].measured[0]
    again, repeat = replace(row, number=98), replace(row, number=99, repeat_of=row.number)
    (configuration,) = configurations_in([row, again, repeat])
    assert [r.number for r in configuration.measured] == [row.number, 98]


def test_a_configuration_that_failed_once_does_not_count_as_working(usual: Summary) -> None:
    failed = next(c for c in usual.configurations if c.failed)
    worked = usual.configurations[0]
    assert not Configuration(worked.allocation, worked.measured, failed.failed).is_feasible


def test_a_limit_that_any_launch_went_over_is_named_once(usual: Summary) -> None:
    row = usual.configurations[0].measured[0]
    passed, crossed = (
        replace(row, constraints={"free_memory": -1.0}),
        replace(row, constraints={"free_memory": 1.0}),
    )
    assert over((passed, crossed, crossed)) == ["less memory stays free than the gate asks"]


def test_what_may_not_be_promoted_is_never_a_sensible_choice(usual: Summary) -> None:
    assert [c.allocation.values for c in pareto(usual.configurations, usual.context)] == [BEST]


def test_presets_that_agree_are_not_contested(usual: Summary) -> None:
    assert not is_contested(preset_decisions(usual.trials, usual.context, usual.decision))


def test_presets_may_disagree_and_all_their_choices_are_sensible(contested: Summary) -> None:
    decisions = preset_decisions(contested.trials, contested.context, contested.decision)
    assert is_contested(decisions)
    latency, capacity = decisions["latency"].winner, decisions["capacity"].winner
    assert latency and capacity
    assert (latency.allocation.share, capacity.allocation.share) == (0.55, 0.4)
    sensible = {str(c.allocation) for c in pareto(contested.configurations, contested.context)}
    assert {str(latency.allocation), str(capacity.allocation)} <= sensible


def test_a_case_weighed_by_a_preset_is_what_the_study_of_that_preset_finds(
    contested: Summary, tmp_path: Path
) -> None:
    other = summary_of(tmp_path, torn, "--preset", "capacity")
    assert other.context.fitness.preset == "capacity"
    url = f"sqlite:///{tmp_path}/out/made/study.db"
    assert run_study(tmp_path / "spec.yaml", "--out", tmp_path / "out").returncode == 0
    first = summary(study_in(url, "made-tournament-0"))
    again = summary(study_in(url, "made-tournament-0-2"), "capacity")
    assert [(r.allocation, r.fitness) for r in again.trials] == [
        (r.allocation, r.fitness) for r in first.trials
    ]
    assert "40 % of the memory" in sentence(again)


def test_a_configuration_is_found_by_its_allocation(usual: Summary) -> None:
    assert configuration_of(Allocation(BEST), usual.configurations) is not None
    assert (
        configuration_of(Allocation({**BEST, "vllm_memory_util": 0.99}), usual.configurations)
        is None
    )
