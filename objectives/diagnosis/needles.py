"""The needles of a pattern are texts of which one stands in whatever it matches.

To look for a few words takes a hundredth of the time that a pattern takes which ignores case, and
few of all patterns have a needle in any one log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

# a letter outside ASCII that a pattern takes for one of ASCII where it ignores case
LETTERS = str.maketrans({"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"})
LEAST = 3  # characters; less stands in every log


def may_match(regex: str, text: str) -> bool:
    """Return whether a pattern that ignores case can match a text; False where it cannot.

    >>> may_match("CUDA (?:error|failure)", "no cuda FAILURE"), may_match("CUDA error", "no error")
    (True, False)
    """
    needles = needles_of(regex)
    return not needles or any(needle in _folded(text) for needle in needles)


@cache
def needles_of(regex: str) -> tuple[str, ...]:
    r"""Return a pattern's needles, in small letters; none where it may match without any.

    >>> needles_of(r"\bCUDA out of memory|HIP (?:error|failure)\b")
    ('cuda out of memory', 'error', 'failure')
    >>> needles_of(r"\d+")
    ()
    """
    return _needles(import_module("re._parser").parse(regex))


@lru_cache(maxsize=4)
def _folded(text: str) -> str:
    return (text if text.isascii() else text.translate(LETTERS)).lower()


def _needles(parts: Sequence[Any]) -> tuple[str, ...]:
    """Return the best needles of a pattern's parts, each of which is in every match."""
    return max(_choices(parts), key=lambda needles: min(map(len, needles)), default=())


def _choices(parts: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    run = ""
    for kind, of in [*parts, (None, None)]:
        if str(kind) == "LITERAL" and of < 128:
            run += chr(of).lower()
            continue
        if len(run) >= LEAST:
            yield (run,)
        run = ""
        match str(kind):
            case "SUBPATTERN":
                inner = [_needles(of[-1])]
            case "MAX_REPEAT" | "MIN_REPEAT" if of[0] > 0:
                inner = [_needles(of[-1])]
            case "BRANCH":
                inner = [_needles(branch) for branch in of[1]]
            case _:
                inner = [()]
        if all(inner):
            yield tuple(needle for needles in inner for needle in needles)
