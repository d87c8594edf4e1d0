"""A promotion is refused where its unit shows that nothing wakes a service that sleeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rigs.production_rig import STT, Machine, production
from rigs.systemd_rig import REPOSITORY, UNITS

from objectives.errors import BadInput
from study.deploy.config.deployed import Deployed
from study.deploy.health import sleepers
from study.deploy.health.sleepers import compare_sleepers
from study.systemd.unit_look import Look

UNIT = "judge.service"
FRONT = ("python", "/opt/objectives/on_demand/front.py", "--port", "8001")
SLEEPS = (*FRONT, "--sleep", "/sleep?level=1", "--wake", "/wake_up", "--")
VLLM, OLLAMA = ("vllm", "serve", "m"), ("/usr/bin/ollama", "serve")
ABLE, DEV = (*SLEEPS, *VLLM, "--enable-sleep-mode"), {"VLLM_SERVER_DEV_MODE": "1"}
BY_FRONT = {"woken_by": "front", "idle_s": 60}
BY_MODE = {**BY_FRONT, "sleep_mode": True}
BY_ITSELF = {"woken_by": "keep_alive", "idle_s": 60}


def said(
    monkeypatch: pytest.MonkeyPatch,
    sleeper: Mapping[str, Any],
    words: tuple[str, ...],
    env: Mapping[str, str] | None = None,
    *,
    is_whole: bool = True,
    measured: str = "env OLLAMA_HOST=127.0.0.1:1 ollama serve",
) -> str:
    """Return what is said of a service whose unit shows these words and variables."""
    monkeypatch.setattr(sleepers, "look", lambda unit: Look(unit, (words,), env, is_whole))
    services = {"llm": Deployed(set={}, unit=UNIT)}
    (line,) = compare_sleepers({"llm": sleeper}, {}, {"llm": measured}, services, Path("p.yaml"))
    return line


@pytest.mark.parametrize(
    ("sleeper", "measured", "message"),
    [
        ({"woken_by": "hope"}, "vllm serve", "nothing called hope is known to wake a service"),
        (BY_ITSELF, "python transcriber.py", "what serves llm does not unload its model by itself"),
        ({}, "ollama serve", "it is missing: where nothing wakes the service in production.*keep_"),
    ],
)
def test_a_waker_is_held_to_the_known_ones_and_to_what_serves_the_service(
    monkeypatch: pytest.MonkeyPatch, sleeper: Mapping[str, Any], measured: str, message: str
) -> None:
    with pytest.raises(BadInput, match=rf"p.yaml: on_demand.llm.woken_by: {message}"):
        said(monkeypatch, sleeper, FRONT, measured=measured)


@pytest.mark.parametrize(
    ("sleeper", "words", "env", "line"),
    [
        (BY_FRONT, (*FRONT, "--", *VLLM), {}, "the front in judge.service wakes it"),
        (BY_FRONT, ("python", "-m", "objectives.on_demand.front"), {}, "the front in"),
        (BY_MODE, ABLE, DEV, "the front in judge.service wakes it by /wake_up"),
        (BY_MODE, (*SLEEPS, "run.sh"), {}, "does not show --enable-sleep-mode and VLLM_SERVER"),
        (BY_ITSELF, OLLAMA, {"OLLAMA_KEEP_ALIVE": "1m"}, "judge.service has OLLAMA_KEEP_ALIVE=1m"),
        (BY_ITSELF, OLLAMA, {}, "judge.service names no OLLAMA_KEEP_ALIVE: its server's own time"),
        ({"woken_by": "llama_swap"}, VLLM, {}, "was not checked: llama-swap could not be tried"),
    ],
)
def test_what_its_unit_shows_is_said(
    monkeypatch: pytest.MonkeyPatch,
    sleeper: Mapping[str, Any],
    words: tuple[str, ...],
    env: Mapping[str, str],
    line: str,
) -> None:
    assert line in said(monkeypatch, sleeper, words, env)


@pytest.mark.parametrize(
    ("sleeper", "words", "env", "message"),
    [
        (BY_FRONT, VLLM, {}, "nothing wakes it: neither the command of judge.service nor its"),
        (BY_MODE, (*FRONT, "--", *ABLE[-4:]), DEV, "the front in judge.service stops the server"),
        (BY_MODE, ABLE, {}, "has no sleep mode without VLLM_SERVER_DEV_MODE=1; add"),
        (BY_MODE, (*SLEEPS, *VLLM), DEV, "has no sleep mode without --enable-sleep-mode; add"),
        (BY_ITSELF, VLLM, {}, "what judge.service runs does not unload its model by itself"),
        (BY_ITSELF, OLLAMA, {"OLLAMA_KEEP_ALIVE": "-1"}, "OLLAMA_KEEP_ALIVE=-1, with which it nev"),
    ],
)
def test_a_unit_that_nothing_wakes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    sleeper: Mapping[str, Any],
    words: tuple[str, ...],
    env: Mapping[str, str],
    message: str,
) -> None:
    with pytest.raises(BadInput, match=rf"p.yaml: llm sleeps until it is asked, and .*{message}"):
        said(monkeypatch, sleeper, words, env)


@pytest.mark.parametrize(("sleeper", "words"), [(BY_MODE, ABLE), (BY_ITSELF, OLLAMA)])
def test_variables_that_nobody_may_read_are_told(
    monkeypatch: pytest.MonkeyPatch, sleeper: Mapping[str, Any], words: tuple[str, ...]
) -> None:
    line = said(monkeypatch, sleeper, words)
    assert "was not checked: the variables of judge.service cannot be read" in line


@pytest.mark.parametrize("sleeper", [BY_FRONT, BY_ITSELF])
def test_a_unit_whose_processes_nobody_saw_is_not_refused(
    monkeypatch: pytest.MonkeyPatch, sleeper: Mapping[str, Any]
) -> None:
    assert "was not checked" in said(monkeypatch, sleeper, ("run.sh",), is_whole=False)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with production() as rigged:
        rigged.moods()
        yield rigged


def test_a_plan_looks_into_a_real_unit(machine: Machine) -> None:
    promotion = machine.promotion(on_demand={"stt": BY_FRONT})
    code, output = machine.promote("plan", promotion)
    assert code == 2 and f"neither the command of {STT} nor its processes are a front" in output
    front = REPOSITORY / "objectives/on_demand/front.py"
    text = (machine.root / UNITS.lstrip("/") / STT).read_text()
    head, port = text.split("--port ", 1)
    own = head.replace(
        "ExecStart=", f"ExecStart=/usr/bin/python3 {front} --port {port.split()[0]} -- "
    )
    machine.write(f"{UNITS}/{STT}", f"{own}--port {{own_port}}\n{port.partition(chr(10))[2]}")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", STT)
    code, output = machine.promote("plan", promotion)
    assert (
        code == 0 and f"note: stt sleeps until it is asked: the front in {STT} wakes it" in output
    )
