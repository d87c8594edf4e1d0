"""Sort configurations by what they are to the answer: winner, in use today, ineligible, out."""

from __future__ import annotations

from enum import StrEnum

from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.analysis.promotion_eligibility import Ineligibility, ineligibility
from study.storage.context import StudyContext


class Category(StrEnum):
    """A category says what a configuration is to the answer; they stand in a legend's order."""

    WINNER = "winner"
    BASELINE = "baseline"
    INELIGIBLE = "ineligible"
    WORKS = "works"
    OVER = "over"
    FAILED = "failed"


def category(configuration: Configuration, decision: Decision, context: StudyContext) -> Category:
    """Return what a configuration is to the answer."""
    if decision.is_winner(configuration):
        return Category.WINNER
    if not configuration.measured:
        return Category.FAILED
    if not configuration.is_feasible:
        return Category.OVER
    if str(configuration.allocation) == str(context.baseline):
        return Category.BASELINE
    if obstacle_to(configuration, decision, context) is not None:
        return Category.INELIGIBLE
    return Category.WORKS


def obstacle_to(
    configuration: Configuration, decision: Decision, context: StudyContext
) -> Ineligibility | None:
    """Return why a configuration that works may not be chosen.

    None where nothing stands against it.
    """
    return decision.against(configuration.allocation) or ineligibility(configuration, context)
