"""This module takes figures with intervals from runs, and says who is better, worse or tied; pure.

    trials_to_target    trials until the target was first evaluated; a miss counts as budget + 1, so
                        that the mean is a lower bound wherever `missed` is above 0
    missed              share of runs that never met it
    regret_15 ... _100  true regret of the best configuration among the first trials: 0 the best,
                        1 the median
    repeats             share of proposals that were known, among the first trials, where nothing
                        forces one
    oom, oom_repeats    trials spent on what does not fit, and on what was already known not to fit
    best_trial_named_*  share of runs in which `best_trial` after that many trials was the true best
    recommend_named_*   the same for `recommend`, which is asked about every sampler's study

An interval is a 95 % one over seeds: Student's t for means, Wilson's for shares. Verdicts are
against the reference (the tournament), on the seeds that both have run: a paired t test on the
differences, Holm's correction over all samplers of one problem, batch size and figure. What is not
significant at 5 % is called a tie.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from study.analysis.noise import holm
from study.sampler_benchmark.figures import FIGURES
from study.sampler_benchmark.trial_run import CHECKPOINTS, EXACT, Named, SamplerRun

REFERENCE = "tournament"
CONFIDENCE = 0.95
RESAMPLES = 2000
GROUPS: Mapping[str, tuple[str, ...]] = {"tables with structure": ("smooth", "ridge", "cliff")}
BETTER, WORSE, TIE = "better", "worse", "tie"


@dataclass(frozen=True, slots=True)
class FigureEstimate:
    """A figure estimate is one figure of one sampler on one problem, over seeds.

    Args:
        problem: The name of the problem, or of a group of problems.
        batch: How many trials were asked for at a time.
        sampler: The name of the sampler.
        figure: The name of the figure.
        n: How many seeds there are.
        value: Its mean or share.
        low: The lower end of its 95 % interval; None where one seed cannot give one.
        high: The upper end, likewise.
        verdict: "better", "worse" or "tie": this sampler against the reference on common seeds;
            None for the reference itself.
    """

    problem: str
    batch: int
    sampler: str
    figure: str
    n: int
    value: float
    low: float | None
    high: float | None
    verdict: str | None = None


def figures_of_run(run: SamplerRun) -> dict[str, float]:
    """Return every figure that a run has; what it has not is absent.

    >>> path = ((0, 2.0), (3, 0.0))
    >>> run = SamplerRun("smooth", "tpe", 1, 0, 40, 15, path, 3, 5, None, None, {}, 0.1)
    >>> figures = figures_of_run(run)
    >>> figures["trials_to_target"], figures["regret_15"], "oom" in figures
    (3.0, 0.0, False)
    """
    values: dict[str, float] = {
        "trials_to_target": float(run.found if run.found is not None else run.budget + 1),
        "missed": float(run.found is None),
    }
    if not run.to_target:
        values |= {f"regret_{at}": run.regret(at) for at in CHECKPOINTS if at <= run.budget}
    if run.repeats is not None:
        values["repeats"] = run.repeats / run.fresh
    if run.oom is not None and run.oom_repeats is not None:
        values |= {"oom": float(run.oom), "oom_repeats": float(run.oom_repeats)}
    for at in sorted(run.named.keys() & {*CHECKPOINTS}):
        values |= _naming(at, run.named[at])
    return values


def _naming(at: int, named: Named) -> dict[str, float]:
    """Tell whether each way names the true best after so many trials, as 1 or 0."""
    ways = {"best_trial": named.best_trial, "recommend": named.recommend}
    return {f"{way}_named_{at}": float(r is not None and r <= EXACT) for way, r in ways.items()}


def mean_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return mean and Student's t interval; no figure here is below 0, and so no interval is.

    >>> [round(x, 3) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, 0.0, 4.484]
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, None, None
    arm = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * stats.sem(values))
    return mean, max(0.0, mean - arm), mean + arm


def share_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the share of ones and Wilson's interval, which has a width even where all agree.

    >>> [round(x, 3) for x in share_interval([1.0] * 10)]
    [1.0, 0.722, 1.0]
    """
    counted = stats.binomtest(round(sum(values)), len(values))
    low, high = counted.proportion_ci(CONFIDENCE, method="wilson")
    return float(np.mean(values)), float(low), float(high)


