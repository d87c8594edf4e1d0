"""Opens the Optuna study of a spec: new, resumed, or grown from an earlier one whose measurements still hold."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
import psutil
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from objectives.allocation import suggest
from objectives.device import Identity
from objectives.environment import Versions
from objectives.errors import BadInput
from objectives.recording import conditions
from study.history import BASELINE, INTERRUPTED, NOT_STARTED, Row, note, row, rows
from study.live import setting_of
from study.samplers import sampler
from study.scoring import scoring_signature
from study.spec import Spec

TOTAL_TOLERANCE = 0.02


def identity_of(spec: Spec, device: Identity, found: Versions) -> dict[str, Any]:
    """What makes two trials comparable; names are those a person reads when it differs."""
    return {
        "search space names": sorted(p.name for p in spec.search_space.parameters),
        "slo": {"multiple": spec.slo.multiple, "stt_p95_ms": spec.slo.stt_p95_ms, "llm_p95_ms": spec.slo.llm_p95_ms},
        "baseline": dict(spec.baseline.values),
        **conditions(setting_of(spec)),
        "device product": device.product,
        "device total MiB": round(device.total_mib),
        "server versions": {"llm": dict(found.llm), "stt": dict(found.stt)},
        "measure": "live" if spec.measure == "live" else "recorded",
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names under which two identities differ; the total may breathe by 2 %."""
    found = []
    for name in now:
        a, b = then.get(name), now[name]
        if name == "device total MiB" and a and abs(a / b - 1) <= TOTAL_TOLERANCE:
            continue
        if a != b:
            found.append(name)
    return found


def open_study(
    spec: Spec,
    identity: Mapping[str, Any],
    *,
    storage: str | optuna.storages.BaseStorage,
    name: str,
    sampler_name: str,
    seed: int,
    fresh: bool,
) -> optuna.Study:
    """The study of this name: the newest of `name`, `name-2`, ..., or a new one.

    A changed list of values or a changed weight opens the next one and carries every measurement over.
    raises: BadInput where what was measured cannot be compared, naming what differs
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    options: dict[str, object] = {
        k: getattr(spec.selector, k)
        for k in ("tournament_size", "survivors", "elitism", "fresh_inject", "population_size")
    }
    chosen = sampler(sampler_name, seed=seed, space=spec.search_space.distributions(), options=options)
    names = set(optuna.get_all_study_names(storage))
    taken = [n for n in (name, *(f"{name}-{i}" for i in range(2, len(names) + 2))) if n in names]
    old = optuna.load_study(study_name=taken[-1], storage=storage, sampler=chosen) if taken and not fresh else None
    shape = {k: repr(d) for k, d in spec.search_space.distributions().items()}
    basis = {"distributions": shape, "scoring": scoring_signature(spec)}
    if old is not None:
        differing = differences(old.user_attrs.get("identity", {}), identity)
        if differing:
            raise BadInput(
                f"study {old.study_name} was measured with another {', another '.join(differing)}; "
                "run with --fresh to open a new study beside it (nothing is deleted)"
            )
        if old.user_attrs.get("basis") == basis:
            return old
    new = optuna.create_study(
        study_name=name if not taken else f"{name}-{len(taken) + 1}",
        storage=storage,
        sampler=chosen,
        direction="maximize",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # names on the dashboard's axes, nothing more
        new.set_metric_names(["fitness"])
    for key, value in (("identity", dict(identity)), ("basis", basis), ("sampler", sampler_name), ("seed", seed)):
        new.set_user_attr(key, value)
    if old is not None:
        new.set_user_attr("grown_from", old.study_name)
        for key in ("anchor", "device"):
            if key in old.user_attrs:
                new.set_user_attr(key, old.user_attrs[key])
    return new


def carried_over(study: optuna.Study, spec: Spec) -> list[Row]:
    """Measured rows of the study that this one has grown from and that it does not hold yet."""
    source = study.user_attrs.get("grown_from")
    if source is None or study.get_trials(deepcopy=False):
        return []
    old = optuna.load_study(study_name=source, storage=study._storage)
    kept = []
    for r in rows(old, spec.search_space):
        try:
            spec.search_space.encode(r.allocation)
        except ValueError:
            continue  # a value that is no longer in the list
        if r.is_known or r.status == "failed":
            kept.append(r)
    return kept


def bridge(study: optuna.Study, spec: Spec, device: Identity) -> bool:
    """Whether the study has moved to another card or driver; then the baseline is queued once more."""
    now = {"uuid": device.uuid, "driver": device.driver}
    then = study.user_attrs.get("device")
    study.set_user_attr("device", now)
    if then in (None, now):
        return False
    study.enqueue_trial(spec.search_space.encode(spec.baseline), user_attrs={"role": "bridge"})
    return True


def begin(trial: optuna.Trial) -> None:
    """Mark a trial as started by this process, so that a later run can tell whether we still live."""
    me = psutil.Process(os.getpid())
    note(trial, process=[me.pid, me.create_time()])


def free_left_behind(study: optuna.Study, spec: Spec) -> int:
    """Fail the RUNNING trials of dead processes, and queue their configurations to come first."""
    freed = 0
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        process = left.user_attrs.get("process")
        if process is not None and _lives(*process):
            continue
        why = NOT_STARTED if process is None else INTERRUPTED
        if left.params:
            study._storage.set_trial_user_attr(left._trial_id, "why", why)
        study._storage.set_trial_state_values(left._trial_id, TrialState.FAIL)
        freed += 1
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    queued = [w.system_attrs.get("fixed_params") for w in waiting]
    known = {str(r.allocation) for r in rows(study, spec.search_space) if r.counts}
    for ended in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        if ended.user_attrs.get("why") not in (NOT_STARTED, INTERRUPTED) or not ended.params:
            continue
        r = row(ended, spec.search_space)
        try:
            params = spec.search_space.encode(r.allocation)
        except ValueError:
            continue
        if str(r.allocation) not in known and params not in queued:
            queued.append(params)
            role = {"role": BASELINE} if str(r.allocation) == str(spec.baseline) else None
            study.enqueue_trial(params, user_attrs=role)
    return freed


def _lives(pid: int, created: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - created) < 2.0
    except psutil.NoSuchProcess:
        return False


def ask(study: optuna.Study, spec: Spec) -> tuple[optuna.Trial, str]:
    """One asked trial with all its parameters stored; the second value is its configuration as text."""
    trial = study.ask()
    allocation = suggest(trial, spec.search_space)
    note(trial, allocation=dict(allocation.values))
    return trial, str(allocation)
