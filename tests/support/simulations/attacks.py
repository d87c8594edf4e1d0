"""This module attacks samplers with tables and failures that nobody tuned them to.

`python tests/support/simulations/attacks.py [SEEDS]` prints the table of
study/guides/comparison.md: the mean trials to the best of 15 cells, where an exhaustive order
needs 8.0.
"""

from __future__ import annotations

import sys

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import Trial, TrialState

from study.tournament import TournamentSampler

SHARE, SPEECH = np.linspace(0, 1, 5)[:, None], np.linspace(0, 1, 3)[None, :]
SPACE = {
    "share": FloatDistribution(0.3, 0.5, step=0.05),
    "speech": CategoricalDistribution(["tiny", "base", "small"]),
}
RIGHT = {"memory": {"share": 1, "speech": 1}}
DIRECTIONS = {
    "right direction": RIGHT,
    "accident, right direction": RIGHT,
    "wrong directions": {"memory": {"share": -1, "speech": -1}},
    "one wrong direction": {"memory": {"share": -1, "speech": 0}},
}
WITHOUT_WALL = ("none", "given up")
ATTACKS = (*WITHOUT_WALL, "failures only", "silent", "accident", *DIRECTIONS)
FIRST_SEED, BUDGET = 200_000, 40
BEHIND = 0.15  # of the range of the values; what is as far behind is given up


def saturating(rng: np.random.Generator) -> np.ndarray:
    """Draw a rise that saturates, and falls where memory has a price."""
    rise = rng.uniform(0.5, 1.5) * (1 - np.exp(-rng.uniform(1, 6) * SHARE))
    return np.asarray(rise - rng.uniform(0.2, 1) * SHARE + rng.uniform(0, 0.4, 3)[None])


def product(rng: np.random.Generator) -> np.ndarray:
    """Draw a smoothed walk along the share, times a height for each model."""
    walk = np.abs(np.convolve(rng.normal(size=7), np.ones(3) / 3, "valid"))
    return np.asarray(walk[:, None] * rng.uniform(0.4, 1, 3)[None])


def valley(rng: np.random.Generator) -> np.ndarray:
    """Draw a sharp crest that runs aslant."""
    off = np.abs((SHARE - rng.uniform()) + rng.uniform(-0.6, 0.6) * (SPEECH - 0.5))
    return np.asarray(-(off ** rng.uniform(0.7, 1.5)) - rng.uniform(0, 0.3) * SPEECH)


def steps(rng: np.random.Generator) -> np.ndarray:
    """Draw one step along the share, and roughness."""
    step = np.where(rng.uniform(0.2, 0.8) > SHARE, 0, 1) * rng.uniform(0.3, 1)
    rough = rng.uniform(0, 0.2) * SHARE + 0.1 * rng.random((5, 3))
    return np.asarray(step + rough + rng.uniform(0, 0.3, 3)[None])


KINDS = (saturating, product, valley, steps)


def attacked(sampler: str, attack: str, seed: int) -> int:
    """Return the trial that first measured the best that works, 41 where none of 40 did."""
    rng = np.random.default_rng([24, 2026, seed])
    values = KINDS[seed % 4](rng)
    load = SHARE * rng.uniform(0.8, 1.2) + np.sort(rng.uniform(0, 0.8, 3))[None]
    over, ordered = int(rng.integers(3, 8)), np.sort(load.ravel())
    short = load - (ordered[14 - over] + ordered[15 - over]) / 2
    works = np.full((5, 3), True) if attack in WITHOUT_WALL else short <= 0
    best = np.unravel_index(np.where(works, values, -np.inf).argmax(), values.shape)
    scaled = (values - values[works].min()) / np.ptp(values[works])
    study = optuna.create_study(direction="maximize", sampler=_sampler(sampler, attack, seed))
    spoilt = None
    if attack.startswith("accident"):
        less = [at for at in np.ndindex(best[0] + 1, best[1] + 1) if at != tuple(best)]
        spoilt = less[rng.integers(len(less))] if less else None
    if spoilt is not None:
        share = round(0.3 + 0.05 * spoilt[0], 2)
        study.enqueue_trial({"share": share, "speech": SPACE["speech"].choices[spoilt[1]]})
    done: list[float] = []
    for number in range(1, BUDGET + 1):
        trial = study.ask(SPACE)
        at = _cell(trial)
        if at == spoilt and number == 1:
            trial.set_constraint("memory", 0.1)
            study.tell(trial, state=TrialState.PRUNED)
        elif not works[at]:
            if attack != "silent":
                trial.set_constraint("memory", float(short[at]))
            study.tell(trial, state=TrialState.PRUNED)
        elif at == tuple(best):
            return number
        elif attack == "given up" and len(done) > 1 and scaled[at] < max(done) - BEHIND:
            trial.set_user_attr("pruned", "dominated")
            trial.set_constraint("memory", 0.0)
            trial.report(min(max(done), float(scaled[at]) + BEHIND), 0)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            if attack in DIRECTIONS and not attack.startswith("accident"):
                trial.set_constraint("memory", float(short[at]))
            done.append(float(scaled[at]))
            study.tell(trial, done[-1])
    return BUDGET + 1


def _sampler(name: str, attack: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "tournament":
        return TournamentSampler(seed=seed, monotone=DIRECTIONS.get(attack))
    return optuna.samplers.TPESampler(seed=seed)


def _cell(trial: Trial) -> tuple[int, int]:
    share = round((trial.params["share"] - 0.3) / 0.05)
    return share, SPACE["speech"].choices.index(trial.params["speech"])


def main(seeds: int) -> None:
    """Print a line for each attack."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for attack in ATTACKS:
        line = f"{attack:26}"
        for sampler in ("tournament", "tpe"):
            of = range(FIRST_SEED, FIRST_SEED + seeds)
            needed = np.array([attacked(sampler, attack, seed) for seed in of])
            half = 1.96 * needed.std(ddof=1) / np.sqrt(seeds)
            line += f"  {sampler} {needed.mean():5.2f} ± {half:.2f}, at most {needed.max():2}"
        print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
