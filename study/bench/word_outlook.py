"""This module tells before a launch of which candidates the clips cannot judge the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.engines.registry import engines_of, hears_alike
from objectives.services import Services
from objectives.speech.power import spoken_words, words_needed
from objectives.traffic.clips import SHIPPED, Clip, read_clips


@dataclass(frozen=True, slots=True, kw_only=True)
class WordOutlook:
    """A word outlook says what the gate of words can tell of candidates with other speech models.

    Args:
        candidates: How many configurations there are, the baseline's allocation left out.
        not_measured: Of how many no words are counted, since their model or the baseline's has
            random weights.
        too_few: For how many the clips have too few words.
        limit_points: The gate, percentage points.
        words: How many words the clips have.
        minutes: How long the clips are.
        minutes_needed: How much speech of this kind it takes; infinite for a gate of 0.
        longer: What ships and is long enough; None where nothing is.
    """

    candidates: int
    not_measured: int
    too_few: int
    limit_points: float
    words: int
    minutes: float
    minutes_needed: float
    longer: str | None


def word_outlook(
    services: Services,
    candidates: Sequence[Allocation],
    baseline: Allocation,
    source: str,
    limit_points: float,
) -> WordOutlook | None:
    """Return the outlook; None where the gate can judge every candidate.

    Args:
        services: One of them transcribes.
        candidates: What a run may launch.
        baseline: The allocation in use today.
        source: The clips whose words are counted.
        limit_points: How many points more wrong words a winner may have.
    """
    others = [a for a in candidates if not hears_alike(services, a, baseline)]
    engines = engines_of(services)

    def is_counted(allocation: Allocation) -> bool:
        return not any(e.is_random(allocation) for e in engines)

    counted = [a for a in others if is_counted(a) and is_counted(baseline)]
    words, minutes = size_of(read_clips(source))
    needed = words_needed(limit_points)
    too_few = len(counted) if words < needed else 0
    if not others or (len(counted) == len(others) and not too_few):
        return None
    lengths = {s: size_of(read_clips(s)) for s in SHIPPED} if too_few else {}
    return WordOutlook(
        candidates=sum(str(a) != str(baseline) for a in candidates),
        not_measured=len(others) - len(counted),
        too_few=too_few,
        limit_points=limit_points,
        words=words,
        minutes=minutes,
        minutes_needed=minutes * needed / words,
        longer=next((s for s, (count, _) in lengths.items() if count >= needed), None),
    )


def size_of(clips: Sequence[Clip]) -> tuple[int, float]:
    """Return how many words clips have, and how long they are, minutes."""
    words = spoken_words([c.references for c in clips], [c.language for c in clips])
    return words, sum(c.seconds for c in clips) / 60
