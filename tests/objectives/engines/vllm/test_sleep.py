"""An LLM on vLLM keeps its process while it sleeps, where it is told to."""

from __future__ import annotations

import pytest

from objectives.allocation import SHARE, SPEECH, Allocation
from objectives.engines.registry import LLM_ENGINES, engine_of
from objectives.on_demand.resident import keeps_process
from objectives.services import LlmService

AWAKE = {SHARE: 0.5, SPEECH: "base"}
SERVICE = LlmService(model="org/m", woken_by="front", sleep_mode=True, idle_s=30.0)


def test_its_command_has_the_mode_and_its_front_the_pages_that_turn_it() -> None:
    engine = engine_of("llm", SERVICE)
    asleep = Allocation({**AWAKE, "llm.resident": False})
    command = engine.command(asleep, {"CUDA_VISIBLE_DEVICES": "0"})
    front, _, own = " ".join(command.argv).partition(" -- ")
    assert "--sleep /sleep?level=1 --wake /wake_up" in front
    assert own.endswith(" --enable-sleep-mode") and "{own_port}" in own
    assert command.env["VLLM_SERVER_DEV_MODE"] == "1"
    assert engine.settings(asleep).endswith("woken by front, in its sleep mode after 30 s")
    assert engine.conditions()["sleep_mode"] is True
    assert keeps_process(SERVICE)


@pytest.mark.parametrize("resident", [True, None])
def test_one_that_never_sleeps_has_none_of_it(resident: bool | None) -> None:
    values = AWAKE if resident is None else {**AWAKE, "llm.resident": resident}
    command = engine_of("llm", SERVICE).command(Allocation(values), {})
    assert not {"--enable-sleep-mode", "--sleep", "--"} & {*command.argv}
    assert "VLLM_SERVER_DEV_MODE" not in command.env


def test_vllm_alone_has_such_a_mode() -> None:
    assert [name for name, kind in LLM_ENGINES.items() if kind.sleep_paths[0]] == ["vllm"]
