"""The R-Zero tournament with a memory is an Optuna sampler for small, noisy, expensive spaces.

Trials come in generations of `population_size`. The first goes where a measurement tells most about
the rest of the space. For every later one, the generation before it, joined by the best `elitism`
configurations of the whole study, is cut into groups of `tournament_size`; the best `survivors` of
each group live (of a smaller last group, its share) and have children: copies with at least one
parameter changed. The last `fresh_inject` places go to random candidates, so that no corner is
closed for ever. An elite is a parent only: nobody pays to run it again.

**Nothing is tried twice by accident.** Everything tried, running, enqueued or imported is in an
archive, and a proposal that is in the archive is drawn again. A space of 5 x 3 is measured in
exactly 15 trials.

**Offspring are screened.** For each place `n_offspring` candidates are drawn, and a small Gaussian
process in plain numpy picks the one with the greatest expected improvement that is likely to meet
the constraints. It averages over all hyperparameters that explain what was measured. In a space of
up to four times `n_offspring` configurations, all that is untried competes, and wins by another
question: after the measurement of which is the best of all expected to be found soonest? With
`n_offspring=1` there is no model: the pure tournament.

**Replicates on purpose.** Once two measurements of one configuration have differed, the elite's
places re-measure the configuration that tells most about which is best (OCBA); once everything was
tried, every place does, with the role "replicate". `exhausted="repeat"` never re-measures: it
proposes one of the best again, with the role "repeat". Beside this sampler, `recommend(study)`
names the configuration to deploy: by smoothed mean, not by the luckiest trial, with its standard
error and its probability of being the best. It reads the study of any sampler.

**What cannot run is learnt.** A constraint is broken above 0 (`trial.set_constraint`, before the
trial is told).

    COMPLETE   known; infeasible if a constraint is above 0
    PRUNED     known and infeasible: after every feasible one, by how far it exceeds constraints;
               with constraints that are all met, or the user attribute `pruned: dominated`,
               feasible and poor: after all that was measured whole, its last report the best that
               it could have been, which the model takes for a noisier value; never recommended
    RUNNING    taken: it has its place in the generation, and nobody else proposes the same
    FAIL       unknown: gives its place back, is no parent, may come once more (after two, it counts
               as tried)

`monotone={"memory": {"share": 1, "size": 1}, "kv_cache": {"share": -1, "size": 0}}` says of a
constraint that more (1) or less (-1) of a parameter demands more, or that it does not matter (0).
Then one trial that broke it speaks against all that demands at least as much: such a configuration
is taken to meet the constraint with a chance of 5 %, and comes last, until a trial that demands as
much has met it. Once there is nothing else, it comes in the places of random candidates, and the
others replicate the leaders; where a replicate has shown no noise, it comes in all places. Who
broke no constraint has met those that it does not name. Categories count in the order of their
list.

**State lives in the storage.** Generation, slot, role ("random", "child", "fresh", "enqueued",
"replicate" or "repeat"), parents and proposal are attributes of the trial, settings and seed of the
study, and each trial has random numbers of its own, `np.random.default_rng([seed, trial.number])`:
the same history gives the same proposal in any process, after a resume, with any number of workers.
Workers take no lock: each writes its proposal, reads the others again, and draws again if one of
them has the same. Of two, at least the later writer sees it.

It also reads three user attributes: `repeat_of` (the value was copied from that trial, not
measured), `spent` (this configuration cannot be measured again), `why` of a failed trial (it was
never measured, e.g. interrupted).

The space is what the trials so far have asked for, in the newest range of each name; ranges may
shrink. Conditional parameters are inherited from the parents like the others. One objective is
accepted, in either direction; several are refused.

>>> import optuna
>>> optuna.logging.set_verbosity(optuna.logging.WARNING)
>>> study = optuna.create_study(sampler=TournamentSampler(seed=0))
>>> product = lambda trial: trial.suggest_int("x", 1, 5) * trial.suggest_int("y", 1, 3)
>>> study.optimize(product, n_trials=15)
>>> len({(trial.params["x"], trial.params["y"]) for trial in study.trials})
15
>>> dict(recommend(study).params)
{'x': 1, 'y': 1}
"""

from .exhaustion import can_replicate, left, stop_when_exhausted
from .recommendation import Standing, compare, recommend, standings
from .sampler import TournamentSampler

__all__ = [
    "Standing",
    "TournamentSampler",
    "can_replicate",
    "compare",
    "left",
    "recommend",
    "standings",
    "stop_when_exhausted",
]
