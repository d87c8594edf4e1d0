"""`ConfirmOptions` are what the command line adds to a confirmation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from study.confirmation.pairs.part import WHOLE, Part
from study.rule.rule import LOOKS
from study.service_pause.options import Lending


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOptions:
    """These options come from the command line.

    Args:
        pairs: How many pairs of baseline and winner to measure at most: those of a look.
        timeout_s: Nothing is begun that would not end within it, s; None for no limit.
        out: The folder of all studies' files.
        fresh: Put the pairs that are there aside and begin anew, which the confirmation says.
        lending: The units that lend their GPU meanwhile.
        part: Which pairs are this card's, where several measure at once.
        take: The journals of those cards, to be merged and judged.
        devices: The cards that measure pairs at once, as the command line has them; None for the
            spec's own.
        steps: How many pairs, or what comes beside them, to measure in this run; None: no limit.
    """

    pairs: int = LOOKS[-1]
    timeout_s: float | None = None
    out: Path = Path("artifacts")
    fresh: bool = False
    lending: Lending = field(default_factory=Lending)
    part: Part = WHOLE
    take: tuple[Path, ...] = ()
    devices: str | None = None
    steps: int | None = None
