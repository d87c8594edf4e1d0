"""This turn is one epoch of an experiment whose evaluator is the user's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from objectives.devices.open_device import open_device
from study.bench.device_lock import sole_use
from study.bench.run_lock import alone
from study.dream.experiments.model import GenericExperiment
from study.dream.files.export import Export
from study.dream.files.promotion import write_generic_promotion
from study.dream.generic.generation import Generation
from study.dream.generic.open_study import REFERENCE, open_generic
from study.dream.records import Record, best_of, leaders, records_of
from study.dream.turns.log import TurnLog
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob
from study.dream.windows import Windows
from study.storage.url import open_storage, sqlite_url


def run_generic(experiment: GenericExperiment, job: TurnJob, log: TurnLog) -> Report:
    """Run the next generation of an experiment, and write its files.

    Raises:
        BadInput: It cannot go on as it is written.
        SetupError: This machine cannot run it.
        KeyboardInterrupt: The evaluator was killed; what was finished is kept.
    """
    folder = job.root / experiment.slug
    with alone(folder), _device(experiment):
        storage = open_storage(sqlite_url(folder / "study.db"))
        study = open_generic(experiment, storage, log.line)
        _queue_survivors(experiment, study, job.root)
        export = Export(job.root, job.logdir, experiment.name, experiment.slug)

        def records() -> list[Record]:
            return records_of(study, experiment.slug)

        export.add(records())
        windows = Windows(job.window_file.parent)
        generation = Generation(
            experiment,
            study,
            folder / "trials" / study.study_name,
            log.line,
            on_trial=lambda: export.add(records()),
            windows=None if experiment.budget.allow_gpu else windows,
            cycle_generation=job.generation,
            left_s=job.left_s,
        )
        before = best_of(records())
        try:
            is_over = generation.run()
        finally:
            after = records()
            export.add(after)
            is_better = export.finish(after, survivors_of(experiment, after))
        best = best_of(after)
        if is_better:
            reference = study.user_attrs.get(REFERENCE, {})
            path = write_generic_promotion(
                job.root, experiment.slug, experiment.name, after, reference
            )
            if path is not None:
                log.line(f"better than before: {path}")
        return Report(
            ending=TurnEnding.FINISHED if is_over else TurnEnding.RAN,
            evaluated=generation.evaluated,
            best=best.fitness if best else None,
            best_params=best.params if best else None,
            is_better=best is not None and (before is None or best.fitness > before.fitness),
            held_s=generation.held_s,
        )


def survivors_of(experiment: GenericExperiment, records: list[Record]) -> list[Mapping[str, Any]]:
    """Return the candidates that live on: of all that is known, as many as a generation keeps."""
    selector = experiment.selector
    groups = -(-selector.population_size // selector.tournament_size)
    count = max(selector.elitism, groups * selector.survivors, 1)
    return [leader.params for leader in leaders(records)[:count]]


def _queue_survivors(experiment: GenericExperiment, study: optuna.Study, root: Path) -> None:
    """Let a new study begin with the baseline and what another runner had left as survivors."""
    if study.get_trials(deepcopy=False):
        return
    if experiment.baseline is not None:
        study.enqueue_trial(experiment.values.encode(experiment.baseline))
    for name in (experiment.slug, experiment.name):
        try:
            candidates = json.loads((root / "survivors" / f"{name}.json").read_text("utf-8"))
            for candidate in candidates:
                study.enqueue_trial(experiment.values.encode(candidate), skip_if_exists=True)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # there are none, or not of this space
        return


@contextmanager
def _device(experiment: GenericExperiment) -> Iterator[None]:
    """Hold the experiment's GPU while the block lasts, where it may use one."""
    if not experiment.budget.allow_gpu:
        yield
        return
    with sole_use(open_device(experiment.device.removeprefix("cuda:")).identity.uuid):
        yield
