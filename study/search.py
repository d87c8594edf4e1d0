"""Opens the Optuna study of a spec: new, resumed, or grown from an earlier one whose measurements still hold."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from objectives.allocation import SHARE, SPEECH, suggest
from objectives.device import TOTAL_TOLERANCE, Identity
from objectives.environment import Versions
from objectives.errors import BadInput
from objectives.recording import conditions
from study.entry import one_line
from study.history import BASELINE, INTERRUPTED, NOT_STARTED, Row, note, rows
from study.live import setting_of
from study.samplers import sampler
from study.scoring import scoring_signature
from study.spec import Spec

BRIDGE = "bridge"  # the role of a baseline that is measured again on another card
LIFETIME = "lifetime of the servers"  # in an identity: ONE_TRIAL, or None where they are kept while trials need them
ONE_TRIAL = "one trial"


def identity_of(spec: Spec, device: Identity, found: Versions, *, restarts: bool = False) -> dict[str, Any]:
    """What makes two trials comparable; names are those a person reads when it differs.

    restarts: servers are launched anew for every trial; then the time that a study takes is not another's
    """
    return {
        "search space names": sorted(p.name for p in spec.search_space.parameters),
        "slo": {"multiple": spec.slo.multiple, "stt_p95_ms": spec.slo.stt_p95_ms, "llm_p95_ms": spec.slo.llm_p95_ms},
        "baseline": dict(spec.baseline.values),
        **conditions(setting_of(spec)),
        "device product": device.product,
        "device total MiB": round(device.total_mib),
        "server versions": {"llm": dict(found.llm), "stt": dict(found.stt)},
        "measure": "live" if spec.measure == "live" else "recorded",
        LIFETIME: ONE_TRIAL if restarts else None,
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names under which two identities differ; the total may breathe by 2 %, a size may come or go."""
    found = []
    for name in now:
        a, b = then.get(name, 1 if name == "load generator" else None), now[name]  # older ones did not say it
        if name == "device total MiB" and a and abs(a / b - 1) <= TOTAL_TOLERANCE:
            continue
        if name == "services" and a:
            sizes = a["stt"]["models"].keys() & b["stt"]["models"].keys()
            a, b = _of_sizes(a, sizes), _of_sizes(b, sizes)
        if a != b:
            found.append(name)
    return found


def _of_sizes(services: Mapping[str, Any], sizes: Collection[str]) -> dict[str, Any]:
    """The services with no other speech models than these."""
    stt = services["stt"]
    return {**services, "stt": {**stt, "models": {k: v for k, v in stt["models"].items() if k in sizes}}}


def open_storage(url: str) -> BaseStorage:
    """The storage of a URL, made where it does not exist.

    raises: BadInput where it cannot be opened, in one line
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    try:
        storage = optuna.storages.get_storage(url)
        storage.get_all_studies()
    except (SQLAlchemyError, StorageInternalError, ImportError, ValueError, RuntimeError, OSError) as error:
        said = str(getattr(error, "orig", None) or error.__cause__ or error)
        raise BadInput(
            f"cannot open the storage {shown(url)} ({one_line(said)[:200]}); "
            "name another, such as --storage sqlite:///study.db"
        ) from error
    return storage


def sqlite_file(url: str) -> Path | None:
    """The file behind an SQLite URL; None for any other storage."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has.

    >>> sqlite_url(Path("out/study.db"))
    'sqlite:///out/study.db'
    """
    url = URL.create("sqlite", database=str(file)).render_as_string()
    if sqlite_file(url) != file:
        raise BadInput(f"an SQLite URL cannot name {file}; name another --out, or a --storage")
    return url


def shown(url: str) -> str:
    """A storage's URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url


def sampler_of(spec: Spec, name: str, seed: int, trials: int = 0) -> BaseSampler:
    """The sampler of this name with the spec's selector.

    trials: how many the study holds; a resumed sampler must not draw once more what it drew at the start
    raises: BadInput or SetupError where it does not suit the spec or this machine
    """
    options: dict[str, Any] = {
        k: getattr(spec.selector, k)
        for k in ("tournament_size", "survivors", "elitism", "fresh_inject", "population_size", "n_offspring")
    }
    options |= {"exhausted": "replicate" if spec.selector.exhausted == "replicate" else "repeat"}
    options |= {"monotone": frontiers(spec)}
    if name != "tournament":  # it draws by the trial's number
        seed = (seed + 1_000_003 * trials) % 2**32
    return sampler(name, seed=seed, space=spec.search_space.distributions(), options=options)


def frontiers(spec: Spec) -> dict[str, dict[str, int]]:
    """What the tournament may conclude from one failure, by constraint and Optuna's parameter name.

    More of a declared parameter takes more memory. The KV cache gains by the LLM's share, loses by what else grows
    inside it, and does not know of the speech server's.
    """
    declared = {p.name: p.key for p in spec.search_space.parameters if p.name in spec.monotone}
    if not declared:
        return {}
    speech = [p for p in spec.search_space.parameters if p.name == SPEECH or p.name.startswith("whisper.")]
    inside = {key: -1 if name == SHARE else 1 for name, key in declared.items()}
    return {"memory": dict.fromkeys(declared.values(), 1), "kv_cache": {**inside, **{p.key: 0 for p in speech}}}


