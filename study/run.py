"""One run from spec to promotion: open the study, measure what is left, say what was found."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from objectives.errors import BadInput
from objectives.fitness import Preset
from study.analysis.launches import timed
from study.analysis.reweigh import weighed
from study.bench.bench import borrowed
from study.bench.run_lock import alone
from study.bench.source import context_for, launches, look, measuring
from study.cli.console import Terminal
from study.cli.end_of_run import conclude
from study.cli.end_tables import next_commands
from study.cli.live_view import Outlook
from study.search.ask import bridge
from study.search.dry_run import foreseen
from study.search.epoch import Epoch, Progress
from study.search.open_study import open_study
from study.search.samplers import sampler_of
from study.service_pause.options import Lending
from study.spec.model import Spec
from study.storage.comparability import identity_of
from study.storage.context import keep
from study.storage.find import promotions_of
from study.storage.trials import counted
from study.storage.url import open_storage, shown, sqlite_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line adds to a spec; None leaves the spec's own.

    restart_per_trial: launch both servers anew for every trial, trials in the order asked: a study of its own
    """

    sampler: str | None = None
    n_trials: int | None = None
    timeout_s: float | None = None
    seed: int = 0
    storage: str | None = None
    study_name: str | None = None
    out: Path = Path("artifacts")
    fresh: bool = False
    dry_run: bool = False
    preset: Preset | None = None
    restart_per_trial: bool = False
    lending: Lending = field(default_factory=Lending)


def run(spec: Spec, options: Options, terminal: Terminal) -> int:
    """Run a study's next epoch; the exit code: 0, or 4 where nothing is feasible.

    raises: BadInput, SetupError; KeyboardInterrupt leaves every server stopped and the study resumable
    """
    began = time.monotonic()
    spec = replace(spec, fitness=weighed(spec.fitness, options.preset))
    folder = options.out / spec.name
    sampler_name = options.sampler or spec.sampler
    name = (
        options.study_name
        or f"{spec.name}-{sampler_name}-{options.seed}{'-restart' * options.restart_per_trial}"
    )
    _check_names(options, name)
    if options.restart_per_trial and spec.measure != "live":
        raise BadInput(
            "--restart-per-trial: a replay starts no servers; use it with a spec that says `measure: live`"
        )
    if options.lending.units and spec.measure != "live":
        raise BadInput(
            "--lend-from: a replay needs no GPU; use it with a spec that says `measure: live`"
        )
    storage = options.storage or sqlite_url(folder / "study.db")
    max_trials = options.n_trials or spec.budget.max_trials
    timeout_s = options.timeout_s or spec.budget.wallclock_sec
    sampler_of(spec, sampler_name, options.seed)  # refused before anything is written
    if options.dry_run:
        ground = look(spec, sampler_name, terminal.line, terminal.heading)
        for line in foreseen(spec, ground, storage, name, max_trials, timeout_s, options.lending):
            terminal.line(line)
        return 0
    recorded = (
        look(spec, sampler_name, terminal.line, terminal.heading)
        if isinstance(spec.measure, Path)
        else None
    )
    opened = (
        open_storage(storage) if options.storage else None
    )  # the default one lies in the folder made below
    with alone(folder) as reaped, _logging(folder / "runner.log", terminal), ExitStack() as stack:
        for said in reaped:
            terminal.line(said)
        ground = recorded or look(spec, sampler_name, terminal.line, terminal.heading)
        if ground.bench is not None:
            lent_at = time.monotonic()
            made = stack.enter_context(borrowed(spec, ground.bench, options.lending, terminal.line))
            ground = replace(ground, bench=made)
            timeout_s = min(timeout_s, options.lending.left_s(lent_at))
        study = open_study(
            spec,
            identity_of(spec, ground.identity, ground.versions, restarts=options.restart_per_trial),
            storage=opened or open_storage(storage),
            name=name,
            sampler_name=sampler_name,
            seed=options.seed,
            fresh=options.fresh,
        )
        terminal.study = study.study_name
        terminal.line(f"study {study.study_name}, sampler {sampler_name}, in {shown(storage)}")
        keep(study, context_for(spec, ground))
        before = len(counted(study))
        if ground.bench is not None and bridge(study, spec, ground.identity):
            terminal.line(
                "another card of the same product, or another driver: the baseline is measured again as a bridge"
            )
        with timed(study, began), measuring(ground, study, folder) as (measure, occupancy):
            epoch = Epoch(
                study=study,
                spec=spec,
                measure=measure,
                folder=folder,
                max_trials=max_trials,
                timeout_s=timeout_s,
                seed=options.seed,
                progress=Progress(terminal.trial, terminal.phase, terminal.line, terminal.begin),
                is_replay=ground.recording is not None,
                available=lambda a: len(ground.recording.cell(a)) if ground.recording else math.inf,
                restarts=options.restart_per_trial,
                only=launches(spec, ground, sampler_name),
            )
            with terminal.running(Outlook(spec, max_trials, timeout_s, counted(study), occupancy)):
                ending = epoch.run()
        stack.close()  # the units get their GPU back before anything is written about it
        terminal.line(f"ended: {ending}")
        if ground.recording is not None and epoch.seconds_measured:
            terminal.line(
                f"measuring this live took {epoch.seconds_measured / 60:.0f} min where it was recorded"
            )
        if (
            ground.bench is not None
        ):  # a replay is over before this is imported: the dashboard writes its notes
            from study.dashboard.annotate import annotate  # noqa: PLC0415  optuna-dashboard comes with scikit-learn

            annotate(study, promotions_of(storage))
        is_replay = ground.recording is not None
        code, promoted = conclude(
            spec, study, ground, terminal,
            sampler=sampler_name, seed=options.seed,
            where=(folder if is_replay else options.out) / "promotions", is_new=len(counted(study)) > before,
        )  # fmt: skip
        for said in next_commands(storage, study.study_name, promoted, is_replay=is_replay):
            terminal.line(said)
        return code


def _check_names(options: Options, name: str) -> None:
    """Refuse what no storage or terminal can spell."""
    for what, text in (("--out", str(options.out)), ("--study-name", name)):
        if not text.isprintable():
            raise BadInput(
                f"{what} {text!r} holds characters that cannot be shown; use plain letters"
            )


@contextmanager
def _logging(path: Path, terminal: Terminal) -> Iterator[None]:
    """Everything said also goes to runner.log, with the time."""
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
