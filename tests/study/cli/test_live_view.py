"""Checks the live picture of a run, on a recorded terminal.

It shows the run, and never fails one.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest
from made.factories import make, measurement
from rich.console import Console

from objectives.allocation import Allocation
from objectives.devices.telemetry import Occupancy
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.evaluation import Phase, Step
from objectives.measurement import INFINITE, Measurement
from objectives.speech.wer import WordVerdict
from study.cli.console import Terminal
from study.cli.live_view import Outlook, Scene, memory_bar
from study.spec.load import load
from study.spec.model import Spec
from study.storage.trial import Begun, State, Trial

HALF = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
MORE = Allocation({"vllm_memory_util": 0.55, "whisper_model_size": "base"})
HELD = {"ballast": 2048.0, "stt": 512.0}


class Clock:
    """A clock that shows what a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return load(make(tmp_path_factory.mktemp("display")))


def row(
    number: int, allocation: Allocation, fitness: float, measured: Measurement | None = None
) -> Trial:
    return Trial(
        number,
        allocation,
        State.COMPLETE,
        fitness,
        measured or measurement(),
        None,
        {},
        {"memory": 0.0},
        {},
        WordVerdict.PASS,
        None,
        None,
        False,
        90.0,
        1,
        None,
    )


def lines_of(scene: Scene, width: int = 80, *, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=file, width=width, force_terminal=True, record=True, legacy_windows=False
    )
    console.print(scene)
    return console.export_text().splitlines()


def occupancy(free_mib: float = 4096.0, holders: Mapping[str, float] = HELD) -> Occupancy:
    return Occupancy(8192.0, free_mib, dict(holders))


def scene(spec: Spec, clock: Clock, *known: Trial, **changes: object) -> Scene:
    usual = {
        "size": spec.search_space.size,
        "trials": 20,
        "timeout_s": 3600.0,
        "known": known,
        "occupancy": occupancy,
    }
    return Scene(Outlook(spec, **usual | changes), clock)  # type: ignore[arg-type]


def test_the_first_launch_of_the_baseline_tells_the_limits_that_it_misses(spec: Spec) -> None:
    slow = measurement(stt_latency_p95_ms=1200.0, goodput_pct=49.0, capacity_turns_per_s=0.5)
    lines = scene(spec, Clock()).first_look(row(0, HALF, 0.5, slow))
    assert lines == [
        "the baseline itself misses stt_latency_p95_ms: 1,200.0 ms, the limit is 1,000 ms; "
        'there only "no worse than that" counts',
        "this traffic is beyond the card: 49.0 % of the baseline's turns meet the limits; "
        "measure at half of its capacity, 0.25 turns/s (`workload:` in the spec)",
    ]
    woken = measurement(goodput_pct=49.0, capacity_turns_per_s=0.5, llm_cold_starts=2)
    assert scene(spec, Clock()).first_look(row(0, HALF, 0.5, woken)) == [
        "49.0 % of the baseline's turns meet the limits, since some waited until LLM had started"
    ]
    failed = measurement(llm_ttft_p95_ms=INFINITE, goodput_pct=0.0, capacity_turns_per_s=None)
    first, second = scene(spec, Clock()).first_look(row(0, HALF, 0.5, failed))
    assert "misses llm_ttft_p95_ms: failed requests, the limit is 2,000 ms" in first
    assert "half of its capacity (`workload:`" in second


def test_nothing_is_told_of_the_limits_where_nothing_is_wrong_or_news(spec: Spec) -> None:
    slow = row(0, HALF, 0.5, measurement(stt_latency_p95_ms=1200.0, goodput_pct=49.0))
    fast = row(0, HALF, 0.5, measurement(stt_latency_p95_ms=1000.0, goodput_pct=50.0))
    assert scene(spec, Clock()).first_look(slow)
    assert not scene(spec, Clock()).first_look(fast)
    assert not scene(spec, Clock(), fast).first_look(replace(slow, number=1))
    assert not scene(spec, Clock()).first_look(replace(slow, allocation=MORE))
    assert not scene(spec, Clock()).first_look(replace(slow, repeat_of=0))
    assert not scene(spec, Clock(), occupancy=None).first_look(slow)  # a replay


