"""Cards are compared by what several of them measured, against the noise of launches."""

from dataclasses import replace

import numpy as np
import pytest
from made.configurations import launched
from made.factories import context_of_spec, make, measurement, slower

from objectives.fitness import reference_of
from study.analysis.common_cards import mean_by_card
from study.analysis.compare import difference
from study.analysis.configurations import Configuration, configurations_in
from study.analysis.decision import decision_of
from study.analysis.gain import gain_of
from study.analysis.reweigh import card_scales, of_all_cards, preset_decisions, rescored
from study.cards.card_scales import CardScales
from study.report.effects.card_words import cards_in_words
from study.report.headline import how_sure
from study.report.summary import Summary
from study.rule.rule import Claim
from study.search.score import study_scorer
from study.spec.load import load

NOISE = 0.02


def scales(rows, baseline):
    """Return the scales of launches whose fitness is given."""
    made = CardScales(str(baseline))
    for row in rows:
        made.add(str(row.allocation), row.measurement, row.fitness)
    return made


def card_effects(rows, baseline):
    return scales(rows, baseline).effects()


def trials(*cards, rng=None, effect=0.0, others=4):
    """Return launches of the baseline on these cards, in order, and of what else the first has."""
    rng = rng or np.random.default_rng(0)
    made = []
    rows = launched(0, [measurement()] * len(cards)).measured
    for row, card in zip(rows, cards, strict=True):
        fitness = 0.6 + (effect if card != cards[0] else 0.0) + rng.normal(0.0, NOISE)
        here = row.measurement.on_device(card)
        made.append(replace(row, fitness=fitness, measurement=here, is_reference=not made))
    for number in range(1, others + 1):
        for row in launched(number, [measurement()] * 2).measured:
            here = row.measurement.on_device(cards[0])
            made.append(replace(row, fitness=0.5 + rng.normal(0.0, NOISE), measurement=here))
    return made, made[0].allocation


def test_the_interval_of_a_difference_holds_the_truth_95_times_in_100():
    held = []
    for seed in range(400):
        rows, baseline = trials("GPU-a", "GPU-b", rng=np.random.default_rng(seed), effect=0.08)
        _, other = card_effects(rows, baseline)
        held.append(other.interval[0] <= 0.08 <= other.interval[1])
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(("effect", "exceeds"), [(0.0, 0.05), (0.15, 0.95)])
def test_equal_cards_are_rarely_said_to_differ_and_others_nearly_always(effect, exceeds):
    verdicts = []
    for seed in range(200):
        rows, baseline = trials("GPU-a", "GPU-b", rng=np.random.default_rng(seed), effect=effect)
        verdicts.append(card_effects(rows, baseline)[1].exceeds_noise)
    assert abs(np.mean(verdicts) - exceeds) <= 0.05


def test_the_card_of_the_reference_comes_first_and_each_counts_its_launches():
    rows, baseline = trials("GPU-b-1", "GPU-a-1", "GPU-a-1")
    first, second = card_effects(rows, baseline)
    assert (first.card, first.launches, first.difference) == ("GPU-b-1", 9, None)
    assert (second.card, second.launches) == ("GPU-a-1", 2)
    text, other = cards_in_words([first, second])
    assert text.startswith("GPU-b measured 9 launches; the baseline scored 0.6")
    assert "than on GPU-b (95 % interval" in other


def test_without_anything_measured_twice_on_a_card_nobody_knows_the_noise():
    rows, baseline = trials("GPU-a", "GPU-b", others=0)
    effects = card_effects(rows, baseline)
    assert effects[1].interval is None and effects[1].exceeds_noise is None
    assert "that may be noise" in cards_in_words(effects)[1]


def test_a_card_without_the_baseline_says_so_and_one_card_says_nothing():
    rows, baseline = trials("GPU-a", "GPU-b")
    other = replace(rows[1], allocation=rows[-1].allocation)
    assert (
        "the baseline not among them" in cards_in_words(card_effects([rows[0], other], baseline))[1]
    )
    assert cards_in_words(card_effects(rows[:1], baseline)) == []
    assert card_effects([], baseline) == []


@pytest.mark.parametrize(("drift", "share"), [(0.0, 0.05), (-0.15, 0.95)])
def test_a_card_that_drifts_is_said_to_and_another_rarely(drift, share):
    verdicts = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows, baseline = trials("GPU-a", "GPU-b", "GPU-b", "GPU-b", rng=rng)
        rows[3] = replace(rows[3], fitness=rows[3].fitness + drift)
        effect = card_effects(rows, baseline)[1]
        verdicts.append(effect.drift.exceeds_noise)
        assert verdicts[-1] == ("the card drifts" in cards_in_words([effect, effect])[1])
    assert abs(np.mean(verdicts) - share) <= 0.05


def test_without_the_noise_a_drift_is_told_and_not_judged():
    rows, baseline = trials("GPU-a", "GPU-b", "GPU-b", others=0)
    first, second = card_effects(rows, baseline)
    assert first.drift is None and second.drift.exceeds_noise is None
    assert "than first, which may be noise" in cards_in_words([first, second])[1]


FASTER, LUCKY = 1, 2  # configurations by number: 6 % and 3 % less waiting than the baseline's


