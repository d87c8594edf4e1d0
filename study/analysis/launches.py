"""Which launches a study or a recording made, and what its runs took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError

from objectives import recording
from objectives.allocation import Allocation
from objectives.errors import BadInput
from objectives.measurement import Measurement
from objectives.traffic.workload import Workload
from study.analysis.study_cost import STARTS, Cost, Launch, seconds
from study.storage.comparability import LIFETIME
from study.storage.context import context_of
from study.storage.find import names, storage_url
from study.storage.trials import counted, rows
from study.storage.url import open_storage

WIDE = (
    Path(recording.__file__).parent / "recordings/h100_wide.jsonl"
)  # the wider space, which ships
RUNS = "runs"  # study attribute: one {at, wall_s, trials} a live run that measured something


@contextmanager
def timed(study: optuna.Study, began: float) -> Iterator[None]:
    """Note what a live run took, from `began` (monotonic) until its servers are stopped, if it measured anything."""
    before = len(_made(study))
    try:
        yield
    finally:
        made = _made(study)[before:]
        if made and not context_of(study).is_replay:
            run = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "wall_s": round(time.monotonic() - began, 2),
                "trials": len(made),
            }
            with suppress(StorageInternalError):
                study.set_user_attr(RUNS, [*study.user_attrs.get(RUNS, []), run])


def _made(study: optuna.Study) -> list[int]:
    """Numbers of the trials that this study measured itself: neither told again nor carried over."""
    carried = {t.number for t in study.get_trials(deepcopy=False) if "carried_from" in t.user_attrs}
    return [
        r.number
        for r in rows(study)
        if r.counts and r.repeat_of is None and r.number not in carried
    ]


def of_study(study: optuna.Study) -> Cost:
    """What a study cost, trials left out that another study had measured."""
    asked, made = context_of(study), set(_made(study))
    found = counted(study)
    runs = study.user_attrs.get(RUNS, [])
    launches = tuple(
        _launch(r.allocation, r.measurement, r.measured, r.wall_s)
        for r in found
        if r.number in made
    )
    is_whole = sum(run["trials"] for run in runs) == len(launches)
    identity = study.user_attrs.get("identity", {})
    return Cost(
        name=study.study_name,
        trials=len(found),
        launches=launches,
        restarts=identity.get(LIFETIME) is not None,
        runs_s=sum(run["wall_s"] for run in runs) if runs and is_whole else None,
        measured_elsewhere=asked.measured_elsewhere,
        identity={k: v for k, v in identity.items() if k != LIFETIME},
        workload=asked.workload,
        llm_args=asked.services.llm.args,
    )


def of_recording(found: recording.Recording) -> Cost:
    """What a recording cost: it kept servers and ordered its evaluations within each round."""
    made = tuple(
        _launch(Allocation(e.values), found.measured(e), e.measured, e.wall_s)
        for e in found.entries
    )
    conditions = found.provenance.conditions
    try:
        asked = conditions["workload"]
        workload = Workload(**{**asked, "prompt_tokens": tuple(asked["prompt_tokens"])})
        llm_args = tuple(conditions["services"]["llm"]["args"])
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{found.path}:1: its workload or services are not those of a recording ({error})"
        ) from error
    return Cost(
        name=found.path.name, trials=len(made), launches=made, restarts=False, runs_s=None, measured_elsewhere=None,
        identity=conditions, workload=workload, llm_args=llm_args,
    )  # fmt: skip


def read(source: str) -> list[Cost]:
    """Of every study of a storage that launched something, or of a recording.

    source: a folder with a study.db, the file, a storage URL, or a recording (.jsonl)
    raises: BadInput where there is nothing to read
    """
    if source.endswith(".jsonl"):
        return [of_recording(recording.read(Path(source)))]
    url = storage_url(str(Path(source) / "study.db") if Path(source).is_dir() else source)
    storage = open_storage(url)
    found = [
        of_study(optuna.load_study(study_name=name, storage=storage)) for name in names(storage)
    ]
    if not any(c.launches for c in found):
        raise BadInput(
            f"{source} holds no study that launched anything; run python scripts/run_study.py with it first"
        )
    return [c for c in found if c.launches]


def _launch(
    allocation: Allocation, m: Measurement | None, measured: Mapping[str, Any], wall_s: float
) -> Launch:
    """A phase also passes where a server was kept; its start is then said to have taken 0 s."""
    phase_s = seconds(m, measured, wall_s)
    started = set()
    for phase, name in zip(STARTS, ("stt_start_s", "llm_start_s"), strict=True):
        start_s = m.figure(name) if m is not None else measured.get(name)
        if start_s or (start_s is None and phase in phase_s):  # None: it failed to start
            started.add(phase)
    return Launch(allocation, m, wall_s, phase_s, frozenset(started))
