"""Checks that the nearest change that would work is named where nothing is feasible."""

from __future__ import annotations

from factories import measurement, oom

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.diagnosis.diagnose import Diagnosis
from study.cli.next_steps import advice


def at(share: float, size: str = "base") -> Allocation:
    return Allocation({"vllm_memory_util": share, "whisper_model_size": size})


def small(deficit: float | None) -> Diagnosis:
    return Diagnosis(
        "kv_too_small", "llm", "start", deficit, "No available memory for the cache blocks"
    )


def test_every_configuration_has_its_reason() -> None:
    said = advice([(at(0.5), oom()), (at(0.4), small(None))], [], 12_000, [])
    assert said[0] == "vllm_memory_util=0.5 whisper_model_size=base: oom_budget: " + oom().evidence
    assert said[1].startswith(
        "vllm_memory_util=0.4 whisper_model_size=base: kv_too_small: No available memory"
    )


def test_the_least_to_free_and_who_holds_it_are_named() -> None:
    held = [
        Occupant(7, "desktop", 300.0, None),
        Occupant(8, "game", 4000.0, "game.service"),
        Occupant(9, "?", None, None),
    ]
    *_, last = advice([(at(0.5), oom(900.0)), (at(0.45), oom(300.0))], [], 12_000, held)
    assert last.startswith(
        "freeing 300 MiB would let the nearest one start: game holds 4,000 MiB (game.service);"
    )
    assert "desktop holds 300 MiB (process 7)" in last and "?" not in last


def test_shares_that_are_too_small_say_by_how_much() -> None:
    *_, last = advice([(at(0.4), small(1200.0)), (at(0.45), small(600.0))], [], 12_000, [])
    assert last == "shares 0.4, 0.45 are too small for one request: give more, by at least 0.05"


def test_measured_figures_give_the_smallest_share_and_the_longest_request_once_a_share() -> None:
    m = measurement(kv_cache_mib=1000.0, kv_tokens=8000, max_model_len=4000)
    said = advice([(at(0.6), oom(None))], [(at(0.5), m), (at(0.5, "tiny"), m)], 12_000, [])
    assert said[1:] == [
        "the smallest share that starts is about 0.46",
        "at share 0.5 the largest max_model_len is about 8,000",
    ]


def test_what_was_not_measured_is_not_guessed() -> None:
    assert len(advice([(at(0.5), oom(None))], [], 12_000, [])) == 1
