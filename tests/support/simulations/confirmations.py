"""This module simulates the pairs of confirmations with known truth, for the rule.

What a seed does to a log-ratio (7.5 %) and a launch to a figure (1 to 4 %) was measured on H200
cards; another seed moves a figure itself by up to 12 %, which is taken for two standard deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from objectives.figures import CAPACITY, Direction
from study.rule.pairs import Arms, Key
from study.rule.rule import Rule

GRAPHS, EAGER, OLDER = 0.01, 0.04, 0.15  # of one launch: CUDA graphs, --enforce-eager, 0.1
SEED_OF_RATIO, SEED_OF_LEVEL = 0.075, 0.06
BASELINE = {
    CAPACITY: 3.3,
    "stt_latency_p95_ms": 300.0,
    "stt_latency_ms": 150.0,
    "llm_latency_p95_ms": 5500.0,
    "llm_latency_ms": 2500.0,
    "llm_ttft_p95_ms": 900.0,
    "llm_ttft_ms": 300.0,
    "llm_tpot_p95_ms": 35.0,
    "llm_tpot_ms": 32.0,
}
WATCHED = {f: Direction.UP if f == CAPACITY else Direction.DOWN for f in BASELINE}
RULE = Rule(weights={"stt": 0.25, "llm": 0.25}, watched=WATCHED, held_out=("long", "trace"))
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(3, size=shape) / math.sqrt(3),
    "launches that now and then are slow": lambda rng, shape: (
        (rng.exponential(size=shape) - rng.exponential(size=shape)) / math.sqrt(2)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Confirmations:
    """These are simulated confirmations of one truth.

    Args:
        times: What the winner's figures are, times the baseline's, by flat name.
        held_out_times: The same under the held-out workloads, where it differs.
        launch_noise: The standard deviation of one launch, as a logarithm.
        noise: Its distribution.
        levels: The baseline's figures.
        rule: What was fixed before.
        pairs: How many pairs are measured.
        is_seed_shared: Whether a seed moves the ratios of all figures of a workload alike.
    """

    times: Mapping[str, float] = field(default_factory=dict)
    held_out_times: Mapping[str, float] | None = None
    launch_noise: float = GRAPHS
    noise: str = "normal"
    levels: Mapping[str, float] = field(default_factory=lambda: BASELINE)
    rule: Rule = RULE
    pairs: int = 12
    is_seed_shared: bool = False

    def runs(self, count: int, seed: int = 1) -> Iterator[dict[Key, Arms]]:
        """Yield the figures of so many confirmations."""
        rng = np.random.default_rng(seed)
        columns: dict[Key, tuple[np.ndarray, np.ndarray]] = {}
        shape = (count, self.pairs)
        for workload in self.rule.workloads:
            is_main = workload == self.rule.main or self.held_out_times is None
            times = self.times if is_main else self.held_out_times
            level, shared = rng.normal(size=(2, *shape))
            for name, usual in self.levels.items():
                own = shared if self.is_seed_shared else rng.normal(size=shape)
                old, new = self.launch_noise * NOISES[self.noise](rng, (2, *shape))
                old = math.log(usual) + SEED_OF_LEVEL * level + old
                truth = math.log(usual * (times or {}).get(name, 1.0))
                new = truth + SEED_OF_LEVEL * level + SEED_OF_RATIO * own + new
                columns[workload, name] = np.exp(old), np.exp(new)
        for n in range(count):
            yield {
                key: Arms(tuple(old[n].tolist()), tuple(new[n].tolist()))
                for key, (old, new) in columns.items()
            }
