"""This module carries over what the study that this one has grown from has measured.

It is scored by today's weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from objectives.errors import BadInput
from objectives.recording.kept_replies import under
from objectives.search_space.space import Space
from study.search.known_results import KnownResults
from study.search.score import Score, StudyScorer
from study.search.tell import constraints_for, failed_attributes, scored_attributes
from study.storage.attributes import IDENTITY, attribute, origin_of
from study.storage.context import context_of
from study.storage.replies import replies_of
from study.storage.trial import State, Trial
from study.storage.trials import rows


def judged_again(study: optuna.Study, limits_ms: Mapping[str, float], folder: Path) -> list[Trial]:
    """Return the trials of a study as other limits judge them, by the replies they kept.

    Args:
        study: The study.
        limits_ms: The limits, ms by name.
        folder: The folder of its study.db.

    Raises:
        BadInput: Some cannot be judged so: then all must be measured again to be compared.
    """
    trials, pause_s = rows(study), context_of(study).workload.pause_s
    replies, lost = replies_of(study, trials, folder), Counter[str]()
    judged = []
    for trial in trials:
        now = before = trial.measurement
        if before is not None:
            now = under(before, replies.get(trial.number), limits_ms, pause_s)
            if trial.number not in replies:
                lost["kept no replies that are found"] += 1
            elif now.capacity_is_lower_bound and not before.capacity_is_lower_bound:
                lost["ended their ramp before it breaks under these"] += 1
            elif before.capacity_or_0 and not now.capacity_or_0:
                lost["began their ramp above any rate that is good under these"] += 1
        judged.append(replace(trial, measurement=now))
    if lost:
        launches = " and ".join(f"{n} {what}" for what, n in lost.items())
        raise BadInput(
            f"study {study.study_name} was measured under other conditions: limits; of its "
            f"launches {launches}; run with --fresh to open a new study beside it "
            "(nothing is deleted)"
        )
    return judged


def not_held(study: optuna.Study, space: Space, folder: Path) -> list[Trial]:
    """Return measured trials of the study that this one has grown from and does not hold yet.

    Other limits judge them by the replies that they kept in the folder of the study.db. What was
    given up there may win by other weights or limits.
    """
    old = origin_of(study)
    if old is None:
        return []
    sources = (t.user_attrs.get("carried_from") for t in study.get_trials(deepcopy=False))
    carried = {source for source in sources if isinstance(source, int)}
    limits_ms, before = (attribute(s, IDENTITY, dict).get("limits") for s in (study, old))
    is_other = before is not None and limits_ms != before
    if not isinstance(limits_ms, Mapping):  # those of 0.1 have none
        is_other, limits_ms = False, {}
    trials = []
    for r in judged_again(old, limits_ms, folder) if is_other else rows(old):
        try:
            space.encode(r.allocation)
        except ValueError:
            continue  # a value that is no longer in the list
        if r.counts and r.state is not State.DOMINATED and r.number not in carried:
            trials.append(r)
    return trials


def carry_over(results: KnownResults, trials: Sequence[Trial], scorer: StudyScorer) -> None:
    """Add these trials to the study, each as one that has ended.

    Repeats name the trial that they repeat here.
    """
    for r in trials:
        scored = scorer.score(r.allocation, r.measurement) if r.measurement is not None else None
        carried = {
            t.user_attrs.get("carried_from"): t.number
            for t in results.study.get_trials(deepcopy=False)
        }
        repeat_of, spent = carried.get(r.repeat_of, r.repeat_of), results.is_last(r.allocation)
        carry(results.study, results.space, r, scored, repeat_of, spent=spent)


def carry(
    study: optuna.Study,
    space: Space,
    r: Trial,
    scored: Score | None,
    repeat_of: int | None,
    *,
    spent: bool = False,
) -> None:
    """Add what an earlier study has measured as one ended trial, whole or not at all.

    Args:
        scored: What its measurement is worth by today's weights; None where it has none.
        repeat_of: The trial here whose result it was told.
        spent: Whether the configuration cannot be measured any more.
    """
    attributes: dict[str, Any] = {
        "allocation": dict(r.allocation.values),
        "carried_from": r.number,
        "repeat_of": repeat_of,
        "spent": spent or None,
        "is_reference": r.is_reference or None,
        "wall_s": r.wall_s,
        "seed": r.seed,
        "at": r.at,
    }
    result: dict[str, Any] = {"state": TrialState.FAIL}
    if r.measurement is not None and scored is not None:
        attributes |= scored_attributes(r.measurement, scored)
        result = {"value": scored.fitness.value, "constraints": constraints_for(study, scored)}
    elif r.diagnosis is not None:
        attributes |= failed_attributes(r.diagnosis, r.measured)
        if r.state is State.PRUNED:
            result = {"state": TrialState.PRUNED, "value": 0.0, "intermediate_values": {0: 0.0}}
            result["constraints"] = dict(r.constraints)
    params, distributions = space.encode(r.allocation), space.distributions()
    study.add_trial(
        optuna.trial.create_trial(
            params=dict(params),
            distributions={name: distributions[name] for name in params},
            user_attrs={k: v for k, v in attributes.items() if v is not None},
            **result,
        )
    )
