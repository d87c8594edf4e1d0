"""The trials of a study as the tournament sees them: which nobody should propose again, which is better."""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.configurations import Archive

KEY = "tournament"  # our attribute of a trial and of the study
KNOWN = (TrialState.COMPLETE, TrialState.PRUNED)
STARTED = (*KNOWN, TrialState.RUNNING)


def archive(trials: Iterable[FrozenTrial]) -> Archive:
    """What nobody should propose again: known, running, or failed twice.

    A failed trial with the user attribute `why` was never measured (not started, interrupted): it is not counted.
    """
    tried, failed = Archive(), Archive()
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            proposal = trial.system_attrs.get(KEY, {}).get("proposal", {})
            tried.add({**proposal, **trial.system_attrs.get("fixed_params", {}), **trial.params})
        elif trial.state in KNOWN or trial.params in failed:
            tried.add(trial.params)
        elif trial.state == TrialState.FAIL and "why" not in trial.user_attrs:
            failed.add(trial.params)
    return tried


def best_first(study: Study, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Those that are known, best first."""
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1

    def rank(trial: FrozenTrial) -> tuple[float, float, int]:
        return violation(trial), sign * (trial.value or 0.0), trial.number

    return sorted((trial for trial in trials if trial.state in KNOWN), key=rank)


def violation(trial: FrozenTrial) -> float:
    """By how much a known trial exceeds its constraints; a pruned one that does not say is the worst."""
    excess = sum(max(0.0, value) for value in trial.constraints.values())
    return math.inf if trial.state == TrialState.PRUNED and excess == 0 else excess
