"""Texts are compared as their language asks; each case is what a server may answer."""

import pytest

from objectives.speech.wer import WordErrors, word_errors


def errors(heard: str, reference: str, language: str | None) -> WordErrors:
    (words,) = word_errors([heard], [[reference]], [language])
    return words


@pytest.mark.parametrize(
    ("heard", "reference", "language", "expected"),
    [
        ("colour at ten percent", "Color at 10%.", None, WordErrors(0, 3)),
        ("colour at ten percent", "Color at 10%.", "en", WordErrors(0, 3)),
        ("lights off...", "Lights off.", None, WordErrors(0, 2)),  # dots are no word
        ("schone grusse", "Schöne Grüße!", "de", WordErrors(2, 2)),  # umlauts and ß are letters
        ("schöne grüße", "Schöne Grüße!", "de", WordErrors(0, 2)),
        ("um ein uhr", "Um 1 Uhr.", "de", WordErrors(1, 3)),  # numbers need a reference each
        ("ou est la gare", "Où est la gare ?", "fr", WordErrors(1, 4)),
        ("l'eau est là", "L\u2019eau est là.", "fr", WordErrors(0, 4)),
        ("cafe\u0301", "Caf\u00e9", "fr", WordErrors(0, 1)),  # both ways to write an accent
        ("нет ещё", "Нет, ещё.", "ru", WordErrors(0, 2)),
        ("오늘 날씨", "오늘 날씨?", "ko", WordErrors(0, 2)),  # words with spaces between them
        ("明天下雨", "明天 下雪。", "zh", WordErrors(1, 4)),  # characters, spaces or not
        ("明日は雨です", "明日は雨です。", "ja", WordErrors(0, 6)),
        ("พรุ่งนี้ฝนตก", "พรุ่งนี้ ฝนตก", "th", WordErrors(0, 8)),
        ("नमस्ते दुनिया", "नमस्ते, दुनिया!", "hi", WordErrors(0, 2)),  # vowel signs part no word
        ("नमस्ते दुनियो", "नमस्ते, दुनिया!", "hi", WordErrors(1, 2)),
    ],
)
def test_words_are_counted_by_the_rules_of_their_language(heard, reference, language, expected):
    assert errors(heard, reference, language) == expected
