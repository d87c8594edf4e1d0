"""Where nothing works, each reason is told once, with its proof and the nearest change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from made.factories import make, measurement, oom, write_spec
from processes.commands import run_study

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.engines.registry import engines_of
from objectives.services import LlmService, SttService
from study.cli.end_of_run.failures import advice

ENGINES = engines_of({"llm": LlmService(), "stt": SttService()})


def at(share: float, size: str = "base") -> Allocation:
    return Allocation({"vllm_memory_util": share, "whisper_model_size": size})


def small(deficit: float | None) -> Diagnosis:
    return Diagnosis(
        "kv_too_small",
        "llm",
        FailurePhase.START,
        deficit,
        "No available memory for the cache blocks",
    )


def test_the_least_to_free_and_who_holds_it_are_named() -> None:
    held = [
        Occupant(7, "desktop", 300.0, None),
        Occupant(8, "game", 4000.0, "game.service"),
        Occupant(9, "?", None, None),
    ]
    *_, last = advice([(at(0.5), oom(900.0)), (at(0.45), oom(300.0))], [], 12_000, held, ENGINES)
    assert last.startswith(
        "freeing 300 MiB would let the nearest one start: game holds 4,000 MiB (game.service);"
    )
    assert "desktop holds 300 MiB (process 7)" in last and "?" not in last


def test_shares_that_are_too_small_say_by_how_much() -> None:
    *_, last = advice([(at(0.4), small(1200.0)), (at(0.45), small(600.0))], [], 12_000, [], ENGINES)
    assert last == "shares 0.4, 0.45 are too small for one request: give more, by at least 0.05"


def test_a_cache_of_speech_that_is_too_small_says_nothing_of_the_share() -> None:
    of_speech = replace(small(100.0), victim="stt")
    assert not any("share" in line for line in advice([(at(0.4), of_speech)], [], 1e4, [], ENGINES))


def test_measured_figures_give_the_smallest_share_and_the_longest_request_once_a_share() -> None:
    m = measurement(kv_cache_mib=1000.0, kv_tokens=8000, max_model_len=4000)
    lines = advice(
        [(at(0.6), oom(None))], [(at(0.5), m), (at(0.5, "tiny"), m)], 12_000, [], ENGINES
    )
    assert lines == [
        "the smallest share that starts is about 0.46",
        "at share 0.5 the largest max_model_len is about 8,000",
    ]


def test_what_was_not_measured_is_not_guessed() -> None:
    assert advice([(at(0.5), oom(None))], [], 12_000, [], ENGINES) == []


def test_each_reason_is_told_once_with_what_it_rules_out_and_a_line_of_the_log(
    tmp_path: Path,
) -> None:
    ran = run_study(make(tmp_path, lambda *_: oom(900.0)), "--out", tmp_path / "out")
    assert ran.returncode == 4 and "\nNo answer: nothing that was launched works." in ran.stdout
    (line,) = [x for x in ran.stdout.splitlines() if "(oom_budget)" in x]
    assert "(900 MiB short) and 9 more: the device has" in line
    assert line.endswith("Its log: Free memory is less than desired memory utilization")
    assert "- freeing 900 MiB would let the nearest one start" in ran.stdout


def test_the_line_of_the_log_begins_with_the_whole_name_of_its_error(tmp_path: Path) -> None:
    stack = "(EngineCore pid=7) ERROR 10:00 core.py:515] RuntimeError: no room"
    failed = Diagnosis("oom_startup", "llm", FailurePhase.START, None, stack)
    ran = run_study(make(tmp_path, lambda *_: failed), "--out", tmp_path / "out")
    assert "(oom_startup). Its log: RuntimeError: no room\n" in ran.stdout


def test_a_limit_that_was_missed_is_a_reason_too(tmp_path: Path) -> None:
    make(tmp_path, lambda *_: measurement(free_memory_mib=10.0))
    spec = write_spec(tmp_path, gates={"free_memory_mib": 256})
    ran = run_study(spec, "--out", tmp_path / "out")
    assert ran.returncode == 4
    assert ": over a limit, less memory stays free than the gate asks" in ran.stdout