def test_the_terminal_says_the_first_look_after_the_trial(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    slow = row(0, HALF, 0.5, measurement(stt_latency_p95_ms=1200.0))
    with terminal.running(scene(spec, Clock()).outlook):
        terminal.trial(slow)
        terminal.trial(replace(slow, number=1))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("trial 0: ") and "misses stt_latency_p95_ms" in lines[1]
    assert sum("misses" in line for line in lines) == 1


def test_it_shows_trial_phase_memory_best_and_budget(spec: Spec) -> None:
    clock = Clock()
    view = scene(spec, clock, row(0, HALF, 0.6))
    view.begin(Begun(3, MORE, 2, "child"))
    view.phase(Phase(Step.STARTING, "llm"))
    clock.now += 42.4
    trial, phase, bar, legend, best, budget = lines_of(view)
    assert trial.split(None, 1)[1].rstrip() == "3, generation 2, child: 55 % + base"
    assert phase.split(None, 1)[1].rstrip() == "starting LLM 42 s"
    assert (bar.count("▒"), bar.count("▓"), bar.count("█"), bar.count("·")) == (17, 4, 13, 34)
    assert " ".join(legend.split()) == "▒ ballast 2.0 ▓ speech 0.5 █ LLM 1.5 · free 4.0 of 8.0"
    assert (
        best.removeprefix("best so far").strip()
        == "50 % + base (as today): fitness 0.600 (1 launch)"
    )
    assert (
        budget.split(None, 1)[1].rstrip()
        == "1 of 20 trials, 1 of 10 configurations; 0:42 spent, 59:17 left"
    )


def test_memory_that_no_server_of_ours_is_known_to_hold_is_other(spec: Spec) -> None:
    view = scene(spec, Clock())
    view.phase(Phase(Step.LOADING))
    assert "▚ other 1.5" in "\n".join(lines_of(view))


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(spec: Spec, width: int) -> None:
    view = scene(spec, Clock(), row(0, HALF, 0.6), row(1, MORE, 0.7), row(2, MORE, 0.8))
    view.begin(
        Begun(3, Allocation({**MORE.values, "vllm.max_num_batched_tokens": 16_384}), 2, "replicate")
    )
    view.phase(Phase(Step.LOADING_AGAIN))
    lines = lines_of(view, width)
    assert max(map(len, lines)) <= width
    assert {line.split()[0] for line in lines} >= {"trial", "phase", "memory,", "best", "budget"}


def test_what_others_held_before_is_not_taken_for_a_server_that_starts(spec: Spec) -> None:
    seen = Occupancy(8192.0, 4096.0, dict(HELD), others_mib=1024.0)
    view = scene(spec, Clock(), occupancy=lambda: seen)
    view.phase(Phase(Step.STARTING, "llm"))
    assert "█ LLM 0.5 ▚ other 1.0 · free 4.0" in "\n".join(lines_of(view))


def test_a_terminal_without_unicode_gets_letters(spec: Spec) -> None:
    view = scene(spec, Clock())
    text = "\n".join(lines_of(view, encoding="ascii"))
    assert text.isascii() and "ttttt" in text and "s speech 0.5" in text


def test_the_best_so_far_is_one_that_may_be_promoted_by_its_mean(spec: Spec) -> None:
    ineligible = replace(
        row(4, Allocation({**MORE.values, "whisper_model_size": "tiny"}), 0.99),
        word_gate=WordVerdict.CANNOT_TELL,
    )
    view = scene(spec, Clock(), row(0, HALF, 0.6), row(1, MORE, 0.5), ineligible)
    assert view.best().startswith("50 % + base (as today): fitness 0.600")
    view.ended(row(2, MORE, 0.8))
    assert view.best() == "55 % + base: fitness 0.650 (± 0.150, 2 launches); today's 0.600"


def test_before_anything_works_nothing_is_called_the_best(spec: Spec) -> None:
    failed = Diagnosis("oom_budget", "llm", FailurePhase.START, 600.0, "no memory")
    lost = replace(row(0, HALF, 0.0), state=State.PRUNED, measurement=None, diagnosis=failed)
    assert scene(spec, Clock(), lost).best() == "nothing yet that may be promoted"
    assert scene(spec, Clock()).trial() == "none yet"


def test_a_trial_that_was_never_measured_uses_no_budget(spec: Spec) -> None:
    given_back = replace(row(0, HALF, 0.0), state=State.INTERRUPTED, measurement=None)
    assert scene(spec, Clock(), given_back).budget().startswith("0 of 20 trials, 0 of 10")


def test_time_that_is_over_is_not_less_than_none(spec: Spec) -> None:
    clock = Clock()
    view = scene(spec, clock, timeout_s=10.0)
    clock.now += 4000
    assert view.budget().endswith("1:06:40 spent, 0:00 left")


def test_the_end_is_estimated_once_a_trial_of_this_run_has_ended(spec: Spec) -> None:
    clock = Clock()
    view = scene(spec, clock, row(0, HALF, 0.6))
    clock.now += 60
    assert "ends in" not in view.budget()
    view.ended(row(1, MORE, 0.7))
    assert view.budget().endswith("1:00 spent, 59:00 left, ends in 18:00 or sooner")
    clock.now += 3000  # the budget ends first
    assert view.budget().endswith("51:00 spent, 9:00 left, ends in 9:00 or sooner")


def test_a_launch_that_is_made_again_says_why_until_the_next_trial(spec: Spec) -> None:
    view = scene(spec, Clock())
    view.begin(Begun(3, MORE, None, ""))
    why = Diagnosis("port_taken", "llm", FailurePhase.START, None, "Address already in use")
    view.phase(Phase(Step.RETRYING, diagnosis=why))
    view.phase(Phase(Step.CHECKING))
    shown = " ".join(" ".join(lines_of(view)).split())
    assert "again once more, since" in shown and "Address already in use" in shown
    view.begin(Begun(4, HALF, None, ""))
    assert "Address" not in "".join(lines_of(view))


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_prose_goes_on_below_between_its_words(spec: Spec, width: int) -> None:
    view = scene(spec, Clock(), row(0, HALF, 0.6))
    view.begin(Begun(3, MORE, 2, "child"))
    lines = lines_of(view, width)
    shown = " ".join(" ".join(lines).split())
    assert "…" not in shown
    assert max(map(len, lines)) <= width
    if width >= 40:
        assert "1 of 20 trials, 1 of 10 configurations; 0:00 spent, 1:00:00 left" in shown


def test_what_takes_long_before_the_first_trial_is_said(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    Terminal().phase(Phase(Step.TENANTS))
    assert capsys.readouterr().out == "taking the memory of the tenants\n"


def test_a_pipe_is_told_of_a_launch_that_is_made_again(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    why = Diagnosis(
        "foreign_tenant", "tenant:game", FailurePhase.LOAD, 9.0, "process 7 (game) came"
    )
    with terminal.running(scene(spec, Clock()).outlook):
        terminal.phase(Phase(Step.RETRYING, diagnosis=why))
    assert "once more, since disturbed: process 7 (game) came" in capsys.readouterr().out


def test_a_launch_that_is_made_again_names_its_server_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    terminal = Terminal(quiet=True)
    why = Diagnosis("engine_death", "llm", FailurePhase.LOAD, None, "EngineDeadError")
    terminal.log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, terminal.log.name):
            terminal.phase(Phase(Step.RETRYING, diagnosis=why))
    finally:
        terminal.log.removeHandler(caplog.handler)
    said = "once more, since ended by itself (LLM server): EngineDeadError"
    assert {r.getMessage() for r in caplog.records} == {said}


def test_memory_is_not_read_more_often_than_once_a_second(spec: Spec) -> None:
    clock, moments = Clock(), []

    def look() -> Occupancy:
        moments.append(clock.now)
        return occupancy()

    view = scene(spec, clock, occupancy=look)
    for _ in range(10):
        lines_of(view)
        clock.now += 0.25
    assert moments == [100.0, 101.0, 102.0]


def test_a_device_that_cannot_be_read_ends_no_run_and_is_asked_no_more(
    spec: Spec, caplog: pytest.LogCaptureFixture
) -> None:
    moments = []

    def look() -> Occupancy:
        moments.append(1)
        raise RuntimeError("the driver went away")

    view = scene(spec, Clock(), occupancy=look)
    view.phase(Phase(Step.STOPPING))
    for _ in range(3):
        assert [line.rstrip() for line in lines_of(view)] == ["stopping 0 s"]
    assert (len(moments), len(caplog.records)) == (1, 1)
    assert "the driver went away" in caplog.text


def test_a_replay_has_no_bar(spec: Spec) -> None:
    assert not [
        line for line in lines_of(scene(spec, Clock(), occupancy=None)) if line.startswith("memory")
    ]


def test_a_bar_is_as_wide_as_asked_whatever_is_held() -> None:
    for free, holders in (
        (0.0, {"llm": 9000.0}),
        (8192.0, {}),
        (100.0, {"a": 1.0, "stt": 2.0, "llm": 8000.0}),
    ):
        bar, _ = memory_bar(occupancy(free, holders), ["stt", "llm"], 50, None)
        assert len(bar) == 50


def test_each_service_of_several_has_a_sign_of_its_own() -> None:
    holders = {"game": 1024.0, "stt": 1024.0, "llm": 2048.0, "embed": 1024.0}
    services = ["stt", "llm", "embed"]
    bar, legend = memory_bar(Occupancy(8192.0, 3072.0, holders), services, 8, None)
    assert str(bar) == "▒▓██▞···"
    assert str(legend) == "▒ game 1.0 ▓ speech 1.0 █ LLM 2.0 ▞ embed 1.0 · free 3.0 of 8.0"
