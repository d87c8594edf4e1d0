"""The tournament first meets the best 1 % after so many trials, where free lanes ask one by one.

    python tests/support/simulations/first_hits.py --lanes 8 --seeds 60

The baseline is measured alone. Then each lane that is free takes the oldest trial that is asked
for; a trial takes 0.7 to 1.4 of its usual time.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
from statistics import fmean, stdev

import optuna

from study.lanes.rolling import CHOICE
from study.sampler_benchmark.problems.suites import problem
from study.sampler_benchmark.samplers import contestant
from study.sampler_benchmark.trial_run import EXACT, Telling

BUDGET = 120


def first_hit(name: str, seed: int, lanes: int, ahead: int) -> int | None:
    """Return the trial, counted as it was told, that first met the target; None where none did."""
    case = problem(name, seed)
    space = dict(case.space)
    sampler = contestant(
        "tournament",
        seed=seed,
        space=case.space,
        budget=BUDGET,
        batch=lanes,
        monotone=case.monotone,
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    telling = Telling(study, case, "tournament")
    rng, order = random.Random(seed), itertools.count()
    waiting: list[optuna.Trial] = []
    ends: list[tuple[float, int, optuna.Trial]] = []
    now_s, count, begun = 0.0, 0, 0
    while count < BUDGET:
        while len(ends) < (lanes if count else 1) and begun < BUDGET:
            while len(waiting) < (min(lanes, ahead) if count else 1):
                waiting.append(study.ask(space))
            heapq.heappush(ends, (now_s + rng.uniform(0.7, 1.4), next(order), waiting.pop(0)))
            begun += 1
        now_s, _, trial = heapq.heappop(ends)
        count += 1
        truth, _ = telling.tell(trial)
        if truth.fits and case.regret_of(truth.value) <= case.near + EXACT:
            return count
    return None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--problem", default="mixed")
    options.add_argument("--lanes", type=int, default=8)
    options.add_argument("--ahead", type=int, default=CHOICE, help="so many are asked for ahead")
    options.add_argument("--seeds", type=int, default=60)
    arguments = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    hits = [
        first_hit(arguments.problem, n, arguments.lanes, arguments.ahead)
        for n in range(arguments.seeds)
    ]
    trials = [BUDGET if hit is None else hit for hit in hits]
    interval = 1.96 * stdev(trials) / len(trials) ** 0.5
    print(
        f"{arguments.lanes} lanes: {fmean(trials):.1f} ± {interval:.1f}, {hits.count(None)} missed"
    )


if __name__ == "__main__":
    main()
