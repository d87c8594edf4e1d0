"""Tests show that true effects are found in their size, and others are rarely claimed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from made.factories import changed, only
from processes.commands import process, run_script
from scipy import stats

import objectives
from objectives.allocation import Allocation
from objectives.measurement import INFINITE
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space
from study.analysis.cost.cost import TimedLaunch
from study.analysis.cost.launches import WIDE_RECORDING
from study.analysis.main_effects.additive_model import NEEDS_STATSMODELS, NotEstimableError
from study.analysis.main_effects.effects import level_differences, main_effects
from study.analysis.noise import holm
from study.recording.sobol import spread
from study.report.effects.observations import observations
from study.report.effects.table import influence
from study.spec.choices import APIS, effect_figures

RECORDINGS = Path(objectives.__file__).parent / "recordings"


def levels(share, size, seqs=32):
    return {"vllm_memory_util": share, "whisper_model_size": size, "vllm.max_num_seqs": seqs}


FIGURES = effect_figures(APIS)
GRID = [levels(s, w, n) for s in (0.4, 0.5, 0.6) for w in ("tiny.en", "base") for n in (16, 32, 64)]


def launched(generator, *, noise=0.05, share=0.0, repeats=1):
    """Return launches of the grid with a noisy LLM latency.

    It falls by `share` (natural log) with each step of the share.
    """
    return [
        (
            a,
            only(
                llm_latency_ms=1000
                * math.exp(
                    -share * (a["vllm_memory_util"] - 0.4) / 0.1 + generator.normal(0, noise)
                )
            ),
        )
        for a in GRID
        for _ in range(repeats)
    ]


def launches(observations, card=None):
    measured = [m and changed(m, measured_on=card) for _, m in observations]
    return [
        TimedLaunch(Allocation(a), m, 60.0, {}, frozenset())
        for (a, _), m in zip(observations, measured, strict=True)
    ]


def test_on_a_balanced_grid_it_is_the_textbook_analysis_of_variance():
    observations = launched(np.random.default_rng(1), share=0.02)
    effects = main_effects(observations, "llm_latency_ms")
    logs = np.array([math.log(m.figure("llm_latency_ms")) for _, m in observations])
    left, freedom = float(np.sum((logs - logs.mean()) ** 2)), len(logs) - 1
    between = []
    for effect in effects.effects:
        groups = [
            [
                y
                for (a, _), y in zip(observations, logs, strict=True)
                if a[effect.parameter] == x.value
            ]
            for x in effect.levels
        ]
        assert [x.mean for x in effect.levels] == pytest.approx(
            [math.exp(np.mean(g)) for g in groups]
        )
        between.append(
            (sum(len(g) * (np.mean(g) - logs.mean()) ** 2 for g in groups), len(groups) - 1)
        )
        left, freedom = left - between[-1][0], freedom - between[-1][1]
    p_values = [stats.f.sf(squares / df / (left / freedom), df, freedom) for squares, df in between]
    assert [e.p_value for e in effects.effects] == pytest.approx(holm(p_values))
    assert effects.residual == pytest.approx(math.sqrt(left / freedom))


def test_a_true_effect_is_found_in_its_size_and_the_other_parameters_are_not_blamed():
    effects = main_effects(
        launched(np.random.default_rng(2), noise=0.03, share=0.2), "llm_latency_ms"
    )
    p_values = {e.parameter: e.p_value for e in effects.effects}
    assert p_values.pop("vllm_memory_util") < 0.001
    assert all(p > 0.05 for p in p_values.values())
    first, _, last = effects.effects[0].levels
    assert last.mean / first.mean == pytest.approx(math.exp(-0.4), rel=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say_and_claims_are_wrong_in_5_percent():
    generator, runs = np.random.default_rng(3), 400
    hits = claims = 0
    for _ in range(runs):
        effects = main_effects(launched(generator), "llm_latency_ms")
        level = effects.effects[0].levels[0]
        hits += level.mean / (1 + level.half_width) <= 1000 <= level.mean * (1 + level.half_width)
        claims += any(e.p_value < 0.05 for e in effects.effects)
    assert 0.92 <= hits / runs <= 0.98
    assert claims / runs <= 0.08


def test_repeats_tell_the_noise_and_weigh_no_more_than_one_launch():
    observations = launched(np.random.default_rng(4), repeats=3, noise=0.1)
    effects = main_effects(observations, "llm_latency_ms")
    assert effects.noise == pytest.approx(0.1, rel=0.3)
    assert main_effects(launched(np.random.default_rng(4)), "llm_latency_ms").noise is None
    again = [*observations, *[observations[0]] * 50]
    first, heavier = (
        main_effects(k, "llm_latency_ms").effects[1].levels[0].mean for k in (observations, again)
    )
    assert heavier == pytest.approx(first, rel=0.05)
    assert effects.repeat_count == len(GRID)


@pytest.mark.parametrize("lost", [None, INFINITE])
def test_what_was_not_measured_is_left_out(lost):
    observations = [(a, only(llm_latency_ms=lost)) for a in GRID[:2]] + launched(
        np.random.default_rng(5)
    )[2:]
    assert main_effects(observations, "llm_latency_ms") == main_effects(
        observations[2:], "llm_latency_ms"
    )


def test_what_was_the_same_everywhere_has_no_effects():
    effects = main_effects([(a, only(stt_wer_pct=100 / 79.5)) for a in GRID], "stt_wer_pct")
    assert [e.p_value for e in effects.effects] == [1.0, 1.0, 1.0]
    assert effects.residual == 0


def test_a_table_counts_configurations_and_those_that_failed():
    observations = [
        (a, only(llm_tpot_ms=30.0 + n % 5, stt_wer_pct=1.25)) for n, a in enumerate(GRID)
    ]
    lost = [(levels(0.6, "tiny.en", 128), None), (levels(0.6, "base", 128), None)] * 2
    table = influence(launches([*observations, observations[0], *lost]), FIGURES)
    assert table.head == ("", "LLM each token ms")
    assert [row[0] for row in table.rows[:4]] == [
        "LLM share",
        "  40 % (6)",
        "  50 % (6)",
        "  60 % (6, 2 failed)",
    ]
    assert ("  128 (0, 2 failed)", "-") in table.rows
    assert table.notes[1] == "20 configurations in 23 launches, 4 of which failed and are left out"
    assert "words wrong: 1.2 % wherever it was measured" in table.notes
    [line] = [x for x in table.notes if x.startswith("LLM: each further token, median: ")]
    assert line.endswith("from 1 launched again on the same card")
    assert "memory that stayed free: not measured" in table.notes


def test_another_card_is_told_apart_from_what_the_parameters_do():
    generator = np.random.default_rng(6)
    first = [
        (a, only(llm_tpot_ms=m.figure("llm_latency_ms")))
        for a, m in launched(generator, noise=0.03)
    ]
    second = [
        (a, only(llm_tpot_ms=2 * m.figure("llm_latency_ms")))
        for a, m in launched(generator, noise=0.03)
    ]
    # the second card measured the high share alone, and one more: without a block the share would
    # be blamed
    high = [x for x in second if x[0]["vllm_memory_util"] > 0.5] + second[:1]
    low = [x for x in first if x[0]["vllm_memory_util"] <= 0.5] + first[-2:]
    table = influence([*launches(low, "GPU-1"), *launches(high, "GPU-2")], ["llm_tpot_ms"])
    p = {row[0]: row[1] for row in table.rows if not row[0].startswith(" ")}
    assert p["card"] == "p < 0.001"
    assert p["LLM share"].startswith("(p")
    blamed = influence(launches([*low, *high]), ["llm_tpot_ms"])
    assert dict(row[:2] for row in blamed.rows)["LLM share"] == "p < 0.001"


def test_a_set_of_cards_is_a_level_that_names_each_of_them():
    generator = np.random.default_rng(1)
    observed = [(a, only(llm_latency_ms=1000.0)) for a, _ in launched(generator)]
    sets = ("GPU-0f3c9a12-1 GPU-77ab41d0-2", "GPU-51c0aa00-3 GPU-8a8d0000-4")
    rows, _ = observations([x for card in sets for x in launches(observed, card)])
    names = {setting["card"] for setting, _ in rows}
    assert names == {"GPU-0f3c+GPU-77ab", "GPU-51c0+GPU-8a8d"}


def test_what_two_cards_measured_is_not_twice_as_much_known():
    four = [(0.4, "a"), (0.4, "b"), (0.5, "a"), (0.5, "b")]
    figures = [(levels(s, w), only(llm_tpot_ms=10.0 + n)) for n, (s, w) in enumerate(four)]
    table = influence([x for n in range(8) for x in launches(figures, f"GPU-{n}")], ["llm_tpot_ms"])
    assert table.rows == ()
    assert table.notes[-1].endswith(
        "cannot be told, 4 configurations have a figure, and 3 parameters need 15"
    )


def test_parameters_that_always_changed_together_are_not_told_apart():
    twins = [
        (levels(s, w, {0.4: 16, 0.5: 32, 0.6: 64}[s]), only(llm_tpot_ms=100.0 + n))
        for n, (s, w) in enumerate(
            [(s, w) for s in (0.4, 0.5, 0.6) for w in ("a", "b", "c", "d", "e", "f")]
        )
    ]
    with pytest.raises(NotEstimableError, match="always changed together"):
        main_effects(twins, "llm_tpot_ms")
    table = influence(launches(twins), ["llm_tpot_ms"])
    assert table.rows == () and "always changed together" in table.notes[-1]


def test_latencies_without_an_end_are_counted_and_cards_of_like_names_stay_two():
    figures = [INFINITE if n in (3, 4) else 900.0 + n % 4 for n in range(len(GRID))]
    observations = [(a, only(llm_latency_p95_ms=ms)) for a, ms in zip(GRID, figures, strict=True)]
    lost = launches([(GRID[0], None)])  # of no observations card
    table = influence(
        [
            *launches(observations[:9], "NVIDIA-H100-a"),
            *launches(observations[8:], "NVIDIA-H100-b"),
            *lost,
        ],
        FIGURES,
    )
    assert (
        "18 configurations in 20 launches on 2 cards, 1 of which failed and are left out"
        in table.notes
    )
    assert any(
        line.endswith("; 2 launches without an end to it are left out") for line in table.notes
    )
    assert [row[0] for row in table.rows[-3:]] == [
        "card",
        "  NVIDIA-H100-a (9)",
        "  NVIDIA-H100-b (10)",
    ]


def test_nothing_varied_has_no_effects():
    with pytest.raises(NotEstimableError, match="nothing was varied"):
        main_effects([(GRID[0], only(llm_tpot_ms=10.0 + n)) for n in range(9)], "llm_tpot_ms")


def test_a_design_of_40_tells_every_parameter_of_the_wide_space_apart():
    text = (Path(objectives.__file__).parents[1] / "study/specs/gpu_h100_wide.yaml").read_text(
        "utf-8"
    )
    search_space = yaml.safe_load(text)["search_space"]
    wide = Space(
        tuple(Parameter(name, tuple(choices)) for name, choices in search_space.items()), {}
    )
    observations = [
        (a.values, only(llm_latency_ms=100.0 + n % 7)) for n, a in enumerate(spread(wide, 40))
    ]
    effects = main_effects(observations, "llm_latency_ms")
    assert {e.parameter for e in effects.effects} == set(search_space)


def test_a_difference_is_that_of_two_levels_and_its_interval_holds_the_truth() -> None:
    rng, hits = np.random.default_rng(7), 0
    grid = [
        {"share": s, "size": w, "beam": b} for s in (0.4, 0.5, 0.6) for w in "abc" for b in (1, 5)
    ]
    for _ in range(400):
        ms = [
            10.0 * (2.0 if g["share"] == 0.6 else 1.0) * float(np.exp(rng.normal(0, 0.1)))
            for g in grid
        ]
        launches = [(g, only(llm_tpot_ms=x)) for g, x in zip(grid, ms, strict=True)]
        ratios = level_differences(launches, "llm_tpot_ms", "share", 0.5)
        assert set(ratios) == {0.4, 0.6}
        hits += ratios[0.6][1] <= 2.0 <= ratios[0.6][2]
    assert 0.92 <= hits / 400 <= 0.98
    with pytest.raises(NotEstimableError, match="was not measured beside another"):
        level_differences(launches, "llm_tpot_ms", "share", 0.7)


def test_without_statsmodels_the_script_ends_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "statsmodels.py").write_text("raise ModuleNotFoundError(name=__name__)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    ran = process("main_effects.py", cwd=Path(__file__).parents[4])
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr == f"error: {NEEDS_STATSMODELS}\n"
    assert "pip install 'gpu-allocation-study[effects]'" in NEEDS_STATSMODELS


def test_a_recording_of_another_workload_is_refused_in_a_sentence(tmp_path: Path) -> None:
    lines = WIDE_RECORDING.read_text().splitlines()
    for key, value in (("workload", {"window_s": 20}), ("services", {})):
        head = json.loads(lines[0])
        head["conditions"][key] = value
        (tmp_path / "odd.jsonl").write_text("\n".join([json.dumps(head), *lines[1:]]))
        ran = run_script("main_effects.py", tmp_path / "odd.jsonl")
        assert (
            ran.returncode == 2
            and "its workload or services are not those of a recording" in ran.stderr
        )


def test_the_script_shows_what_is_stored_and_refuses_what_is_not(tmp_path):
    ran = run_script("main_effects.py")
    assert ran.returncode == 0, ran.stderr
    assert "41 configurations in 63 launches on 5 cards, none of which failed" in ran.stdout
    assert run_script("main_effects.py", tmp_path).returncode == 2
    ran = run_script(
        "main_effects.py", "--versus", "vllm_memory_util=0.5", "--metric", "llm_latency_p95_ms"
    )
    assert (
        "against 50 %" in ran.stdout and "│ 52.5 %       │ x 0.73 (0.67 to 0.80) │" in ran.stdout
    ), "as the guide says"
    wrong = {
        "foo=3": "write NAME=VALUE, NAME one of vllm_memory_util, whisper_model_size,",
        "max_num_seqs": "write NAME=VALUE",
        "LLM share=0.3": "the values of vllm_memory_util are 0.5, 0.525,",
    }
    for choice, why in wrong.items():
        ran = run_script("main_effects.py", "--versus", choice)
        assert ran.returncode == 2 and why in ran.stderr
    ran = run_script("main_effects.py", "--versus", "max_num_seqs=16", "--metric", "stt_wer_pct")
    assert ran.returncode == 2 and "words wrong: the same wherever it was measured" in ran.stderr
    small = run_script("main_effects.py", RECORDINGS / "cpu.jsonl")
    assert small.returncode == 0
    assert small.stdout.startswith("cpu.jsonl: nothing can be told")
