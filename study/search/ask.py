"""Trials before they are measured: queued, asked, marked as begun, and freed where their process died."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import optuna
import psutil
from optuna.trial import TrialState

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from objectives.search_space.space import suggest
from study.search.tell import note
from study.spec.model import Spec
from study.storage.trials import BASELINE, BRIDGE, REPLICATE, Begun, counted


def queue(study: optuna.Study) -> list[dict[str, Any]]:
    """The parameters of the trials that wait."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [w.system_attrs.get("fixed_params", {}) for w in waiting]


def queue_baseline(study: optuna.Study, spec: Spec) -> None:
    """Let the baseline come first, unless it waits already."""
    params = spec.search_space.encode(spec.baseline)
    if params not in queue(study):
        study.enqueue_trial(params, user_attrs={"role": BASELINE})


def missing(study: optuna.Study, wanted: Sequence[Allocation]) -> list[Allocation]:
    """The launches of these that the study has not measured, in their order."""
    held = Counter(str(r.allocation) for r in counted(study) if r.repeat_of is None)
    left = []
    for allocation in wanted:
        held[str(allocation)] -= 1
        if held[str(allocation)] < 0:
            left.append(allocation)
    return left


def queue_launches(
    study: optuna.Study, spec: Spec, wanted: Sequence[Allocation], count: int
) -> None:
    """Let the next so many of these come that are not measured, less what waits already."""
    waiting = Counter(str(spec.search_space.decode(params)) for params in queue(study))
    seen = {str(r.allocation) for r in counted(study)}
    for allocation in missing(study, wanted)[:count]:
        key = str(allocation)
        role = REPLICATE if key in seen else BASELINE if key == str(spec.baseline) else None
        seen.add(key)
        waiting[key] -= 1
        if waiting[key] < 0:
            study.enqueue_trial(
                spec.search_space.encode(allocation), user_attrs={"role": role} if role else None
            )


def bridge(study: optuna.Study, spec: Spec, device: Identity) -> bool:
    """Whether the study has moved to another card or driver; then the baseline is queued once more."""
    now = {"uuid": device.uuid, "driver": device.driver}
    then = study.user_attrs.get("device")
    moved = then not in (None, now)
    if moved:
        study.enqueue_trial(spec.search_space.encode(spec.baseline), user_attrs={"role": BRIDGE})
    study.set_user_attr("device", now)
    return moved


def ask(study: optuna.Study, spec: Spec) -> tuple[optuna.Trial, Allocation]:
    """One asked trial with all its parameters stored, and its configuration."""
    trial = study.ask()
    me = psutil.Process(os.getpid())
    note(trial, process=[me.pid, me.create_time()])  # a later run tells by it whether we still live
    allocation = suggest(trial, spec.search_space)
    note(trial, allocation=dict(allocation.values))
    return trial, allocation


def with_origin(study: optuna.Study, trial: optuna.Trial, allocation: Allocation) -> Begun:
    """A trial with what the sampler or whoever queued it wrote of it, which the trial itself was read before."""
    written = study.get_trials(deepcopy=False)[trial.number].user_attrs
    return Begun(trial.number, allocation, written.get("generation"), str(written.get("role", "")))


def begin(trial: optuna.Trial) -> None:
    """Mark a trial as started: from here on it is interrupted, not unstarted, if its process dies."""
    note(trial, begun=True)
