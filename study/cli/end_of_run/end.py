"""Show the end of a run as a person sees it.

It has tables, the answer, how sure it is, and the winner's file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from objectives.devices.device import Occupant
from objectives.engines.engine import engines_of
from study.cli.console import Terminal
from study.cli.end_of_run.next_steps import advice
from study.cli.end_of_run.ruled_out import ruled_out
from study.cli.end_of_run.tables import measured, winner_table
from study.report.answer import capacity_known, certainty, fitness_gap
from study.report.headline import fresh, sentence, unfilled_cache_lines
from study.report.reasons import held_back, passed_over, why
from study.report.summary import Summary
from study.report.trial_words import outcome_in_words
from study.search.ending import Ending, RunLimit
from study.storage.trials import measured_in
from study.wording import short


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
        return f"{some}, those that failed rule out the others"
    return f"every one of the {ending.size} configurations is measured"


def show_end(end: End, terminal: Terminal) -> None:
    """Say what was measured and decided, how sure that is, and where the winner's file lies."""
    summary, decision = end.summary, end.summary.decision
    context, reason = summary.context, why(decision, summary.context)
    terminal.show(measured(summary.trials, decision, context, terminal.console.width))
    terminal.decided(decision, reason, passed_over(decision))
    if not end.is_feasible:
        _show_failures(end, terminal)
        return
    if end.broken is not None:
        terminal.heading(end.broken)
    if (table := winner_table(summary, _standing(summary))) is not None:
        terminal.show(table)
    for line in ruled_out(summary.configurations):
        terminal.line(line)
    terminal.heading(sentence(summary))
    if summary.confirmation is not None:
        terminal.line(fresh(summary.confirmation))
    gap = fitness_gap(summary.today, summary.other, summary.configurations)
    for line in (*gap, *certainty(decision), *capacity_known(summary.today)):
        terminal.line(line)
    for line in unfilled_cache_lines(summary):
        terminal.heading(line)
    better = held_back(decision)
    if decision.winner is None:
        terminal.heading("; ".join([reason, *(f"better but held back: {line}" for line in better)]))
        return
    for line in better:
        terminal.line(f"held back: {line}")
    name = short(decision.winner.allocation)
    written = f"Best of this study so far: {name}; nothing new was measured."
    if end.is_new:
        what = "Promoted as candidate"
        if context.is_replay:
            what = "The winner as a file, which never applies, since it was replayed"
        written = f"{what}: {end.promotion}"
    terminal.heading(written)
    terminal.line(reason)


def _standing(summary: Summary) -> str:
    """Say what the winner is, in a few words."""
    if summary.confirmation is not None:
        return summary.confirmation.standing
    is_replay = summary.context.is_replay
    return "replay: never applicable" if is_replay else "candidate: unconfirmed"


def _show_failures(end: End, terminal: Terminal) -> None:
    launched = [t for t in end.summary.trials if t.repeat_of is None]
    terminal.heading("Nothing is feasible:")
    for t in launched:
        if t.diagnosis is None:
            terminal.line(f"  {t.allocation}: {outcome_in_words(t)}")
    failed = [(t.allocation, t.diagnosis) for t in launched if t.diagnosis is not None]
    measurements = measured_in(list(end.summary.trials))
    engines = engines_of(end.summary.context.services)
    for line in advice(failed, measurements, end.total_mib, end.occupants, engines):
        terminal.line(f"  {line}")