def paired_p(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """Return the p value of a paired t test on the common seeds.

    It is 1 where they are too few or nothing differs.

    >>> paired_p({0: 1.0, 1: 2.0, 2: 3.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    1.0
    """
    gaps = np.array([theirs[seed] - ours[seed] for seed in sorted(ours.keys() & theirs.keys())])
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    if np.ptp(gaps) == 0:  # the same difference on every seed
        return 0.0
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)


def estimates(runs: Iterable[SamplerRun]) -> list[FigureEstimate]:
    """Return every figure of every sampler, with interval and verdict against the reference."""
    table: dict[tuple[str, int, str], dict[str, dict[int, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for run in runs:
        for figure, value in figures_of_run(run).items():
            table[run.problem, run.batch, figure][run.sampler][run.seed] = value
    rows = []
    for (problem, batch, figure), by_sampler in table.items():
        verdicts = _verdicts(figure, by_sampler)
        for sampler, by_seed in by_sampler.items():
            values = list(by_seed.values())
            interval = share_interval if FIGURES[figure].is_share else mean_interval
            spread, verdict = interval(values), verdicts.get(sampler)
            rows.append(
                FigureEstimate(problem, batch, sampler, figure, len(values), *spread, verdict)
            )
    return rows


def _verdicts(figure: str, by_sampler: Mapping[str, Mapping[int, float]]) -> dict[str, str]:
    if REFERENCE not in by_sampler:
        return {}
    ours = by_sampler[REFERENCE]
    others = [name for name in by_sampler if name != REFERENCE]
    corrected = holm([paired_p(ours, by_sampler[name]) for name in others])
    sign = -1 if FIGURES[figure].is_larger_better else 1
    verdicts = {}
    for name, p in zip(others, corrected, strict=True):
        common = sorted(ours.keys() & by_sampler[name].keys())
        gap = sign * sum(by_sampler[name][seed] - ours[seed] for seed in common)
        verdicts[name] = TIE if p >= 1 - CONFIDENCE else BETTER if gap < 0 else WORSE
    return verdicts


def ratios(runs: Sequence[SamplerRun]) -> list[FigureEstimate]:
    """Return the reference's mean trials to the target over each rival's, on common seeds.

    Below 1 the reference is faster. A group of problems is taken as one. The interval is a
    bootstrap over pairs, which are drawn as wholes, since a seed that is hard for one sampler is
    hard for the other.
    """
    groups = {**{name: (name,) for name in dict.fromkeys(r.problem for r in runs)}, **GROUPS}
    rng = np.random.default_rng(0)
    rows = []
    for batch in sorted({r.batch for r in runs}):
        for group, problems in groups.items():
            trials: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
            for run in runs:
                if run.batch == batch and run.problem in problems:
                    figures = figures_of_run(run)
                    trials[run.sampler][run.problem, run.seed] = figures["trials_to_target"]
            ours = trials.pop(REFERENCE, {})
            for rival, theirs in trials.items():
                common = sorted(ours.keys() & theirs.keys())
                pairs = np.array([(ours[at], theirs[at]) for at in common])
                if len({problem for problem, _ in common}) < len(problems):
                    continue
                value = low = high = float(_ratio(*pairs.T))
                if len(pairs) > 1:
                    low, high = stats.bootstrap(
                        pairs.T,
                        _ratio,
                        n_resamples=RESAMPLES,
                        paired=True,
                        confidence_level=CONFIDENCE,
                        method="percentile",
                        rng=rng,
                    ).confidence_interval
                figure, spread = f"trials_x_{rival}", (value, float(low), float(high))
                rows.append(FigureEstimate(group, batch, REFERENCE, figure, len(pairs), *spread))
    return sorted(rows, key=lambda e: (e.batch, list(groups).index(e.problem), e.figure))


def _ratio(ours: np.ndarray, theirs: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.asarray(ours.mean(axis=axis) / theirs.mean(axis=axis))


def curve(runs: Iterable[SamplerRun]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return trials, mean regret after each of them, and the two ends of its t interval."""
    paths = list(runs)
    trials = np.arange(1, min(r.budget for r in paths) + 1)
    regrets = np.array([[r.regret(int(at)) for at in trials] for r in paths])
    columns = [mean_interval(list(column)) for column in regrets.T]
    means = np.array([mean for mean, _, _ in columns])
    low = np.array([mean if a is None else a for mean, a, _ in columns])
    high = np.array([mean if b is None else b for mean, _, b in columns])
    return trials, means, low, high
