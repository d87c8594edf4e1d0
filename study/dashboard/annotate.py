"""Makes a study readable in optuna-dashboard: notes of the study and of each trial, and plots of our own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna_dashboard import get_note, save_note, save_plotly_graph_object  # type: ignore[import-untyped]

from objectives.errors import BadInput
from study.dashboard.figures import lineage, memory_over_time, space, time_by_phase, tradeoff
from study.dashboard.notes import study_note, trial_note
from study.report.summary import summary
from study.storage.trials import births

PLOTS = "plots"  # attribute of the study: the digest of each plot that it has
SIGNED = re.compile(r"\n\[//\]: # \(([0-9a-f]{12})\)\n$")  # ends a note of ours, and is not shown


def annotate(study: optuna.Study, promotions: Sequence[Path] = ()) -> None:
    """Write every note and plot that is missing or out of date; called again, it writes nothing.

    A note that somebody has edited in the dashboard stays as it is.
    promotions: folders where a confirmation of its winner may lie; one that was edited is said in the note
    raises: BadInput where the study does not say what it asked
    """
    unread = []
    try:
        of = summary(study, promotions=promotions)
    except BadInput as error:
        of, unread = summary(study, promotions=None), [str(error)]
    launched, decision, context = of.configurations, of.decision, of.context
    best = decision.baseline if of.is_rejected else decision.winner or decision.baseline
    figures = {
        "space": (
            space(launched, decision, context) if launched else None,
            "the space: nothing was measured",
        ),
        "tradeoff": (
            tradeoff(launched, decision, context),
            "latency against capacity: no finite latency was measured",
        ),
        "phases": (time_by_phase(of.trials), "time by phase: no trial tells its time"),
        "lineage": (
            lineage(births(study), launched, decision, context),
            "lineage: only the tournament has one, once it measured",
        ),
        "memory": (
            memory_over_time(best.measured[0] if best else None),
            "memory over time: it was not recorded for the answer's trial",
        ),
    }
    _draw(study, {name: figure for name, (figure, _) in figures.items() if figure is not None})
    missing = [f"the plot of {what}" for figure, what in figures.values() if figure is None]
    _write(study, study_note(of, unread, missing))
    quiet = optuna.load_study(
        study_name=study.study_name, storage=study._storage, sampler=RandomSampler()
    )
    ids = {t.number: t._trial_id for t in study.get_trials(deepcopy=False)}
    for (
        t
    ) in of.trials:  # a `Trial` asks its study's sampler to prepare it; the random one does nothing
        _write(optuna.Trial(quiet, ids[t.number]), trial_note(t, of))
    if best is not None and study.user_attrs.get("answer") != best.number:
        study.set_user_attr("answer", best.number)


def _write(where: optuna.Study | optuna.Trial, text: str) -> None:
    there = get_note(where)
    if there and not _is_ours(there):
        return
    if there != (signed := f"{text}\n[//]: # ({_digest(text)})\n"):
        save_note(where, signed)


def _is_ours(note: str) -> bool:
    signed = SIGNED.search(note)
    return signed is not None and signed[1] == _digest(note[: signed.start()])


def _draw(study: optuna.Study, figures: Mapping[str, Any]) -> None:
    drawn = {name: _digest(figure.to_json()) for name, figure in figures.items()}
    for name, figure in figures.items():
        if study.user_attrs.get(PLOTS, {}).get(name) != drawn[name]:
            save_plotly_graph_object(study, figure, graph_object_id=name)
    if study.user_attrs.get(PLOTS, {}) != drawn:
        study.set_user_attr(PLOTS, drawn)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
