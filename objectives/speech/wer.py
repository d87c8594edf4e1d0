"""This module measures word errors, and gates what would trade words for speed.

Both sides are normalised, by the language that is spoken, and aligned by jiwer. Where that is
written without spaces, a character is a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from objectives.speech.normaliser import normalised

if TYPE_CHECKING:  # half a second of imports, for which no --help waits
    import numpy as np
    from numpy.typing import NDArray

# Where no difference was seen, up to this many may have been due, at 97.5 %: the "rule of three"
# for one side.
RARE_WORDS = 3.7
DRAWN_AT_ONCE = 100_000  # clips of the bootstrap, 4 MB


class WordVerdict(StrEnum):
    """A verdict says whether a configuration's words are as good as the baseline's."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    CANNOT_TELL = "cannot_tell"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Word errors are those of one clip: substitutions, deletions and insertions.

    Args:
        errors: Their number.
        reference_words: The number of words that were spoken; of characters, where the language is
            written without spaces.
    """

    errors: int
    reference_words: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate says whether a candidate's word error rate is at most a few points above another's.

    Args:
        verdict: The answer.
        difference_points: The candidate's rate less the baseline's, percentage points.
        lower_points: The lower end of the two-sided 95 % interval (97.5 % on each side).
        upper_points: The upper end of it.
        minutes_more_audio: How much more speech of this kind would decide, minutes; None where
            the gate has decided, or where none would.
    """

    verdict: WordVerdict
    difference_points: float | None = None
    lower_points: float | None = None
    upper_points: float | None = None
    minutes_more_audio: float | None = None


def word_errors(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str | None] | None = None,
) -> tuple[WordErrors, ...]:
    """Return the errors of each clip against the nearest of its accepted references.

    Args:
        hypotheses: What was understood, one text a clip.
        references: What counts as right, at least one text a clip.
        languages: The code of each clip's language; None, of all or of one, is English.

    >>> word_errors(["set a timer for 12 minutes"], [["Set a timer for twelve minutes."]])
    (WordErrors(errors=0, reference_words=6),)
    >>> word_errors(["明日は雨です"], [["明日は晴れです。"]], ["ja"])
    (WordErrors(errors=2, reference_words=7),)
    """
    spoken = languages or [None] * len(hypotheses)
    triples = zip(hypotheses, references, spoken, strict=True)
    clips = (
        [align(text, words, language) for words in accepted] for text, accepted, language in triples
    )
    return tuple(min(clip, key=lambda e: e.errors / e.reference_words) for clip in clips)


def align(hypothesis: str, reference: str, language: str | None = None) -> WordErrors:
    """Count the errors of one answer against one reference.

    Raises:
        ValueError: The reference holds no word.
    """
    import jiwer  # noqa: PLC0415  see above

    words = normalised(reference, language)
    if not words:
        raise ValueError(f"the reference {reference!r} holds no word; leave the clip out")
    counts = jiwer.process_words(words, normalised(hypothesis, language))
    errors = counts.substitutions + counts.deletions + counts.insertions
    return WordErrors(errors, counts.hits + counts.substitutions + counts.deletions)


def wer_pct(words: Iterable[WordErrors]) -> float | None:
    """Return the corpus word error rate in percent; None where nothing was measured.

    >>> wer_pct([WordErrors(1, 6), WordErrors(0, 4)])
    10.0
    """
    clips = tuple(words)
    spoken_words = sum(clip.reference_words for clip in clips)
    return 100 * sum(clip.errors for clip in clips) / spoken_words if spoken_words else None


