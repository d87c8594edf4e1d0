"""This module finds the launches that a study or a recording made, and what its runs took."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError

import objectives
from objectives import recording
from objectives.allocation import Allocation
from objectives.engines.registry import apis_of, llm_engine, llm_of_turns
from objectives.errors import BadInput
from objectives.figures import EVERY, flat_name
from objectives.measurement import Measurement
from objectives.plain_data.by_type import ODD_DATA, from_plain
from objectives.servers.phase_times import TimedPhase
from objectives.service_figures import is_amount
from objectives.services import LlmService
from objectives.traffic.workload import Workload
from study.analysis.cost.cost import Cost, TimedLaunch
from study.analysis.cost.phases import phase_seconds
from study.spec.choices import APIS, LLM
from study.storage.attributes import IDENTITY, attribute, damaged
from study.storage.comparability import LIFETIME
from study.storage.context import context_of
from study.storage.find import names, storage_url
from study.storage.trials import counted, rows
from study.storage.url import open_storage

# the recording of the wider space, which ships
WIDE_RECORDING = Path(objectives.__file__).parent / "recordings/h100_wide.jsonl"
RUNS = "runs"  # study attribute: the `RunTime` of each live run that measured something


@dataclass(frozen=True, slots=True)
class RunTime:
    """A run took this time.

    Args:
        at: When it ended, ISO 8601.
        wall_s: How long it took, seconds.
        trials: How many it launched.
    """

    at: str
    wall_s: float
    trials: int


@contextmanager
def timing(study: optuna.Study, begin_s: float) -> Iterator[None]:
    """Note in the study what a live run took, if it measured anything.

    The run lasts from `begin_s` (monotonic) until its servers are stopped, where this ends.
    """
    count = len(_launched(study))
    try:
        yield
    finally:
        numbers = _launched(study)[count:]
        if numbers and not context_of(study).is_replay:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            run = RunTime(at, round(time.monotonic() - begin_s, 2), len(numbers))
            with suppress(StorageInternalError):
                study.set_user_attr(RUNS, [*attribute(study, RUNS, list), asdict(run)])


def _launched(study: optuna.Study) -> list[int]:
    """Return the numbers of the trials that this study launched itself.

    Repeats that took a known result, and trials carried over from another study, are left out.
    """
    carried = {t.number for t in study.get_trials(deepcopy=False) if "carried_from" in t.user_attrs}
    return [
        r.number
        for r in rows(study)
        if r.counts and r.repeat_of is None and r.number not in carried
    ]


def of_study(study: optuna.Study) -> Cost:
    """Return what a study cost, without the trials that another study had measured."""
    context, numbers = context_of(study), set(_launched(study))
    apis = apis_of(context.services)
    trials = counted(study)
    try:
        runs = from_plain(tuple[RunTime, ...], attribute(study, RUNS, list))
        is_odd = not all(is_amount(run.wall_s) and is_amount(run.trials) for run in runs)
    except ODD_DATA:
        is_odd = True
    if is_odd:
        raise damaged(study, RUNS)
    launches = tuple(
        _launch(t.allocation, t.measurement, t.measured, t.wall_s, apis)
        for t in trials
        if t.number in numbers
    )
    is_whole = sum(run.trials for run in runs) == len(launches)
    identity = attribute(study, IDENTITY, dict)
    return Cost(
        name=study.study_name,
        trials=len(trials),
        launches=launches,
        restarts=identity.get(LIFETIME) is not None,
        runs_s=sum(run.wall_s for run in runs) if runs and is_whole else None,
        measured_elsewhere=context.measured_elsewhere,
        identity={k: v for k, v in identity.items() if k != LIFETIME}
        | {"sampler": study.user_attrs.get("sampler")},  # another one launches something else
        workload=context.workload,
        apis=apis,
        llm=llm_of_turns(context.services),
    )


def of_recording(source: recording.Recording) -> Cost:
    """Return what a recording cost: it kept servers and ordered its evaluations in each round."""
    conditions = source.provenance.conditions
    try:
        _ = conditions["workload"]["prompt_tokens"]  # a recording names every key
        workload: Workload = from_plain(Workload, conditions["workload"])
        services = conditions["services"]
        prompted = services[LLM]
        llm = LlmService(engine=prompted.get("engine", ""), args=tuple(prompted["args"]))
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{source.path}:1: its workload or services are not those of a recording ({error})"
        ) from error
    apis = {**{name: EVERY for name in services if name not in APIS}, **APIS}
    launches = tuple(
        _launch(Allocation(e.values), source.measured(e), e.measured, e.wall_s, apis)
        for e in source.entries
    )
    return Cost(
        name=source.path.name,
        trials=len(launches),
        launches=launches,
        restarts=False,
        runs_s=None,
        measured_elsewhere=None,
        identity=conditions,
        workload=workload,
        apis=apis,
        llm=llm_engine(llm),
    )


def read_costs(source: str) -> list[Cost]:
    """Read the cost of every study of a storage that launched something, or of a recording.

    Args:
        source: A folder with a study.db, the file, a storage URL, or a recording (.jsonl).

    Raises:
        BadInput: There is nothing to read.
    """
    if source.endswith(".jsonl"):
        return [of_recording(recording.read(Path(source)))]
    url = storage_url(str(Path(source) / "study.db") if Path(source).is_dir() else source)
    storage = open_storage(url)
    costs = [
        of_study(optuna.load_study(study_name=name, storage=storage)) for name in names(storage)
    ]
    if not any(c.launches for c in costs):
        raise BadInput(
            f"{source} holds no study that launched anything; "
            "run python scripts/run_study.py with it first"
        )
    return [c for c in costs if c.launches]


def _launch(
    allocation: Allocation,
    m: Measurement | None,
    measured: Mapping[str, Any],
    wall_s: float,
    services: Collection[str],
) -> TimedLaunch:
    """Return a launch with the servers that it started.

    A phase also passes where a server was kept; its start is then noted as 0 s.
    """
    phase_s = phase_seconds(m, measured, wall_s, services)
    started = set[TimedPhase]()
    for service in services:
        phase, name = TimedPhase.start(service), flat_name(service, "start_s")
        start_s = m.figure(name) if m is not None else measured.get(name)
        if start_s or (start_s is None and phase in phase_s):  # None: it failed to start
            started.add(phase)
    return TimedLaunch(allocation, m, wall_s, phase_s, frozenset(started))
