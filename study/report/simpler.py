"""This module says whether the greatest or the default share would have been the answer, too."""

from __future__ import annotations

from study.analysis.configurations import Configuration
from study.analysis.decision import Conclusion
from study.analysis.gain import gain_in
from study.analysis.greater_share import GreaterShare, greater_share
from study.report.answer import amount_in_words
from study.report.summary import Summary
from study.wording.allocations import memory_in_words


def simpler(summary: Summary) -> list[str]:
    """Say it in a sentence for each of the two; of what was not measured, that it was not.

    The list is empty where no share of the memory belongs to any service, nothing works, or
    nothing but today's was measured.
    """
    shares = greater_share(summary.configurations, summary.context)
    is_alone = summary.decision.outcome is Conclusion.NOTHING_ELSE_MEASURED
    if shares is None or shares.greatest is None or is_alone:
        return []
    return [f"{_greatest(shares, shares.greatest, summary)} {_default(shares, summary)}"]


def _greatest(shares: GreaterShare, greatest: Configuration, summary: Summary) -> str:
    name = f"The largest share that {'fits' if shares.is_fence else 'was tried'}, {_pct(greatest)}"
    today = "today's" if summary.context.has_today else "what was tried first"
    if summary.decision.is_winner(greatest):
        if summary.is_rejected:
            return f"{name}, is what was rejected."
        return f"{name}, is this one: trying it alone would have found it."
    if str(greatest.allocation) == str(summary.context.baseline):
        return f"{name}, is {today}."
    return f"{name}, {_beside(greatest, summary)}."


def _default(shares: GreaterShare, summary: Summary) -> str:
    whose, share = f"{shares.engine.title}'s default share", shares.engine.default_share
    name = f"{whose}, {100 * share:g} %"
    if shares.default is not None and shares.default.is_feasible:
        if shares.default is shares.greatest:
            return f"That is {whose}."
        return f"{name}, {_beside(shares.default, summary)}."
    if shares.default is not None:
        return f"{name}, does not work."
    if shares.out_of_memory is not None and shares.out_of_memory < share:
        return f"{name}, cannot fit: {100 * shares.out_of_memory:.4g} % ran out of memory."
    return f"{name}, was not measured."


def _beside(rival: Configuration, summary: Summary) -> str:
    """Say how another choice stands to the winner, in the figure that is told of that."""
    winner, today, all_of = summary.decision.winner, summary.reference, summary.configurations
    if winner is None or today is None or summary.is_rejected:
        return "works" if summary.decision.baseline is None else "did not beat today's"
    weights, gain = summary.service_weights, summary.gain
    own = None if gain is None else gain_in(gain.figure, rival, today, all_of, weights)
    lead = None if gain is None else gain_in(gain.figure, winner, rival, all_of, weights)
    if own is None or lead is None:
        return "cannot be compared with it"
    comes_to = f"would have come to {amount_in_words(own)}"
    if lead.half_width is None:
        return f"{comes_to}, in {len(rival.measured)} launch{'es' * (len(rival.measured) > 1)}"
    if abs(lead.log_ratio) <= lead.half_width:
        return f"{comes_to}: the same within noise"
    return f"{comes_to}: {'less' if lead.log_ratio > 0 else 'more'}, beyond noise"


def _pct(configuration: Configuration) -> str:
    return memory_in_words(configuration.allocation)
