"""A noisy service with a memory limit has 15 settings, of which some do not fit, for 40 trials."""

import numpy as np
import optuna
import optunahub

module = optunahub.load_module(package="samplers/tournament")
noise = np.random.default_rng(0)


def objective(trial: optuna.Trial) -> float:
    share = trial.suggest_float("share", 0.4, 0.6, step=0.05)
    size = trial.suggest_categorical("size", ["tiny", "base", "small"])
    needed = share + {"tiny": 0.1, "base": 0.2, "small": 0.45}[size]
    trial.set_constraint("memory", needed - 0.95)
    if needed > 0.95:
        raise optuna.TrialPruned
    return (
        (share - 0.5) ** 2 * 40
        + {"tiny": 1.0, "base": 0.4, "small": 0.2}[size]
        + noise.normal(0, 0.1)
    )


sampler = module.TournamentSampler(seed=0, monotone={"memory": {"share": 1, "size": 1}})
study = optuna.create_study(sampler=sampler)
study.optimize(objective, n_trials=40)

for standing in module.standings(study)[:3]:
    print(
        f"{standing.params}: {standing.mean:.3f} +- {standing.standard_error:.3f}, "
        f"measured {standing.n} times,"
        f" the best with probability {standing.probability_best:.2f}"
    )
print(f"luckiest trial: {study.best_trial.params}")
