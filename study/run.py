"""One run from spec to promotion: open the study, measure what is left, say what was found."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna

from objectives.allocation import Allocation
from objectives.colocation import Anchor, Colocation, Measure, Setting
from objectives.device import Identity, Occupant
from objectives.environment import Versions
from objectives.errors import BadInput, SetupError
from objectives.fitness import Preset
from objectives.ladder import Slo
from objectives.measurement import Measurement
from objectives.recording import Recording, conditions, read
from objectives.telemetry import Occupancy
from study.advice import advice
from study.cells import cells
from study.confirmation.told import Told, confirmation_of
from study.decision import Decision, decide, how_sure
from study.display import Outlook
from study.ending import against, failures, measured, next_commands
from study.epoch import Epoch, Progress, guess_s
from study.history import Row, rows
from study.launched import timed
from study.lending.options import Lending, outage
from study.live import Bench, alone, bench, borrowed, git_commit, mib, setting_of
from study.plan import commands, plan
from study.promotion import Origin, document, write
from study.question import Question, keep, question
from study.scenarios import weighed
from study.search import (
    bridge,
    differences,
    identity_of,
    open_storage,
    open_study,
    sampler_of,
    shown,
    sqlite_file,
    sqlite_url,
    succession,
)
from study.sharing import warnings
from study.spec import Spec
from study.terminal import Terminal, outcome

NOTHING_FEASIBLE = 4


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


@dataclass(frozen=True, slots=True)
class Ground:
    """Where figures come from: this machine's bench, or a recording."""

    identity: Identity
    versions: Versions
    setting: Setting
    bench: Bench | None
    recording: Recording | None


def run(spec: Spec, options: Options, terminal: Terminal) -> int:
    """Run a study's next epoch; the exit code: 0, or 4 where nothing is feasible.

    raises: BadInput, SetupError; KeyboardInterrupt leaves every server stopped and the study resumable
    """
    began = time.monotonic()
    spec = replace(spec, fitness=weighed(spec.fitness, options.preset))
    folder = options.out / spec.name
    sampler_name = options.sampler or spec.sampler
    name = options.study_name or f"{spec.name}-{sampler_name}-{options.seed}{'-restart' * options.restart_per_trial}"
    _check_names(options, name)
    if options.restart_per_trial and spec.measure != "live":
        raise BadInput("--restart-per-trial: a replay starts no servers; use it with a spec that says `measure: live`")
    if options.lending.units and spec.measure != "live":
        raise BadInput("--lend-from: a replay needs no GPU; use it with a spec that says `measure: live`")
    storage = options.storage or sqlite_url(folder / "study.db")
    max_trials = options.n_trials or spec.budget.max_trials
    timeout_s = options.timeout_s or spec.budget.wallclock_sec
    sampler_of(spec, sampler_name, options.seed)  # refused before anything is written
    if options.dry_run:
        for line in _dry_run(spec, _ground(spec, terminal), storage, name, max_trials, timeout_s, options.lending):
            terminal.line(line)
        return 0
    recorded = _ground(spec, terminal) if isinstance(spec.measure, Path) else None
    opened = open_storage(storage) if options.storage else None  # the default one lies in the folder made below
    with alone(folder) as reaped, _logging(folder / "runner.log", terminal), ExitStack() as stack:
        for said in reaped:
            terminal.line(said)
        ground = recorded or _ground(spec, terminal)
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
        keep(study, _question(spec, ground))
        before = len(_rows(study))
        if ground.bench is not None and bridge(study, spec, ground.identity):
            terminal.line(
                "another card of the same product, or another driver: the baseline is measured again as a bridge"
            )
        with timed(study, began), _measuring(ground, study, folder) as (measure, occupancy):
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
            )
            with terminal.running(Outlook(spec, max_trials, timeout_s, _rows(study), occupancy)):
                ending = epoch.run()
        stack.close()  # the units get their GPU back before anything is written about it
        terminal.line(f"ended: {ending}")
        if ground.recording is not None and epoch.seconds_measured:
            terminal.line(f"measuring this live took {epoch.seconds_measured / 60:.0f} min where it was recorded")
        if ground.bench is not None:  # a replay is over before this is imported: the dashboard writes its notes
            from study.annotation import annotate  # noqa: PLC0415  optuna-dashboard comes with scikit-learn

            annotate(study)
        code, promoted = _conclude(
            spec, study, ground, options, sampler_name, folder, terminal, is_new=len(_rows(study)) > before
        )
        is_replay = ground.recording is not None
        for said in next_commands(storage, study.study_name, promoted, is_replay=is_replay):
            terminal.line(said)
        return code


