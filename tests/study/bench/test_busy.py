"""What others keep busy is noticed before a study, and named."""

from __future__ import annotations

import multiprocessing
import re

import pytest
from factories import Card

from objectives.devices.device import Sample
from study.bench import busy
from study.bench.busy import busy_in_words, busy_others


def _spin() -> None:
    while True:
        pass


class BusyCard(Card):
    """A card on which a game runs."""

    def sample(self) -> Sample:
        return Sample(0.0, 9000.0, 64.0)


def test_a_process_that_computes_and_a_busy_gpu_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(busy, "CPU_PCT", 0.0)  # whatever the machine has of cores
    spinner = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    spinner.start()
    try:
        said = busy_others(BusyCard())
    finally:
        spinner.kill()
    assert re.search(r"CPU \d+ % busy, most of it .* \(process \d+\)", said[0])
    assert "others keep the GPU 64 % busy" in said[1]


def test_the_busiest_come_first_and_a_quiet_machine_says_nothing() -> None:
    used = {"a (process 1)": 30.0, "b (process 2)": 90.0, "c (process 3)": 5.0}
    (line,) = busy_in_words(60.0, used, None)
    assert "CPU 60 % busy, most of it b (process 2) and a (process 1): " in line
    (line,) = busy_in_words(60.0, {}, None)
    assert "CPU 60 % busy: " in line
    assert busy_in_words(24.0, used, 9.0) == []
