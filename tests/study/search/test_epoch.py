"""Checks one run of a study in this process, with a measurement that a test decides.

It checks order, budget, interruption and resuming.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import (
    DEVICE,
    context_of_spec,
    make,
    measurement,
    oom,
    open_made,
    write_spec,
)
from made.made_up import cell, heard_cell
from optuna.trial import TrialState

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from objectives.diagnosis.diagnosis import OVERDUE, Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.errors import BadInput, SetupError
from objectives.evaluation import Failure, Job, Measure, Outcome
from objectives.measurement import INFINITE, Measurement
from study.cli.end_of_run.end import ended
from study.search.ask import bridge, drivers_of, note_card, queue
from study.search.epoch import Epoch
from study.search.known_results import Ending, RunLimit
from study.search.opening.resume import free_left_behind
from study.search.samplers import monotone_directions, same_words
from study.search.trial_ends import Progress
from study.spec.load import load
from study.spec.model import Spec
from study.storage.owner import Owner
from study.storage.trial import NOT_SHOWN, State, Trial
from study.storage.trials import rows

ODD = Failure(
    Diagnosis("engine_death", "llm", FailurePhase.LOAD, None, "it died"), is_ruled_out=False
)


@dataclass
class Bench:
    """Measures as `heard_cell` says, unless `then` decides; remembers what was launched."""

    then: Callable[[int, Allocation], Measurement | Diagnosis | Failure | None] = lambda n, a: None
    launched: list[str] = field(default_factory=list)

    def __call__(self, job: Job) -> Outcome:
        allocation = job.allocation
        self.launched.append(str(allocation))
        result = self.then(len(self.launched), allocation) or heard_cell(
            allocation.share, allocation.speech
        )
        if isinstance(result, Diagnosis):
            measured = {"device_total_mib": 12_000.0, "llm_latency_p95_ms": INFINITE}
            return Outcome(failure=Failure(result, is_ruled_out=True, measured=measured))
        if isinstance(result, Failure):
            return Outcome(failure=result)
        return Outcome(result, wall_s=result.wall_s)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return load(make(tmp_path))


@pytest.fixture
def storage() -> optuna.storages.BaseStorage:
    return optuna.storages.InMemoryStorage()


def opened(
    spec: Spec, storage: optuna.storages.BaseStorage, sampler: str = "tournament"
) -> optuna.Study:
    return open_made(spec, storage, name="s", sampler=sampler)


def epoch(study: optuna.Study, spec: Spec, measure: Measure, folder: Path, **options: Any) -> Epoch:
    usual: dict[str, Any] = {
        "context": context_of_spec(spec),
        "max_trials": 40,
        "timeout_s": 1e6,
        "seed": 0,
        "progress": Progress(),
        "is_replay": False,
    }
    return Epoch(
        study=study,
        space=spec.search_space,
        selector=spec.selector,
        measuring=nullcontext(measure),
        folder=folder,
        **usual | options,
    )


def own(study: optuna.Study) -> list[Trial]:
    return [r for r in rows(study) if r.counts]


BASELINE = "vllm_memory_util=0.5 whisper_model_size=base"


def test_the_baseline_is_trial_0_and_measured_first(spec, storage, tmp_path) -> None:
    study, bench = opened(spec, storage), Bench()
    epoch(study, spec, bench, tmp_path, max_trials=3).run()
    assert str(own(study)[0].allocation) == bench.launched[0] == BASELINE
    assert own(study)[0].is_reference


def test_the_baseline_is_measured_first_also_where_somebody_queued_another(
    spec, storage, tmp_path
) -> None:
    study, bench = opened(spec, storage), Bench()
    study.enqueue_trial({"vllm_memory_util": 0.45, "whisper_model_size": "base"})
    epoch(study, spec, bench, tmp_path, max_trials=5).run()
    assert bench.launched[0] == BASELINE


def test_servers_restart_least_within_a_generation(spec, storage, tmp_path) -> None:
    bench = Bench()
    epoch(opened(spec, storage, "bruteforce"), spec, bench, tmp_path).run()
    for start in (0, 5):
        shares = [text.split()[0] for text in bench.launched[start : start + 5]]
        assert len([s for n, s in enumerate(shares) if n == 0 or s != shares[n - 1]]) == len(
            set(shares)
        )


def test_out_of_memory_is_told_as_pruned_with_its_share_of_the_total(
    spec, storage, tmp_path
) -> None:
    study = opened(spec, storage)
    assert epoch(study, spec, Bench(), tmp_path).run() == Ending(
        limit=RunLimit.SPACE, size=10, settled=10
    )
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert {(t.value, t.constraints["memory"]) for t in pruned} == {
        (0.0, 600 / 12_000),
        (0.0, 900 / 12_000),
    }
    assert {t.user_attrs["failure_class"] for t in pruned} == {"oom_budget"}
    assert all(
        v <= 0
        for t in study.trials
        if t.state == TrialState.COMPLETE
        for v in t.constraints.values()
    )


def test_an_unknown_deficit_is_the_whole_device(spec, storage, tmp_path) -> None:
    study = opened(spec, storage)
    epoch(study, spec, Bench(lambda n, a: oom(None)), tmp_path, max_trials=1).run()
    assert study.trials[0].constraints == {"memory": 1.0}


def test_metrics_are_valid_json_also_where_a_latency_is_infinite(spec, storage, tmp_path) -> None:
    study = opened(spec, storage)
    epoch(study, spec, Bench(), tmp_path).run()
    text = (tmp_path / "epoch_1" / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert sorted(line["trial"] for line in lines) == list(range(len(study.trials)))
    assert {line["llm_latency_p95_ms"] for line in lines if line["status"] == "pruned"} == {"inf"}
    assert not list(tmp_path.rglob("*.draft"))


def test_what_was_not_measured_is_null_in_the_line_of_a_measured_trial(
    spec, storage, tmp_path
) -> None:
    epoch(opened(spec, storage), spec, Bench(), tmp_path).run()
    text = (tmp_path / "epoch_1" / "metrics.jsonl").read_text()
    lines = [line for line in map(json.loads, text.splitlines()) if line["status"] == "complete"]
    assert lines and all(line["stt_rtfx"] is None for line in lines), "which this bench has not"


def test_a_line_that_a_killed_run_still_owed_is_written_by_the_next(
    spec, storage, tmp_path
) -> None:
    study = opened(spec, storage)
    epoch(study, spec, Bench(), tmp_path, max_trials=3).run()
    first = tmp_path / "epoch_1" / "metrics.jsonl"
    *kept, lost = first.read_text().splitlines(keepends=True)
    first.write_text("".join(kept))
    bench = Bench()
    epoch(study, spec, bench, tmp_path, max_trials=3).run()
    assert bench.launched == []
    assert (tmp_path / "epoch_2" / "metrics.jsonl").read_text() == lost
    epoch(study, spec, bench, tmp_path, max_trials=3).run()
    assert not (tmp_path / "epoch_3").exists()


def test_where_nothing_is_left_to_measure_nothing_is_started_for_it(
    spec, storage, tmp_path
) -> None:
    @contextmanager
    def started() -> Iterator[Measure]:
        yield pytest.fail("a bench was made ready")

    study = opened(spec, storage)
    epoch(study, spec, Bench(), tmp_path, max_trials=1).run()
    again = epoch(study, spec, Bench(), tmp_path, max_trials=1)
    again.measuring = started()
    assert again.run().limit is RunLimit.TRIALS


def test_every_run_has_an_epoch_of_its_own_whatever_else_lies_there(
    spec, storage, tmp_path
) -> None:
    (tmp_path / "epoch_7").mkdir()
    (tmp_path / "epoch_7.bak").mkdir()
    study = opened(spec, storage)
    for n in (1, 2):
        epoch(study, spec, Bench(), tmp_path, max_trials=n).run()
    assert [
        len((tmp_path / f"epoch_{e}" / "metrics.jsonl").read_text().splitlines()) for e in (8, 9)
    ] == [1, 1]


def test_an_interruption_gives_back_what_was_asked_and_the_next_run_begins_there(
    spec, storage, tmp_path
) -> None:
    def interrupted(n: int, _: Allocation) -> None:
        if n == 3:
            raise KeyboardInterrupt

    study, bench = opened(spec, storage), Bench(interrupted)
    with pytest.raises(KeyboardInterrupt):
        epoch(study, spec, bench, tmp_path).run()
    status = {r.state for r in rows(study)}
    assert (
        status <= {"complete", "pruned", "interrupted", "not_started"}
        and {"interrupted", "not_started"} <= status
    )
    assert len(own(study)) == 2, "the others use no budget"
    left = {str(r.allocation) for r in rows(study) if not r.counts}
    after = Bench()
    epoch(opened(spec, storage), spec, after, tmp_path, max_trials=5).run()
    assert set(after.launched) == left and len(after.launched) == 3
    assert not set(after.launched) & set(bench.launched[:2])


def test_an_interruption_just_after_a_result_was_told_keeps_the_result(
    spec, storage, tmp_path
) -> None:
    def stop(_: Trial) -> None:
        raise KeyboardInterrupt

    study = opened(spec, storage)
    with pytest.raises(KeyboardInterrupt):
        epoch(study, spec, Bench(), tmp_path, progress=Progress(on_trial=stop)).run()
    assert [r.state for r in rows(study)] == ["complete"] + ["not_started"] * 4
    assert study.get_trials(states=(TrialState.RUNNING,)) == []


def test_an_interruption_while_a_result_is_told_leaves_no_second_error(
    spec, storage, tmp_path, monkeypatch
) -> None:
    study = opened(spec, storage)
    tell = study.tell

    def told_then_interrupted(*arguments: Any, **options: Any) -> Any:
        tell(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "tell", told_then_interrupted)
    with pytest.raises(KeyboardInterrupt):
        epoch(study, spec, Bench(), tmp_path, max_trials=1).run()
    assert [r.state for r in rows(study)] == ["complete"]


def test_a_wrong_set_up_ends_the_run_and_blames_no_configuration(spec, storage, tmp_path) -> None:
    study, lacking = opened(spec, storage), Outcome(setup_error="no such flag; leave it out")
    with pytest.raises(SetupError, match=r"^no such flag; leave it out$"):
        epoch(study, spec, lambda _: lacking, tmp_path).run()
    assert {r.state for r in rows(study)} == {"not_started"} and own(study) == []


@pytest.mark.parametrize(("begun", "status"), [(True, "interrupted"), (False, "not_started")])
def test_a_trial_of_a_dead_process_is_freed_and_its_configuration_comes_first(
    spec, storage, tmp_path, begun, status
) -> None:
    study = opened(spec, storage)
    epoch(study, spec, Bench(), tmp_path, max_trials=1).run()
    left = Allocation({"vllm_memory_util": 0.45, "whisper_model_size": "tiny"})
    study.enqueue_trial(spec.search_space.encode(left))
    trial = study.ask(spec.search_space.distributions())
    for key, value in (
        ("allocation", dict(left.values)),
        ("process", [2**22 + 1, 0.0]),
        ("begun", begun or None),
    ):
        trial.set_user_attr(key, value)
    bench, lines = Bench(), []
    epoch(study, spec, bench, tmp_path, max_trials=3, progress=Progress(on_line=lines.append)).run()
    assert rows(study)[1].state == status
    assert bench.launched[0] == str(left)
    assert lines == ["1 trial(s) left by a dead process were freed and come first"]


def test_a_trial_of_a_process_that_lives_is_left_alone(spec, storage, tmp_path) -> None:
    import psutil

    study = opened(spec, storage)
    trial = study.ask(spec.search_space.distributions())
    trial.set_user_attr("process", [os.getpid(), psutil.Process().create_time()])
    epoch(study, spec, Bench(), tmp_path, max_trials=1).run()
    assert study.trials[0].state == TrialState.RUNNING


def test_a_trial_of_another_host_is_left_to_it(spec, storage, tmp_path) -> None:
    study, bench, lines = opened(spec, storage), Bench(), list[str]()
    trial = study.ask(spec.search_space.distributions())
    other = {**Owner.me().to_json(), "host": "other", "boot": "another", "pid": 2**22 + 1}
    trial.set_user_attr("process", other)
    for is_alone in (False, True):
        progress = Progress(on_line=lines.append)
        epoch(
            study, spec, bench, tmp_path, max_trials=2, progress=progress, is_alone=is_alone
        ).run()
    assert study.trials[trial.number].state is TrialState.RUNNING
    assert [line for line in lines if "of host other are left to it" in line] == lines[:1] * 2


@pytest.mark.parametrize("proposal", [(), ("vllm_memory_util",)], ids=["nothing", "half"])
def test_a_process_that_died_while_it_asked_leaves_the_baseline_first(
    spec, storage, tmp_path, proposal
) -> None:
    study = opened(spec, storage)
    study.enqueue_trial(spec.search_space.encode(spec.baseline))
    study.ask({k: d for k, d in spec.search_space.distributions().items() if k in proposal})
    bench = Bench()
    epoch(study, spec, bench, tmp_path, max_trials=2).run()
    assert bench.launched[0] == BASELINE and len(bench.launched) == 2


def test_a_half_asked_configuration_that_nobody_queued_is_dropped(spec, storage, tmp_path) -> None:
    study = opened(spec, storage)
    epoch(study, spec, Bench(), tmp_path, max_trials=1).run()
    study.ask({"vllm_memory_util": spec.search_space.distributions()["vllm_memory_util"]})
    assert epoch(study, spec, Bench(), tmp_path).run() == Ending(
        limit=RunLimit.SPACE, size=10, settled=10
    )


def test_a_configuration_that_failed_twice_counts_as_tried(spec, storage, tmp_path) -> None:
    def dies(_: int, a: Allocation) -> Failure | None:
        return ODD if a.share == 0.55 else None

    study, bench = opened(spec, storage), Bench(dies)
    assert epoch(study, spec, bench, tmp_path, max_trials=60).run() == Ending(
        limit=RunLimit.SPACE, size=10, settled=10
    )
    failed = [r for r in own(study) if r.state == "failed"]
    assert {bench.launched.count(str(r.allocation)) for r in failed} == {2}
    assert bench.launched.count(BASELINE) == 1
    assert {t.state for t in study.trials if t.params["vllm_memory_util"] == 0.55} == {
        TrialState.FAIL
    }


def test_a_configuration_that_failed_twice_is_not_launched_a_third_time(
    spec, storage, tmp_path
) -> None:
    study, bench = opened(spec, storage), Bench(lambda n, a: ODD)
    for _ in range(3):
        study.enqueue_trial(spec.search_space.encode(spec.baseline))
    epoch(study, spec, bench, tmp_path, max_trials=3).run()
    assert bench.launched == [BASELINE] * 2
    assert [(r.state, r.repeat_of) for r in own(study)] == [
        ("failed", None),
        ("failed", None),
        ("failed", 0),
    ]


def test_a_configuration_that_failed_once_and_was_then_measured_is_told_its_measurement(
    spec, storage, tmp_path
) -> None:
    study, bench = opened(spec, storage), Bench(lambda n, a: ODD if n == 1 else None)
    for _ in range(3):
        study.enqueue_trial(spec.search_space.encode(spec.baseline))
    epoch(study, spec, bench, tmp_path, max_trials=3).run()
    assert bench.launched == [BASELINE] * 2
    assert [(r.state, r.repeat_of) for r in own(study)] == [
        ("failed", None),
        ("complete", None),
        ("complete", 1),
    ]


def test_failed_trials_use_the_budget(spec, storage, tmp_path) -> None:
    study, bench = opened(spec, storage), Bench(lambda n, a: ODD)
    assert epoch(study, spec, bench, tmp_path, max_trials=4).run() == Ending(
        limit=RunLimit.TRIALS, max_trials=4
    )
    assert len(bench.launched) == 4


def test_a_known_configuration_is_told_its_result_and_counted_as_a_repeat(
    spec, storage, tmp_path
) -> None:
    study, bench = opened(spec, storage), Bench()
    for params in [
        {"vllm_memory_util": s, "whisper_model_size": "base"} for s in (0.5, 0.6, 0.5, 0.6)
    ]:
        study.enqueue_trial(params)
    epoch(study, spec, bench, tmp_path, max_trials=4).run()
    records = own(study)
    assert len(bench.launched) == 2 and len(records) == 4
    assert sorted(r.repeat_of for r in records if r.repeat_of is not None) == [0, 1]
    for repeat in (r for r in records if r.repeat_of is not None):
        first = records[repeat.repeat_of]
        assert (repeat.fitness, repeat.state, repeat.constraints) == (
            first.fitness,
            first.state,
            first.constraints,
        )


def test_the_first_trial_starts_whatever_it_takes_and_the_next_only_if_it_fits(
    spec, storage, tmp_path
) -> None:
    study, bench = opened(spec, storage), Bench()
    for n in (1, 2, 3):
        ending = epoch(study, spec, bench, tmp_path, timeout_s=0.001).run()
        assert ending.limit is RunLimit.TIME and "run again to go on" in ended(ending)
        assert len(bench.launched) == n
    waiting = [r for r in rows(study) if r.state == "not_started"]
    assert len(waiting) == 3 * 4 and len(own(study)) == 3
    for _ in range(2):
        assert free_left_behind(study, spec.search_space, spec.baseline) == 0
        assert len(queue(study)) == len(
            {str(r.allocation) for r in waiting} - set(bench.launched)
        ), "each once"


def test_the_first_says_that_its_time_is_too_little(spec, storage, tmp_path) -> None:
    lines: list[str] = []
    progress = Progress(on_line=lines.append)
    for timeout_s, is_said in ((0.001, True), (1e6, False)):
        lines.clear()
        study = opened(spec, optuna.storages.InMemoryStorage())
        epoch(
            study, spec, Bench(), tmp_path, timeout_s=timeout_s, max_trials=2, progress=progress
        ).run()
        assert any("it is measured all the same" in line for line in lines) is is_said


def test_what_is_overdue_is_interrupted_then_tried_once_more_and_not_for_ever(
    spec, storage, tmp_path
) -> None:
    study = opened(spec, storage)
    late = Failure(Diagnosis(OVERDUE, None, FailurePhase.LOAD, None, "so long"), is_ruled_out=False)
    bench = Bench(lambda _, a: late if str(a) == BASELINE else None)
    states = []
    for count in (3, 6, 9):
        epoch(study, spec, bench, tmp_path, max_trials=count).run()
        states.append([r.state for r in rows(study) if str(r.allocation) == BASELINE])
    assert states[0] == [State.INTERRUPTED]
    assert states[1] == [State.INTERRUPTED, State.FAILED]
    assert bench.launched.count(BASELINE) == 2


def test_a_repeat_is_not_the_first_trial_of_a_run(spec, storage, tmp_path) -> None:
    study, bench = opened(spec, storage), Bench()
    epoch(study, spec, bench, tmp_path, max_trials=1).run()
    study.enqueue_trial(spec.search_space.encode(spec.baseline))
    epoch(study, spec, bench, tmp_path, timeout_s=0.001).run()
    assert len(bench.launched) == 2, "a run that only repeats would never come to an end"


def test_a_replay_has_no_clock(spec, storage, tmp_path) -> None:
    run = epoch(opened(spec, storage), spec, Bench(), tmp_path, timeout_s=0.001, is_replay=True)
    assert run.run() == Ending(limit=RunLimit.SPACE, size=10, settled=10)
    assert run.ends.seconds_measured == pytest.approx(8 * 90.0, abs=5), (
        "the failures of this test do not say what they took"
    )


def test_a_study_that_grows_is_carried_over_once_even_if_that_was_interrupted(
    spec, storage, tmp_path
) -> None:
    epoch(opened(spec, storage), spec, Bench(), tmp_path, max_trials=6).run()
    weighed = load(write_spec(tmp_path, fitness={"preset": "capacity"}))
    study, add = opened(weighed, storage), optuna.Study.add_trial
    with pytest.MonkeyPatch.context() as patched:

        def add_two(self: optuna.Study, trial: Any) -> None:
            if len(self.trials) == 2:
                raise KeyboardInterrupt
            add(self, trial)

        patched.setattr(optuna.Study, "add_trial", add_two)
        with pytest.raises(KeyboardInterrupt):
            epoch(study, weighed, Bench(), tmp_path).run()
    bench = Bench()
    epoch(opened(weighed, storage), weighed, bench, tmp_path, max_trials=6).run()
    assert bench.launched == []
    assert sorted(t.user_attrs["carried_from"] for t in study.trials) == [0, 1, 2, 3, 4, 5]
    assert [r.is_reference for r in own(study)].count(True) == 1


def test_repeats_that_are_carried_over_name_their_trial_in_the_new_study(
    spec, storage, tmp_path
) -> None:
    study = opened(spec, storage)
    for share in (0.5, 0.45, 0.45):
        study.enqueue_trial({"vllm_memory_util": share, "whisper_model_size": "base"})
    epoch(study, spec, Bench(), tmp_path, max_trials=3).run()
    narrower = {"vllm_memory_util": [0.45, 0.5], "whisper_model_size": ["base"]}
    grown = load(write_spec(tmp_path, search_space=narrower))
    epoch(opened(grown, storage), grown, Bench(), tmp_path, max_trials=3).run()
    records = own(opened(grown, storage))
    (repeat,) = [r for r in records if r.repeat_of is not None]
    assert str(records[repeat.repeat_of].allocation) == str(repeat.allocation)


def test_another_driver_measures_the_baseline_again_as_a_bridge(spec, storage, tmp_path) -> None:
    study, bench = opened(spec, storage), Bench()
    assert not bridge(study, spec.search_space, spec.baseline, DEVICE)
    epoch(study, spec, bench, tmp_path, max_trials=2).run()
    assert not bridge(study, spec.search_space, spec.baseline, DEVICE)
    other = Identity(DEVICE.product, DEVICE.uuid, DEVICE.total_mib, "999.9", DEVICE.cuda)
    assert bridge(study, spec.search_space, spec.baseline, other)
    epoch(study, spec, bench, tmp_path, max_trials=3).run()
    assert bench.launched[2] == BASELINE and own(study)[-1].repeat_of is None


def test_a_card_alone_bridges_to_those_of_lanes_before_it(spec, storage, tmp_path) -> None:
    study, bench = opened(spec, storage), Bench()
    epoch(study, spec, bench, tmp_path, max_trials=1).run()
    there = replace(DEVICE, uuid="GPU-of-a-lane")
    note_card(study, there)
    assert bridge(study, spec.search_space, spec.baseline, DEVICE)
    epoch(study, spec, bench, tmp_path, max_trials=2).run()
    assert bench.launched == [BASELINE, BASELINE]
    for share, size in product((0.4, 0.45, 0.55), ("base", "tiny")):  # lanes left them
        study.enqueue_trial({"vllm_memory_util": share, "whisper_model_size": size})
    assert bridge(study, spec.search_space, spec.baseline, replace(DEVICE, uuid="GPU-2"))
    epoch(study, spec, bench, tmp_path, max_trials=9).run()
    assert bench.launched[2] == BASELINE and bench.launched.count(BASELINE) == 3
    assert len(bench.launched) == 9
    assert not bridge(study, spec.search_space, spec.baseline, there)


def test_a_study_that_moves_keeps_the_card_of_each_launch_and_comes_back_without_a_bridge(
    spec, storage, tmp_path
) -> None:
    def fails_second(n: int, a: Allocation) -> Any:
        return oom() if n == 2 else None

    study, bench = opened(spec, storage), Bench(fails_second)
    there = replace(DEVICE, uuid="GPU-there")
    for trials, card, is_moved in ((2, DEVICE, False), (4, there, True), (5, DEVICE, False)):
        assert bridge(study, spec.search_space, spec.baseline, card) is is_moved
        epoch(study, spec, bench, tmp_path, max_trials=trials).run()
    launches = own(study)
    assert [r.card for r in launches] == [*2 * [DEVICE.uuid], *2 * [there.uuid], DEVICE.uuid]
    assert launches[1].measurement is None
    assert drivers_of(study) == {DEVICE.uuid: DEVICE.driver, there.uuid: there.driver}
    assert bridge(study, spec.search_space, spec.baseline, replace(there, driver="999.9"))
    assert drivers_of(study)[there.uuid] == "999.9"


def test_a_card_whose_baseline_was_never_measured_is_bridged_to_when_it_comes_back(
    spec, storage, tmp_path
) -> None:
    study = opened(spec, storage)
    there = replace(DEVICE, uuid="GPU-there")
    assert not bridge(study, spec.search_space, spec.baseline, DEVICE)
    epoch(study, spec, Bench(), tmp_path, max_trials=2).run()
    for card, is_moved in ((there, True), (DEVICE, False), (there, True)):  # no launch on it
        assert bridge(study, spec.search_space, spec.baseline, card) is is_moved


def test_what_words_speak_against_is_left_out_of_later_generations_and_not_of_a_replay(
    spec, storage, tmp_path
) -> None:
    def few_words(n: int, a: Allocation) -> Any:
        return cell(a.share, a.speech)  # too few to tell whether tiny's are as good

    study, bench = opened(spec, storage), Bench(few_words)
    ending = epoch(study, spec, bench, tmp_path).run()
    tiny = [r for r in own(study) if r.allocation.speech == "tiny" and r.measurement]
    assert {r.number // 5 for r in tiny} == {0}, "the first generation knows nothing of words"
    assert tiny[0].word_gate == "cannot_tell" and tiny[0].is_feasible
    assert NOT_SHOWN not in tiny[0].constraints
    assert study.trials[tiny[0].number].constraints[NOT_SHOWN] > 0
    assert ending == Ending(limit=RunLimit.SPACE, size=10, settled=len(bench.launched))
    assert "what was measured rules out the others" in ended(ending)
    replayed = optuna.storages.InMemoryStorage()
    other = opened(spec, optuna.storages.InMemoryStorage(), "tpe")
    epoch(other, spec, Bench(few_words), tmp_path).run()
    assert len({frozenset(t.constraints) for t in other.trials if t.value}) == 1, "as gp wants it"
    context = context_of_spec(spec, measured_elsewhere="elsewhere")
    again = epoch(opened(spec, replayed), spec, Bench(few_words), tmp_path, context=context)
    assert again.run().settled == 10


def test_the_reference_outlives_the_run_that_chose_it(spec, storage, tmp_path) -> None:
    slow = {"llm_latency_p95_ms": 5000.0}

    def first(n: int, a: Allocation) -> Any:
        return oom() if str(a) == BASELINE else measurement(**slow) if n == 2 else None

    study = opened(spec, storage)
    for share, size in ((0.5, "base"), (0.55, "base"), (0.5, "tiny")):  # run in the order 0, 2, 1
        study.enqueue_trial({"vllm_memory_util": share, "whisper_model_size": size})
    epoch(study, spec, Bench(first), tmp_path, max_trials=3).run()
    before = {r.number for r in own(study) if r.is_reference}
    assert before == {2}
    again = epoch(study, spec, Bench(), tmp_path, max_trials=8)
    again.run()
    assert {r.number for r in own(study) if r.is_reference} == before
    assert (
        again.ends.scorer.reference is not None
        and again.ends.scorer.reference.latency_p95_ms["llm"] == 5000.0
    )


# replicates and frontiers


def replicating(tmp_path: Path, storage: Any, **changes: Any) -> tuple[Spec, optuna.Study]:
    spec = load(
        write_spec(tmp_path, "replicating.yaml", selector={"exhausted": "replicate"}, **changes)
    )
    return spec, opened(spec, storage)


def test_what_remains_of_the_budget_measures_the_leaders_again(spec, storage, tmp_path) -> None:
    again, study = replicating(tmp_path, storage)
    bench = Bench()
    assert epoch(study, again, bench, tmp_path, max_trials=16).run() == Ending(
        limit=RunLimit.TRIALS, max_trials=16
    )
    assert len(bench.launched) == 16 and len(set(bench.launched)) == 10
    last = own(study)[10:]
    assert all(r.repeat_of is None and r.is_feasible for r in last)
    assert {t.user_attrs["role"] for t in study.trials[10:]} == {"replicate"}


def test_a_replicate_is_a_launch_of_its_own_with_a_seed_of_its_own(spec, storage, tmp_path) -> None:
    again, study = replicating(tmp_path, storage)
    bench, jobs = Bench(), list[Job]()

    def measure(job: Job) -> Outcome:
        jobs.append(job)
        return bench(job)

    epoch(study, again, measure, tmp_path, max_trials=14).run()
    assert [job.is_fresh for job in jobs] == [False] * 10 + [True] * 4
    assert len({(str(job.allocation), job.seed) for job in jobs}) == 14


def test_a_configuration_is_replayed_no_more_often_than_it_was_recorded(
    spec, storage, tmp_path
) -> None:
    again, study = replicating(tmp_path, storage)
    bench = Bench()
    ending = epoch(study, again, bench, tmp_path, available=lambda _: 2).run()
    assert ending == Ending(limit=RunLimit.SPACE, size=10, settled=10)
    counts = Counter(bench.launched)
    assert {n for text, n in counts.items() if "=0.6 " not in text} == {2}
    assert {n for text, n in counts.items() if "=0.6 " in text} == {
        1
    }  # out of memory: no second launch


def test_one_failure_speaks_against_what_asks_for_more_and_the_study_ends(
    spec, storage, tmp_path
) -> None:
    known, study = replicating(
        tmp_path, storage, monotone=["vllm_memory_util", "whisper_model_size"]
    )
    # the lowest of the four that do not fit comes first
    study.enqueue_trial({"vllm_memory_util": 0.55, "whisper_model_size": "tiny"})
    bench = Bench(lambda n, a: oom(600.0) if a.share > 0.52 else None)
    ending = epoch(study, known, bench, tmp_path, available=lambda _: 1).run()
    assert len([r for r in own(study) if r.state == "pruned"]) <= 2
    measured = len(bench.launched)
    assert ending == Ending(limit=RunLimit.SPACE, size=10, settled=measured)


def test_a_kv_cache_too_small_says_nothing_of_the_speech_model(spec, tmp_path) -> None:
    named = load(
        write_spec(tmp_path, "m.yaml", monotone=["vllm_memory_util", "whisper_model_size"])
    )
    assert monotone_directions(named) == {
        "memory": {"vllm_memory_util": 1, "whisper_model_size": 1},
        "kv_cache": {"vllm_memory_util": -1, "whisper_model_size": 0},
    }
    assert monotone_directions(spec) == {}


def test_the_words_of_one_speech_configuration_speak_for_all_others_of_it(spec, tmp_path) -> None:
    searched = {
        "vllm_memory_util": [0.45, 0.5],
        "whisper_model_size": ["tiny", "base"],
        "vllm.max_num_seqs": [16, 64],
        "whisper.beam_size": [1, 5],
    }
    baseline = {name: values[-1] for name, values in searched.items()}
    wide = load(write_spec(tmp_path, "w.yaml", search_space=searched, baseline=baseline))
    assert same_words(wide) == {NOT_SHOWN: {"vllm_memory_util": 0, "vllm.max_num_seqs": 0}}


def test_only_what_is_searched_can_be_monotone(spec, tmp_path) -> None:
    with pytest.raises(BadInput, match=r"'vllm_memory_utli' is not searched; .*vllm_memory_util"):
        load(write_spec(tmp_path, "m.yaml", monotone=["vllm_memory_utli"]))
