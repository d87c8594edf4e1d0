"""This module tells before any measurement how much clips can show of a word error rate. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from objectives.speech.normaliser import normalised
from objectives.speech.wer import RARE_WORDS

# The share of the words in which two configurations of one model differ: that of base at beam 5 and
# beam 1, over `dictation` (guide speech.md).
USUAL_DIFFERENCE = 0.02
Z = 1.96


def arm_points(words: int, difference: float = USUAL_DIFFERENCE) -> float:
    """Return half of the 95 % interval of a difference between two word error rates, points.

    Args:
        words: How many were spoken.
        difference: The share of words in which one erred and the other did not.

    >>> [round(arm_points(words), 2) for words in (159, 1739)]
    [2.33, 0.66]
    """
    return 100 * max(RARE_WORDS / words, Z * math.sqrt(difference / words))


def words_needed(limit_points: float) -> float:
    """Return how many words show that a configuration that is as good is within the gate.

    >>> [round(words_needed(points)) for points in (0.5, 1.0, 2.0)]
    [3073, 768, 192]
    >>> words_needed(0.0)
    inf
    """
    limit = limit_points / 100
    if not limit:
        return math.inf
    return max(RARE_WORDS / limit, USUAL_DIFFERENCE * (Z / limit) ** 2)


def spoken_words(references: Sequence[Sequence[str]], languages: Sequence[str | None]) -> int:
    """Count the words of clips by their first references, as they are compared."""
    pairs = zip(references, languages, strict=True)
    return sum(len(normalised(accepted[0], language).split()) for accepted, language in pairs)
