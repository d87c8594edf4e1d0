"""This module writes the winner of a study as a promotion, and finds the one that was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna

from study.analysis.decision import Decision
from study.promotion.document import Origin, document, write_promotion
from study.storage.attributes import attribute
from study.storage.context import StudyContext

PROMOTED, FILE = "promoted", "promotion"  # attributes of a study: the winner's trial, its file


def promote(
    study: optuna.Study,
    decision: Decision,
    context: StudyContext,
    origin: Origin,
    folder: Path,
    *,
    why: str,
    passed_over: Sequence[str],
) -> Path:
    """Write the winner's file into `folder`, note it in the study, and return it.

    `why` and `passed_over` are the decision in words.

    Raises:
        ValueError: There is no winner.
    """
    data = document(decision, context, origin, why=why, passed_over=passed_over)
    path = write_promotion(data, folder, context.name)
    study.set_user_attr(PROMOTED, data["trial"])
    study.set_user_attr(FILE, str(path))
    return path


def promoted(study: optuna.Study, decision: Decision) -> Path | None:
    """Return the file of this decision's winner; None where it was not written."""
    winner, file = decision.winner, attribute(study, FILE, str)
    if winner is None or study.user_attrs.get(PROMOTED) != winner.number or not file:
        return None
    return Path(file)
