"""This module runs a study once, from the choice of its source to the exit code."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from objectives.errors import BadInput, SetupError
from study.bench.run_lock import alone
from study.bench.source import Source, context_for, others_of
from study.cli.console import Terminal
from study.cli.end_of_run.end import End, show_end
from study.cli.end_of_run.next_steps import next_commands
from study.lanes.cards.named import benches
from study.run_decision import conclude
from study.run_machines import choose_source, in_cluster, in_lanes, on_card, use
from study.run_measuring import run_epoch
from study.run_plan import Run, RunOptions, plan_run
from study.search.ask import bridge
from study.search.opening.open_study import open_study
from study.search.samplers import sampler_of
from study.search.score import Scorer
from study.spec.model import Spec
from study.spec.setting import conditions_of
from study.storage.comparability import identity_of
from study.storage.context import keep
from study.storage.find import keep_folder
from study.storage.trial import NOT_SHOWN
from study.storage.url import open_storage, without_password

NOTHING_FEASIBLE = 4


def run(spec: Spec, options: RunOptions, terminal: Terminal) -> int:
    """Run a study's next epoch; return 0, or 4 where nothing is feasible.

    Raises:
        BadInput: The spec, an option or the study is at fault.
        SetupError: This machine cannot measure.
        KeyboardInterrupt: Every server is stopped, and the study can be resumed.
    """
    began = time.monotonic()
    plan = in_lanes(plan_run(spec, options, terminal))
    if options.dry_run:
        return foretell(plan)
    recorded = choose_source(plan) if plan.is_replay else None
    storage = open_storage(plan.storage_url) if options.storage else None
    with alone(plan.folder) as reaped, _logging(plan.folder / "runner.log", terminal):
        for line in reaped:
            terminal.line(line)
        with in_cluster(plan) as there:
            source = recorded or choose_source(there)
            with use(on_card(there, source), source) as (plan, source):
                study = open_for(plan, source, storage or open_storage(plan.storage_url))
                is_further = run_epoch(plan, source, study, began)
        end = conclude(plan, source, study, is_further=is_further)
        show(plan, study, end)
        return 0 if end.is_feasible else NOTHING_FEASIBLE


def foretell(plan: Run) -> int:
    """Say what the run would do; nothing is launched or written."""
    try:
        with in_cluster(plan) as there:
            source = choose_source(there)
    except SetupError as error:
        if plan.is_replay or plan.options.is_elsewhere or plan.options.cluster:
            raise
        raise SetupError(
            f"{error}; or plan for a machine elsewhere: --card 'RTX 3060', or --total-mib N"
        ) from error
    if plan.lanes and source.bench is not None:
        benches(source.bench, plan.lanes)  # the run would refuse them
    plan = on_card(plan, source)
    from study.run_forecast import say_forecast  # noqa: PLC0415  a dry run alone needs it

    say_forecast(plan, source)
    return 0


def open_for(plan: Run, source: Source, storage: BaseStorage) -> optuna.Study:
    """Open the study, new or resumed, with its context kept in it."""
    spec, options, say = plan.spec, plan.options, plan.terminal.line
    restarts = options.restart_per_trial
    identity = identity_of(
        conditions_of(spec),
        source.identity,
        source.versions,
        is_live=not plan.is_replay,
        restarts=restarts,
        others=others_of(source),
    )
    study = open_study(
        spec.search_space,
        Scorer(spec.fitness, spec.gates, spec.workload).signature,
        identity,
        storage=storage,
        name=plan.study_name,
        sampler_name=plan.sampler,
        seed=options.seed,
        fresh=options.fresh,
        folder=plan.folder,
        on_line=say,
    )
    trials = study.get_trials(deepcopy=False)
    study.sampler = sampler_of(plan.sampler, options.seed, spec, len(trials))
    if plan.sampler == "gp" and any(NOT_SHOWN in t.constraints for t in trials):
        raise BadInput(
            f"study {study.study_name} was begun by the tournament, and holds what gp cannot read; "
            "name another --study-name, or another --sampler"
        )
    plan.terminal.study = study.study_name
    place = without_password(plan.storage_url)
    say(f"study {study.study_name}, sampler {plan.sampler}, in {place}")
    keep(study, context_for(spec, source))
    keep_folder(study, plan.folder, plan.storage_url)
    if (
        not plan.has_lanes
        and source.bench is not None
        and bridge(study, spec.search_space, spec.baseline, source.bench.identity)
    ):
        what = "another card of the same product, or another driver"
        say(f"{what}: the baseline is measured again as a bridge")
    return study


def show(plan: Run, study: optuna.Study, end: End) -> None:
    """Say what the run came to, and what to type next."""
    steps = next_commands(
        plan.storage_url, study.study_name, end.promotion, is_replay=plan.is_replay
    )
    show_end(end, steps, plan.terminal)


@contextmanager
def _logging(path: Path, terminal: Terminal) -> Iterator[None]:
    """Write everything that is said to a log file too, with the time."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    terminal.log.addHandler(handler)
    terminal.log.setLevel(logging.INFO)
    terminal.log.propagate = False
    try:
        yield
    finally:
        terminal.log.removeHandler(handler)
        handler.close()
