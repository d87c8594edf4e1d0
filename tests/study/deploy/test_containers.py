"""A promotion goes to containers of a real engine: behind units, and behind an env file."""

from __future__ import annotations

import pytest
from rigs.container_rig import IMAGE, OPTIONS, give
from rigs.production_rig import LLM, STT, Machine
from rigs.scenarios import beside
from rigs.scenarios import scenarios as scenarios  # noqa: PLC0414  a fixture
from rigs.systemd_rig import REPOSITORY, UNITS

pytestmark = pytest.mark.usefixtures("engine")

MOUNTS = f"-v {REPOSITORY}:{REPOSITORY}:ro -v /etc/moods:/etc/moods -e MOODS=/etc/moods"
FAKE = f"/usr/bin/python3 -IS {REPOSITORY}/tests/support/fake_servers/fakes.py"
UNIT = """[Service]
ExecStartPre=-{remove}
ExecStart={command}
[Install]
WantedBy=multi-user.target
"""
RESTART = """#!/bin/sh -e
. /etc/voice.env
{engine} rm --force llm stt > /dev/null 2>&1 || true
{run} -d --name llm {image} {fake} llm --port {llm} --gpu-memory-utilization $SHARE > /dev/null 2>&1
{run} -d --name stt -e WHISPER_MODEL=$SIZE {image} {fake} stt --port {stt} > /dev/null 2>&1
"""


def prepare(machine: Machine, engine: str) -> None:
    """Give a machine an engine, on which nothing of ours runs."""
    give(machine, engine)
    machine.moods()
    machine.systemctl("stop", LLM, STT)


@beside
def test_a_unit_that_runs_a_container_gets_flags_and_variables_and_is_rolled_back(
    machine: Machine, engine: str
) -> None:
    prepare(machine, engine)
    run = f"/usr/bin/{engine} run --rm {OPTIONS} {MOUNTS}"
    llm = f"{run} --name judge {IMAGE} {FAKE} llm --port {machine.ports['llm']} "
    stt = f"{run} --name whisper -e WHISPER_MODEL=base {IMAGE} {FAKE} stt "
    commands = {
        LLM: llm + "\\\n  --gpu-memory-utilization 0.5",
        STT: stt + f"--port {machine.ports['stt']}",
    }
    for unit, name in ((LLM, "judge"), (STT, "whisper")):  # --rm may take until the next start
        remove = f"/usr/bin/{engine} rm --force {name}"
        machine.write(f"{UNITS}/{unit}", UNIT.format(command=commands[unit], remove=remove))
    machine.systemctl("daemon-reload")
    machine.systemctl("start", LLM, STT)
    machine.deployment()
    machine.wait(20, lambda: "stt probe: a real" in machine.promote("status")[1])
    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "committed: production runs version 1" in output, output
    assert "llm runs with --gpu-memory-utilization 0.55: so say its processes" in output
    assert "stt runs with WHISPER_MODEL=tiny: so say its processes" in output
    inside = machine.run(engine, "inspect", "judge", "whisper")
    assert '"0.55"' in inside and "WHISPER_MODEL=tiny" in inside
    code, output = machine.promote("rollback")
    assert code == 0 and "with the values of version 0" in output, output
    inside = machine.run(engine, "inspect", "judge", "whisper")
    assert '"0.5"' in inside and "WHISPER_MODEL=base" in inside


DEPLOYMENT = """
name: behind
device: none
env_file: {{path: /etc/voice.env, restart: [/etc/restart.sh], program: {engine}}}
services:
  llm:
    container: llm
    set:
      vllm_memory_util: {{variable: SHARE, flag: --gpu-memory-utilization, low: 0.3, high: 0.7}}
    health_url: http://127.0.0.1:{llm}/health
    metrics_url: http://127.0.0.1:{llm}/metrics
    probe: {{kind: completion, url: "http://127.0.0.1:{llm}/v1/completions", timeout_s: 5}}
    start_timeout_s: 10
  stt:
    container: stt
    set: {{whisper_model_size: {{variable: SIZE, choices: {{tiny: tiny, base: base}}}}}}
    health_url: http://127.0.0.1:{stt}/health
    probe: {{kind: transcription, url: "http://127.0.0.1:{stt}/v1/audio/transcriptions"}}
    start_timeout_s: 10
thresholds: {{baseline_windows: 1, windows: 2, window_s: 0.2, min_requests: 3}}
memory_timeout_s: 3
dead_man_s: 300
"""


@beside
def test_containers_behind_an_env_file_show_what_they_run_with_and_die_in_sight(
    machine: Machine, engine: str
) -> None:
    prepare(machine, engine)
    ports = machine.ports
    machine.write("/etc/voice.env", "SHARE=0.5\nSIZE=base\nKEY=secret\n")
    words = RESTART.format(
        engine=engine, run=f"{engine} run {OPTIONS} {MOUNTS}", image=IMAGE, fake=FAKE, **ports
    )
    machine.write("/etc/restart.sh", words)
    machine.run("chmod", "755", "/etc/restart.sh")
    machine.run("/etc/restart.sh")
    machine.write("/etc/deployment.yaml", DEPLOYMENT.format(engine=engine, **ports))
    code, output = machine.promote("plan", machine.promotion())
    assert code == 0 and "llm: SHARE= 0.5 -> 0.55" in output, output
    assert "stt: SIZE= cannot be seen -> tiny" in output and "secret" not in output
    for mood, why in (("0.55 oom", "torch.OutOfMemoryError"), ("tiny dies", "stt died")):
        machine.moods(mood)
        code, output = machine.promote("apply", machine.promotion())
        assert code == 5 and why in output and "rolled back to version 0" in output, output
        assert machine.read("/etc/voice.env").startswith("SHARE=0.5\nSIZE=base\n")
    machine.moods()
    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "committed: production runs version 1" in output, output
    assert "pass     llm runs with SHARE=0.55: so say its processes" in output
    assert machine.read("/etc/voice.env") == "SHARE=0.55\nSIZE=tiny\nKEY=secret\n"
    assert "WHISPER_MODEL=tiny" in machine.run(engine, "inspect", "stt")
    machine.run(engine, "rm", "--force", "llm")
    code, output = machine.promote("plan", machine.promotion("r", share=0.6))
    assert code == 2 and f"{engine} knows no container llm" in output, output
