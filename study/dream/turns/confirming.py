"""Once a study of ours has its candidate, its turns are those of the confirmation, step by step."""

from __future__ import annotations

import re
from pathlib import Path

from objectives.errors import BadInput
from objectives.evaluation import OnPhase, Phase, Step
from study.confirmation.confirm import confirm
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.subject import subject
from study.dream.experiments.model import OwnExperiment
from study.dream.turns.log import TurnLog
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob
from study.promotion.seal import verify
from study.promotion.status import Status, status_of
from study.run_plan import Run


def candidate_of(plan: Run) -> Path | None:
    """Return the newest promotion of a study, where nobody has judged it yet."""
    own = re.compile(rf"{re.escape(plan.spec.name)}_\d{{8}}_\d{{6}}\.yaml")  # of no longer name
    paths = sorted(p for p in plan.promotions.glob("*.yaml") if own.fullmatch(p.name))
    return paths[-1] if paths and not _is_judged(paths[-1]) else None


def confirm_next(
    promotion: Path,
    plan: Run,
    job: TurnJob,
    experiment: OwnExperiment,
    log: TurnLog,
    on_phase: OnPhase,
) -> Report:
    """Measure the next pair of a candidate, or what comes beside the pairs; write what they say.

    A replay has all of its pairs already. The promotion keeps its place, where a watch looks.

    Args:
        promotion: Its file.
        plan: The study that it is of.
        job: The turn.
        experiment: The experiment.
        log: Gets what is said.
        on_phase: Called as each phase begins.

    Raises:
        BadInput: The promotion was changed, or the journal was begun for something else.
        SetupError: This machine cannot measure, or pairs are disturbed again and again.
    """
    options = ConfirmOptions(out=job.root, lending=plan.options.lending, steps=1)
    of = subject(
        promotion, spec_file=job.config, experiment=experiment.name, spec_content=job.content()
    )
    if plan.is_replay:
        on_phase(Phase(Step.REPLAYING))
    confirm(of, options, log.line, on_phase)
    is_over = _is_judged(promotion)
    return Report(
        ending=TurnEnding.FINISHED if is_over else TurnEnding.RAN,
        reason=_says(promotion) if is_over else "a step of the confirmation is measured",
        is_confirming=not is_over,
    )


def _is_judged(promotion: Path) -> bool:
    """Say whether a confirmation has come to its end; one of a replay is over with its first."""
    try:
        data = verify(promotion)
    except BadInput:
        return True  # it was changed since: there is nothing to confirm
    match status_of(data):
        case Status.CANDIDATE:
            return False
        case Status.REPLAY:
            return "confirmation" in data
    return True


def _says(promotion: Path) -> str:
    data = verify(promotion)
    confirmation = data.get("confirmation") or {}
    return f"{confirmation.get('verdict')}: {promotion}"
