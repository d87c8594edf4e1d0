"""These tests show what is promoted and what is not, and what the promotion file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import DEVICE, TOTAL_MIB, VERSIONS, make, measurement, words

from objectives.allocation import Allocation
from objectives.fitness import reference_of
from objectives.services import OtherService
from objectives.speech.wer import WordVerdict
from objectives.traffic.slices import sliced
from objectives.traffic.trace_slice import Arrival, TraceOptions
from study.analysis.configurations import configurations_in
from study.analysis.decision import Decision, decision_of
from study.deploy.comparison import not_judged
from study.promotion.document import Origin, document, improvement_pct, write_promotion
from study.promotion.seal import verify
from study.report.answer import ahead_by_its_own_launches
from study.report.headline import answer_lines
from study.report.reasons import passed_over, why
from study.report.summary import Summary
from study.search.score import Scorer
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import setting_of
from study.storage.context import StudyContext, fields_from
from study.storage.trial import State, Trial


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return load(make(tmp_path))


def row(spec: Spec, number: int, share: float, size: str, **figures: Any) -> Trial:
    """Return a complete trial, scored against the usual measurement as the baseline."""
    measured, usual = measurement(**figures), measurement()
    same = size == spec.baseline.speech
    reference = reference_of(usual)
    assert reference is not None
    scorer = Scorer(spec.fitness, spec.gates, spec.workload)
    alike, seconds = {"stt"} if same else set(), [4.0] * 24
    scored = scorer.score(measured, reference, usual.words, heard_alike=alike, clip_seconds=seconds)
    return Trial(
        number=number,
        allocation=Allocation({"vllm_memory_util": share, "whisper_model_size": size}),
        state=State.COMPLETE,
        fitness=scored.fitness.value,
        measurement=measured,
        diagnosis=None,
        measured={},
        constraints=scored.constraints,
        contributions=scored.fitness.contributions,
        word_gate=scored.word_gate.verdict,
        minutes_more_audio=scored.word_gate.minutes_more_audio,
        repeat_of=None,
        is_reference=number == 0,
        wall_s=90.0,
        seed=number,
        at="2026-11-20T10:00:00+00:00",
    )


ORIGIN = Origin("s", "tpe", 3, Path("a/spec.yaml"))


def context_of(spec: Spec, measured_elsewhere: str | None = None) -> StudyContext:
    return StudyContext(
        **fields_from(spec, setting_of(spec)),
        device=DEVICE,
        versions=VERSIONS,
        server_env={},
        held_mib=0,
        measured_elsewhere=measured_elsewhere,
        git_commit="abc123+",
    )


FAST: Mapping[str, Any] = {"llm_latency_p95_ms": 1500.0}


def decision_on(trials: Sequence[Trial], spec: Spec) -> Decision:
    return decision_of(trials, context_of(spec))


def decided(spec: Spec, *others: Trial) -> tuple[int | None, str, list[str]]:
    decision = decision_on([row(spec, 0, 0.5, "base"), *others], spec)
    number = decision.winner.number if decision.winner else None
    return number, why(decision, spec), passed_over(decision)


def test_what_wakes_a_winner_that_sleeps_is_in_its_promotion(spec: Spec) -> None:
    embed = OtherService(api="embeddings", command="serve {port}", woken_by="front", idle_s=30)
    llm = replace(spec.services["llm"], woken_by="socket_activation")
    services = {**spec.services, "llm": llm, "embed": embed}
    context = context_of(replace(spec, services=services))
    decision = decision_on([row(spec, 0, 0.5, "base"), row(spec, 1, 0.55, "base", **FAST)], spec)
    assert decision.winner is not None
    values = {**decision.winner.allocation.values, "embed.resident": False}
    asleep = replace(decision.winner, allocation=Allocation(values))
    both = replace(decision.winner, allocation=Allocation({**values, "llm.resident": False}))
    by_front = {"woken_by": "front", "idle_s": 30}
    for winner, sleepers in (
        (decision.winner, None),
        (asleep, {"embed": by_front}),
        (both, {"llm": {"woken_by": "socket_activation", "idle_s": 60}, "embed": by_front}),
    ):
        data = document(replace(decision, winner=winner), context, ORIGIN, why="", passed_over=())
        assert data.get("on_demand") == sleepers


def test_the_better_one_is_promoted_and_says_where_it_gains(spec: Spec) -> None:
    winner, reason, passed_over = decided(
        spec, row(spec, 1, 0.55, "base", **FAST), row(spec, 2, 0.45, "base")
    )
    assert (winner, passed_over) == (1, [])
    assert "llm +0.0312" in reason and "stt +0.0000" in reason


def test_without_a_better_one_the_baseline_stays(spec: Spec) -> None:
    winner, reason, passed_over = decided(
        spec, row(spec, 1, 0.55, "base", llm_latency_p95_ms=3000.0)
    )
    assert (winner, passed_over) == (None, [])
    assert reason.startswith("the baseline stays: nothing beat it")


def test_an_equal_one_does_not_replace_the_baseline(spec: Spec) -> None:
    assert decided(spec, row(spec, 1, 0.55, "base"))[0] is None


@pytest.mark.parametrize("figures", [{"own_memory_pct": 70.0}, {"free_memory_mib": 1024.0}])
def test_a_lead_by_efficiency_or_stability_alone_is_not_promoted(
    spec: Spec, figures: dict[str, float]
) -> None:
    poor = row(spec, 0, 0.5, "base", own_memory_pct=20.0, free_memory_mib=100.0)
    better = row(
        spec, 1, 0.55, "base", **{"own_memory_pct": 20.0, "free_memory_mib": 100.0} | figures
    )
    assert (better.fitness or 0) > (poor.fitness or 0)
    decision = decision_on([poor, better], spec)
    assert decision.winner is None
    assert "by efficiency and stability only" in passed_over(decision)[
        0
    ] and "nothing that may be promoted beat it" in why(decision, spec)


def test_what_misses_a_limit_of_the_owner_is_held_back_and_the_next_best_promoted(
    spec: Spec,
) -> None:
    """The usual tokens take 12 ms, and the limit is 100 ms."""
    faster = {"llm_latency_p95_ms": 1000.0}
    slow = row(spec, 1, 0.55, "base", **faster, llm_tpot_p95_ms=130.0)
    twice = row(spec, 2, 0.45, "base", **faster, llm_tpot_p95_ms=26.0)
    winner, _, passed_over = decided(spec, slow, twice, row(spec, 3, 0.40, "base", **FAST))
    assert winner == 3
    assert len(passed_over) == 2
    reason = "a figure is outside its limit, or twice today's: llm_tpot_p95_ms"
    assert all(reason in line for line in passed_over)


@pytest.mark.parametrize(("times", "winner"), [(1.05, 1), (1.2, None)])
def test_where_todays_misses_a_limit_only_what_is_no_worse_may_be_promoted(
    spec: Spec, times: float, winner: int | None
) -> None:
    today = row(spec, 0, 0.5, "base", llm_ttft_p95_ms=5000.0)
    other = row(spec, 1, 0.55, "base", **FAST, llm_ttft_p95_ms=5000.0 * times)
    decision = decision_on([today, other], spec)
    assert (decision.winner.number if decision.winner else None) == winner


def test_words_that_cannot_be_told_hold_back_another_speech_model_but_not_the_next_best(
    spec: Spec,
) -> None:
    tiny = row(spec, 1, 0.55, "tiny", word_errors=words(6), llm_latency_p95_ms=1000.0)
    winner, _, passed_over = decided(spec, tiny, row(spec, 2, 0.55, "base", **FAST))
    assert (tiny.word_gate, winner) == ("cannot_tell", 2)
    assert (
        "too few to tell" in passed_over[0]
        and "more minutes of audio would decide" in passed_over[0]
    )


def test_words_that_were_not_measured_hold_back_another_speech_model(spec: Spec) -> None:
    winner, _, passed_over = decided(spec, row(spec, 1, 0.55, "tiny", word_errors=(), **FAST))
    assert winner is None and "was not measured" in passed_over[0]


def test_words_that_were_not_measured_hold_back_nothing_that_keeps_the_speech_model(
    spec: Spec,
) -> None:
    assert decided(spec, row(spec, 1, 0.55, "base", word_errors=(), **FAST))[0] == 1


def test_clearly_worse_words_are_infeasible(spec: Spec) -> None:
    deaf = row(spec, 1, 0.55, "tiny", word_errors=words(24, spoken=4), **FAST)
    assert (
        deaf.word_gate == "fail"
        and deaf.constraints["word_error_rate"] > 0
        and not deaf.is_feasible
    )
    assert decided(spec, deaf)[0] is None


def test_a_speech_model_whose_words_pass_is_promoted(spec: Spec) -> None:
    many = {"word_errors": words(2, clips=24, spoken=400)}
    base = row(spec, 0, 0.5, "base", **many)
    tiny = replace(row(spec, 1, 0.55, "tiny", **many, **FAST), word_gate=WordVerdict.PASS)
    winner = decision_on([base, tiny], spec).winner
    assert winner is not None and winner.measured == (tiny,)


def test_our_own_late_requests_are_never_promoted(spec: Spec) -> None:
    winner, _, passed_over = decided(spec, row(spec, 1, 0.55, "base", lag_exceeded=True, **FAST))
    assert winner is None and "left late" in passed_over[0]


def test_a_tenant_that_ran_out_of_memory_is_never_promoted(spec: Spec) -> None:
    assert decided(spec, row(spec, 1, 0.55, "base", oom_events=1, **FAST))[0] is None


def test_a_bridge_is_no_challenger_of_the_baseline(spec: Spec) -> None:
    winner, _, passed_over = decided(spec, row(spec, 5, 0.5, "base", **FAST))
    assert (winner, passed_over) == (None, [])


def test_a_baseline_that_nobody_has_launched_cannot_be_beaten(spec: Spec) -> None:
    decision = decision_on([replace(row(spec, 1, 0.55, "base"), is_reference=True)], spec)
    assert decision.winner is None
    assert why(decision, spec).startswith("the baseline stays: it was not measured")


def written(spec: Spec, measured_elsewhere: str | None = None) -> dict[str, Any]:
    decision = decision_on([row(spec, 0, 0.5, "base"), row(spec, 7, 0.55, "base", **FAST)], spec)
    assert decision.winner is not None
    return document(
        decision,
        context_of(spec, measured_elsewhere),
        replace(ORIGIN, spec_file=spec.path),
        why=why(decision, spec),
        passed_over=passed_over(decision),
    )


def test_a_promotion_says_everything_that_is_needed_to_judge_and_to_set_it(spec: Spec) -> None:
    data = yaml.safe_load(yaml.safe_dump(written(spec)))
    assert (data["schema"], data["status"], data["measured_elsewhere"]) == (2, "candidate", False)
    assert data["parameters"] == {"vllm_memory_util": 0.55, "whisper_model_size": "base"}
    assert data["set"] == {"llm": "--gpu-memory-utilization 0.55", "stt": "model size base"}
    assert (
        "--gpu-memory-utilization 0.55" in data["commands"]["llm"]
        and "--model a/base" in data["commands"]["stt"]
    )
    assert data["metrics"]["winner"]["llm_latency_p95_ms"] == 1500.0
    assert data["metrics"]["baseline"]["llm_latency_p95_ms"] == 2500.0
    assert (
        data["improvement_pct"]["llm_latency_p95_ms"] == 40.0
        and data["improvement_pct"]["turn_ttft_ms"] is None
    )
    assert data["fitness"]["winner"] > data["fitness"]["baseline"] and "llm +" in data["why"]
    assert (data["study"], data["trial"], data["sampler"]) == ("s", 7, "tpe")
    assert data["seeds"] == {"sampler": 3, "trial": 7, "workload": 1}
    assert data["spec"] == {"file": str(spec.path), "sha256": spec.text_sha256}
    assert data["device"]["uuid"] == DEVICE.uuid and data["device"]["total_mib"] == TOTAL_MIB
    assert data["device"]["driver"] == "580.1" and data["versions"]["llm"] == {"vllm": "0.26.0"}
    assert data["git_commit"] == "abc123+" and data["measured_at"] == "2026-11-20T10:00:00+00:00"
    assert data["written_at"] > "2026"


def test_a_promotion_of_an_llm_on_a_set_says_its_cards_and_the_flag(spec: Spec) -> None:
    decision = decision_on([row(spec, 0, 0.5, "base"), row(spec, 7, 0.55, "base", **FAST)], spec)
    context = context_of(spec, None)
    services = {n: replace(s, place="gpu0") for n, s in context.services.items()}
    services["llm"] = replace(services["llm"], place="gpu0+gpu1")
    second = replace(DEVICE, uuid="GPU-2")
    of_two = replace(context, services=services, other_devices={"gpu1": second})
    data = document(decision, of_two, ORIGIN, why="", passed_over=())
    assert data["places"] == {"llm": "gpu0+gpu1", "stt": "gpu0"}
    assert data["other_devices"]["gpu1"]["uuid"] == "GPU-2"
    assert data["set"]["llm"].endswith(" --tensor-parallel-size 2")
    assert "--tensor-parallel-size 2" in data["commands"]["llm"]


def test_a_promotion_and_the_answer_name_what_nobody_judged(spec: Spec) -> None:
    option = "embed.dtype"
    rows = [row(spec, 0, 0.5, "base"), row(spec, 7, 0.55, "base", **FAST)]
    values = [{**t.allocation.values, option: v} for t, v in zip(rows, "ab", strict=True)]
    rows = [replace(t, allocation=Allocation(v)) for t, v in zip(rows, values, strict=True)]
    plain = context_of(spec, None)
    context = replace(
        plain,
        services={**plain.services, "embed": OtherService(api="embeddings", command="x")},
        searched={**plain.searched, option: ("a", "b")},
        baseline=Allocation(values[0]),
        gates=replace(plain.gates, llm_quality="unmeasured"),
    )
    decision = decision_of(rows, context)
    data = document(decision, context, ORIGIN, why="", passed_over=())
    assert data["gates"]["llm_quality"] == "unmeasured"
    assert data["gates"]["not_judged"] == [option]
    sentence = "obody judged the answers that embed.dtype may change"
    assert sentence in not_judged(data)[0]
    shown = Summary(context, rows, configurations_in(rows), decision, "s", "random", None)
    assert f"N{sentence}." in answer_lines(shown)
    assert written(spec)["gates"]["not_judged"] == not_judged(written(spec)) == []


def test_a_replay_is_marked_as_measured_elsewhere(spec: Spec) -> None:
    data = written(spec, "measured on another card")
    assert (data["status"], data["measured_elsewhere"], data["note"]) == (
        "replay",
        True,
        "measured on another card",
    )


@pytest.mark.parametrize(
    ("name", "new", "old", "expected"),
    [
        ("capacity_turns_per_s", 12, 8, 50.0),
        ("llm_latency_p95_ms", 110.0, 100.0, -10.0),
        ("llm_latency_p95_ms", float("inf"), 100.0, None),
        ("llm_latency_p95_ms", 100.0, 100.0, 0.0),
        ("capacity_turns_per_s", 3, 0, None),
        ("turn_ttft_ms", None, 3.0, None),
    ],
)
def test_an_improvement_is_positive_where_it_is_better(
    name: str, new: Any, old: Any, expected: float | None
) -> None:
    gain = improvement_pct(name, new, old)
    assert gain == expected and str(gain) != "-0.0"


def test_a_promotion_file_is_never_overwritten(tmp_path: Path) -> None:
    paths = [write_promotion({"n": n}, tmp_path / "promotions", "my.study-1") for n in range(5)]
    assert [verify(p)["n"] for p in paths] == list(range(5))
    assert all(
        p.name.startswith("my.study-1_20") and len(p.stem) == len("my.study-1_YYYYMMDD_HHMMSS")
        for p in paths
    )
    assert len(list((tmp_path / "promotions").iterdir())) == 5


def test_several_measurements_of_one_allocation_count_by_their_mean(spec: Spec) -> None:
    lucky = row(spec, 1, 0.55, "base", llm_latency_p95_ms=500.0)
    poor = row(spec, 2, 0.55, "base", llm_latency_p95_ms=3500.0, lag_exceeded=True)
    steady = [row(spec, n, 0.45, "base", llm_latency_p95_ms=1500.0 + n) for n in (3, 4, 5)]
    decision = decision_on([row(spec, 0, 0.5, "base"), lucky, poor, *steady], spec)
    assert decision.winner is not None and decision.winner.allocation.share == 0.45
    assert decision.winner.mean("llm_latency_p95_ms") == 1504.0
    assert decision.winner.figures["llm_latency_p95_ms"] == 1504.0
    assert decision.luckiest is lucky
    assert decision.against(lucky.allocation)


def test_one_that_leads_by_its_own_launches_alone_is_named(spec: Spec) -> None:
    rising = [
        row(spec, n, 0.40 + n / 50, "base", llm_latency_p95_ms=2600.0 - 100 * n)
        for n in range(1, 9)
    ]
    lone = row(spec, 20, 0.41, "base", llm_latency_p95_ms=1700.0)  # beside slow neighbours
    twice = [row(spec, 30 + n, 0.55, "base", llm_latency_p95_ms=1850.0 + n) for n in (1, 2)]
    decision = decision_on([row(spec, 0, 0.5, "base"), *rising, lone, *twice], spec)
    assert decision.winner is not None and decision.winner.allocation.share > 0.5
    assert decision.ahead_alone is not None and decision.ahead_alone.allocation.share == 0.41
    (line,) = ahead_by_its_own_launches(decision)
    mean, winners = decision.ahead_alone.fitness or 0.0, decision.winner.fitness or 0.0
    assert f"41 % + base scored {mean:.4f} (1 launch), the winner {winners:.4f};" in line
    assert mean > winners


def test_what_may_not_be_promoted_cannot_be_the_best_but_smooths_the_rest(spec: Spec) -> None:
    late = [row(spec, n, 0.55, "base", lag_exceeded=True, **FAST) for n in (1, 2)]
    usual = [row(spec, n, 0.45, "base", llm_latency_p95_ms=2400.0 + n) for n in (3, 4)]
    decision = decision_on([row(spec, 0, 0.5, "base"), *late, *usual], spec)
    held, *rest = decision.standings
    assert held.params["vllm_memory_util"] == 0.55 and held.probability_best == 0.0
    assert sum(s.probability_best for s in rest) == pytest.approx(1.0)


def test_one_late_generator_of_several_holds_an_allocation_back(spec: Spec) -> None:
    late = [row(spec, n, 0.55, "base", lag_exceeded=n == 2, **FAST) for n in (1, 2)]
    decision = decision_on([row(spec, 0, 0.5, "base"), *late], spec)
    assert decision.winner is None
    assert "left late" in passed_over(decision)[0]


def test_one_measurement_out_of_memory_and_the_allocation_is_out(spec: Spec) -> None:
    failed = replace(row(spec, 2, 0.55, "base"), state=State.PRUNED, measurement=None, fitness=0.0)
    assert (
        decision_on(
            [row(spec, 0, 0.5, "base"), row(spec, 1, 0.55, "base", **FAST), failed], spec
        ).winner
        is None
    )


@pytest.mark.parametrize("share", [0.5, 0.55])
def test_a_launch_that_was_disturbed_says_nothing_of_the_allocation_that_was_then_measured(
    spec: Spec, share: float
) -> None:
    disturbed = replace(
        row(spec, 0, share, "base"), state=State.FAILED, measurement=None, fitness=0.0
    )
    decision = decision_on(
        [disturbed, row(spec, 1, 0.5, "base"), row(spec, 2, 0.55, "base", **FAST)], spec
    )
    assert decision.winner is not None and decision.winner.number == 2 and not decision.passed_over
    assert decision.baseline is not None and decision.baseline.measured


def test_the_promotion_says_how_often_both_were_launched(spec: Spec) -> None:
    decision = decision_on(
        [row(spec, 0, 0.5, "base"), *(row(spec, n, 0.55, "base", **FAST) for n in (1, 2))], spec
    )
    written = document(decision, context_of(spec), ORIGIN, why="", passed_over=())
    assert written["launches"] == {"winner": 2, "baseline": 1}


def test_the_promotion_says_which_trace_was_replayed_and_what_was_left_out(spec: Spec) -> None:
    decision = decision_on([row(spec, 0, 0.5, "base"), row(spec, 1, 0.55, "base", **FAST)], spec)
    arrivals = [Arrival(float(n), 400 + n, 100, line=n + 1) for n in range(20)]
    options = TraceOptions(
        file="/a/t.csv", format="azure", from_s=0.0, for_s=20.0, too_long="drop", longest=510
    )
    own = sliced(arrivals, options, 1, failed=0, sha256="ab", block_tokens=0)
    for trace in (None, own):
        of = replace(spec, workload=replace(spec.workload, trace=trace))
        written = document(decision, context_of(of), ORIGIN, why="", passed_over=())
        assert ("workload" in written) is (trace is not None)
    assert written["workload"]["replays"] == "t.csv (azure), seconds 0 to 20"
    assert written["workload"]["left_out"][0].startswith("45.0 % of its requests are longer")
    assert written["workload"]["trace_sha256"] == "ab"
