"""A unit that runs a container, and a container by its name, are read from a real engine."""

from __future__ import annotations

import pytest
import yaml
from rigs.container_rig import ENGINES, IMAGE, OPTIONS, give
from rigs.production_rig import begin_forked
from rigs.systemd_rig import REPOSITORY, UNITS, rig, wait_until

INIT = str(REPOSITORY / "scripts/init_spec.py")
MODULE = "/opt/site/vllm/entrypoints/openai"
JUDGE = f"""[Service]
ExecStart=/usr/bin/{{engine}} run --rm --name judge {OPTIONS} -v /opt/site:/opt/site \\
  -e PYTHONPATH=/opt/site -e HF_TOKEN=hidden {IMAGE} \\
  python3 -m vllm.entrypoints.openai.api_server --model org/m --port 8123 \\
  --gpu-memory-utilization 0.45
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_runs_in_containers_becomes_a_spec(engine: str) -> None:
    with rig() as machine:
        give(machine, engine)
        for folder in ("vllm", "vllm/entrypoints", "vllm/entrypoints/openai"):
            machine.write(f"/opt/site/{folder}/__init__.py", "")
        machine.write(f"{MODULE}/api_server.py", "import time\ntime.sleep(1000)\n")
        machine.write(f"{UNITS}/judge.service", JUDGE.format(engine=engine))
        machine.systemctl("daemon-reload")
        machine.systemctl("start", "judge.service")
        words = (
            f"{engine} run -d --name stt {OPTIONS} -e WHISPER__MODEL=Systran/faster-whisper-base"
        )
        machine.run("sh", "-c", f"{words} {IMAGE} /usr/bin/sleep 1000 > /dev/null 2>&1")
        wait_until(lambda: "api_server" in machine.run("pgrep", "-af", "api_server", check=False))
        files = ("--out", "/root/my.yaml", "--deployment", "/root/deployment.yaml")
        named = ("--unit", "judge.service", "--unit", f"{engine}:stt", "--device", "cpu")
        process = begin_forked(machine, INIT, *named, *files)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        assert "today: 0.45 of the memory for org/m, speech base; wrote /root/my.yaml\n" in output
        assert "no deployment was written: stt is no unit of systemd's" in output
        assert "--lend-from judge.service --lend-from container:stt" in output
        text = machine.read("/root/my.yaml")
        command = yaml.safe_load(text)["services"]["llm"]["command"]
        assert command == (
            f"{engine} run --rm --volume=/usr:/usr:ro --volume=/opt/site:/opt/site "
            "--env=PYTHONPATH=/opt/site --env=HF_TOKEN --entrypoint=python3 --network=host "
            f"{IMAGE} -m vllm.entrypoints.openai.api_server --model org/m "
            "--served-model-name model "
            "--host 127.0.0.1 --port {port} --gpu-memory-utilization {vllm_memory_util}"
        )
        assert "hidden" not in text
