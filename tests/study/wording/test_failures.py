"""Each class of failure has words of its own."""

from __future__ import annotations

from objectives.diagnosis.patterns import patterns
from study.wording.failures import FAILURES


def test_every_failure_class_has_plain_words() -> None:
    assert sorted(FAILURES) == sorted(patterns()["outcomes"])
