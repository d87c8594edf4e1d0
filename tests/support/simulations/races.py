"""This module simulates studies whose launches are as noisy as on a card, and races them.

`python tests/support/simulations/races.py [STUDIES]` prints the table of study/guides/sampler.md.

Noise, as standard deviations of logarithms, is that of study/guides/sampler.md: between launches
11 % for the LLM, 3 % for speech, 6 % for the capacity; between the segments of one launch 15 % and
5 %; between segments of all launches, by their arrivals, 20 % and 10 %; between requests 30 %, most
of it their size, which is the same in every launch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from objectives.fitness import PRESETS, WHOLE, Fitness, fitness, reference_of
from objectives.load.segments import at_best
from objectives.measurement import DeviceFigures, Measurement, ServiceFigures
from study.racing.giving_up import Candidate, Leader, Noise, is_dominated, noise_of

SERVICES = ("stt", "llm")
CONFIGURATIONS, SEGMENTS, SEGMENT_S = 15, 8, 15.0
FIXED_S, RAMP_S = 90.0, 100.0  # starts and each service alone; one ramp
TRIAL_S = FIXED_S + RAMP_S + SEGMENTS * SEGMENT_S
REQUESTS = {"stt": 38, "llm": 24}  # in a segment
MEDIAN_MS = {"stt": 400.0, "llm": 2500.0}
LAUNCH, OWN, ARRIVALS = (
    {"stt": 0.03, "llm": 0.11},
    {"stt": 0.05, "llm": 0.15},
    {"stt": 0.10, "llm": 0.20},
)
CAPACITY_LAUNCH, SIZE, REQUEST = 0.06, 0.25, 0.15
WEIGHTS = PRESETS["balanced"]
Truth = dict[str, float]  # log of what a configuration multiplies the baseline's figures by
Rule = Callable[[Candidate, Leader, Noise], bool]


def near(rng: np.random.Generator) -> Truth:
    """Return a configuration that is much like every other."""
    return _truth(rng, 0.08)


def usual(rng: np.random.Generator) -> Truth:
    """Return a configuration of a space with some better and some worse ones."""
    return _truth(rng, 0.3)


def walls(rng: np.random.Generator) -> Truth:
    """Return a configuration of a space of which a third is overloaded."""
    truth = _truth(rng, 0.2)
    if rng.random() < 1 / 3:
        slow = float(rng.uniform(0.7, 1.5))
        truth = {**truth, "llm": truth["llm"] + slow, "capacity": truth["capacity"] - slow}
    return truth


FAMILIES = (near, usual, walls)


def _truth(rng: np.random.Generator, spread: float) -> Truth:
    llm, stt, free = (float(rng.normal(0, s)) for s in (spread, spread, 0.5))
    return {"llm": llm, "stt": stt, "capacity": -0.7 * llm - 0.3 * stt, "free": free}


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch has every latency of its window, and what else it measures."""

    latency_ms: dict[str, np.ndarray]  # by service, (segments, requests)
    capacity: float
    free_mib: float

    def after(self, segments: int) -> Measurement:
        """Return what it has measured after so many segments, the rest answered at once."""
        seen = {
            s: ServiceFigures(latency_p95_ms=_p95(np.where(_until(ms, segments), ms, 0.0)))
            for s, ms in self.latency_ms.items()
        }
        device = DeviceFigures(
            device_total_mib=80_000.0,
            free_memory_mib=self.free_mib if segments else None,
            own_memory_pct=75.0 if segments == SEGMENTS else None,
        )
        return Measurement(
            services=seen if segments else {},
            devices={"": device},
            capacity_turns_per_s=self.capacity,
        )

    def segment(self, number: int) -> Measurement:
        """Return the latencies of one segment."""
        return Measurement(
            services={
                s: ServiceFigures(latency_p95_ms=_p95(ms[number]))
                for s, ms in self.latency_ms.items()
            }
        )


def _until(ms: np.ndarray, segments: int) -> np.ndarray:
    return np.arange(len(ms))[:, None] < segments


def _p95(ms: np.ndarray) -> float:
    ordered = np.sort(ms, axis=None)
    return float(ordered[math.ceil(0.95 * len(ordered)) - 1])


