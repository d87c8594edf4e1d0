"""Word error rate over clips, and the gate that keeps a study from trading words for speed.

Both sides are normalised as Whisper's authors do (package whisper-normalizer) and aligned by jiwer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # half a second of imports, for which no --help waits
    import numpy as np
    from numpy.typing import NDArray
    from whisper_normalizer.english import EnglishTextNormalizer  # type: ignore[import-untyped]

Verdict = Literal["pass", "fail", "cannot_tell", "not_measured"]
RARE_WORDS = 3.7  # none seen: up to this many may have been due, at 97.5 % (the "rule of three" for one side)


@dataclass(frozen=True, slots=True)
class WordErrors:
    """One clip: substitutions, deletions and insertions, over the words that were said."""

    errors: int
    reference_words: int


@dataclass(frozen=True, slots=True)
class Gate:
    """Is the candidate's word error rate at most a few points above the baseline's?

    lower_points, upper_points: two-sided 95 % interval of the difference (97.5 % on each side)
    minutes_more_audio: how much more speech of this kind would decide, while it cannot be told
    """

    verdict: Verdict
    difference_points: float | None = None
    lower_points: float | None = None
    upper_points: float | None = None
    minutes_more_audio: float | None = None


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[WordErrors, ...]:
    """Errors of each clip against the nearest of its accepted references.

    >>> score(["set a timer for 12 minutes"], [["Set a timer for twelve minutes."]])
    (WordErrors(errors=0, reference_words=6),)
    """
    pairs = zip(hypotheses, references, strict=True)
    clips = ([aligned(said, words) for words in accepted] for said, accepted in pairs)
    return tuple(
        min(clip, key=lambda found: found.errors / found.reference_words) for clip in clips
    )


def aligned(hypothesis: str, reference: str) -> WordErrors:
    import jiwer  # noqa: PLC0415  see above

    words = normaliser()(reference)
    if not words:
        raise ValueError(f"the reference {reference!r} holds no word; leave the clip out")
    found = jiwer.process_words(words, normaliser()(hypothesis))
    errors = found.substitutions + found.deletions + found.insertions
    return WordErrors(errors, found.hits + found.substitutions + found.deletions)


def wer_pct(words: Iterable[WordErrors]) -> float | None:
    """The corpus word error rate; None where nothing was measured.

    >>> wer_pct([WordErrors(1, 6), WordErrors(0, 4)])
    10.0
    """
    clips = tuple(words)
    said = sum(clip.reference_words for clip in clips)
    return 100 * sum(clip.errors for clip in clips) / said if said else None


def gate(
    candidate: Sequence[WordErrors],
    baseline: Sequence[WordErrors],
    *,
    limit_points: float = 1.0,
    seed: int = 0,
    resamples: int = 2000,
    clip_seconds: Sequence[float] | None = None,
    same_configuration: bool = False,
) -> Gate:
    """Paired bootstrap over clips: pass if the whole interval is within the limit, fail if it is above.

    The interval is never narrower than that of as many words without one difference: a handful of clips
    that both transcribe without a fault is no proof. One configuration does not differ from itself.
    """
    if not candidate or not baseline:
        return Gate("not_measured")
    if same_configuration or candidate is baseline:
        return Gate("pass", 0.0, 0.0, 0.0)
    import numpy as np  # noqa: PLC0415  see above

    pairs = np.array(
        [(*astuple(new), *astuple(old)) for new, old in zip(candidate, baseline, strict=True)]
    )
    rng, clips = np.random.default_rng(seed), len(pairs)
    sums = np.array([pairs[rng.integers(clips, size=clips)].sum(axis=0) for _ in range(resamples)])
    point = float(points(pairs.sum(axis=0)))
    least = 100 * RARE_WORDS / int(pairs[:, [1, 3]].sum(axis=0).min())
    low, high = map(float, np.quantile(points(sums), [0.025, 0.975]))
    lower, upper = min(low, point - least), max(high, point + least)
    if upper <= limit_points:
        return Gate("pass", point, lower, upper)
    if lower > limit_points:
        return Gate("fail", point, lower, upper)
    if (
        clip_seconds is None or point == limit_points
    ):  # at the limit itself no amount of audio would do
        return Gate("cannot_tell", point, lower, upper)
    arm, room = upper - point if point < limit_points else point - lower, abs(limit_points - point)
    minutes = sum(clip_seconds) / 60 * ((arm / room) ** 2 - 1)  # an interval shrinks with 1/sqrt(n)
    return Gate("cannot_tell", point, lower, upper, minutes)


def points(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Difference of two corpus rates in points, from (errors, words, errors, words) in the last axis."""
    rates = sums[..., ::2] / sums[..., 1::2]
    difference: NDArray[np.float64] = 100 * (rates[..., 0] - rates[..., 1])
    return difference


@cache
def normaliser() -> EnglishTextNormalizer:
    from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415  see above

    return EnglishTextNormalizer()