def succession(storage: BaseStorage, name: str) -> list[str]:
    """The studies `name`, `name-2`, ... that exist, oldest first."""
    names = set(optuna.get_all_study_names(storage))
    return [n for n in (name, *(f"{name}-{i}" for i in range(2, len(names) + 2))) if n in names]


def open_study(
    spec: Spec,
    identity: Mapping[str, Any],
    *,
    storage: BaseStorage,
    name: str,
    sampler_name: str,
    seed: int,
    fresh: bool,
) -> optuna.Study:
    """The study of this name: the newest of `name`, `name-2`, ..., or a new one.

    A changed list of values or a changed weight opens the next one and carries every measurement over.
    raises: BadInput where what was measured cannot be compared, naming what differs
    """
    found = [optuna.load_study(study_name=n, storage=storage) for n in succession(storage, name)]
    half_made = None
    if found and "identity" not in found[-1].user_attrs and not found[-1].get_trials(deepcopy=False):
        half_made = found.pop()  # a process died while it made this one
    old = found[-1] if found and not fresh else None
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
            old.sampler = sampler_of(spec, sampler_name, seed, len(old.get_trials(deepcopy=False)))
            return old
    new = half_made or _create(storage, name)
    new.sampler = sampler_of(spec, sampler_name, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # names on the dashboard's axes, nothing more
        new.set_metric_names(["fitness"])
    if old is not None:
        new.set_user_attr("grown_from", old.study_name)
        for key in ("anchor", "device"):
            if key in old.user_attrs:
                new.set_user_attr(key, old.user_attrs[key])
    for key, value in (("basis", basis), ("sampler", sampler_name), ("seed", seed)):
        new.set_user_attr(key, value)
    new.set_user_attr("identity", dict(identity))  # last: with it the study is made
    return new


def _create(storage: BaseStorage, name: str) -> optuna.Study:
    """A study of the first free name in the succession."""
    names = set(optuna.get_all_study_names(storage))
    free = next(n for n in (name, *(f"{name}-{i}" for i in range(2, len(names) + 3))) if n not in names)
    return optuna.create_study(study_name=free, storage=storage, direction="maximize")


def carried_over(study: optuna.Study, spec: Spec) -> list[Row]:
    """Measured rows of the study that this one has grown from and that it does not hold yet."""
    source = study.user_attrs.get("grown_from")
    if source is None:
        return []
    held = {t.user_attrs.get("carried_from") for t in study.get_trials(deepcopy=False)}
    old = optuna.load_study(study_name=source, storage=study._storage)
    kept = []
    for r in rows(old):
        try:
            spec.search_space.encode(r.allocation)
        except ValueError:
            continue  # a value that is no longer in the list
        if r.counts and r.number not in held:
            kept.append(r)
    return kept


def bridge(study: optuna.Study, spec: Spec, device: Identity) -> bool:
    """Whether the study has moved to another card or driver; then the baseline is queued once more."""
    now = {"uuid": device.uuid, "driver": device.driver}
    then = study.user_attrs.get("device")
    moved = then not in (None, now)
    if moved:
        study.enqueue_trial(spec.search_space.encode(spec.baseline), user_attrs={"role": BRIDGE})
    study.set_user_attr("device", now)
    return moved


def begin(trial: optuna.Trial) -> None:
    """Mark a trial as started: from here on it is interrupted, not unstarted, if its process dies."""
    note(trial, begun=True)


def free_left_behind(study: optuna.Study, spec: Spec) -> int:
    """Fail the RUNNING trials of dead processes, and queue their configurations to come first."""
    freed = 0
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        process = left.user_attrs.get("process")
        if process is not None and _lives(*process):
            continue
        why = INTERRUPTED if left.user_attrs.get("begun") else NOT_STARTED
        study._storage.set_trial_user_attr(left._trial_id, "why", why)
        study._storage.set_trial_state_values(left._trial_id, TrialState.FAIL)
        freed += 1
    queued = queue(study)
    known = {str(r.allocation) for r in rows(study) if r.counts}
    for ended in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        if ended.user_attrs.get("why") not in (NOT_STARTED, INTERRUPTED):
            continue
        asked = {**ended.system_attrs.get("fixed_params", {}), **ended.params}
        try:
            allocation = spec.search_space.decode(asked)
            params = spec.search_space.encode(allocation)
        except (KeyError, ValueError, IndexError):
            continue  # killed while it was asked, or a value that is no longer in the list
        if str(allocation) not in known and params not in queued:
            queued.append(params)
            role = {"role": BASELINE} if str(allocation) == str(spec.baseline) else None
            study.enqueue_trial(params, user_attrs=role)
    return freed


def queue(study: optuna.Study) -> list[dict[str, Any]]:
    """The parameters of the trials that wait."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [w.system_attrs.get("fixed_params", {}) for w in waiting]


def _lives(pid: int, created: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - created) < 2.0
    except psutil.NoSuchProcess:
        return False


def ask(study: optuna.Study, spec: Spec) -> tuple[optuna.Trial, str]:
    """One asked trial with all its parameters stored; the second value is its configuration as text."""
    trial = study.ask()
    me = psutil.Process(os.getpid())
    note(trial, process=[me.pid, me.create_time()])  # a later run tells by it whether we still live
    allocation = suggest(trial, spec.search_space)
    note(trial, allocation=dict(allocation.values))
    return trial, str(allocation)
