"""This module measures the trials of a run here, from a recording, or in lanes on several cards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import optuna

from objectives.devices.telemetry import Occupancy
from objectives.evaluation import Measure
from study.analysis.cost.launches import timing
from study.analysis.reweigh import card_scales
from study.bench.source import Source, launches_to_replay, measuring
from study.cli.end_of_run.end import ended
from study.cli.live_view import Outlook
from study.lanes.losses import Patience
from study.lanes.measuring import lanes_on
from study.lanes.rolling import RollingEpoch
from study.racing.race import Race
from study.report.effects.card_words import cards_in_words
from study.run_plan import Run
from study.search.epoch import Epoch
from study.search.known_results import Ending
from study.search.trial_ends import Progress
from study.search.trial_steps import TrialSteps
from study.storage.backends.in_memory import in_memory, may_be_in_memory
from study.storage.context import context_of, ramp_range_of
from study.storage.trial import measured_in
from study.storage.trials import counted


def run_epoch(plan: Run, source: Source, study: optuna.Study, began: float) -> bool:
    """Measure until the budget, the time or the space ends; return whether trials were added.

    Args:
        plan: The run.
        source: What it measures on.
        study: The study.
        began: The start of the run, seconds of the monotonic clock.
    """
    terminal, before = plan.terminal, len(counted(study))
    with timing(study, began):
        measured = measured_in_lanes if plan.has_lanes else measured_here
        epoch, ending = measured(plan, source, study)
    terminal.line(f"ended: {ended(ending)}")
    if plan.is_replay and epoch.ends.seconds_measured:
        minutes = epoch.ends.seconds_measured / 60
        terminal.line(f"measuring this live took {minutes:.0f} min where it was recorded")
    return len(counted(study)) > before


def measured_here(plan: Run, source: Source, study: optuna.Study) -> tuple[TrialSteps, Ending]:
    """Measure one trial after the other, on this machine's bench or from a recording."""
    spec, terminal, recording = plan.spec, plan.terminal, source.recording
    # nobody else writes into the file of a run's own folder, which is locked
    is_sole = plan.is_replay and not plan.options.storage
    with in_memory(study) if is_sole and may_be_in_memory(study) else nullcontext(study) as here:

        @contextmanager
        def shown() -> Iterator[Measure]:
            with (
                measuring(source, here, plan.folder, terminal.phase) as (measure, occupancy),
                terminal.running(outlook_of(plan, here, occupancy)),
            ):
                yield measure

        epoch = Epoch(
            **steps_of(plan, here),
            measuring=shown(),
            progress=Progress(terminal.trial, terminal.line, terminal.begin),
            available=lambda a: len(recording.cell(a)) if recording else math.inf,
            only=launches_to_replay(spec.search_space, spec.baseline, source, plan.sampler),
        )
        return epoch, epoch.run()


def measured_in_lanes(plan: Run, source: Source, study: optuna.Study) -> tuple[TrialSteps, Ending]:
    """Measure on several cards at once, each in a lane of its own."""
    terminal, machines = plan.terminal, [*([source.bench] if source.bench else []), *source.lanes]
    known = ramp_range_of(study), measured_in(counted(study))
    retries = plan.options.retries
    patience = Patience() if retries is None else Patience(retries=retries)
    with lanes_on(machines, plan.folder, *known, terminal.line, plan.cluster, patience) as lanes:
        epoch = RollingEpoch(
            **steps_of(plan, study),
            lanes=lanes,
            on_lane=lambda lane, begun: terminal.begin(begun, lane.name),
            progress=Progress(terminal.trial, terminal.line),
        )
        outlook = replace(outlook_of(plan, study, lanes.occupancy), lanes=lanes.lanes)
        with terminal.running(outlook):
            ending = epoch.run()
    for line in cards_in_words(card_scales(counted(study), context_of(study)).effects()):
        terminal.line(line)
    return epoch, ending


def steps_of(plan: Run, study: optuna.Study) -> dict[str, Any]:
    """Return what the steps of trials need, whoever measures."""
    spec, context = plan.spec, context_of(study)
    return {
        "study": study,
        "context": context,
        "space": spec.search_space,
        "selector": spec.selector,
        "folder": plan.folder,
        "max_trials": plan.max_trials,
        "timeout_s": plan.timeout_s,
        "seed": plan.options.seed,
        "is_replay": plan.is_replay,
        "restarts": plan.options.restart_per_trial,
        "is_alone": not plan.options.storage,  # its own folder is locked
        "racer": None if spec.pruner == "none" else Race(study, context).racer,
    }


def outlook_of(
    plan: Run, study: optuna.Study, occupancy: Callable[[], Occupancy] | None
) -> Outlook:
    """Return what is known before the first trial."""
    return Outlook(
        context_of(study),
        plan.spec.search_space.size,
        plan.max_trials,
        plan.timeout_s,
        counted(study),
        occupancy,
    )
