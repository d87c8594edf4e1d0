"""A study goes on here from what was measured before, also by a process that died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.trial import TrialState

from objectives.allocation import Allocation
from objectives.search_space.space import Space
from study.search.ask import queue
from study.search.known_results import KnownResults
from study.search.opening.carry_over import carry_over, not_held
from study.search.score import StudyScorer, study_scorer
from study.storage.context import StudyContext
from study.storage.owner import PROCESS, Owner, owner_of
from study.storage.trial import BASELINE, NEVER_MEASURED, State
from study.storage.trials import counted


def resume(
    results: KnownResults,
    context: StudyContext,
    folder: Path,
    on_line: Callable[[str], None],
    *,
    is_alone: bool = False,
) -> StudyScorer:
    """Take over what is known, and free the trials that a dead process left.

    Args:
        results: They get what the study that this one grew from has measured.
        context: By it trials are scored.
        folder: The folder of the study.db.
        on_line: It is told of trials that were freed, or left to another host.
        is_alone: As of `free_left_behind`.

    Returns:
        What every score is relative to, as the earlier runs fixed it.
    """
    study, space = results.study, results.space
    grown = not_held(study, space, folder)
    scorer = study_scorer(context, [*counted(study), *grown])
    carry_over(results, grown, scorer)
    if freed := free_left_behind(study, space, context.baseline, is_alone=is_alone):
        on_line(f"{freed} trial(s) left by a dead process were freed and come first")
    for host, count in _at_work_elsewhere(study).items():
        on_line(
            f"{count} trial(s) of host {host} are left to it; if it is down, the next run there "
            "frees them"
        )
    return scorer


def _at_work_elsewhere(study: optuna.Study) -> Counter[str]:
    """Count the RUNNING trials of other hosts by the names of those."""
    me = Owner.me()
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    owners = (owner_of(trial.user_attrs.get(PROCESS), me) for trial in running)
    return Counter(owner.host for owner in owners if owner is not None and owner.host != me.host)


def free_left_behind(
    study: optuna.Study, space: Space, baseline: Allocation, *, is_alone: bool = False
) -> int:
    """Fail the RUNNING trials of dead processes, and queue their configurations to come first.

    Those of another host are left to it.

    Args:
        study: The study.
        space: What is searched.
        baseline: What comes before all others.
        is_alone: Whether nobody else of this machine can be at work on the study.

    Returns:
        How many were failed.
    """
    freed = 0
    me = Owner.me()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        owner = owner_of(trial.user_attrs.get(PROCESS), me)
        if owner is not None and owner.may_live(me, is_alone=is_alone):
            continue
        why = State.INTERRUPTED if trial.user_attrs.get("begun") else State.NOT_STARTED
        study._storage.set_trial_user_attr(trial._trial_id, "why", why)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        freed += 1
    queued = queue(study)
    measured = {str(r.allocation) for r in counted(study)}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        if trial.user_attrs.get("why") not in NEVER_MEASURED:
            continue
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        try:
            allocation = space.decode(params)
            encoded = space.encode(allocation)
        except (KeyError, ValueError, IndexError):
            continue  # killed while it was asked, or a value that is no longer in the list
        if str(allocation) not in measured and encoded not in queued:
            queued.append(encoded)
            role = {"role": BASELINE} if str(allocation) == str(baseline) else None
            study.enqueue_trial(encoded, user_attrs=role)
    return freed