class Servers:
    """Servers are under one trace: it has the same arrivals and sizes in every launch."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.trace = {
            s: rng.normal(0, ARRIVALS[s], (SEGMENTS, 1)) + rng.normal(0, SIZE, (SEGMENTS, n))
            for s, n in REQUESTS.items()
        }

    def launch(self, truth: Truth, noise: float = 1.0) -> Launch:
        """Return one launch; without noise what a configuration is."""
        latency_ms = {}
        for s, n in REQUESTS.items():
            own = self.rng.normal(0, LAUNCH[s]) + self.rng.normal(0, OWN[s], (SEGMENTS, 1))
            of_each = own + self.rng.normal(0, REQUEST, (SEGMENTS, n))
            latency_ms[s] = MEDIAN_MS[s] * np.exp(truth[s] + self.trace[s] + noise * of_each)
        capacity = truth["capacity"] + noise * self.rng.normal(0, CAPACITY_LAUNCH)
        return Launch(latency_ms, 5.0 * math.exp(capacity), 1500.0 * math.exp(truth["free"]))


@dataclass(frozen=True, slots=True)
class Race:
    """A race says what racing did in one study.

    Args:
        saved: The share of its time.
        pruned: The share of its launches.
        is_best_pruned: Whether the truly best configuration was given up.
        regret: By how much the truly best is better than the one that won.
    """

    saved: float
    pruned: float
    is_best_pruned: bool
    regret: float


def race(seed: int, family: Callable[[np.random.Generator], Truth], rule: Rule) -> Race:
    """Run one study of 15 configurations, each launched once, the baseline first."""
    rng = np.random.default_rng(seed)
    baseline = {"llm": 0.0, "stt": 0.0, "capacity": 0.0, "free": 0.0}
    truths = [baseline, *(family(rng) for _ in range(CONFIGURATIONS - 1))]
    servers = Servers(rng)
    launches = [servers.launch(t) for t in truths]
    reference = reference_of(launches[0].after(SEGMENTS))
    assert reference is not None

    def score(measured: Measurement) -> Fitness:
        return fitness(at_best(measured, SERVICES), reference, WEIGHTS, headroom_mib=1024.0)

    real = [score(servers.launch(t, noise=0.0).after(SEGMENTS)).value for t in truths]
    known: dict[int, tuple[float, float, tuple[float, ...]]] = {}
    saved_s, pruned = 0.0, set[int]()
    for number, launch in enumerate(launches):
        terms = tuple(latency_terms(score(launch.segment(n))) for n in range(SEGMENTS))
        noise = noise_of([own for _, _, own in known.values()], (0.0, 0))
        best = max(known, key=lambda n: known[n][0], default=None)
        for segments in range(SEGMENTS):
            if noise is None or best is None:
                break
            value, lead = score(launch.after(segments)), Leader(*known[best], 1)
            others = value.value - latency_terms(value)
            candidate = Candidate(value.value, others, terms[:segments])
            if rule(candidate, lead, noise):
                pruned.add(number)
                saved_s += (SEGMENTS - segments) * SEGMENT_S
                break
        if number not in pruned:
            whole = score(launch.after(SEGMENTS))
            known[number] = (whole.value, whole.value - latency_terms(whole), terms)
    truly_best = max(range(CONFIGURATIONS), key=real.__getitem__)
    winner = max(known, key=lambda n: known[n][0])
    return Race(
        saved_s / (CONFIGURATIONS * TRIAL_S),
        len(pruned) / CONFIGURATIONS,
        truly_best in pruned,
        real[truly_best] - real[winner],
    )


def latency_terms(scored: Fitness) -> float:
    """Return what the terms of latency add to a fitness."""
    return sum(v or 0.0 for k, v in scored.contributions.items() if k not in WHOLE)


def never(*_: object) -> bool:
    """Prune nothing."""
    return False


def wilcoxon(p: float) -> Rule:
    """Return the test of Optuna's `WilcoxonPruner` on the same segments and bounds."""
    from scipy import stats

    def rule(candidate: Candidate, leader: Leader, _: Noise) -> bool:
        ahead = candidate.others - leader.others
        pairs = zip(candidate.segments, leader.segments, strict=False)
        differences = [ahead + a - b for a, b in pairs]
        if len(differences) < 2 or candidate.fitness >= leader.fitness:
            return False
        test = stats.wilcoxon(differences, alternative="less", zero_method="zsplit")
        return bool(test.pvalue < p)

    return rule


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rules: dict[str, Rule] = {"none": never, "ours": is_dominated}
    rules |= {f"wilcoxon {p}": wilcoxon(p) for p in (0.1, 0.05)}
    for family in FAMILIES:
        for name, rule in rules.items():
            races = [race(seed, family, rule) for seed in range(studies)]
            print(
                f"{family.__name__:6} {name:14}"
                f" time saved {fmean(r.saved for r in races):.3f}"
                f" launches given up {fmean(r.pruned for r in races):.3f}"
                f" best given up {fmean(r.is_best_pruned for r in races):.4f}"
                f" regret {fmean(r.regret for r in races):.4f}"
            )


if __name__ == "__main__":
    main()