def _check_names(options: Options, name: str) -> None:
    """Refuse what no storage or terminal can spell."""
    for what, text in (("--out", str(options.out)), ("--study-name", name)):
        if not text.isprintable():
            raise BadInput(f"{what} {text!r} holds characters that cannot be shown; use plain letters")


def _ground(spec: Spec, terminal: Terminal) -> Ground:
    """Look at the recording or at this machine, and say plainly which."""
    for note in spec.notes:
        terminal.line(f"note: {note}")
    if spec.ignored:
        terminal.line(f"ignored in the spec: {', '.join(spec.ignored)}")
    if isinstance(spec.measure, Path):
        found = read(spec.measure)
        setting = setting_of(spec)
        here = conditions(setting)
        for part in ("workload", "services", "tenants"):
            there = found.provenance.conditions[part]
            if differences({part: there}, {part: here[part]}):
                names = _differing(here[part], there)
                raise BadInput(
                    f"{spec.path}: {part} differ from the recording {spec.measure.name} ({names}); "
                    "use the recording's own, or write `measure: live`"
                )
        if spec.search_space.size is None:
            raise BadInput(f"{spec.path}: a continuous range cannot be replayed; list the values that were recorded")
        for allocation in spec.search_space.grid():
            found.cell(allocation)
        terminal.heading(f"These numbers were not measured on this machine: they were {found.sentence()}.")
        terminal.line('To measure this one: README, "Measure this machine".')
        return Ground(found.provenance.device, found.provenance.versions, setting, None, found)
    made = bench(spec)
    seen = made.device.identity
    driver = f", driver {seen.driver}, CUDA {seen.cuda}" if seen.driver else ""
    terminal.line(f"device: {seen.product}, {seen.total_mib:,.0f} MiB{driver}")
    for service, found_there in (("llm", made.versions.llm), ("stt", made.versions.stt)):
        terminal.line(f"{service}: " + ", ".join(f"{k} {v}" for k, v in found_there.items()))
    for o in made.occupants[:8]:
        terminal.line(f"  on the device: {o.pid:>8} {mib(o)}  {o.command[:60]}" + (f" ({o.unit})" if o.unit else ""))
    return Ground(made.device.identity, made.versions, made.setting, made, None)


def _question(spec: Spec, ground: Ground) -> Question:
    """What this run asks, kept with the study for whoever reads it."""
    bench, found = ground.bench, ground.recording
    slo = Slo(**found.provenance.slo) if found and found.provenance.slo else None
    return question(
        spec,
        ground.setting,
        ground.identity,
        ground.versions,
        server_env=bench.device.server_env if bench else {},
        held_mib=round(ground.identity.total_mib - bench.device.sample().free_mib) if bench else None,
        slo=slo if found else ground.setting.slo,
        measured_elsewhere=found.sentence() if found else None,
        git_commit=git_commit(Path(__file__).parent),
    )


def _differing(here: Any, there: Any) -> str:
    if isinstance(here, dict) and isinstance(there, dict):
        return ", ".join(k for k in here if here[k] != there.get(k))
    return f"{here} here, {there} there"


@contextmanager
def _measuring(
    ground: Ground, study: optuna.Study, folder: Path
) -> Iterator[tuple[Measure, Callable[[], Occupancy] | None]]:
    """The one seam: a recording's measure, or a live one that holds tenants and servers while the block lasts.

    And who holds the device's memory, where any is held.
    """
    if ground.recording is not None:
        yield ground.recording.measure, None
        return
    if ground.bench is None:
        raise SetupError("neither a recording nor a device to measure on")
    kept = study.user_attrs.get("anchor")
    anchor = Anchor(Slo(**kept["slo"]), kept["first_rung"]) if kept else None
    known = _known(_rows(study))
    with Colocation(ground.setting, ground.bench.device, folder, anchor=anchor, known=known) as colocation:

        def measure(allocation: Allocation, this: Any) -> Measurement:
            measured = colocation.measure(allocation, this)
            if colocation.anchor is not None:
                study.set_user_attr("anchor", asdict(colocation.anchor))
            return measured

        yield measure, colocation.occupancy


def _rows(study: optuna.Study) -> list[Row]:
    return [r for r in rows(study) if r.counts]


def _known(found: list[Row]) -> list[tuple[Allocation, Measurement]]:
    return [(r.allocation, r.measurement) for r in found if r.measurement is not None]


