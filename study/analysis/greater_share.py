"""This module finds what giving the LLM more memory alone comes to, all else as it is today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.allocation import MEMORY, SHARE, Scalar
from objectives.diagnosis.diagnosis import consequence_of
from objectives.engines.llm_server import LlmServer
from objectives.engines.registry import sharing
from study.analysis.configurations import Configuration
from study.storage.context import StudyContext


@dataclass(frozen=True, slots=True)
class GreaterShare:
    """These are the configurations that differ from today's by the LLM's share only.

    Args:
        greatest: The one with the greatest share that works; None where none does.
        out_of_memory: The least share beyond those that work that ran out of memory; None where
            none did.
        is_fence: Whether a greater share than that of `greatest` was launched and does not work.
        default: The one with the engine's default share; None where it was not launched.
        engine: The one whose share it is.
    """

    greatest: Configuration | None
    out_of_memory: float | None
    is_fence: bool
    default: Configuration | None
    engine: LlmServer


def greater_share(
    configurations: Sequence[Configuration], context: StudyContext
) -> GreaterShare | None:
    """Return what was measured with all but the share as today; None where no engine has a share.

    What failed for another reason than memory counts as not working, too.
    """
    engine = sharing(context.services)
    if engine is None or not context.baseline.has_share:
        return None
    none: dict[str, Scalar] = {SHARE: 0, MEMORY: 0}
    today = {**context.baseline.values, **none}
    alike = [c for c in configurations if {**c.allocation.values, **none} == today]
    works = [c for c in alike if c.is_feasible]
    greatest = max(works, key=lambda c: c.allocation.share, default=None)
    beyond = 0.0 if greatest is None else greatest.allocation.share
    lost = [s for c in alike if (s := c.allocation.share) > beyond and _ran_out_of_memory(c)]
    return GreaterShare(
        greatest=greatest,
        out_of_memory=min(lost, default=None),
        is_fence=greatest is not None
        and any(
            not c.is_feasible and c.allocation.share > greatest.allocation.share for c in alike
        ),
        default=next((c for c in alike if c.allocation.share == engine.default_share), None),
        engine=engine,
    )


def _ran_out_of_memory(configuration: Configuration) -> bool:
    diagnoses = [t.diagnosis for t in configuration.failed if t.diagnosis is not None]
    return any(consequence_of(d.failure_class).breaks == "memory" for d in diagnoses)
