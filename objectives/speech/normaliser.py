"""Texts are normalised by whisper-normalizer before their words are compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

# Chinese, Cantonese, Japanese, Thai, Lao and Burmese are written without spaces between words.
WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my"})


def normalised(text: str, language: str | None = None) -> str:
    """Return a text as it is compared; empty where it holds no word.

    What is left of dots in a row or of a lone sign is no word.

    >>> normalised("Wake me at twelve, Doctor Müller!"), normalised("Um zwölf, Herr Müller!", "de")
    ('wake me at 12 doctor muller', 'um zwölf herr müller')
    >>> normalised("नमस्ते दुनिया", "hi"), normalised("你好。世界", "zh")
    ('नमस्ते दुनिया', '你 好 世 界')
    """
    words = normaliser(language)(text).split()
    return " ".join(word for word in words if any(map(str.isalnum, word)))


@cache
def normaliser(language: str | None) -> Callable[[str], str]:
    """Return what both texts go through before they are compared.

    English has rules of its own: spelling, numbers, contractions. In all other languages case,
    punctuation and what stands in brackets are left out, and accents, umlauts and the vowel signs
    of Indic scripts stay.
    """
    if language in {None, "en"}:
        from whisper_normalizer.english import (  # type: ignore[import-untyped]  # noqa: PLC0415
            EnglishTextNormalizer,
        )

        return cast("Callable[[str], str]", EnglishTextNormalizer())
    from whisper_normalizer.basic import (  # type: ignore[import-untyped]  # noqa: PLC0415
        BasicTextNormalizer,
    )

    is_split = language in WITHOUT_SPACES
    basic = BasicTextNormalizer(preserve_marks=True, split_letters=is_split)
    return cast("Callable[[str], str]", basic)
