"""A real vLLM is spread over two workers on the CPU, as over the cards of a set."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from objectives.allocation import SHARE, SPEECH, Allocation
from objectives.devices.open_device import open_device
from objectives.engines.places import Place
from objectives.engines.vllm.llm import Vllm
from objectives.fit.cell import Host
from objectives.servers.lineup import Lineup
from objectives.services import LlmService

SERVERS = Path(__file__).resolve().parents[2] / ".servers"
BOTH = "gpu0+gpu1"  # names alone: each is the host's memory


@pytest.mark.live
@pytest.mark.skipif(os.environ.get("CI") == "true", reason="2 minutes, which CI has no room for")
def test_two_workers_serve_with_half_a_cache_each(tmp_path: Path) -> None:
    python, model = SERVERS / "vllm/bin/python", SERVERS / "models/llm"
    cores = sorted(os.sched_getaffinity(0))[:2]
    if not python.exists() or len(cores) < 2:
        pytest.skip("it needs two cores and vLLM; run: python scripts/install_cpu_servers.py")
    service = LlmService(
        python=str(python),
        model=str(model),
        args=("--load-format", "dummy", "--enforce-eager", "--max-model-len", "512"),
        env={"VLLM_CPU_OMP_THREADS_BIND": "|".join(map(str, cores))},
        place=BOTH,
    )
    engine, host = Vllm(service), open_device("cpu")
    allocation = Allocation({SHARE: 0.05, SPEECH: "base"})
    command = engine.command(allocation, host.server_env)
    with closing(Lineup({"gpu0": host, "gpu1": host}, reserve_mib=512.0)) as lineup:
        log = tmp_path / "llm.log"
        lineup.start("llm", engine.api, command, engine.is_ready, log, {}, place=Place(BOTH))
        server = lineup.server("llm")
        figures = engine.figures(server.url, server.log_text())
        assert lineup.spread_mib("gpu0").keys() == lineup.spread_mib("gpu1").keys() == {"llm"}
    assert {n for n in range(3) if f"(Worker_TP{n} " in server.log_text()} == {0, 1}
    total_mib = host.identity.total_mib
    of = Host(product="", total_mib=total_mib, held_mib=0.0, reserve_mib=0.0, is_cpu=True)
    assert engine.arithmetic is not None
    files = engine.arithmetic.read(model, command.argv, of)
    each = engine.arithmetic.token_bytes(command.argv, files, of)
    alone = (*command.argv, "--tensor-parallel-size", "1")
    assert each == engine.arithmetic.token_bytes(alone, files, of) / 2  # type: ignore[operator]
    token_bytes = figures["kv_cache_mib"] * 2**20 / figures["kv_tokens"]
    assert token_bytes == pytest.approx(each, rel=0.05)
