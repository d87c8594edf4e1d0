"""A study or a recording becomes a pandas data frame here, one row a launch, for the notebooks.

Optuna's own `Study.trials_dataframe` does not serve: it knows no recordings, lists copies of a
launch too, puts a prefix before every parameter, and leaves a measurement as one column of nested
data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from objectives import recording
from objectives.allocation import Allocation
from objectives.fitness import Preset, Weights, fitness, reference_of
from objectives.measurement import Measurement
from objectives.servers.phase_times import TimedPhase
from study.analysis.reweigh import changed_limits
from study.cli.console import Terminal
from study.report.summary import Summary, summary
from study.run import run
from study.run_plan import RunOptions
from study.spec.choices import APIS
from study.spec.load import load as load_spec
from study.storage.find import folder_of, storage_url, study_in
from study.storage.trial import Trial
from study.wording.phases import timed_phase_in_words


def replayed_storage() -> str:
    """Replay the study that ships into a temporary folder, and return the path of its storage."""
    folder = Path(mkdtemp(prefix="replayed-"))
    spec = load_spec(None)
    run(spec, RunOptions(out=folder), Terminal(quiet=True))
    return str(folder / spec.name / "study.db")


def shipped_recording() -> Path:
    """Return the recording that the study which ships draws from."""
    return Path(load_spec(None).measure)


def table(
    source: str | Path, study: str | None = None, *, limits: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return one row a launch, failures too: parameters, outcome, figures by `Measurement`'s names.

    What was not measured is missing, never 0.

    Args:
        source: A study.db, a storage URL, or a recording (.jsonl).
        study: The name of the study; None for the newest.
        limits: Limits in place of its own of the same names, ms, e.g. `{"llm_ttft_p95_ms": 1500}`:
            goodput, capacity and fitness follow from the replies that were kept.

    Raises:
        BadInput: There is nothing to read, or a limit is none.
    """
    if str(source).endswith(".jsonl"):
        recorded = _recorded(Path(source), limits)
        entries = recorded.entries
        first = next((n for n, e in enumerate(entries) if e.measurement is not None), None)
        lines = [
            {**Allocation(e.values).values, "repeat": e.repeat, "at": e.at, "wall_s": e.wall_s}
            | {
                "is_reference": n == first,
                "failure_class": e.diagnosis.failure_class if e.diagnosis else None,
            }
            | _figures(recorded.measured(e))
            for n, e in enumerate(entries)
        ]
        return pd.DataFrame(lines)
    trials = overview_of(source, study, limits=limits).trials
    return pd.DataFrame([_row(trial) for trial in trials if trial.repeat_of is None])


def overview_of(
    source: str | Path,
    study: str | None = None,
    *,
    preset: Preset | None = None,
    limits: Mapping[str, float] | None = None,
) -> Summary:
    """Return the summary of a study; with a preset or limits, as they would have it.

    Args:
        source: A study.db, or a storage URL.
        study: The name of the study; None for the newest.
        preset: Whose weights count; None for the study's own.
        limits: Limits in place of its own of the same names, ms; None for its own.

    Raises:
        BadInput: There is no study, or a limit is none.
    """
    url = storage_url(str(source))
    opened = study_in(url, study)
    return summary(opened, preset, limits_ms=limits, folder=folder_of(url, opened))


def _recorded(path: Path, limits: Mapping[str, float] | None) -> recording.Recording:
    recorded = recording.read(path)
    if limits is None:
        return recorded
    services = recorded.provenance.conditions["services"]
    apis = {service: api for service, api in APIS.items() if service in services}
    return replace(recorded, limits=changed_limits(recorded.provenance.limits, limits, apis))


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        **trial.allocation.values,
        "status": trial.state,
        "fitness": trial.fitness,
        "is_feasible": trial.is_feasible,
        "word_gate": trial.word_gate,
        "is_reference": trial.is_reference,
        "failure_class": trial.diagnosis.failure_class if trial.diagnosis else None,
        **_figures(trial.measurement),
        "wall_s": trial.wall_s,
    }


def _figures(m: Measurement | None) -> dict[str, Any]:
    """Return the single numbers of a measurement, the seconds of each phase among them."""
    if m is None:
        return {}
    flat = {k: m.figure(k) for k in m.flat() if k not in ("phase_s", "wall_s")}
    phases = {timed_phase_in_words(TimedPhase.of(p)): s for p, s in m.phase_s.items()}
    return flat | {f"{phase} s": seconds for phase, seconds in phases.items()}


def reweighed(frame: pd.DataFrame, weights: Weights, *, headroom_mib: float = 1024.0) -> pd.Series:
    """Return the fitness of every row under other weights; failures score 0.

    Scores are relative to the row that `is_reference`. Nothing is measured again, so ask "what if"
    as often as you like.

    Args:
        headroom_mib: Free memory beyond it is worth no more.

    Raises:
        ValueError: No row is a usable reference.
    """
    rows = frame.to_dict("records")
    measurements = [
        Measurement.from_flat({str(k): v for k, v in row.items() if not _is_missing(v)})
        for row in rows
    ]
    reference = next(
        (
            reference_of(m)
            for m, is_reference in zip(measurements, frame["is_reference"], strict=True)
            if is_reference
        ),
        None,
    )
    if reference is None:
        raise ValueError("no row is the reference, or it has no finite latencies")
    scores = [
        fitness(m, reference, weights, headroom_mib=headroom_mib).value
        if any(s.latency_p95_ms is not None for s in m.services.values())
        else 0.0
        for m in measurements
    ]
    return pd.Series(scores, index=frame.index, name="fitness")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
