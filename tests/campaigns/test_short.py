"""A moment of each campaign but the longest; CI runs minutes, and a person hours."""

from __future__ import annotations

import random

import pytest

from . import answers, journals, logs, promotions, recordings, specs
from .__main__ import run
from .campaign import Campaign
from .processes import kills, rollouts, servers

QUICK = (answers, logs, specs, recordings, journals, promotions)


@pytest.mark.parametrize("campaign", [c.attack for c in QUICK])
def test_nothing_fails_in_a_moment(campaign: Campaign) -> None:
    tally = run(campaign, 1.0, seed=1)
    assert tally.tries
    assert tally.failures == []


@pytest.mark.parametrize("campaign", [kills.attack, rollouts.attack, servers.attack])
def test_nothing_fails_in_one_try(campaign: Campaign) -> None:
    tally = run(campaign, 0.0, seed=3)
    assert (tally.tries, tally.failures) == (1, [])


@pytest.mark.parametrize("seed", [765, 814, 961])
def test_half_a_letter_in_a_recording_is_said_as_every_terminal_can(seed: int) -> None:
    recordings.attack(random.Random(seed))


@pytest.mark.parametrize("seed", [1476, 1602])
def test_a_refusal_quotes_what_a_line_can_hold(seed: int) -> None:
    specs.attack(random.Random(seed))


@pytest.mark.parametrize("seed", [4, 14, 28, 31])
def test_a_link_to_no_version_is_refused(seed: int) -> None:
    promotions.attack(random.Random(seed))