def gate_constraint(words: Gate, limit_points: float) -> float:
    """Return by what share of the limit the words are shown to be worse; 0 where they are not."""
    if words.verdict is not WordVerdict.FAIL or words.difference_points is None:
        return 0.0
    limit = max(limit_points, 0.01)
    return max(0.01, (words.difference_points - limit) / limit)


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
    """Compare two word error rates by a paired bootstrap over clips.

    The candidate passes if the whole interval is within the limit, and fails if it is above. The
    interval is never narrower than that of as many words without one difference: a handful of
    clips that both transcribe without a fault is no proof. A configuration does not differ from
    itself.

    Args:
        candidate: The candidate's word errors, clip by clip.
        baseline: The baseline's, on the same clips.
        limit_points: How far above the baseline's rate the candidate's may be, percentage points.
        seed: The seed of the bootstrap.
        resamples: The number of its samples.
        clip_seconds: The lengths of the clips, for how much more audio would decide.
        same_configuration: Whether both are one configuration.
    """
    if not candidate or not baseline:
        return Gate(WordVerdict.NOT_MEASURED)
    if same_configuration or candidate is baseline:
        return Gate(WordVerdict.PASS, 0.0, 0.0, 0.0)
    import numpy as np  # noqa: PLC0415  see above

    pairs = np.array(
        [(*astuple(new), *astuple(old)) for new, old in zip(candidate, baseline, strict=True)]
    )
    rng, clips = np.random.default_rng(seed), len(pairs)
    at_once = max(1, DRAWN_AT_ONCE // clips)
    parts = [min(at_once, resamples - done) for done in range(0, resamples, at_once)]
    sums = np.concatenate([pairs[rng.integers(clips, size=(n, clips))].sum(axis=1) for n in parts])
    point = float(points(pairs.sum(axis=0)))
    least = 100 * RARE_WORDS / int(pairs[:, [1, 3]].sum(axis=0).min())
    low, high = map(float, np.quantile(points(sums), [0.025, 0.975]))
    lower, upper = min(low, point - least), max(high, point + least)
    if upper <= limit_points:
        return Gate(WordVerdict.PASS, point, lower, upper)
    if lower > limit_points:
        return Gate(WordVerdict.FAIL, point, lower, upper)
    # at the limit itself no amount of audio would do
    if clip_seconds is None or point == limit_points:
        return Gate(WordVerdict.CANNOT_TELL, point, lower, upper)
    arm, room = upper - point if point < limit_points else point - lower, abs(limit_points - point)
    minutes = sum(clip_seconds) / 60 * ((arm / room) ** 2 - 1)  # an interval shrinks with 1/sqrt(n)
    return Gate(WordVerdict.CANNOT_TELL, point, lower, upper, minutes)


def worst_gate(
    candidate: Mapping[str, Sequence[WordErrors]],
    baseline: Mapping[str, Sequence[WordErrors]],
    *,
    same: Collection[str],
    limit_points: float = 1.0,
    clip_seconds: Sequence[float] | None = None,
) -> Gate:
    """Compare the words of each service that transcribes, and return the answer of the worst.

    Args:
        candidate: The candidate's word errors, by service.
        baseline: The baseline's.
        same: The services that both configure alike.
        limit_points: As of `gate`.
        clip_seconds: As of `gate`.
    """
    gates = [
        gate(
            candidate.get(service, ()),
            baseline.get(service, ()),
            limit_points=limit_points,
            clip_seconds=clip_seconds,
            same_configuration=service in same,
        )
        for service in dict.fromkeys((*baseline, *candidate))
    ]
    worst_first = [WordVerdict.FAIL, WordVerdict.NOT_MEASURED, WordVerdict.CANNOT_TELL]
    ranks = {verdict: n for n, verdict in enumerate((*worst_first, WordVerdict.PASS))}
    by_rank = sorted(gates, key=lambda g: (ranks[g.verdict], -(g.difference_points or 0.0)))
    return by_rank[0] if by_rank else Gate(WordVerdict.NOT_MEASURED)


def points(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the difference of two corpus rates, percentage points.

    Args:
        sums: (errors, words, errors, words) in the last axis, the second pair the baseline's.
    """
    rates = sums[..., ::2] / sums[..., 1::2]
    difference: NDArray[np.float64] = 100 * (rates[..., 0] - rates[..., 1])
    return difference
