"""A real project of compose is read, gets a promotion and loses it again, and lends its GPU."""

from __future__ import annotations

import yaml
from rigs.container_rig import IMAGE, compose, give
from rigs.production_rig import LLM, STT, Machine, begin_forked, production
from rigs.systemd_rig import REPOSITORY

INIT = str(REPOSITORY / "scripts/init_spec.py")
FAKE = REPOSITORY / "tests/support/fake_servers/fakes.py"
SERVER = f"""import runpy, sys
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
keep = ("--port", "--gpu-memory-utilization")
sys.argv = ["{FAKE}", "llm", *(w for n in keep for w in (n, words[n]))]
runpy.run_path("{FAKE}", run_name="__main__")
"""
FILE = """
version: "3.8"
x-common: &common
  image: IMAGE
  network_mode: host
  stop_grace_period: 1s
  restart: unless-stopped
  volumes: [/usr:/usr:ro, /opt/site:/opt/site:ro, /etc/moods:/etc/moods, HERE:HERE:ro]
services:
  llm:
    <<: *common
    environment: {PYTHONPATH: /opt/site, MOODS: /etc/moods}
    command: /usr/bin/python3 -m vllm.entrypoints.openai.api_server --model org/m
      --port PORT1 --gpu-memory-utilization ${SHARE:-0.5}
  stt:
    <<: *common
    environment: ["WHISPER_MODEL=${SIZE}", MOODS=/etc/moods]
    command: [/usr/bin/python3, FAKE, stt, --port, "PORT2"]
"""
OVERRIDE = """
version: "3.8"
services: {llm: {labels: {over: laid}}}
"""
LEND = """
from study.service_pause.pause import lent
with lent(("container:voice1_llm_1", "container:voice1_stt_1"), print):
    pass
"""
SHORT = {"baseline_windows": 1, "windows": 1, "window_s": 0.2, "min_requests": 3}


def put(machine: Machine, words: tuple[str, ...]) -> None:
    """Write the project with its servers, and start it."""
    machine.moods()
    machine.systemctl("stop", LLM, STT)
    for folder in ("vllm", "vllm/entrypoints", "vllm/entrypoints/openai"):
        machine.write(f"/opt/site/{folder}/__init__.py", "")
    machine.write("/opt/site/vllm/entrypoints/openai/api_server.py", SERVER)
    machine.write("/srv/Voice.1/.env", "SHARE=0.5\nSIZE=base\nKEY=secret\n")
    text = FILE.replace("HERE", str(REPOSITORY)).replace("FAKE", str(FAKE))
    text = text.replace("IMAGE", IMAGE)
    for name, port in (("PORT1", machine.ports["llm"]), ("PORT2", machine.ports["stt"])):
        text = text.replace(name, str(port))
    machine.write("/srv/Voice.1/docker-compose.yml", text)
    machine.write("/srv/Voice.1/docker-compose.override.yml", OVERRIDE)
    start = f"cd /srv/Voice.1 && {' '.join(words)} up -d > /dev/null 2>&1"
    machine.run("sh", "-c", start)


def test_a_project_of_compose_is_read_rolled_out_and_back_and_lent() -> None:
    words = compose()
    llm, stt = "voice1_llm_1", "voice1_stt_1"
    with production() as machine:
        give(machine, "docker")
        put(machine, words)
        files = ("--out", "/root/my.yaml", "--deployment", "/etc/deployment.yaml")
        (machine.root / "etc/deployment.yaml").unlink()
        named = ("--unit", "/srv/Voice.1/docker-compose.yml", "--device", "cpu")
        output, _ = begin_forked(machine, INIT, *named, *files).communicate(timeout=60)
        lend = f"--lend-from container:{llm} --lend-from container:{stt}"
        assert lend in output, output
        data = yaml.safe_load(machine.read("/etc/deployment.yaml"))
        begun = [*words, *("-f", "/srv/Voice.1/docker-compose.yml")]
        begun += ["-f", "/srv/Voice.1/docker-compose.override.yml"]
        assert data["env_file"]["stop"] == [*begun, "stop", "llm", "stt"]
        own = data["services"]["stt"]
        assert own["health_url"] == f"http://127.0.0.1:{machine.ports['stt']}/health"
        own["set"]["whisper_model_size"]["choices"]["tiny"] = "tiny"
        data |= {"device": "none", "thresholds": SHORT, "memory_timeout_s": 3}
        machine.write("/etc/deployment.yaml", yaml.safe_dump(data))

        code, output = machine.promote("apply", machine.promotion())
        assert code == 0 and "committed: production runs version 1" in output, output
        assert "pass     llm runs with SHARE=0.55: so say its processes" in output
        assert machine.read("/srv/Voice.1/.env") == "SHARE=0.55\nSIZE=tiny\nKEY=secret\n"
        inside = machine.run("docker", "inspect", llm, stt)
        assert '"0.55"' in inside and "WHISPER_MODEL=tiny" in inside and '"over": "laid"' in inside
        code, output = machine.promote("rollback")
        assert code == 0 and "with the values of version 0" in output, output
        inside = machine.run("docker", "inspect", llm, stt)
        assert '"0.5"' in inside and "WHISPER_MODEL=base" in inside

        output, _ = machine.begin("-c", LEND).communicate(timeout=60)
        assert f"lent to this study: container {llm}, container {stt}" in output, output
        running = machine.run("docker", "ps", "--format", "{{.Names}}").split()
        assert sorted(running) == [llm, stt], output
