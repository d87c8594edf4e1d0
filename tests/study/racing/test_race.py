"""A study on fake servers gives up what cannot win, in the middle, and never its best."""

from __future__ import annotations

import json
from contextlib import nullcontext

import optuna
import pytest
from made.factories import context_of_spec, open_made, write_spec
from made.live_factories import SERVER
from optuna.trial import TrialState

from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.evaluation import Step
from objectives.traffic import segments
from study.analysis.configurations import configurations_in
from study.racing.race import Race
from study.report.trial_words import outcome_in_words
from study.search.epoch import Epoch
from study.search.trial_ends import Progress
from study.spec.load import load
from study.spec.setting import setting_of
from study.storage.trial import BASELINE, State
from study.storage.trials import rows
from study.tournament import recommend

WINDOW_S = 1.6
# the LLM's share is how long both services wait before an answer, seconds
TODAY, OTHER, LAST, POOR, NEXT = 0.06, 0.066, 0.063, 0.6, 0.03


@pytest.fixture
def spec(tmp_path, monkeypatch, one_generator):
    monkeypatch.setattr(segments, "LEAST_S", WINDOW_S / 4)
    monkeypatch.setattr(segments, "LEAST_REQUESTS", 3)
    server = f"{SERVER} --mood slow --delay {{vllm_memory_util}}"
    return load(
        write_spec(
            tmp_path,
            measure="live",
            search_space={
                "vllm_memory_util": [TODAY, OTHER, LAST, POOR, NEXT],
                "whisper_model_size": ["base"],
            },
            bounds={"vllm_memory_util": [0.01, 0.95]},
            baseline={"vllm_memory_util": TODAY, "whisper_model_size": "base"},
            services={"llm": {"command": server, "vocabulary": 2048}, "stt": {"command": server}},
            workload={
                "window_s": WINDOW_S,
                "words": "assistant",  # few, as each waits too
                "turns_per_s": 10,
                "prompt_tokens": [8, 16],
                "output_tokens": 4,
                "ramp_s": 0,
                "alone_requests": 1,
            },
            selector={"population_size": 1, "fresh_inject": 0, "exhausted": "stop"},
            fitness={"weights": {"efficiency": 0}},  # of a device of numbers
            reserve_mib=0,
            precheck="report",
        )
    )


def run(spec, device, folder, study, trials, phases):
    """Measure until the study has so many trials."""
    context = context_of_spec(spec)
    with Colocation(
        setting_of(spec), device_set(device), folder, on_phase=phases.append
    ) as colocation:
        Epoch(
            study=study,
            context=context,
            space=spec.search_space,
            selector=spec.selector,
            measuring=nullcontext(colocation.measure),
            folder=folder,
            max_trials=trials,
            timeout_s=1e6,
            seed=0,
            progress=Progress(),
            is_replay=False,
            racer=Race(study, context).racer,
        ).run()


def queued(spec, *shares):
    study = open_made(spec, optuna.storages.InMemoryStorage(), name="s")
    for share in shares:
        params = spec.search_space.encode(
            spec.search_space.allocation({"vllm_memory_util": share, "whisper_model_size": "base"})
        )
        role = {"role": BASELINE} if share == TODAY else None
        study.enqueue_trial(params, user_attrs=role)
    return study


def test_what_cannot_win_is_given_up_and_told_as_feasible_and_poor(spec, device, tmp_path):
    study, phases = queued(spec, TODAY, OTHER, LAST, POOR, NEXT), []
    run(spec, device, tmp_path, study, 5, phases)
    states = [t.state for t in rows(study)]
    # the two between are hardly slower than today's, and may be given up as well
    assert (states[0], *states[3:]) == (State.COMPLETE, State.DOMINATED, State.COMPLETE)
    poor, own = study.trials[3], rows(study)[3]
    assert (poor.state, poor.user_attrs["pruned"]) == (TrialState.PRUNED, "dominated")
    assert poor.constraints and all(v <= 0 for v in poor.constraints.values())
    assert poor.value == poor.intermediate_values[max(poor.intermediate_values)]
    assert own.optimistic_fitness == poor.value < study.best_value
    assert own.fitness is None and own.measurement is None and own.diagnosis is None
    reports = list(poor.intermediate_values.values())
    assert reports == sorted(reports, reverse=True), "what it can become only falls"
    sent = [
        len((tmp_path / "trials/s" / str(n) / "replies.jsonl").read_text().splitlines())
        for n in range(5)
    ]
    assert sent[3] < sent[0] == sent[4]
    assert own.measured["llm_latency_p95_ms"] > 250 and own.wall_s > 0
    assert [p.step for p in phases].count(Step.LOADING) == 5
    assert rows(study)[4].measurement.failure_rate == 0, "what was in work has ended by then"

    assert dict(recommend(study).params) != poor.params
    given_up = next(c for c in configurations_in(rows(study)) if c.allocation.share == POOR)
    assert given_up.is_given_up and not given_up.is_feasible
    assert outcome_in_words(own).startswith("fitness at most 0.")
    line = (tmp_path / "epoch_1" / "metrics.jsonl").read_text().splitlines()[3]
    assert json.loads(line)["status"] == "dominated"
    assert json.loads(line)["optimistic_fitness"] == poor.value
