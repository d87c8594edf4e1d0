"""A candidate that cannot win is told as pruned, and uses budget, but is no failure.

What measures here asks whether to go on just as a launch does; `test_race.py` has real servers.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import SHARES, cell, changed, context_of_spec, make, open_made
from optuna.trial import TrialState

from objectives.evaluation import Job, Outcome
from objectives.measurement import Measurement
from study.analysis.category import Category, category
from study.analysis.configurations import configurations_in, ranked
from study.analysis.decision import decision_of
from study.racing import race
from study.racing.giving_up import Noise
from study.racing.race import Race
from study.recording.export_study import _is_launched
from study.report.trial_words import outcome_in_words
from study.search.epoch import Epoch
from study.search.tell import tell_dominated
from study.search.trial_ends import Progress
from study.spec.load import load
from study.storage.trial import NOT_SHOWN, State
from study.storage.trials import rows
from study.tournament import left, standings

SEGMENTS = 6
POOR = set(SHARES[:2])  # they have less capacity, too
SLOW = {0.40: 4.0, 0.45: 1.02, 0.50: 1.0, 0.55: 0.98}  # times as slow as the baseline


def measured(job: Job) -> Measurement | None:
    """Return a measurement with its segments, which differ a little; None out of memory."""
    a = job.allocation
    result = cell(a.share, a.speech)
    if not isinstance(result, Measurement):
        return None
    times = SLOW[a.share]
    figures = {f"{s}_latency_p95_ms": times * ms for s, ms in (("stt", 800.0), ("llm", 2500.0))}
    wobble = [1 + ((n * 7 + round(100 * a.share)) % 5 - 2) / 50 for n in range(SEGMENTS)]
    parts = tuple({name: ms * w for name, ms in figures.items()} for w in wobble)
    return changed(result, **figures, segments=parts)


class Bench:
    """It asks after every segment whether to go on, as a launch does."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def __call__(self, job: Job) -> Outcome:
        whole = measured(job)
        if whole is None:
            from made.factories import oom

            from objectives.evaluation import Failure

            return Outcome(failure=Failure(oom(), is_ruled_out=True, measured={}))
        for n in range(1, SEGMENTS if job.is_worth else 0):
            self.asked[str(job.allocation)] = n
            if not job.is_worth(changed(whole, segments=whole.segments[:n])):
                return Outcome(given_up={"llm_latency_p95_ms": 1.0, "phase_s": {"window": 9.0}})
        return Outcome(whole)


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    return load(make(tmp_path))


def run(spec: Any, folder: Path, bench: Bench, *, sampler: str = "tournament", **more: Any) -> Any:
    study = more.pop("study", None) or open_made(
        spec, optuna.storages.InMemoryStorage(), name="s", sampler=sampler
    )
    context = context_of_spec(spec)
    usual: dict[str, Any] = {
        "max_trials": 40,
        "is_replay": False,
        "racer": Race(study, context).racer,
    }
    Epoch(
        study=study,
        context=context,
        space=spec.search_space,
        selector=spec.selector,
        measuring=nullcontext(bench),
        folder=folder,
        timeout_s=1e6,
        seed=0,
        progress=Progress(),
        **usual | more,
    ).run()
    return study


