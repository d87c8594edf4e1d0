"""A moment of each campaign that needs no process; CI runs minutes, and a person hours."""

from __future__ import annotations

import pytest

from . import answers, journals, logs
from .__main__ import run
from .campaign import Campaign


@pytest.mark.parametrize(
    "campaign", [answers.attack, logs.attack, journals.attack, journals.attack_recording]
)
def test_nothing_fails_in_a_moment(campaign: Campaign) -> None:
    tally = run(campaign, 1.0, seed=1)
    assert tally.tries
    assert tally.failures == []