def two_cards(rng, slow=1.08, noise=0.01, of_today=3):
    """Return the launches of a study, with the better configuration on the slower card alone."""
    rows = []

    def launch(number, times, card):
        measured = slower(measurement(), times * rng.lognormal(0.0, noise))
        row = launched(number, [measured.on_device(card)]).measured[0]
        rows.append(replace(row, number=len(rows), is_reference=not rows))

    for _ in range(of_today):
        launch(0, 1.0, "GPU-a")
        launch(0, slow, "GPU-b")
    launch(FASTER, 0.94 * slow, "GPU-b")
    launch(LUCKY, 0.97, "GPU-a")
    return rows


def context_of(rows, tmp_path):
    context = context_of_spec(load(make(tmp_path)))
    return replace(context, baseline=rows[0].allocation)


def winner(rows, context):
    won = decision_of(rows, context).winner
    return won and won.allocation.own_values["vllm.max_num_seqs"]


def one_scale(rows, context):
    """Return the launches as they would be scored if cards were all alike."""
    return rescored([replace(r, measurement=unnamed(r.measurement)) for r in rows], context)


def unnamed(measured):
    return replace(measured, devices={"": measured.device})


def test_the_winner_is_not_what_landed_on_the_faster_card(tmp_path):
    rows = two_cards(np.random.default_rng(1))
    context = context_of(rows, tmp_path)
    assert winner(one_scale(rows, context), context) == LUCKY
    assert winner(of_all_cards(rows, context), context) == FASTER
    for preset, decision in preset_decisions(rows, context, decision_of(rows, context)).items():
        assert decision.winner.allocation.own_values["vllm.max_num_seqs"] == FASTER, preset


def test_cards_that_are_alike_are_scored_against_the_one_reference(tmp_path):
    rows = two_cards(np.random.default_rng(1), slow=1.0)
    context = context_of(rows, tmp_path)
    scored = of_all_cards(rows, context)
    assert {row.own_card for row in scored} == {None}
    assert [r.fitness for r in scored] == [r.fitness for r in one_scale(rows, context)]


def test_the_reference_of_a_slower_card_is_that_of_the_first_as_it_would_be_there(tmp_path):
    ratios, context = [], context_of(two_cards(np.random.default_rng(0)), tmp_path)
    for seed in range(50):
        rows = two_cards(np.random.default_rng(seed))
        first = reference_of(rows[0].measurement)
        own = card_scales(rows, context).references(first)
        assert set(own) == {"GPU-b"}
        ratios.append(own["GPU-b"].latency_p95_ms["llm"] / first.latency_p95_ms["llm"])
        capacity = own["GPU-b"].capacity_turns_per_s / first.capacity_turns_per_s
        assert capacity == pytest.approx(1 / ratios[-1])
    assert np.mean(ratios) == pytest.approx(1.08, abs=0.005)


def test_a_gain_is_told_from_the_cards_that_measured_both(tmp_path):
    gains, context = [], context_of(two_cards(np.random.default_rng(0)), tmp_path)
    for seed in range(50):
        launches = configurations_in(of_all_cards(two_cards(np.random.default_rng(seed)), context))
        today, faster, lucky = launches
        gain = gain_of(faster, today, launches, {"llm": 0.5, "stt": 0.5}, Claim.LATENCY)
        gains.append(gain.pct)
        measured_gain = difference("llm_latency_p95_ms", today, faster, launches)
        on_b = [t.measurement for t in today.measured if t.measurement.measured_on == "GPU-b"]
        assert measured_gain.old == pytest.approx(
            np.mean([m.figure("llm_latency_p95_ms") for m in on_b])
        )
        assert gain_of(faster, lucky, launches, {"llm": 1.0}, Claim.LATENCY) is None
    assert np.mean(gains) == pytest.approx(6.0, abs=0.5)


def test_a_run_scores_by_what_it_knows_of_its_cards(tmp_path):
    rows = two_cards(np.random.default_rng(1))
    context = context_of(rows, tmp_path)
    scorer, (faster, lucky) = study_scorer(context, rows[:2]), rows[-2:]

    def fitness(row):
        return scorer.score(row.allocation, row.measurement).fitness.value

    before = fitness(faster)
    for row in rows[2:6]:
        scorer.take(row.allocation, row.measurement)
    assert before < fitness(faster) == of_all_cards(rows[:-1], context)[-1].fitness
    assert fitness(lucky) == one_scale(rows, context)[-1].fitness


def test_means_of_cards_count_alike_whatever_their_launches():
    measured = launched(0, [measurement()] * 4).measured
    cards = (None, None, None, "GPU-b")
    ours = tuple(replace(t, own_card=card) for t, card in zip(measured, cards, strict=True))
    assert mean_by_card(Configuration(ours[0].allocation, ours, ()), [1, 1, 1, 3]) == 2


def test_the_answer_says_which_cards_differ(tmp_path):
    rows = two_cards(np.random.default_rng(1))
    context = context_of(rows, tmp_path)
    scored = of_all_cards(rows, context)
    report = Summary(
        context, scored, configurations_in(scored), decision_of(scored, context), "s", "", None
    )
    text = " ".join(how_sure(report))
    assert "GPU-b differs from the card of the reference by more than noise" in text
    alike = one_scale(rows, context)
    same = replace(report, trials=alike, configurations=configurations_in(alike))
    assert "more than noise" not in " ".join(how_sure(same))
