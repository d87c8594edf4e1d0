"""Services beside the voice turn are started, asked and measured with it, on fake servers."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.live_factories import LOW, SERVER, setting

from objectives.allocation import Allocation
from objectives.capacity.holds import Hold
from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.evaluation import Failure, Job
from objectives.load import ramp
from objectives.servers import blame
from objectives.services import OtherService
from objectives.setting import Setting, conditions
from study.spec.services.beside import traffic_beside

pytestmark = pytest.mark.usefixtures("forked")
TURNS = {"window_s": 1, "turns_per_s": 8, "llm_per_s": 0, "stt_per_s": 0, "alone_requests": 2}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(blame, "DYING_S", 0.3)


def three(mood: str = "well", **more: object) -> Setting:
    usual = setting(**TURNS)
    command = f"{SERVER} --mood {mood} --after 6 --label {{embed.size}}"
    chats = f"{SERVER} --kv-tokens 90"
    embed = OtherService(api="embeddings", command=command, per_s=10, texts=3, **more)  # type: ignore[arg-type]
    speech = OtherService(api="speech", command=SERVER, per_s=2)
    ranks = OtherService(api="rerank", command=SERVER, per_s=2, texts=2)
    chat = OtherService(api="chat", command=chats, per_s=4, output_tokens=3)
    heard = f"{SERVER} --label {{notes.beams}}"
    notes = OtherService(api="transcription", command=heard, per_s=2, served_model="base")
    others = {"embed": embed, "voice": speech, "ranks": ranks, "chat": chat, "notes": notes}
    services = {**usual.services, **others}
    workload = replace(usual.workload, beside=traffic_beside(services))
    return replace(usual, services=services, workload=workload)


def job(folder: Path) -> Job:
    return Job(replace(LOW, values={**LOW.values, "embed.size": 8, "notes.beams": 1}), 0, folder)


def test_each_service_beside_the_turn_has_its_figures(device, tmp_path) -> None:
    with Colocation(three(), device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(job(tmp_path / "0"))
    m = outcome.measurement
    assert m is not None, outcome.failure
    offered = {name: s.offered for name, s in m.services.items()}
    assert offered == {"llm": 8, "stt": 8, "embed": 10, "voice": 2, "ranks": 2, "chat": 4} | {
        "notes": 2
    }
    assert all(s.latency_p95_ms and s.interference for s in m.services.values())
    chat = m.services["chat"]  # another LLM, by the same figures
    assert chat.ttft_p95_ms and chat.tpot_p95_ms is not None and chat.ttft_p95_ms < 1e6
    assert m.kv_capacity_bound == 1600 // 20  # that of the LLM which answers turns
    assert m.services["embed"].ttft_ms is None  # its answer comes in one piece
    lines = (tmp_path / "0/replies.jsonl").read_text().splitlines()
    turns = {(r["service"], r["turn"] is None) for r in map(json.loads, lines)}
    assert turns >= {("embed", True), ("voice", True), ("ranks", True), ("llm", False)}
    assert ("embed", False) not in turns


def test_the_words_of_each_service_that_transcribes_are_counted_once(device, tmp_path) -> None:
    usual = three()
    turns = replace(usual.services["stt"], random_weights=())
    variant = replace(usual, services={**usual.services, "stt": turns})
    values = {**job(tmp_path).allocation.values, "notes.beams": 5}
    (tmp_path / "1").mkdir()  # no other server is started there
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        m = colocation.measure(job(tmp_path / "0")).measurement
        counted = {**colocation.exercise.word_errors}
        again = colocation.measure(Job(Allocation(values), 0, tmp_path / "1")).measurement
        assert [k for k in colocation.exercise.word_errors if k not in counted] == ["notes beams=5"]
    assert m is not None and again is not None
    for measured in (m, again):
        stt, notes = measured.services["stt"], measured.services["notes"]
        assert stt.word_errors == notes.word_errors and len(stt.word_errors) == 24
        assert stt.wer_pct == notes.wer_pct and notes.rtfx
    assert set(counted) == {"base", "notes beams=1"}


def test_one_that_sleeps_is_woken_by_the_window_and_its_start_is_in_the_answer(
    device, tmp_path
) -> None:
    values = {**job(tmp_path).allocation.values, "embed.resident": False}
    asleep = Job(Allocation(values), 0, tmp_path / "0")
    (tmp_path / "1").mkdir()  # no server is started there
    with Colocation(three(woken_by="front"), device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(asleep)
        kept = colocation.measure(replace(asleep, folder=tmp_path / "1")).measurement
    m = outcome.measurement
    assert m is not None and m.failure_rate == 0, outcome.failure
    embed, voice = m.services["embed"], m.services["voice"]
    assert (voice.cold_starts, voice.awake_pct, voice.asleep_mib) == (None, None, None)
    assert embed.cold_starts == 1 and embed.asleep_mib == embed.memory_mib == 100.0
    assert embed.cold_start_s and embed.awake_pct
    replies = [row for row in rows(tmp_path / "0/replies.jsonl") if row["service"] == "embed"]
    longest_s = max(row["end_s"] - row["scheduled_s"] for row in replies)
    assert longest_s >= embed.cold_start_s
    assert kept is not None and kept.services["embed"].start_s == 0
    assert kept.services["embed"].cold_starts == 1  # it slept before this window too


def test_speech_that_sleeps_is_woken_by_the_first_turn(device, tmp_path) -> None:
    """Its turn waits for the start, and the LLM is asked after it."""
    usual = setting(**TURNS)
    stt = replace(usual.services["stt"], woken_by="front", resident=False)
    variant = replace(usual, services={**usual.services, "stt": stt})
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(Job(LOW, 0, tmp_path / "0"))
    m = outcome.measurement
    assert m is not None and m.failure_rate == 0, outcome.failure
    speech = m.services["stt"]
    assert speech.cold_starts == 1 and speech.cold_start_s and speech.asleep_mib == 100.0
    assert m.services["llm"].cold_starts is None and m.services["llm"].offered == 8
    turns: dict[int, dict[str, Any]] = {}
    for row in rows(tmp_path / "0/replies.jsonl"):
        if row["turn"] is not None:
            turns.setdefault(row["turn"], {})[row["service"]] = row
    heard = turns[0]["stt"]
    assert heard["end_s"] - heard["scheduled_s"] >= speech.cold_start_s
    assert turns[0]["llm"]["scheduled_s"] >= heard["end_s"]


def test_an_llm_that_sleeps_is_woken_by_a_turn_and_its_pages_wake_it_never(
    device, tmp_path
) -> None:
    """A hold is asked of one that stays awake, however seldom its turns are."""
    usual = setting(**{**TURNS, "window_s": 4, "turns_per_s": 0.5, "hold_s": 3.0})
    command = f"{usual.services['llm'].command} --start-s 0.5"
    llm = replace(usual.services["llm"], command=command, woken_by="front", idle_s=0.5)
    llm = replace(llm, resident=False)
    services, limits = {**usual.services, "llm": llm}, {"llm_ttft_p95_ms": 450.0}
    variant = replace(usual, services=services, limits=limits)
    for name in ("1", "2"):
        (tmp_path / name).mkdir()  # no server is started there
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(Job(LOW, 0, tmp_path / "0"))
        kept = colocation.measure(Job(LOW, 0, tmp_path / "1")).measurement
        before = starts_in(tmp_path / "0/llm.log")
        held = colocation.hold(Job(LOW, 0, tmp_path / "2"), 1.0)
        assert starts_in(tmp_path / "0/llm.log") == before + 1
    m = outcome.measurement
    assert m is not None and m.failure_rate == 0, outcome.failure
    own = m.services["llm"]
    assert own.cold_starts and own.cold_start_s and own.asleep_mib == 100.0
    assert own.awake_pct is not None and own.awake_pct < 100
    assert own.kv_tokens == 1600 and own.preemptions is None
    assert own.ttft_p95_ms is not None and own.ttft_p95_ms >= 1000 * own.cold_start_s >= 500
    assert m.goodput_pct is not None and m.goodput_pct < 100
    assert kept is not None and kept.services["llm"].start_s == 0
    assert kept.services["llm"].kv_tokens == 1600  # as it told while it was awake
    assert kept.services["llm"].cold_starts
    assert isinstance(held, Hold) and held.turns > 1


def starts_in(log: Path) -> int:
    return log.read_text().count("Application startup complete")


def test_an_llm_that_wakes_without_enough_memory_is_the_victim(device, tmp_path) -> None:
    """Its first start had enough: it is the one that follows which does not."""
    usual = setting(**TURNS)
    server = usual.services["llm"].command
    script = 'if [ -e "$0" ]; then exec "$@" --mood oom-at-start; fi; : > "$0"; exec "$@"'
    command = f"sh -c {shlex.quote(script)} {tmp_path}/slept {server}"
    llm = replace(usual.services["llm"], command=command, woken_by="front", resident=False)
    variant = replace(usual, services={**usual.services, "llm": llm})
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        failure = colocation.measure(Job(LOW, 0, tmp_path / "0")).failure
    assert failure is not None and failure.diagnosis is not None
    assert (failure.diagnosis.failure_class, failure.diagnosis.victim) == ("oom_budget", "llm")


def test_one_that_runs_out_of_memory_is_the_victim(device, tmp_path) -> None:
    with Colocation(three("oom-under-load"), device_set(device), tmp_path) as colocation:
        failure = colocation.measure(job(tmp_path / "0")).failure
    assert failure is not None and failure.diagnosis is not None
    assert (failure.diagnosis.failure_class, failure.diagnosis.victim) == ("oom_runtime", "embed")
    assert "out of memory" in failure.diagnosis.evidence


def test_an_llm_beside_that_runs_out_of_memory_is_the_victim(device, tmp_path) -> None:
    """Its server says so in its log, in the middle of a stream, and hangs up."""
    variant = three()
    command = f"{SERVER} --mood oom-under-load --after 6"
    chat = OtherService(api="chat", command=command, per_s=5, output_tokens=3)
    services = {**variant.services, "chat": chat}
    workload = replace(variant.workload, beside=traffic_beside(services))
    variant = replace(variant, services=services, workload=workload)
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        failure = colocation.measure(job(tmp_path / "0")).failure
    assert failure is not None and failure.diagnosis is not None
    assert (failure.diagnosis.failure_class, failure.diagnosis.victim) == ("oom_runtime", "chat")


def test_one_that_is_out_of_memory_at_its_start_is_the_victim(device, tmp_path) -> None:
    with Colocation(three("oom-at-start"), device_set(device), tmp_path) as colocation:
        failure = colocation.measure(job(tmp_path / "0")).failure
    assert failure is not None and failure.diagnosis is not None
    assert failure.diagnosis.victim == "embed"


def test_a_turn_may_pass_more_services_one_after_the_other(device, tmp_path) -> None:
    variant = three()
    services = {**variant.services, "voice": OtherService(api="speech", command=SERVER, per_s=0)}
    workload = replace(
        variant.workload,
        turn=("stt", "llm", "voice"),
        beside=traffic_beside(services),
        hold_s=4.0,
    )
    variant = replace(variant, services=services, workload=workload)
    (tmp_path / "1").mkdir()  # no server is started there
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        m = colocation.measure(job(tmp_path / "0")).measurement
        held = colocation.hold(job(tmp_path / "1"), rate_per_s=3.0)
    assert m is not None and m.services["voice"].offered == m.services["llm"].offered == 8
    turns: dict[int, dict[str, Any]] = {}
    for row in rows(tmp_path / "0/replies.jsonl"):
        if row["turn"] is not None:
            turns.setdefault(row["turn"], {})[row["service"]] = row
    assert len(turns) == 8
    for turn in turns.values():
        ends_s = [turn[name]["end_s"] for name in ("stt", "llm")]
        starts_s = [turn[name]["scheduled_s"] for name in ("llm", "voice")]
        assert starts_s == pytest.approx(ends_s)
    waits_s = sorted(t["voice"]["first_s"] - t["stt"]["scheduled_s"] for t in turns.values())
    assert m.turn_ttft_ms == pytest.approx(1000 * waits_s[3])
    assert isinstance(held, Hold) and held.good == held.turns
    assert {row["service"] for row in rows(tmp_path / "1/hold.jsonl")} == {"stt", "llm", "voice"}


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_ramp_has_the_services_beside_it_at_their_own_rate(device, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ramp, "COMPLETION_WINDOW_S", 3.0)
    variant = three()
    workload = replace(variant.workload, ramp_s=10.0, ramp_doubling_s=1.0)
    variant = replace(variant, workload=workload, limits={"stt_latency_p95_ms": 0.001})
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(job(tmp_path / "0"))
    assert outcome.measurement is not None, outcome.failure
    turns, beside = rows(tmp_path / "0/ramp.jsonl"), rows(tmp_path / "0/ramp_beside.jsonl")
    assert {row["service"] for row in turns} == {"llm", "stt"}
    assert {row["service"] for row in beside} <= {"embed", "voice", "ranks", "chat", "notes"}
    assert all(row["turn"] is None and row["error"] is None for row in beside)
    times_s = [row["scheduled_s"] for row in beside if row["service"] == "embed"]
    assert len(times_s) / max(row["scheduled_s"] for row in turns) == pytest.approx(10, rel=0.7)


def test_a_hold_has_them_too_and_names_one_that_fails(device, tmp_path) -> None:
    variant = three()
    variant = replace(variant, workload=replace(variant.workload, hold_s=3.0))
    with Colocation(variant, device_set(device), tmp_path) as colocation:
        held = colocation.hold(job(tmp_path / "0"), rate_per_s=3.0)
    assert isinstance(held, Hold) and held.turns == held.good > 3
    beside = rows(tmp_path / "0/hold_beside.jsonl")
    assert {row["service"] for row in beside} >= {"embed"}
    assert len({row["turn"] for row in rows(tmp_path / "0/hold.jsonl")}) == held.turns
    with Colocation(
        replace(three("oom-under-load"), workload=variant.workload), device_set(device), tmp_path
    ) as colocation:
        failed = colocation.hold(job(tmp_path / "1"), rate_per_s=3.0)
    assert isinstance(failed, Failure) and failed.diagnosis is not None
    assert (failed.diagnosis.failure_class, failed.diagnosis.victim) == ("oom_runtime", "embed")


@pytest.mark.parametrize("name", ["embed", "voice", "ranks"])
def test_what_has_no_traffic_beside_leaves_old_conditions_as_they_were(name: str) -> None:
    assert "beside" not in conditions(setting(**TURNS))["workload"]
    assert name in {t["service"] for t in conditions(three())["workload"]["beside"]}
