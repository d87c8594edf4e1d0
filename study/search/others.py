"""Other processes may work on the same study: what they measure counts, and is waited for."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.trial import FrozenTrial, TrialState

from objectives import waiting
from study.storage.owner import PROCESS, Owner, owner_of

LOOK_S = 1.0


def elsewhere(study: optuna.Study) -> list[tuple[FrozenTrial, Owner]]:
    """Return the trials that other processes are at, each with its owner."""
    me = Owner.me()
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    owned = [(trial, owner_of(trial.user_attrs.get(PROCESS), me)) for trial in running]
    return [
        (trial, owner)
        for trial, owner in owned
        if owner is not None and owner != me and owner.may_live(me, is_alone=False)
    ]


def wait_for(
    study: optuna.Study,
    is_wanted: Callable[[FrozenTrial], bool],
    what: str,
    on_line: Callable[[str], None],
) -> bool:
    """Wait until other processes of this host have ended trials, or themselves.

    Whether one of another host lives cannot be told here, so that it is not waited for.

    Args:
        study: The study.
        is_wanted: Says which trials are waited for.
        what: What they are, in words.
        on_line: It is told once that somebody waits.

    Returns:
        Whether any was waited for.
    """
    host, has_waited = Owner.me().host, False
    while numbers := [
        t.number for t, owner in elsewhere(study) if owner.host == host and is_wanted(t)
    ]:
        if not has_waited:
            on_line(f"waiting for {what}, which another process measures: trial {numbers[0]}")
        has_waited = True
        waiting.sleep(LOOK_S)
    return has_waited
