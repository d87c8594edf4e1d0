"""Notes and plots written into a study here let optuna-dashboard show what it means."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna_dashboard import (  # type: ignore[import-untyped]
    get_note,
    save_note,
    save_plotly_graph_object,
)

from objectives.engines.registry import apis_of
from objectives.errors import BadInput
from objectives.plain_data.spellable import spellable
from study.analysis.configurations import Configuration, ranked
from study.dashboard.births import births
from study.dashboard.figures import space, tradeoff
from study.dashboard.launch_figures import cards_over_time, memory_over_time, time_by_phase
from study.dashboard.lineage import lineage
from study.dashboard.notes import Starts, basis_of_note, study_note, trial_note
from study.report.summary import Summary, summary
from study.storage.attributes import attribute
from study.storage.backends.writes import set_system_attributes
from study.storage.trial import Trial

PLOTS = "plots"  # attribute of the study: the digest of each plot that it has
CARD = "card"  # attribute of a trial: the UUID of the card that measured it
NOTED = "noted"  # and of what the note of each trial was made of, by its number
# optuna-dashboard searches all that a study keeps once for every trial, at every request
MOST_NOTED = 128  # trials: the answer's, today's, those of the best configurations, the newest
MOST_DRAWN = 300  # configurations, or launches of the tournament
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
    attributes = _Attributes(study)
    digests = _save_figures(study, attributes, figures)
    _save_note(_Place(attributes, study), study_note(findings, unread, missing))
    noted = _save_notes(study, attributes, findings, best)
    attributes.write()
    for name, value in ((PLOTS, digests), (NOTED, noted)):
        if value != attribute(study, name, dict):
            study.set_user_attr(name, value)
    if best is not None and study.user_attrs.get("answer") != best.number:
        study.set_user_attr("answer", best.number)


def _figures(
    study: optuna.Study, findings: Summary, best: Configuration | None
) -> tuple[dict[str, Any], list[str]]:
    """Draw the figures that can be drawn, by name, and say what the others lack."""
    launched, decision, context = findings.configurations, findings.decision, findings.context
    raw = study.get_trials(deepcopy=False)
    drawn = ranked(launched)[:MOST_DRAWN] if len(launched) > MOST_DRAWN else launched
    figures = {
        "space": (
            space(drawn, decision, context) if launched else None,
            "the space: nothing was measured",
        ),
        "tradeoff": (
            tradeoff(drawn, decision, context),
            "latency against capacity: no finite latency was measured",
        ),
        "phases": (
            time_by_phase(findings.trials, apis_of(context.services)),
            "time by phase: no trial tells its time",
        ),
        "lineage": (
            lineage(births(study)[-MOST_DRAWN:], launched, decision),
            "lineage: only the tournament has one, once it measured",
        ),
        "memory": (
            memory_over_time(best.measured[0] if best else None),
            "memory over time: it was not recorded for the answer's trial",
        ),
    }
    cards = {t.number: str(t.user_attrs[CARD]) for t in raw if CARD in t.user_attrs}
    by_card = cards_over_time(findings.trials[-MOST_DRAWN:], cards)
    if by_card is not None:  # most studies have one card, and lack nothing
        figures["cards"] = by_card, ""
    return (
        {name: figure for name, (figure, _) in figures.items() if figure is not None},
        [f"the plot of {lack}" for figure, lack in figures.values() if figure is None],
    )


def _save_notes(
    study: optuna.Study, attributes: _Attributes, findings: Summary, best: Configuration | None
) -> dict[str, str]:
    """Save the note of each trial that has none, or that is something else to the answer now.

    Returns:
        The digest of what each note was made of, by the number of its trial.
    """
    starts = Starts()
    ids = {t.number: t._trial_id for t in study.get_trials(deepcopy=False)}
    by_allocation = {str(c.allocation): c for c in findings.configurations}
    before = dict(attribute(study, NOTED, dict))
    now = before.copy()
    for trial in _to_note(findings, best):
        configuration = by_allocation.get(str(trial.allocation))
        basis = basis_of_note(trial, configuration, findings)
        if before.get(str(trial.number)) != (digest := _digest(repr(basis))):
            note = trial_note(trial, configuration, findings, starts)
            _save_note(_Place(attributes, study, ids[trial.number]), note)
            now[str(trial.number)] = digest
    return now


def _to_note(findings: Summary, best: Configuration | None) -> list[Trial]:
    """Return the trials that get a note: all of a study, or of a long one what people look for."""
    if len(findings.trials) <= MOST_NOTED:
        return list(findings.trials)
    first = [c for c in (best, findings.today) if c is not None]
    leaders = [t for c in (*first, *ranked(findings.configurations)) for t in c.launches]
    newest = reversed(findings.trials)
    chosen = {t.number: t for t in (*leaders[: MOST_NOTED // 2], *newest)}
    return [*chosen.values()][:MOST_NOTED]


class _Attributes:
    """The attributes of a study are read once and written at once.

    Optuna-dashboard asks for all three times a note, and writes a plot in a hundred pieces.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._known = study._storage.get_study_system_attrs(study._study_id)
        self._changed: dict[str, Any] = {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:  # noqa: ARG002
        return self._known

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: ARG002
        self._known[key] = self._changed[key] = value

    def write(self) -> None:
        """Write what was set."""
        set_system_attributes(self._study, self._changed)


@dataclass(frozen=True, slots=True)
class _Place:
    """A place of a note is a trial or the study, as far as optuna-dashboard looks at one."""

    storage: _Attributes
    study: optuna.Study
    _trial_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Plot:
    """A plot is a figure as far as optuna-dashboard looks at one to save it: it is written once."""

    json: str

    def to_json(self) -> str:
        return self.json


@dataclass(frozen=True, slots=True)
class _StudyOfPlots:
    """This is a study as far as optuna-dashboard looks at one to save a plot."""

    _storage: _Attributes
    _study_id: int


def _save_note(place: _Place, text: str) -> None:
    """Save a signed note, unless somebody has written another."""
    note, text = get_note(place), spellable(text)
    if note and not _is_ours(note):
        return
    if note != (signed := f"{text}\n[//]: # ({_digest(text)})\n"):
        save_note(place, signed)


def _is_ours(note: str) -> bool:
    """Say whether a note is as we signed it."""
    signature = SIGNATURE.search(note)
    text = spellable(note[: signature.start()]) if signature else ""
    return signature is not None and signature[1] == _digest(text)


def _save_figures(
    study: optuna.Study, attributes: _Attributes, figures: Mapping[str, Any]
) -> dict[str, str]:
    """Save the figures that have changed, and return the digest of each."""
    plots = {name: _Plot(figure.to_json()) for name, figure in figures.items()}
    digests = {name: _digest(plot.json) for name, plot in plots.items()}
    before = attribute(study, PLOTS, dict)
    for name, plot in plots.items():
        if before.get(name) != digests[name]:
            place = _StudyOfPlots(attributes, study._study_id)
            save_plotly_graph_object(place, plot, graph_object_id=name)
    return digests


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
