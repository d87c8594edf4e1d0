"""The end of a run: the tables, the decision, and the promotion file if something new was measured and it won."""

from __future__ import annotations

from pathlib import Path

import optuna

from objectives.devices.device import Occupant
from objectives.errors import BadInput
from study.analysis.configurations import configurations
from study.analysis.decision import Decision, decide
from study.analysis.interference import warnings
from study.bench.commands import commands
from study.bench.source import Source
from study.cli.console import Terminal
from study.cli.end_tables import advice, against, failures, measured
from study.confirmation.lookup import Told, confirmation_beside
from study.promotion.document import Origin, document, write
from study.provenance import git_commit
from study.report.answer import doubt, held_back, how_sure
from study.report.summary import CONFIRMED_IN, Case, confirmation, fresh, sentence
from study.report.trial_words import outcome
from study.spec.model import Spec
from study.storage.context import context_of
from study.storage.trials import counted, measured_in
from study.wording import short

NOTHING_FEASIBLE = 4


def conclude(
    spec: Spec,
    study: optuna.Study,
    ground: Source,
    terminal: Terminal,
    *,
    sampler: str,
    seed: int,
    where: Path,
    is_new: bool,
) -> tuple[int, Path | None]:
    """Say what was found; the exit code (0, or 4 where nothing is feasible) and the winner's promotion, if any.

    sampler, seed: of this run; where: the folder of promotions; is_new: whether this run measured anything
    """
    found = counted(study)
    decision, seen = decide(found, spec), configurations(found)
    terminal.show(measured(found, decision, spec, terminal.console.width))
    terminal.decided(decision)
    if not any(r.is_feasible for r in found):
        own = [r for r in found if r.repeat_of is None]
        failed = [(r.allocation, r.diagnosis) for r in own if r.diagnosis is not None]
        occupants: list[Occupant] = list(ground.bench.occupants) if ground.bench else []
        terminal.heading("Nothing is feasible:")
        for r in own:
            if r.diagnosis is None:
                terminal.line(f"  {r.allocation}: {outcome(r)}")
        for line in advice(failed, measured_in(found), ground.identity.total_mib, occupants):
            terminal.line(f"  {line}")
        return NOTHING_FEASIBLE, None
    is_replay = ground.recording is not None
    confirmed = _confirmed(study, decision, where, ground, terminal)
    standing = "replay: never applicable" if is_replay else "candidate: unconfirmed"
    standing = confirmed.standing if confirmed else standing
    if (table := against(seen, decision, spec, standing)) is not None:
        terminal.show(table)
    for said in failures(seen):
        terminal.line(said)
    told = Case(
        context_of(study), found, seen, decision, study.study_name, sampler, None, confirmed
    )
    terminal.heading(sentence(told))
    if confirmed is not None:
        terminal.line(fresh(confirmed))
    for said in (*doubt(told.today, told.other, seen), *how_sure(decision)):
        terminal.line(said)
    for said in warnings(measured_in(found), spec.workload, spec.services.llm.args):
        terminal.heading(said)
    better = held_back(seen, decision)
    if decision.winner is None:
        terminal.heading(
            "; ".join([decision.reason, *(f"better but held back: {why}" for why in better)])
        )
        return 0, None
    for why in better:
        terminal.line(f"held back: {why}")
    if not is_new and study.user_attrs.get("promoted") == decision.winner.number:
        terminal.heading(
            f"Best of this study so far: {short(decision.winner.allocation)}; nothing new was measured."
        )
        terminal.line(decision.reason)
        return 0, Path(study.user_attrs.get("promotion", where))
    env = ground.bench.device.server_env if ground.bench else {}
    origin = Origin(
        study=study.study_name,
        sampler=sampler,
        seed=seed,
        device=ground.identity,
        versions=ground.versions,
        git_commit=git_commit(Path(__file__).parent),
        measured_elsewhere=ground.recording.sentence() if ground.recording else None,
        commands=commands(decision.winner.allocation, ground.setting, env),
    )
    path = write(document(decision, spec, origin), where, spec.name)
    study.set_user_attr("promoted", decision.winner.number)
    study.set_user_attr("promotion", str(path))
    what = (
        "The winner as a file, which never applies, since it was replayed"
        if is_replay
        else "Promoted as candidate"
    )
    terminal.heading(f"{what}: {path}")
    terminal.line(decision.reason)
    return 0, path


def _confirmed(
    study: optuna.Study, decision: Decision, where: Path, ground: Source, terminal: Terminal
) -> Told | None:
    """What an earlier confirmation said of this winner; one that was changed since is said, and counts for nothing."""
    if decision.winner is None:
        return None
    winner = decision.winner.allocation
    try:
        if ground.recording is not None:
            path = confirmation_beside(ground.recording, winner, context_of(study))
            study.set_user_attr(CONFIRMED_IN, str(path.absolute()) if path else None)
        return confirmation(study, winner, [where])
    except BadInput as error:
        terminal.heading(str(error))
        return None
