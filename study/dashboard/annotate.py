"""Write notes and plots of our own into a study, so that optuna-dashboard shows what it means."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna_dashboard import (  # type: ignore[import-untyped]
    get_note,
    save_note,
    save_plotly_graph_object,
)

from objectives.engines.engine import apis_of
from objectives.errors import BadInput
from study.analysis.configurations import Configuration
from study.dashboard.figures import space, tradeoff
from study.dashboard.launch_figures import memory_over_time, time_by_phase
from study.dashboard.lineage import lineage
from study.dashboard.notes import study_note, trial_note
from study.report.summary import Summary, summary
from study.storage.births import births

PLOTS = "plots"  # attribute of the study: the digest of each plot that it has
SIGNATURE = re.compile(r"\n\[//\]: # \(([0-9a-f]{12})\)\n$")  # ends our notes, is not findings


def annotate(study: optuna.Study, promotions: Sequence[Path] = ()) -> None:
    """Write every note and plot that is missing or out of date; called again, it writes nothing.

    A note that somebody has edited in the dashboard stays as it is.

    Args:
        promotions: Folders where a confirmation of the winner may lie; the note names one that was
            edited.

    Raises:
        BadInput: The study does not say what it asked.
    """
    unread = []
    try:
        findings = summary(study, promotions=promotions)
    except BadInput as error:
        findings, unread = summary(study, promotions=None), [str(error)]
    decision = findings.decision
    best = decision.baseline if findings.is_rejected else decision.winner or decision.baseline
    figures, missing = _figures(study, findings, best)
    _save_figures(study, figures)
    _save_note(study, study_note(findings, unread, missing))
    # a `Trial` asks its study's sampler to prepare it; the random one does nothing
    quiet = optuna.load_study(
        study_name=study.study_name, storage=study._storage, sampler=RandomSampler()
    )
    ids = {t.number: t._trial_id for t in study.get_trials(deepcopy=False)}
    for trial in findings.trials:
        _save_note(optuna.Trial(quiet, ids[trial.number]), trial_note(trial, findings))
    if best is not None and study.user_attrs.get("answer") != best.number:
        study.set_user_attr("answer", best.number)


def _figures(
    study: optuna.Study, findings: Summary, best: Configuration | None
) -> tuple[dict[str, Any], list[str]]:
    """Draw the figures that can be drawn, by name, and say what the others lack."""
    launched, decision, context = findings.configurations, findings.decision, findings.context
    figures = {
        "space": (
            space(launched, decision, context) if launched else None,
            "the space: nothing was measured",
        ),
        "tradeoff": (
            tradeoff(launched, decision, context),
            "latency against capacity: no finite latency was measured",
        ),
        "phases": (
            time_by_phase(findings.trials, apis_of(context.services)),
            "time by phase: no trial tells its time",
        ),
        "lineage": (
            lineage(births(study), launched, decision),
            "lineage: only the tournament has one, once it measured",
        ),
        "memory": (
            memory_over_time(best.measured[0] if best else None),
            "memory over time: it was not recorded for the answer's trial",
        ),
    }
    return (
        {name: figure for name, (figure, _) in figures.items() if figure is not None},
        [f"the plot of {lack}" for figure, lack in figures.values() if figure is None],
    )


def _save_note(place: optuna.Study | optuna.Trial, text: str) -> None:
    """Save a signed note, unless somebody has written another."""
    note = get_note(place)
    if note and not _is_ours(note):
        return
    if note != (signed := f"{text}\n[//]: # ({_digest(text)})\n"):
        save_note(place, signed)


def _is_ours(note: str) -> bool:
    """Say whether a note is as we signed it."""
    signature = SIGNATURE.search(note)
    return signature is not None and signature[1] == _digest(note[: signature.start()])


def _save_figures(study: optuna.Study, figures: Mapping[str, Any]) -> None:
    """Save the figures that have changed, by their digests."""
    digests = {name: _digest(figure.to_json()) for name, figure in figures.items()}
    before = study.user_attrs.get(PLOTS, {})
    for name, figure in figures.items():
        if before.get(name) != digests[name]:
            save_plotly_graph_object(study, figure, graph_object_id=name)
    if before != digests:
        study.set_user_attr(PLOTS, digests)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
