"""This module plans a run: a spec with what the command line adds, refused before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from objectives.errors import BadInput
from objectives.fitness import Preset
from study.analysis.reweigh import weighed
from study.cli.console import Terminal
from study.lanes.cluster.join import Cluster, refuse_unfit
from study.search.samplers import sampler_of
from study.service_pause.options import Lending
from study.spec.choices import RECORDED
from study.spec.model import Spec
from study.storage.url import sqlite_url


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options are what the command line adds to a spec; None leaves the spec's own.

    Args:
        sampler: The sampler's name.
        n_trials: The most over all runs.
        timeout_s: Of this run, seconds.
        seed: Of the sampler.
        storage: The URL of Optuna's storage.
        study_name: The name of the study there.
        out: The folder of artifacts.
        fresh: Whether to open a new study beside one of other conditions.
        dry_run: Whether to plan only, and launch nothing.
        preset: Whose weights count.
        restart_per_trial: Whether to launch all servers anew for every trial, trials in the order
            asked: a study of its own.
        lending: The units that lend their GPU meanwhile.
        card: The name of a card elsewhere that is planned for.
        total_mib: The memory of a device elsewhere that is planned for, MiB.
        devices: The cards to measure on, as the command line has them; None for the spec's own.
        cluster: The address of a Ray cluster whose cards to measure on; None for this machine.
        lanes: The most cards to take of it; None takes all that are free.
        retries: How often a trial whose lane was lost is measured again; None is the usual number.
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
    card: str | None = None
    total_mib: float | None = None
    devices: str | None = None
    cluster: str | None = None
    lanes: int | None = None
    retries: int | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Say whether the device is named, and need not be in this machine."""
        return self.card is not None or self.total_mib is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run is a spec with what the command line added, settled before anything runs.

    Args:
        spec: The spec, with the options' own values.
        options: What the command line added.
        folder: The folder of the study's files.
        sampler: The name of the sampler.
        study_name: The name of the study.
        storage_url: The URL of Optuna's storage.
        max_trials: The most over all runs.
        timeout_s: Of this run, seconds.
        terminal: It shows the run to a person.
        lanes: The spec on the cards of each lane; none where all is measured on one's.
        cluster: The cluster whose cards are measured on; None is this machine.
    """

    spec: Spec
    options: RunOptions
    folder: Path
    sampler: str
    study_name: str
    storage_url: str
    max_trials: int
    timeout_s: float
    terminal: Terminal
    lanes: tuple[Spec, ...] = ()
    cluster: Cluster | None = None

    @property
    def has_lanes(self) -> bool:
        """Say whether lanes measure, and not this process."""
        return bool(self.lanes) or self.cluster is not None

    @property
    def is_replay(self) -> bool:
        """Say whether figures come from a recording."""
        return isinstance(self.spec.measure, Path)

    @property
    def promotions(self) -> Path:
        """Return the folder of promotions; those of a replay lie apart, since they never apply."""
        return (self.folder if self.is_replay else self.options.out) / "promotions"


def plan_run(spec: Spec, options: RunOptions, terminal: Terminal) -> Run:
    """Return the run that spec and options ask for, or refuse it before anything is written."""
    sampler, folder = options.sampler or spec.sampler, options.out / spec.name
    default = f"{spec.name}-{sampler}-{options.seed}{'-restart' * options.restart_per_trial}"
    name = options.study_name or default
    for what, text in (("--out", str(options.out)), ("--study-name", name)):
        if not text.isprintable():
            way_out = "holds characters that cannot be shown; use plain letters"
            raise BadInput(f"{what} {text!r} {way_out}")
    live = "use it with a spec that says `measure: live`"
    if options.restart_per_trial and spec.measure != "live":
        raise BadInput(f"--restart-per-trial: a replay starts no servers; {live}")
    if options.devices is not None and spec.measure != "live":
        raise BadInput(f"--devices: a replay needs no GPU; {live}")
    if options.cluster is not None:
        if spec.measure != "live":
            raise BadInput(f"--cluster: a replay needs no GPU; {live}")
        if options.lending.units:
            raise BadInput("--lend-from stops units of this machine alone; leave it or --cluster")
        refuse_unfit(options.cluster, options.lanes, spec)
    if options.lending.units and spec.measure != "live":
        raise BadInput(f"--lend-from: a replay needs no GPU; {live}")
    if sampler == RECORDED and spec.measure == "live":
        raise BadInput(
            f"sampler {sampler!r} replays a recording; name one with `measure: {{recorded: FILE}}`"
        )
    spec = replace(spec, fitness=weighed(spec.fitness, options.preset))
    sampler_of(sampler, options.seed, spec)
    return Run(
        spec=spec,
        options=options,
        folder=folder,
        sampler=sampler,
        study_name=name,
        storage_url=options.storage or sqlite_url(folder / "study.db"),
        max_trials=options.n_trials or spec.budget.max_trials,
        timeout_s=options.timeout_s or spec.budget.wallclock_sec,
        terminal=terminal,
    )
