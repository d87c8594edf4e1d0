"""A moment of each campaign that needs no process; CI runs minutes, and a person hours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # as `python -m tests.campaigns` finds them

from tests.campaigns import answers, logs
from tests.campaigns.__main__ import run
from tests.campaigns.campaign import Campaign


@pytest.mark.parametrize("campaign", [answers.attack, logs.attack])
def test_nothing_fails_in_a_moment(campaign: Campaign) -> None:
    tally = run(campaign, 1.0, seed=1)
    assert tally.tries
    assert tally.failures == []
