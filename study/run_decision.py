"""This module decides what a run of a study came to, and writes the winner's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna

from objectives.errors import BadInput
from study.bench.source import Source
from study.cli.end_of_run.end import End
from study.confirmation.lookup import confirmation_beside
from study.promotion.document import Origin
from study.promotion.promote import promote, promoted
from study.report.reasons import passed_over, why
from study.report.summary import CONFIRMED_IN, Summary, confirmation_for, summary
from study.run_plan import Run


def conclude(plan: Run, source: Source, study: optuna.Study, *, is_further: bool) -> End:
    """Decide what the study came to, and write the winner's file.

    Args:
        plan: The run.
        source: What it measured on.
        study: The study.
        is_further: Whether this run has added trials; else the file that was written stays.
    """
    result, broken = _decided(plan, source, study)
    earlier = None if is_further else promoted(study, result.decision)
    promotion = earlier or _promoted_now(plan, study, result)
    return End(
        result,
        promotion,
        is_new=promotion is not None and earlier is None,
        broken=broken,
        total_mib=source.identity.total_mib,
        occupants=source.bench.occupants if source.bench else (),
    )


def _decided(plan: Run, source: Source, study: optuna.Study) -> tuple[Summary, str | None]:
    """Return the study's decision, with what fresh launches said of the winner.

    A confirmation that was changed since counts for nothing: a sentence beside it says why.
    """
    result = summary(study, promotions=None)
    result = replace(result, sampler=plan.sampler, is_ended=True)
    if result.decision.winner is None:
        return result, None
    winner = result.decision.winner.allocation
    try:
        if source.recording is not None:
            path = confirmation_beside(source.recording, winner, result.context)
            study.set_user_attr(CONFIRMED_IN, str(path.absolute()) if path else None)
        confirmation = confirmation_for(study, winner, [plan.promotions])
    except BadInput as error:
        return result, str(error)
    return replace(result, confirmation=confirmation), None


def _promoted_now(plan: Run, study: optuna.Study, result: Summary) -> Path | None:
    """Write the winner's file; return None where nothing won."""
    if result.decision.winner is None:
        return None
    return promote(
        study,
        result.decision,
        result.context,
        Origin(study.study_name, plan.sampler, plan.options.seed, plan.spec.path),
        plan.promotions,
        why=why(result.decision, result.context),
        passed_over=passed_over(result.decision),
    )
