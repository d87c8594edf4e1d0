"""The Optuna study of a generic experiment is opened here: new, resumed, or grown from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from study.dream.experiments.model import GenericExperiment
from study.dream.generic.evaluation import result_of
from study.dream.generic.figures import canonical, fitness, missing, numbers
from study.dream.records import is_counted
from study.search.opening.open_study import succession
from study.search.samplers import TOURNAMENT, sampler
from study.storage.trial import State

REFERENCE = "reference"  # the attribute of a study: the figures that are worth 0
CODE = "evaluator_sha256"


def open_generic(
    experiment: GenericExperiment, storage: BaseStorage, say: Callable[[str], None]
) -> optuna.Study:
    """Open the newest study of an experiment, with its sampler.

    Another evaluator opens a new one. Other values, weights or directions open the next one, which
    takes over what was measured and scores it anew.

    Args:
        say: Gets a line about what was taken over.
    """
    identity, basis = _identity(experiment), _basis(experiment)
    names = succession(storage, experiment.slug)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    made = [s for s in studies if "basis" in s.user_attrs]  # one that is not, a process died making
    if studies and studies[-1].user_attrs.get("basis") == basis:
        study = studies[-1]
    else:
        if len(made) == len(studies):
            name = f"{experiment.slug}-{len(names) + 1}" if names else experiment.slug
            study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        else:
            study = studies[-1]
        if made and made[-1].user_attrs.get("identity") == identity:
            count = _carry_over(made[-1], study, experiment)
            say(f"values or weights have changed: {count} evaluation(s) taken over, scored anew")
        study.set_user_attr("identity", identity)
        study.set_user_attr("basis", basis)  # last: with it the study is made
    _note_code(study, experiment.evaluator.path, say)
    options: dict[str, Any] = {}
    seed = experiment.seed
    if experiment.sampler == "tournament":
        options = {name: getattr(experiment.selector, name) for name in TOURNAMENT}
        is_replicating = experiment.selector.exhausted == "replicate"
        options["exhausted"] = "replicate" if is_replicating else "repeat"
    else:  # a resumed sampler must not draw once more what it drew at the start
        seed = (seed + 1_000_003 * len(study.get_trials(deepcopy=False))) % 2**32
    study.sampler = sampler(
        experiment.sampler, seed=seed, space=experiment.values.distributions, options=options
    )
    return study


def _note_code(study: optuna.Study, path: Path, say: Callable[[str], None]) -> None:
    """Say where the evaluator's file is another than before: what it measured stays."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if study.user_attrs.get(CODE, digest) != digest:
        say(
            f"{path.name} has changed; what it measured before stays: rename the experiment to "
            "begin anew"
        )
    if study.user_attrs.get(CODE) != digest:
        study.set_user_attr(CODE, digest)


def _identity(experiment: GenericExperiment) -> Mapping[str, Any]:
    """Return what makes two evaluations comparable."""
    evaluator = experiment.evaluator.to_json()
    plain = {**evaluator, "allow_gpu": experiment.budget.allow_gpu}
    return dict(json.loads(json.dumps(plain, default=str)))


def _basis(experiment: GenericExperiment) -> Mapping[str, Any]:
    """Return what a study must have in common with the experiment to go on."""
    return dict(
        json.loads(
            json.dumps(
                {
                    "identity": _identity(experiment),
                    "space": {k: repr(d) for k, d in experiment.values.distributions.items()},
                    "goals": [asdict(g) for g in experiment.goals],
                    "baseline": experiment.baseline,
                }
            )
        )
    )


def _carry_over(earlier: optuna.Study, study: optuna.Study, experiment: GenericExperiment) -> int:
    """Add what an earlier study measured and the space still has, scored anew."""
    held = {t.user_attrs.get("carried") for t in study.get_trials(deepcopy=False)}
    count, reference = 0, study.user_attrs.get(REFERENCE)
    trials = [t for t in earlier.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE]
    baseline = experiment.baseline
    trials.sort(key=lambda t: t.user_attrs.get("candidate") != baseline)
    for trial in trials:
        figures = trial.user_attrs.get("figures", {})
        if not is_counted(trial) or missing(figures, experiment.goals):
            continue
        try:
            params = experiment.values.encode(trial.user_attrs["candidate"])
        except (KeyError, ValueError, TypeError):
            continue  # no longer in the space
        values = numbers(figures, experiment.goals)
        if reference is None:
            reference = values
            study.set_user_attr(REFERENCE, reference)
        origin = f"{earlier.study_name}/{trial.number}"
        count += 1
        if origin in held:
            continue
        attributes = {
            "candidate": trial.user_attrs["candidate"],
            "figures": figures,
            "canonical": canonical(figures, experiment.goals),
            "carried": origin,
        }
        study.add_trial(
            create_trial(
                params=params,
                distributions=experiment.values.distributions,
                value=fitness(values, reference, experiment.goals),
                user_attrs=attributes,
            )
        )
    return count


def free_left_behind(study: optuna.Study, folder: Path) -> list[int]:
    """End the trials of a process that died; return those whose result it had written.

    The others are queued, so that they come first.
    """
    whole = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if "candidate" in trial.user_attrs and result_of(folder / str(trial.number)) is not None:
            whole.append(trial.number)
            continue
        study._storage.set_trial_user_attr(trial._trial_id, "why", State.INTERRUPTED.value)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    return whole
