"""A configuration is to the answer the winner, in use today, ineligible or out: it is sorted so."""

from __future__ import annotations

from enum import StrEnum

from study.analysis.configurations import Configuration
from study.analysis.decision import Decision


class Category(StrEnum):
    """A category says what a configuration is to the answer; they stand in a legend's order."""

    WINNER = "winner"
    BASELINE = "baseline"
    INELIGIBLE = "ineligible"
    WORKS = "works"
    GIVEN_UP = "given_up"
    OVER = "over"
    FAILED = "failed"


def category(configuration: Configuration, decision: Decision) -> Category:
    """Return what a configuration is to the answer."""
    if decision.is_winner(configuration):
        return Category.WINNER
    if not configuration.measured:
        return Category.GIVEN_UP if configuration.is_given_up else Category.FAILED
    if not configuration.is_feasible:
        return Category.OVER
    if decision.is_baseline(configuration):
        return Category.BASELINE
    if decision.against(configuration.allocation) is not None:
        return Category.INELIGIBLE
    return Category.WORKS
