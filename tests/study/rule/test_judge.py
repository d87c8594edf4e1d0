"""These tests take the rule case by case: what confirms, what rejects, what stays open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from objectives.figures import CAPACITY, GOODPUT, Direction
from objectives.speech.wer import WordVerdict
from study.rule.hard_facts import HardFacts, LaunchFailure, hard_causes
from study.rule.intervals import next_launch_bound
from study.rule.judge import judge
from study.rule.limits import LimitStanding, limit_finding
from study.rule.pairs import Arms, Key
from study.rule.rule import LOOKS, Claim, Rule, confidence
from study.rule.verdict import Cause, RuleVerdict, VerdictReason, VerdictStatus

WIGGLE = (0.0, 0.01, -0.01, 0.005, -0.005, 0.002, 0.0, 0.01, -0.01, 0.005, -0.005, 0.002)
RULE = Rule(
    weights={"stt": 0.25, "llm": 0.25},
    limits={"llm_tpot_p95_ms": 100.0},
    watched={"llm_tpot_ms": Direction.DOWN, "turn_ttft_ms": Direction.DOWN},
)


def arms(old: float, times: float, pairs: int = 6) -> Arms:
    """Return pairs of a figure that is `times` as large for the winner, within about 1 %."""
    wiggle = WIGGLE[:pairs]
    winner = tuple(old * times * math.exp(w) for w in wiggle)
    return Arms((old,) * pairs, winner)


def world(times: Mapping[str, float], pairs: int = 6, workload: str = "main") -> dict[Key, Arms]:
    """Return the figures of a workload: times those of the baseline, by flat name."""
    usual = {
        CAPACITY: 3.3,
        "stt_latency_p95_ms": 300.0,
        "llm_latency_p95_ms": 5500.0,
        "llm_tpot_p95_ms": 30.0,
        "llm_tpot_ms": 25.0,
        "turn_ttft_ms": 700.0,
    }
    return {(workload, f): arms(ms, times.get(f, 1.0), pairs) for f, ms in usual.items()}


WIN = {CAPACITY: 1.2}


def judged(
    figures: dict[Key, Arms], rule: Rule = RULE, facts: HardFacts | None = None
) -> RuleVerdict:
    return judge(figures, facts or HardFacts(), rule)


def reasons(verdict: RuleVerdict) -> list[VerdictReason]:
    return [c.reason for c in verdict.causes]


def test_six_pairs_that_gain_confirm_and_the_lower_end_says_by_how_much_at_least() -> None:
    verdict = judged(world(WIN))
    assert (verdict.status, verdict.causes, verdict.pairs, verdict.look) == (
        VerdictStatus.CONFIRMED,
        (),
        6,
        1,
    )
    [won] = verdict.won
    assert won.claim is Claim.CAPACITY
    assert won.at_least_pct == pytest.approx(19.0, abs=0.5)


def test_a_shorter_latency_is_enough_and_its_lower_end_is_of_the_baselines_time() -> None:
    verdict = judged(world({"stt_latency_p95_ms": 0.8, "llm_latency_p95_ms": 0.8}))
    [won] = verdict.won
    assert (verdict.status, won.claim) == (VerdictStatus.CONFIRMED, Claim.LATENCY)
    assert won.at_least_pct == pytest.approx(19.2, abs=0.5)


def test_services_count_by_their_weights_and_alike_without_any() -> None:
    figures = world({"stt_latency_p95_ms": 0.5, "llm_latency_p95_ms": 1.9})
    assert judged(figures).status is VerdictStatus.CONFIRMED
    by_llm = replace(RULE, claim=Claim.LATENCY, weights={"stt": 0.1, "llm": 0.4})
    assert reasons(judged(figures, by_llm)) == [VerdictReason.CLAIM_WORSE]
    none = replace(RULE, claim=Claim.LATENCY, weights={"stt": 0.0, "llm": 0.0})
    assert judged(figures, none).status is VerdictStatus.CONFIRMED


def test_it_is_looked_at_after_six_and_twelve_pairs_only() -> None:
    assert LOOKS == (6, 12)
    five = judged(world(WIN, 5))
    assert (five.causes, five.pairs_more) == ((Cause(VerdictReason.TOO_FEW_PAIRS, value=5),), 1)
    barely = Arms((3.3,) * 11, (3.3,) * 6 + (6.6,) * 5)
    eleven = judged({**world({}, 11), ("main", CAPACITY): barely})
    assert (eleven.pairs, eleven.pairs_more, eleven.status) == (6, 1, VerdictStatus.INCONCLUSIVE)
    twelve = judged({**world({}, 12), ("main", CAPACITY): arms(3.3, 1.03, 12)})
    assert (twelve.status, twelve.look, twelve.pairs) == (VerdictStatus.CONFIRMED, 1, 6)


def test_the_second_look_has_half_the_error_and_no_look_follows_it() -> None:
    assert 1 - confidence(2, among=2) == pytest.approx((1 - confidence(1, among=2)) / 2)
    verdict = judged(world({}, 12))
    assert (verdict.look, verdict.pairs, verdict.pairs_more) == (2, 12, None)
    assert reasons(verdict) == [VerdictReason.CLAIM_NOT_SHOWN] * 2


def test_what_the_first_look_confirmed_later_pairs_do_not_change() -> None:
    turned = Arms((3.3,) * 12, (*arms(3.3, 1.2).winner, *arms(3.3, 0.5).winner))
    assert judged({**world({}, 12), ("main", CAPACITY): turned}).pairs == 6


@pytest.mark.parametrize(
    ("held_out", "expected"),
    [
        ({"a": 1.2, "b": 1.0}, []),
        ({"a": 1.0, "b": 1.0}, [VerdictReason.HELD_OUT_NOT_SHOWN]),
        ({"a": 1.5, "b": 0.9}, [VerdictReason.HELD_OUT_WORSE]),
    ],
)
def test_the_held_out_workloads_must_gain_in_their_mean_and_none_may_lose(
    held_out: dict[str, float], expected: list[VerdictReason]
) -> None:
    figures = world(WIN)
    for name, times in held_out.items():
        figures |= world({CAPACITY: times}, workload=name)
    rule = replace(RULE, held_out=tuple(held_out))
    verdict = judged(figures, rule)
    assert [c.reason for c in verdict.causes if c.name == Claim.CAPACITY] == expected
    assert (verdict.status is VerdictStatus.CONFIRMED) is (not expected)


def test_a_claim_that_is_not_measured_in_every_pair_is_not_won_and_the_other_one_may_be() -> None:
    for missing in (None, math.inf):
        some = arms(3.3, 1.2)
        figures = {
            **world({}),
            ("main", CAPACITY): Arms(some.baseline, (*some.winner[:5], missing)),
        }
        verdict = judged(figures)
        assert Cause(VerdictReason.CLAIM_NOT_MEASURED, "main", Claim.CAPACITY, 1) in verdict.causes
    figures = world({"stt_latency_p95_ms": 0.8})
    del figures["main", CAPACITY]  # no rate was good
    assert judged(figures).status is VerdictStatus.CONFIRMED


def test_a_winner_that_is_worse_by_every_claim_is_rejected() -> None:
    verdict = judged(world({CAPACITY: 0.8, "llm_latency_p95_ms": 1.2}))
    assert (verdict.status, reasons(verdict)) == (
        VerdictStatus.REJECTED,
        [VerdictReason.CLAIM_WORSE] * 2,
    )
    only_one = judged(world({CAPACITY: 0.8, "llm_latency_p95_ms": 0.8}))
    assert only_one.status is VerdictStatus.CONFIRMED


@pytest.mark.parametrize(
    ("baseline", "winner", "standing"),
    [
        (30.0, 45.0, LimitStanding.INSIDE),
        (30.0, 30.0, LimitStanding.INSIDE),
        (95.0, 99.5, LimitStanding.NO_WORSE),  # one more launch may exceed the limit
        (30.0, 60.0, LimitStanding.CANNOT_TELL),  # its bound is above twice the baseline's
        (30.0, 70.0, LimitStanding.BROKEN),
        (80.0, 120.0, LimitStanding.BROKEN),
        (110.0, 112.0, LimitStanding.NO_WORSE),  # today misses the limit too
        (110.0, 121.0, LimitStanding.CANNOT_TELL),
        (110.0, 130.0, LimitStanding.BROKEN),
        (110.0, 90.0, LimitStanding.NO_WORSE),
    ],
)
def test_a_limit_is_met_inside_it_and_at_most_twice_the_baselines_or_where_it_is_no_worse(
    baseline: float, winner: float, standing: LimitStanding
) -> None:
    figures = {**world(WIN), ("main", "llm_tpot_p95_ms"): arms(baseline, winner / baseline)}
    verdict = judged(figures)
    [limit] = verdict.limits
    assert limit.standing is standing
    status = {
        LimitStanding.BROKEN: VerdictStatus.REJECTED,
        LimitStanding.CANNOT_TELL: VerdictStatus.INCONCLUSIVE,
    }
    assert verdict.status is status.get(standing, VerdictStatus.CONFIRMED)


def test_the_bound_of_one_more_launch_is_the_upper_prediction_bound_in_logarithms() -> None:
    values = [90.0, 100.0, 110.0, 95.0, 105.0, 100.0]
    logs = [math.log(v) for v in values]
    mean = sum(logs) / 6
    s = math.sqrt(sum((x - mean) ** 2 for x in logs) / 5)
    expected = math.exp(mean + 2.015048 * s * math.sqrt(1 + 1 / 6))
    assert next_launch_bound(values) == pytest.approx(expected, rel=1e-6)
    assert next_launch_bound([100.0]) == next_launch_bound([1.0, math.inf]) == math.inf


@pytest.mark.parametrize(
    ("baseline", "winner", "standing"),
    [
        ((30.0,) * 6, (30.0,) * 5 + (math.inf,), LimitStanding.CANNOT_TELL),
        ((math.inf,) * 6, (30.0, 31.0) * 3, LimitStanding.NO_WORSE),
        ((math.inf,) * 6, (math.inf,) * 6, LimitStanding.CANNOT_TELL),
        ((30.0,) * 5 + (None,), (30.0,) * 6, LimitStanding.NOT_MEASURED),
        ((30.0,) * 6, (30.0,) * 5 + (None,), LimitStanding.CANNOT_TELL),
    ],
)
def test_a_figure_that_is_infinite_or_missing_never_passes_unless_the_baseline_never_has_it(
    baseline: tuple[float | None, ...], winner: tuple[float | None, ...], standing: LimitStanding
) -> None:
    finding = limit_finding("main", "llm_tpot_p95_ms", 100.0, Arms(baseline, winner), 0.95, 0.99)
    assert finding.standing is standing


def test_a_limit_that_main_does_not_measure_is_open_and_a_held_out_workload_may_lack_it() -> None:
    figures = {**world(WIN), **world(WIN, workload="speech")}
    rule = replace(RULE, held_out=("speech",))
    del figures["speech", "llm_tpot_p95_ms"]
    assert judged(figures, rule).status is VerdictStatus.CONFIRMED
    del figures["main", "llm_tpot_p95_ms"]
    assert reasons(judged(figures, rule)) == [VerdictReason.LIMIT_NOT_MEASURED]


@pytest.mark.parametrize(
    ("times", "status"), [(3.9, VerdictStatus.CONFIRMED), (4.5, VerdictStatus.REJECTED)]
)
def test_what_is_watched_rejects_only_outside_the_limit_that_covers_it(
    times: float, status: VerdictStatus
) -> None:
    figures = world({**WIN, "llm_tpot_ms": times})  # a median of 97.5 or 112.5 ms
    verdict = judged(figures)
    assert verdict.status is status
    assert [(w.figure, w.rejects) for w in verdict.worse] == [
        ("llm_tpot_ms", status is VerdictStatus.REJECTED)
    ]


def test_what_has_no_limit_is_listed_under_what_gets_worse_and_never_rejects() -> None:
    verdict = judged(world({**WIN, "turn_ttft_ms": 3.0, "llm_tpot_p95_ms": 1.3}))
    assert verdict.status is VerdictStatus.CONFIRMED
    assert [w.figure for w in verdict.worse] == ["llm_tpot_p95_ms", "turn_ttft_ms"]
    assert math.exp(-verdict.worse[1].gain.mean) == pytest.approx(3.0, abs=0.01)


def test_a_watched_figure_that_only_the_winner_lacks_keeps_it_open() -> None:
    figures = {**world(WIN), ("main", "turn_ttft_ms"): Arms((700.0,) * 6, (700.0,) * 5 + (None,))}
    assert judged(figures).causes == (Cause(VerdictReason.FIGURE_LOST, "main", "turn_ttft_ms"),)


@pytest.mark.parametrize(
    ("facts", "status", "cause"),
    [
        (
            HardFacts(failures=(LaunchFailure("winner", "stress", "oom_startup"),)),
            VerdictStatus.REJECTED,
            Cause(VerdictReason.WINNER_FAILED, "stress", "oom_startup"),
        ),
        (
            HardFacts(failures=(LaunchFailure("baseline", "main", "engine_death"),)),
            VerdictStatus.INCONCLUSIVE,
            Cause(VerdictReason.BASELINE_FAILED, "main", "engine_death"),
        ),
        (
            HardFacts(oom_events=1),
            VerdictStatus.REJECTED,
            Cause(VerdictReason.OUT_OF_MEMORY, value=1),
        ),
        (
            HardFacts(failed_more={"main": 0.03}),
            VerdictStatus.REJECTED,
            Cause(VerdictReason.FAILED_REQUESTS, "main", value=0.03),
        ),
        (
            HardFacts(failed_more={"main": None}),
            VerdictStatus.INCONCLUSIVE,
            Cause(VerdictReason.FAILED_NOT_COUNTED, "main"),
        ),
        (
            HardFacts(words=WordVerdict.FAIL),
            VerdictStatus.REJECTED,
            Cause(VerdictReason.WORDS_WORSE),
        ),
        (
            HardFacts(words=WordVerdict.CANNOT_TELL, minutes_more_audio=14.0),
            VerdictStatus.INCONCLUSIVE,
            Cause(VerdictReason.WORDS_UNSURE, value=14.0),
        ),
        (
            HardFacts(words=WordVerdict.NOT_MEASURED),
            VerdictStatus.INCONCLUSIVE,
            Cause(VerdictReason.WORDS_NOT_MEASURED),
        ),
        (
            HardFacts(free_mib=200.0),
            VerdictStatus.REJECTED,
            Cause(VerdictReason.FREE_MEMORY, value=200.0),
        ),
        (HardFacts(has_drift=True), VerdictStatus.INCONCLUSIVE, Cause(VerdictReason.DRIFT)),
    ],
)
def test_hard_facts_need_no_interval(facts: HardFacts, status: VerdictStatus, cause: Cause) -> None:
    measured = replace(facts, free_mib=900.0 if facts.free_mib is None else facts.free_mib)
    rule = replace(RULE, free_memory_mib=256.0)
    verdict = judged(world(WIN), rule, measured)
    assert (verdict.status, verdict.causes) == (status, (cause,))


def test_free_memory_that_was_not_measured_keeps_it_open_where_it_is_asked_for() -> None:
    rule = replace(RULE, free_memory_mib=256.0)
    assert reasons(judged(world(WIN), rule)) == [VerdictReason.FREE_MEMORY_NOT_MEASURED]
    assert judged(world(WIN)).status is VerdictStatus.CONFIRMED


def test_hard_facts_reject_before_the_first_pair() -> None:
    verdict = judged({}, facts=HardFacts(oom_events=2))
    assert (verdict.status, verdict.pairs_more) == (VerdictStatus.REJECTED, None)
    assert not [*hard_causes(HardFacts(failed_more={"main": 0.004}), RULE)]


NO_RATE = Arms((3.3,) * 6, (0.0,) * 6)
SHORTER = {"stt_latency_p95_ms": 0.8, "llm_latency_p95_ms": 0.8}
WATCHING = replace(RULE, watched={**RULE.watched, CAPACITY: Direction.UP, GOODPUT: Direction.UP})


@pytest.mark.parametrize(
    ("name", "pair_arms", "cause"),
    [
        (CAPACITY, arms(4.0, 1.5 / 4.0), Cause(VerdictReason.WATCHED_WORSE, "main", CAPACITY)),
        (GOODPUT, arms(99.0, 0.6), Cause(VerdictReason.WATCHED_WORSE, "main", GOODPUT)),
        (
            GOODPUT,
            Arms((99.0,) * 6, (0.0,) * 6),
            Cause(VerdictReason.WATCHED_WORSE, "main", GOODPUT),
        ),
        (CAPACITY, NO_RATE, Cause(VerdictReason.NO_GOOD_RATE, "main", "winner", 6)),
        (
            CAPACITY,  # the ramp of the baseline never broke
            Arms((None,) * 6, (0.0,) * 6, (4.0,) * 6),
            Cause(VerdictReason.NO_GOOD_RATE, "main", "winner", 6),
        ),
        (
            CAPACITY,
            Arms((None,) * 6, (1.5,) * 6, (4.0,) * 6),
            Cause(VerdictReason.WATCHED_WORSE, "main", CAPACITY),
        ),
    ],
)
@pytest.mark.parametrize("claim", Claim)
def test_capacity_and_goodput_reject_where_they_are_shown_worse_under_any_claim(
    name: str, pair_arms: Arms, cause: Cause, claim: Claim
) -> None:
    verdict = judged({**world(SHORTER), ("main", name): pair_arms}, replace(WATCHING, claim=claim))
    assert verdict.status is VerdictStatus.REJECTED
    assert cause in verdict.causes or reasons(verdict) == [VerdictReason.CLAIM_WORSE]


@pytest.mark.parametrize("falls", [0.95, 1.0])
def test_a_capacity_that_falls_by_less_does_not_reject(falls: float) -> None:
    verdict = judged(world({**SHORTER, CAPACITY: falls}), WATCHING)
    assert verdict.status is VerdictStatus.CONFIRMED


def test_without_a_good_rate_on_both_sides_only_latency_can_be_claimed() -> None:
    none = Arms((0.0,) * 6, (0.0,) * 6)
    assert judged({**world(SHORTER), ("main", CAPACITY): none}, WATCHING).won[0].claim == "latency"
    assert judged({**world(SHORTER), ("main", CAPACITY): none}, WATCHING).causes == ()
    claimed = judged(
        {**world(SHORTER), ("main", CAPACITY): none}, replace(WATCHING, claim=Claim.CAPACITY)
    )
    assert claimed.status is VerdictStatus.INCONCLUSIVE
    assert claimed.causes == (
        Cause(VerdictReason.NO_GOOD_RATE, "main", "baseline", 6),
        Cause(VerdictReason.NO_GOOD_RATE, "main", "winner", 6),
    )


def test_no_good_rate_in_some_pairs_keeps_it_open() -> None:
    some = Arms((3.3,) * 6, (3.3, 3.4, 3.2, 0.0, 3.3, 3.3))
    verdict = judged({**world(SHORTER), ("main", CAPACITY): some}, WATCHING)
    assert verdict.status is VerdictStatus.INCONCLUSIVE
    assert verdict.causes == (Cause(VerdictReason.NO_GOOD_RATE, "main", "winner", 1),)


def test_a_goodput_that_only_the_uncorrected_interval_shows_to_fall_keeps_it_open() -> None:
    falls = Arms((99.0,) * 6, (74.0, 89.0, 73.0, 88.0, 75.0, 84.0))
    verdict = judged({**world(SHORTER), ("main", GOODPUT): falls}, WATCHING)
    assert verdict.status is VerdictStatus.INCONCLUSIVE
    assert verdict.causes == (Cause(VerdictReason.WATCHED_WORSE, "main", GOODPUT),)
