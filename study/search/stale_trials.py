"""Fails trials whose process died, and asks for their configurations again first."""

from __future__ import annotations

import optuna
import psutil
from optuna.trial import TrialState

from study.search.ask import queue
from study.spec.model import Spec
from study.storage.trials import BASELINE, NEVER_MEASURED, State, counted


def free_left_behind(study: optuna.Study, spec: Spec) -> int:
    """Fail the RUNNING trials of dead processes, and queue their configurations to come first.

    Returns how many were failed.
    """
    freed = 0
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        process = left.user_attrs.get("process")
        if process is not None and _lives(*process):
            continue
        why = State.INTERRUPTED if left.user_attrs.get("begun") else State.NOT_STARTED
        study._storage.set_trial_user_attr(left._trial_id, "why", why)
        study._storage.set_trial_state_values(left._trial_id, TrialState.FAIL)
        freed += 1
    queued = queue(study)
    measured = {str(r.allocation) for r in counted(study)}
    for ended in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        if ended.user_attrs.get("why") not in NEVER_MEASURED:
            continue
        params = {**ended.system_attrs.get("fixed_params", {}), **ended.params}
        try:
            allocation = spec.search_space.decode(params)
            encoded = spec.search_space.encode(allocation)
        except (KeyError, ValueError, IndexError):
            continue  # killed while it was asked, or a value that is no longer in the list
        if str(allocation) not in measured and encoded not in queued:
            queued.append(encoded)
            role = {"role": BASELINE} if str(allocation) == str(spec.baseline) else None
            study.enqueue_trial(encoded, user_attrs=role)
    return freed


def _lives(pid: int, created: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - created) < 2.0
    except psutil.NoSuchProcess:
        return False
