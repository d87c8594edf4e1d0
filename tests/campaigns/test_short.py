"""A moment of each campaign but the longest; CI runs minutes, and a person hours."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from study.analysis.configurations import configurations_in
from study.storage.find import study_in
from study.storage.trials import counted
from study.storage.url import sqlite_url

from . import answers, journals, logs, promotions, recordings, sizes, specs
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


def test_a_long_study_is_one_of_this_project(tmp_path: Path) -> None:
    """`python -m tests.campaigns.sizes` makes such ones, and measures what looking takes."""
    sizes.make(tmp_path, 12)
    file = tmp_path / "out" / sizes.NAME / "study.db"
    sizes.multiply(file, 3)
    trials = counted(study_in(sqlite_url(file)))
    assert [t.number for t in trials] == [*range(36)]
    assert len(configurations_in(trials)) <= 12
    assert sum(t.measurement is not None for t in trials) % 3 == 0