def _conclude(
    spec: Spec,
    study: optuna.Study,
    ground: Ground,
    options: Options,
    sampler_name: str,
    folder: Path,
    terminal: Terminal,
    *,
    is_new: bool,
) -> tuple[int, Path | None]:
    """The tables, the decision, and the promotion file if something new was measured and it won.

    The exit code, and the winner's promotion, if any.
    """
    found = _rows(study)
    decision, seen = decide(found, spec), cells(found)
    terminal.show(measured(found, decision, terminal.console.width))
    terminal.decided(decision)
    if not any(r.is_feasible for r in found):
        own = [r for r in found if r.repeat_of is None]
        failed = [(r.allocation, r.diagnosis) for r in own if r.diagnosis is not None]
        occupants: list[Occupant] = list(ground.bench.occupants) if ground.bench else []
        terminal.heading("Nothing is feasible:")
        for r in own:
            if r.diagnosis is None:
                terminal.line(f"  {r.allocation}: {outcome(r)}")
        for line in advice(failed, _known(found), ground.identity.total_mib, occupants):
            terminal.line(f"  {line}")
        return NOTHING_FEASIBLE, None
    is_replay = ground.recording is not None
    where = folder / "promotions" if is_replay else options.out / "promotions"
    confirmed = _confirmed(study, decision, where, terminal)
    standing = "replay: never applicable" if is_replay else "candidate: unconfirmed"
    standing = confirmed.standing if confirmed else standing
    if (table := against(seen, decision, spec, standing)) is not None:
        terminal.show(table)
    for sentence in (*failures(seen), *how_sure(decision)):
        terminal.line(sentence)
    for sentence in warnings(_known(found), spec.workload, spec.services.llm.args):
        terminal.heading(sentence)
    if decision.winner is None:
        held_back = f"; better but held back: {'; '.join(decision.passed_over)}" if decision.passed_over else ""
        terminal.heading(f"{decision.reason}{held_back}")
        return 0, None
    for sentence in decision.passed_over:
        terminal.line(f"held back: {sentence}")
    if not is_new and study.user_attrs.get("promoted") == decision.winner.number:
        terminal.heading(f"Best so far: {decision.winner.allocation} ({decision.reason}); nothing new was measured.")
        return 0, Path(study.user_attrs.get("promotion", where))
    env = ground.bench.device.server_env if ground.bench else {}
    origin = Origin(
        study=study.study_name,
        sampler=sampler_name,
        seed=options.seed,
        device=ground.identity,
        versions=ground.versions,
        git_commit=git_commit(Path(__file__).parent),
        measured_elsewhere=ground.recording.sentence() if ground.recording else None,
        commands=commands(decision.winner.allocation, ground.setting, env),
    )
    path = write(document(decision, spec, origin), where, spec.name)
    study.set_user_attr("promoted", decision.winner.number)
    study.set_user_attr("promotion", str(path))
    terminal.heading(f"Promoted as {'replay (never applicable)' if is_replay else 'candidate'}: {path}")
    terminal.line(decision.reason)
    return 0, path


def _confirmed(study: optuna.Study, decision: Decision, where: Path, terminal: Terminal) -> Told | None:
    """What an earlier confirmation said of this winner; one that was changed since is said, and counts for nothing."""
    try:
        return confirmation_of(study.study_name, decision.winner.allocation, [where]) if decision.winner else None
    except BadInput as error:
        terminal.heading(str(error))
        return None


def _dry_run(
    spec: Spec, ground: Ground, storage: str, name: str, max_trials: int, timeout_s: float, lending: Lending
) -> list[str]:
    """The plan, from what the study already knows; opens nothing that does not exist."""
    found: list[Row] = []
    file = sqlite_file(storage)
    if file is None or file.exists():
        opened = open_storage(storage)
        if names := succession(opened, name):
            found = _rows(optuna.load_study(study_name=names[-1], storage=opened))
    known = _known(found)
    if ground.recording is not None:
        known = [(Allocation(e.values), e.measurement) for e in ground.recording.entries if e.measurement is not None]
    walls = [r.wall_s for r in found if r.status == "complete" and r.wall_s > 0]
    held, lent = 0.0, lending.states()
    if ground.bench is not None:
        held = ground.identity.total_mib - ground.bench.device.sample().free_mib
        held -= sum(o.mib or 0.0 for o in ground.bench.occupants if o.unit in {s.unit for s in lent})
    each_s = sum(walls) / len(walls) if walls else None
    done = {str(r.allocation) for r in found if r.is_known}
    left = max(0, min(max_trials, spec.search_space.size or max_trials) - len(done))
    said = plan(
        spec,
        ground.setting,
        env=ground.bench.device.server_env if ground.bench else {},
        total_mib=ground.identity.total_mib,
        held_mib=held,
        known=known,
        done=done,
        timeout_s=timeout_s,
        seconds_per_trial=each_s,
        max_trials=max_trials,
    )
    expected_s = min(timeout_s, left * (each_s or guess_s(spec)))
    return said + outage(lent, expected_s, lending.max_outage_s) if lent else said


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
