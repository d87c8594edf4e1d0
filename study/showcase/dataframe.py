"""A study or a recording as a pandas data frame, one row a launch, for the notebooks.

Not `Study.trials_dataframe`: it knows no recordings, lists copies of a launch too, puts a prefix before every
parameter, and leaves a measurement as one column of nested data, so that all its columns would be made anew.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from objectives import recording
from objectives.allocation import Allocation
from objectives.fitness import Weights, fitness, reference_of
from objectives.measurement import Measurement
from study.cli.console import Terminal
from study.report.summary import summary
from study.run import run
from study.run_plan import Options
from study.spec.load import load as load_spec
from study.storage.find import storage_url, study_in
from study.storage.trials import Trial
from study.wording import PHASES


def replayed() -> str:
    """The study that ships, replayed into a temporary folder: a storage for who has none yet."""
    folder = Path(mkdtemp(prefix="replayed-"))
    spec = load_spec(None)
    run(spec, Options(out=folder), Terminal(quiet=True))
    return str(folder / spec.name / "study.db")


def shipped_recording() -> Path:
    """The recording that the study of `replayed` draws from."""
    measure = load_spec(None).measure
    return Path(measure)


def table(source: str | Path, study: str | None = None) -> pd.DataFrame:
    """One row a launch, failures too: parameters, outcome, every figure under its name in `Measurement`.

    source: a study.db, a storage URL, or a recording (.jsonl); what was not measured is missing, never 0
    raises: BadInput where there is nothing to read
    """
    if str(source).endswith(".jsonl"):
        entries = recording.read(Path(source)).entries
        first = next((n for n, e in enumerate(entries) if e.measurement is not None), None)
        lines = [
            {**Allocation(e.values).values, "repeat": e.repeat, "at": e.at, "wall_s": e.wall_s}
            | {
                "is_reference": n == first,
                "failure_class": e.diagnosis.failure_class if e.diagnosis else None,
            }
            | _figures(e.measurement)
            for n, e in enumerate(entries)
        ]
        return pd.DataFrame(lines)
    rows = summary(study_in(storage_url(str(source)), study)).trials
    return pd.DataFrame([_line(r) for r in rows if r.repeat_of is None])


def _line(r: Trial) -> dict[str, Any]:
    return {
        "trial": r.number,
        **r.allocation.values,
        "status": r.state,
        "fitness": r.fitness,
        "is_feasible": r.is_feasible,
        "word_gate": r.word_gate,
        "is_reference": r.is_reference,
        "failure_class": r.diagnosis.failure_class if r.diagnosis else None,
        **_figures(r.measurement),
        "wall_s": r.wall_s,
    }


def _figures(measured: Measurement | None) -> dict[str, Any]:
    """The single numbers of a measurement; seconds by phase as one column each."""
    if measured is None:
        return {}
    flat = {k: measured.figure(k) for k in measured.flat() if k not in ("phase_s", "wall_s")}
    return flat | {f"{PHASES.get(p, p)} s": seconds for p, seconds in measured.phase_s.items()}


def reweighed(
    frame: pd.DataFrame, weights: Weights, *, headroom_mib: float = 1024.0, top_rung: int = 64
) -> pd.Series:
    """The fitness of every row under other weights, relative to the row that `is_reference`; failures score 0.

    Nothing is measured again, so ask "what if" as often as you like.
    """
    rows = frame.to_dict("records")
    made = [
        Measurement.from_flat({str(k): v for k, v in row.items() if not _is_missing(v)})
        for row in rows
    ]
    reference = next(
        (reference_of(m) for m, first in zip(made, frame["is_reference"], strict=True) if first),
        None,
    )
    if reference is None:
        raise ValueError("no row is the reference, or it has no finite latencies")
    scores = [
        fitness(m, reference, weights, headroom_mib=headroom_mib, top_rung=top_rung).value
        if any(s.latency_p95_ms is not None for s in m.services.values())
        else 0.0
        for m in made
    ]
    return pd.Series(scores, index=frame.index, name="fitness")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  NaN alone is not itself
