"""Checks generations: nothing known is evaluated again, failures are retried, studies grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.dream import TOY, experiment
from optuna.storages import InMemoryStorage

from objectives.errors import BadInput
from study.dream.experiments.model import GenericExperiment
from study.dream.generic import generation as module
from study.dream.generic.evaluation import Evaluated
from study.dream.generic.generation import Generation
from study.dream.generic.open_study import open_generic
from study.dream.records import best_of, records_of

Answer = Callable[[Mapping[str, Any]], Evaluated]


class Bench:
    """It evaluates in this process, and notes what was evaluated."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.evaluated, self.lines = folder, [], []  # type: ignore[var-annotated]
        self.storage, self.code = InMemoryStorage(), TOY
        self.answer: Answer = lambda c: Evaluated({"height": 10 - abs(c["x"] - 3), "ms": 5})
        monkeypatch.setattr(module, "evaluate", self._evaluate)

    def _evaluate(self, experiment, candidate, context, folder, limit_s, windows) -> Evaluated:
        self.evaluated.append(candidate["x"])
        self.context, self.limit_s = context, limit_s
        return self.answer(candidate)

    def run(self, left_s: float | None = None, **changes: Any) -> tuple[optuna.Study, bool]:
        chosen: GenericExperiment = experiment(self.folder, self.code, **changes)
        study = open_generic(chosen, self.storage, self.lines.append)
        say = self.lines.append
        self.generation = Generation(chosen, study, self.folder, say, lambda: None, left_s=left_s)
        return study, self.generation.run()


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.mark.parametrize("sampler", ["tournament", "tpe", "random", "grid"])
def test_a_space_is_evaluated_once_and_then_it_is_finished(bench: Bench, sampler: str) -> None:
    ends = [bench.run(sampler=sampler)[1] for _ in range(4)]
    assert sorted(bench.evaluated) == [0, 1, 2, 3, 4, 5]
    assert ends[-1] and not ends[0]


def test_a_generation_has_max_candidates_and_the_best_is_found(bench: Bench) -> None:
    study, _ = bench.run()
    assert len(bench.evaluated) == 3
    bench.run()
    best = best_of(records_of(study, "toy"))
    assert best is not None and best.params == {"x": 3} and best.fitness >= 0


def test_the_baseline_comes_first_and_is_worth_0(bench: Bench) -> None:
    study, _ = bench.run(baseline={"x": 5})
    first = records_of(study, "toy")[0]
    assert (bench.evaluated[0], first.params, first.fitness) == (5, {"x": 5}, 0.0)


def test_an_evaluator_is_told_budget_run_and_generation(bench: Bench) -> None:
    bench.run()
    assert bench.context["experiment"] == "spica_toy"
    assert bench.context["budget"]["max_candidates"] == 3
    assert {"generation", "run", "timestamp"} <= bench.context.keys()


def test_a_failure_is_no_score_and_is_tried_again_within_bounds(bench: Bench) -> None:
    def answer(candidate: Mapping[str, Any]) -> Evaluated:
        if candidate["x"] == 3:
            return Evaluated(failure="memory", error="it held 9 MiB")
        return Evaluated({"height": 1, "ms": 5})

    bench.answer = answer
    for _ in range(5):
        study, is_over = bench.run(budget={"retries": 2, "max_candidates": 3})
    assert bench.evaluated.count(3) == 3 and is_over
    failed = [r for r in records_of(study, "toy") if r.fitness is None]
    assert [(r.status, r.error) for r in failed] == [("failed", "it held 9 MiB")] * 3


def test_the_first_result_must_hold_every_name(bench: Bench) -> None:
    bench.answer = lambda _: Evaluated({"height": 1, "latency": 5, "text": "x"})
    with pytest.raises(BadInput, match=r"no number for ms.*it has height, latency"):
        bench.run()


def test_a_later_result_without_a_name_is_a_failure(bench: Bench) -> None:
    bench.run()
    bench.answer = lambda _: Evaluated({"height": 1})
    study, _ = bench.run()
    assert records_of(study, "toy")[-1].error == "the result has no number for ms"


