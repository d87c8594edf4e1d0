"""This turn is one epoch of our own experiment: a generation of a study of this project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import optuna

from objectives.plain_data.atomic import write_atomic
from study.dream.experiments.model import OwnExperiment
from study.dream.experiments.own import spec_of
from study.dream.files.export import Export
from study.dream.records import Record, best_of, leaders, trial_id
from study.dream.turns.confirming import candidate_of, confirm_next
from study.dream.turns.log import Handler, TurnLog
from study.dream.turns.terminal import TurnTerminal
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob
from study.run import NOTHING_FEASIBLE, run
from study.run_plan import Run, RunOptions, plan_run
from study.search.opening.open_study import succession
from study.service_pause.options import Lending, seconds
from study.storage.trial import Trial
from study.storage.trials import counted
from study.storage.url import open_storage


def run_own(experiment: OwnExperiment, job: TurnJob, log: TurnLog) -> Report:
    """Run the next generation of a study, live or recorded, and write its files.

    Raises:
        BadInput: The spec is at fault.
        SetupError: This machine cannot measure.
        KeyboardInterrupt: Every server is stopped; what was finished is kept.
    """
    spec = spec_of(experiment, job.config, job.content())
    outage = experiment.max_outage
    lending = Lending(
        experiment.lend_from,
        None if outage is None else seconds(outage, "lending.max_outage"),
    )
    terminal = TurnTerminal(job.window_file)
    plan = plan_run(spec, RunOptions(out=job.root, lending=lending), terminal)
    if job.is_confirming and (promotion := candidate_of(plan)) is not None:
        report = confirm_next(promotion, plan, job, experiment, log, terminal.quiet_around)
        copy_promotions(plan)
        return replace(report, held_s=terminal.held_s)
    before, earlier_records = _trials(plan, experiment.slug)
    most = min(plan.max_trials, len(before) + spec.selector.population_size)
    export = Export(job.root, job.logdir, experiment.name, experiment.slug, has_metrics=False)
    timeout_s = plan.timeout_s if job.left_s is None else min(plan.timeout_s, max(1.0, job.left_s))
    options = replace(plan.options, n_trials=most, timeout_s=timeout_s)
    handler = Handler(log)
    terminal.log.addHandler(handler)
    try:
        code = run(spec, options, terminal)
    finally:
        terminal.log.removeHandler(handler)
        after, records = _trials(plan, experiment.slug)
        export.add(records)
        export.finish(records, _survivors(records, spec.selector.survivors))
        copy_promotions(plan)
    best, earlier = best_of(records), best_of(earlier_records)
    is_over = len(after) >= plan.max_trials or len(after) == len(before)
    is_confirming = is_over and candidate_of(plan) is not None
    return Report(
        ending=TurnEnding.FINISHED if is_over and not is_confirming else TurnEnding.RAN,
        reason="nothing is feasible so far" if code == NOTHING_FEASIBLE else "",
        evaluated=len(after) - len(before),
        best=best.fitness if best else None,
        best_params=best.params if best else None,
        is_better=best is not None and (earlier is None or best.fitness > earlier.fitness),
        is_confirming=is_confirming,
        held_s=terminal.held_s,
    )


def copy_promotions(plan: Run) -> None:
    """Let those of a replay be seen where every promotion lies; `status: replay` never applies.

    They are copies, since no promotion is read through a link.
    """
    folder = plan.options.out / "promotions"
    if plan.promotions == folder or not plan.promotions.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for path in plan.promotions.glob(f"{plan.spec.name}_*.yaml"):
        copy, content = folder / path.name, path.read_bytes()
        if not copy.is_file() or copy.read_bytes() != content:
            write_atomic(copy, content)


def _study(plan: Run) -> optuna.Study | None:
    """Return the newest study of a plan; None where there is none yet."""
    if not (plan.folder / "study.db").is_file():
        return None
    storage = open_storage(plan.storage_url)
    names = succession(storage, plan.study_name)
    return optuna.load_study(study_name=names[-1], storage=storage) if names else None


def _trials(plan: Run, slug: str) -> tuple[list[Trial], list[Record]]:
    """Return the trials that count, and the launches among them as records."""
    study = _study(plan)
    if study is None:
        return [], []
    carried = {t.number for t in study.get_trials(deepcopy=False) if "carried_from" in t.user_attrs}
    trials = counted(study)
    records = [
        Record(
            number=t.number,
            test_id=trial_id(slug, study.study_name, t.number),
            ts=int(datetime.fromisoformat(t.at).timestamp()) if t.at else 0,
            params=dict(t.allocation.values),
            figures=t.measurement.flat() if t.measurement else dict(t.measured),
            canonical=t.measurement.flat() if t.measurement else {},
            fitness=t.fitness if t.is_feasible else None,
            status=t.state.value,
            error=None if t.is_feasible else _why(t),
            study=study.study_name,
            is_carried=t.number in carried,
        )
        for t in trials
        if t.repeat_of is None
    ]
    return trials, records


def _why(trial: Trial) -> str:
    if trial.diagnosis is not None:
        return f"{trial.diagnosis.failure_class}: {trial.diagnosis.evidence}"
    broken = [name for name, value in trial.constraints.items() if value > 0]
    return f"{trial.state.value}: {', '.join(broken) or 'it could not win'}"


def _survivors(records: list[Record], count: int) -> list[Mapping[str, Any]]:
    """Return the best configurations, best first."""
    return [leader.params for leader in leaders(records)[:count]]
