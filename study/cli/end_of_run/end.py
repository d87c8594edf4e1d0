"""The end of a run shows a person the answer, its reasons, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from objectives.devices.device import Occupant
from objectives.engines.registry import engines_of
from study.cli.console import Terminal
from study.cli.end_of_run.answer_json import answer_data
from study.cli.end_of_run.failures import advice, failures
from study.report.headline import answer_lines, sentence, unfilled_cache_lines
from study.report.reasons import held_back
from study.report.summary import Summary
from study.search.known_results import Ending, RunLimit
from study.storage.trial import measured_in
from study.text import capital


@dataclass(frozen=True, slots=True)
class End:
    """The end says what a run came to.

    Args:
        summary: The study with its decision.
        promotion: The winner's file; None where there is none.
        is_new: Whether this run wrote that file.
        broken: Why a confirmation of the winner was not counted; None where none is broken.
        total_mib: Of the device.
        occupants: What else was on it.
    """

    summary: Summary
    promotion: Path | None
    is_new: bool
    broken: str | None
    total_mib: float
    occupants: Sequence[Occupant]

    @property
    def is_feasible(self) -> bool:
        """Say whether any trial worked within every limit."""
        return any(t.is_feasible for t in self.summary.trials)


def ended(ending: Ending) -> str:
    """Say why a run ended, in a sentence."""
    match ending.limit:
        case RunLimit.TIME:
            next_one = f"the next trial takes about {ending.needed_s / 60:.1f} min"
            within = f"would not end within the {ending.timeout_s:g} s of this run"
            return f"{next_one} and {within}; run again to go on"
        case RunLimit.TRIALS:
            left = ending.recorded_left
            more = "" if left is None else f"; {left} recorded launches are left"
            return f"the budget of {ending.max_trials} trials is used{more}"
        case RunLimit.RECORDING:
            return "every launch that was recorded is replayed"
    if ending.settled < ending.size:
        some = f"{ending.settled} of the {ending.size} configurations are measured"
        return f"{some}, and what was measured rules out the others"
    return f"every one of the {ending.size} configurations is measured"


def show_end(end: End, steps: Sequence[str], terminal: Terminal) -> None:
    """Say what to run, why, where the winner's file lies, and what to type next.

    It is at most 25 lines of a terminal with 80 columns; the report has the rest.

    Args:
        steps: What to type next, a line each.
    """
    summary = end.summary
    terminal.decided(lambda: answer_data(summary, end.promotion, steps))
    terminal.answer(sentence(summary), "bold")
    for line in _reasons(end) if end.is_feasible else _failures(end):
        terminal.answer(f"- {line}")
    if (file := _file(end)) is not None:
        terminal.answer(file)
    for line in steps:  # to be pasted whole
        terminal.command(line)


def _reasons(end: End) -> list[str]:
    """Return what speaks for the answer and against it, a sentence or two each."""
    summary = end.summary
    lines = [] if end.broken is None else [f"A confirmation was not counted: {end.broken}"]
    lines += answer_lines(summary)
    lines += [f"Scored higher, but held back: {line}." for line in held_back(summary.decision)[:2]]
    if unfilled := unfilled_cache_lines(summary):
        lines.append(f"{capital(unfilled[0])}; more in the report.")
    return lines


def _file(end: End) -> str | None:
    """Say where the winner's file lies, if there is one to do anything with."""
    if end.promotion is None or end.summary.is_rejected:
        return None
    if end.summary.context.is_replay:
        return f"The winner as a file, which never applies, since it was replayed: {end.promotion}"
    what = "Promoted as candidate" if end.is_new else "Its file, as nothing new was measured"
    return f"{what}: {end.promotion}"


def _failures(end: End) -> list[str]:
    """Return why nothing works, and what would have to change."""
    summary = end.summary
    failed = [(t.allocation, t.diagnosis) for t in summary.trials if t.repeat_of is None]
    diagnosed = [(allocation, d) for allocation, d in failed if d is not None]
    measurements = measured_in(list(summary.trials))
    engines = engines_of(summary.context.services)
    changes = advice(diagnosed, measurements, end.total_mib, end.occupants, engines)
    return [*failures(summary.configurations, summary.context.baseline), *changes]