def given_up(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [t for t in study.trials if t.user_attrs.get("pruned") == "dominated"]


@pytest.mark.parametrize("sampler", ["tournament", "tpe", "random"])
def test_it_is_told_as_feasible_and_poor_and_never_recommended(spec, tmp_path, sampler) -> None:
    study = run(spec, tmp_path, Bench(), sampler=sampler)
    poor = given_up(study)
    assert poor and {t.params["vllm_memory_util"] for t in poor} <= POOR
    whole = {
        str(t.allocation): t.fitness for t in rows(run(spec, tmp_path / "b", Bench(), racer=None))
    }
    for trial in poor:
        assert whole[str(spec.search_space.decode(trial.params))] <= trial.value
        assert trial.state == TrialState.PRUNED
        assert trial.constraints and all(v <= 0 for v in trial.constraints.values())
        assert trial.value == trial.intermediate_values[max(trial.intermediate_values)]
        assert 0 < trial.value < study.best_value
    assert all(s.params not in [t.params for t in poor] for s in standings(study))
    trials, context = rows(study), context_of_spec(spec)
    decision = decision_of(trials, context)
    assert decision.winner is not None and decision.winner.allocation.share == 0.55
    for c in configurations_in(trials):
        if c.dominated:
            assert category(c, decision) is Category.GIVEN_UP
            assert outcome_in_words(c.dominated[0]).startswith("fitness at most 0.")
    own = next(t for t in trials if t.state is State.DOMINATED)
    assert (own.fitness, own.counts, own.is_known, own.is_feasible) == (None, True, True, False)
    assert not _is_launched(own), "recordings hold whole measurements"


def test_all_that_was_measured_whole_ranks_before_it_and_what_does_not_work_behind(
    spec, tmp_path
) -> None:
    order = [
        category(c, decision_of(trials, context_of_spec(spec)))
        for trials in [rows(run(spec, tmp_path, Bench()))]
        for c in ranked(configurations_in(trials))
    ]
    first = order.index(Category.GIVEN_UP)
    assert Category.FAILED not in order[:first] and order[-1] is Category.FAILED
    assert set(order[first:]) == {Category.GIVEN_UP, Category.FAILED}


def test_it_is_not_proposed_again_and_nothing_is_left(spec, tmp_path) -> None:
    study = run(spec, tmp_path, Bench())
    assert left(study) == 0
    again = Bench()
    run(spec, tmp_path, again, study=study)
    assert again.asked == {}


def test_what_is_in_use_today_is_measured_whole(spec, tmp_path) -> None:
    slow = load(
        make(
            tmp_path / "b",
            changes={"baseline": {"vllm_memory_util": 0.40, "whisper_model_size": "base"}},
        )
    )
    study = run(slow, tmp_path / "b", Bench())
    today = [t for t in rows(study) if str(t.allocation) == str(slow.baseline)]
    assert today and all(t.state is State.COMPLETE for t in today)


@pytest.mark.parametrize("change", [{"racer": None}, {"is_replay": True}])
def test_without_a_pruner_and_in_a_replay_nothing_is_given_up(spec, tmp_path, change) -> None:
    study = run(spec, tmp_path, Bench(), **change)
    assert given_up(study) == []
    assert not any(t.intermediate_values for t in study.trials if t.state == TrialState.COMPLETE)


def test_out_of_memory_after_reports_is_worth_0(spec, tmp_path) -> None:
    from made.factories import oom

    from objectives.evaluation import Failure

    class Dies(Bench):
        def __call__(self, job: Job) -> Outcome:
            outcome = super().__call__(job)
            if job.allocation.share == 0.55:
                return Outcome(failure=Failure(oom(), is_ruled_out=True, measured={}))
            return outcome

    study = run(spec, tmp_path, Dies())
    dead = [t for t in study.trials if t.params["vllm_memory_util"] == 0.55]
    assert dead and all(t.value == 0.0 and len(t.intermediate_values) > 1 for t in dead)


def test_a_repeat_of_it_is_told_the_same(spec, tmp_path) -> None:
    study = run(spec, tmp_path, Bench())
    first = given_up(study)[0]
    assert first.value is not None
    study.enqueue_trial(first.params)
    trial = study.ask(spec.search_space.distributions())
    tell_dominated(study, trial, {}, first.value, first.constraints)
    again = study.trials[-1]
    assert (again.state, again.value) == (TrialState.PRUNED, first.value)
    assert again.constraints == first.constraints


@pytest.mark.parametrize("sampler", ["tournament", "random"])
def test_one_whose_words_bar_it_tells_the_tournament_so(
    spec, tmp_path, monkeypatch, sampler
) -> None:
    monkeypatch.setattr(race, "noise_of", lambda *_: Noise(1.0, 1.0, 1))
    monkeypatch.setattr(race, "is_dominated", lambda *_: True)  # all but the baseline
    study = run(spec, tmp_path, Bench(), sampler=sampler)
    tiny = [t for t in given_up(study) if t.params["whisper_model_size"] == "tiny"]
    barred = [t for t in tiny if t.constraints.get(NOT_SHOWN, 0.0) > 0]
    assert tiny and barred == (tiny if sampler == "tournament" else [])
    assert all(v <= 0 for t in tiny for k, v in t.constraints.items() if k != NOT_SHOWN)
    assert {r.state for r in rows(study) if r.number in {t.number for t in tiny}} == {
        State.DOMINATED
    }
