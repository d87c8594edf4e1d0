"""Tests show that the segments of a launch tell its own noise, and what fewer clips cost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made.configurations import launched
from made.factories import only

from objectives.load.figures_of_replies import nearest_rank
from objectives.measurement import Measurement
from study.analysis.compare import figure_differences
from study.analysis.configurations import Configuration
from study.analysis.gain import gain_in
from study.analysis.noise import noise_of
from study.analysis.segment_noise import WithinLaunch, value_of, within_launch
from study.report.comparison import comparison
from study.rule.rule import Claim
from study.spec.choices import APIS

NAME = "stt_latency_p95_ms"
SPREAD, SEGMENTS, LAUNCH_NOISE = 0.5, 8, 0.04


def p95(latencies_ms: np.ndarray) -> float:
    return nearest_rank(map(float, latencies_ms), 0.95) or 0.0


def launch(
    rng: np.random.Generator, mean_ms: float, clips: int, segments: int = SEGMENTS
) -> Measurement:
    """Return a launch of so many clips, with noise of its own beside that of the clips."""
    at_ms = mean_ms * math.exp(LAUNCH_NOISE * rng.normal())
    latencies_ms = at_ms * rng.lognormal(0.0, SPREAD, clips)
    parts = np.array_split(latencies_ms, segments) if segments else []
    measured = only(**{NAME: p95(latencies_ms)})
    return replace(measured, segments=tuple({NAME: p95(part)} for part in parts))


@pytest.mark.parametrize("clips", [300, 120])
def test_the_segments_of_a_launch_tell_how_much_its_p95_varies(clips: int) -> None:
    rng, variances, shown = np.random.default_rng(3), [], []
    for _ in range(400):
        latencies_ms = rng.lognormal(0.0, SPREAD, clips)
        parts = np.array_split(latencies_ms, SEGMENTS)
        one = replace(only(), segments=tuple({NAME: p95(part)} for part in parts))
        value = value_of(NAME, is_time=True)
        variances.append(within_launch(launched(0, [one]), launched(1, [one]), [], value).a)
        shown.append(math.log(p95(latencies_ms)))
    known = [v for v in variances if v is not None]
    assert len(known) == len(variances)
    assert np.sqrt(np.mean(known)) == pytest.approx(np.std(shown), rel=0.15)


def study_of(rng: np.random.Generator, clips: int, segments: int = SEGMENTS) -> list[Configuration]:
    """Return a baseline and a winner launched once, of few clips, and six repeated, of 300."""
    twice = [
        launched(n, [launch(rng, 100.0 * n, 300, segments) for _ in range(2)]) for n in range(2, 8)
    ]
    once = [launched(n, [launch(rng, 200.0, clips, min(segments, clips // 5))]) for n in (0, 1)]
    return [*once, *twice]


def test_the_interval_of_what_has_fewer_clips_holds_the_truth_95_times_in_100() -> None:
    rng, hits, hits_without, runs = np.random.default_rng(7), 0, 0, 250
    for _ in range(runs):
        configurations = study_of(rng, clips=60)
        today, other, *_ = configurations
        gap = abs((other.mean(NAME) or 0.0) - (today.mean(NAME) or 0.0))
        hits += gap <= (noise_of(NAME, today, other, configurations) or 0.0)
        bare = [
            launched(n, [replace(t.measurement, segments=()) for t in c.measured if t.measurement])
            for n, c in enumerate(configurations)
        ]
        hits_without += gap <= (noise_of(NAME, bare[0], bare[1], bare) or 0.0)
    assert 0.92 * runs <= hits <= 0.985 * runs
    assert hits_without < 0.85 * runs  # launches of 300 clips do not tell the noise of 60


def test_fewer_clips_make_the_interval_wider_and_the_table_shows_it() -> None:
    halves, gains = [], []
    for clips in (300, 60):
        configurations = study_of(np.random.default_rng(11), clips)
        today, other, *_ = configurations
        half = noise_of(NAME, today, other, configurations)
        gain = gain_in(Claim.LATENCY, other, today, configurations, {"stt": 1.0})
        assert half is not None and gain is not None and gain.half_width is not None
        halves.append(half)
        gains.append(gain.half_width)
        (row,) = [
            x
            for x in comparison(figure_differences(today, other, configurations, APIS))
            if "±" in x.change
        ]
        assert f" ± {half:,.0f} ms " in row.change
    assert halves[1] > 1.3 * halves[0]
    assert gains[1] > 1.3 * gains[0]


def test_without_segments_the_noise_of_launches_is_that_of_all() -> None:
    configurations = study_of(np.random.default_rng(5), clips=60, segments=0)
    today, other, *again = configurations
    within = within_launch(today, other, again, value_of(NAME, is_time=True))
    assert within == WithinLaunch(None, None, None)
    assert within.variances(0.25) == (0.25, 0.25)


def test_too_few_segments_or_an_endless_one_tell_nothing() -> None:
    endless = [{NAME: 1.0}, {NAME: 2.0}, {NAME: 3.0}, {NAME: math.inf}]
    for segments in (({NAME: 1.0},) * 3, tuple(endless), ({NAME: 1.0}, {}, {}, {NAME: 2.0})):
        one = launched(0, [replace(only(), segments=segments)])
        assert within_launch(one, one, [], value_of(NAME, is_time=True)).a is None