def test_other_weights_score_anew_and_another_evaluator_begins_anew(bench: Bench) -> None:
    bench.run()
    before = len(bench.evaluated)
    changed = {"target_direction": {"height": "down", "ms": "down"}}
    study, _ = bench.run(metrics=changed)
    assert study.study_name == "toy-2" and "taken over" in bench.lines[3]
    assert len(set(bench.evaluated)) == len(bench.evaluated) == before + 3
    best = best_of(records_of(study, "toy"))
    assert best is not None and best.figures["height"] == min(
        10 - abs(x - 3) for x in bench.evaluated
    )
    other, _ = bench.run(evaluator={"path": "toy.py", "class": "Toy", "init_kwargs": {"top": 1}})
    assert other.study_name == "toy-3" and len(records_of(other, "toy")) == 3


def test_what_was_interrupted_comes_first(bench: Bench) -> None:
    good = bench.answer

    def interrupt(candidate: Mapping[str, Any]) -> Evaluated:
        if len(bench.evaluated) == 2:
            raise KeyboardInterrupt
        return good(candidate)

    bench.answer = interrupt
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    bench.answer = good
    bench.run()
    assert bench.evaluated[2] == bench.evaluated[1]


def test_the_result_that_a_dead_process_had_written_counts(bench: Bench) -> None:
    study, _ = bench.run()
    chosen = experiment(bench.folder)
    trial = study.ask(chosen.values.distributions)
    candidate = chosen.values.decode(trial.params)
    trial.set_user_attr("candidate", candidate)
    folder = bench.folder / str(trial.number)
    folder.mkdir()
    (folder / "result.json").write_text('{"result": {"height": 8, "ms": 5}}')
    bench.run()
    figures = {r.number: r.figures for r in records_of(study, "toy")}
    assert figures[trial.number] == {"height": 8, "ms": 5}
    assert bench.evaluated.count(candidate["x"]) == 0


def test_a_later_trial_that_runs_out_of_the_time_is_not_its_failure(bench: Bench) -> None:
    good = bench.answer

    def answer(candidate: Mapping[str, Any]) -> Evaluated:
        if len(bench.evaluated) == 2:
            return Evaluated(failure="timeout", error="timeout_1s")
        return good(candidate)

    bench.answer = answer
    study, _ = bench.run()
    assert [r.status for r in records_of(study, "toy")] == ["complete"]
    bench.run()
    assert bench.evaluated[2] == bench.evaluated[1]


def test_an_evaluation_that_a_measuring_window_ended_begins_anew(bench: Bench) -> None:
    good, limits = bench.answer, []

    def answer(candidate: Mapping[str, Any]) -> Evaluated:
        limits.append(bench.limit_s)
        if len(bench.evaluated) == 2:
            return Evaluated(failure="window", seconds=5.0)
        return good(candidate)

    bench.answer = answer
    study, _ = bench.run()
    assert bench.evaluated[1] == bench.evaluated[2] and len(records_of(study, "toy")) == 3
    assert bench.generation.held_s == 5.0
    assert limits[2] > limits[1], "what was in vain is not its own time"


def test_a_budget_that_is_nearly_used_leaves_one_trial(bench: Bench) -> None:
    good = bench.answer

    def answer(candidate: Mapping[str, Any]) -> Evaluated:
        return replace(good(candidate), seconds=0.5)

    bench.answer = answer
    bench.run(left_s=0.1)
    assert len(bench.evaluated) == 1 and bench.limit_s == 20.0, "the first one always ends"


def test_figures_too_large_for_a_score_are_a_failure(bench: Bench) -> None:
    bench.answer = lambda _: Evaluated({"height": 0.1, "ms": 1e-10})
    bench.run()
    bench.answer = lambda _: Evaluated({"height": -1e308, "ms": 1e308})
    study, _ = bench.run()
    last = records_of(study, "toy")[-1]
    assert last.fitness is None and "too far" in str(last.error)


def test_an_evaluator_that_has_changed_is_said(bench: Bench) -> None:
    bench.run()
    bench.code += "\n# another"
    bench.run()
    assert [line for line in bench.lines if "toy.py has changed" in line]
