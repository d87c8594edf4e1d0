"""Checks the example: three in rotation for two cycles, read by the design's own commands."""

import json
import subprocess
from pathlib import Path

import pytest
from processes.commands import ROOT, run_script

EXPERIMENTS = {"toy": 4, "sqlite_options": 4, "gpu_allocation": 20}


def shell(command: str, folder: Path) -> str:
    ran = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    )
    return ran.stdout


@pytest.mark.usefixtures("forked")
def test_three_in_rotation_for_two_cycles(tmp_path: Path) -> None:
    ran = run_script(
        "run_dream.py",
        *("--config", ROOT / "examples/dream.yaml", "--cycles", 2),
        *("--logdir", tmp_path / "log", "--out", tmp_path / "artifacts/dream"),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    art = tmp_path / "artifacts/dream"
    for slug, candidates in EXPERIMENTS.items():
        for epoch in (1, 2):
            text = (art / slug / f"epoch_{epoch}/metrics.jsonl").read_text()
            lines = [json.loads(line) for line in text.splitlines()]
            # a recording has no more launches than were made
            assert len(lines) == candidates or (epoch, slug) == (2, "gpu_allocation"), slug
            assert lines
        assert (art / f"winners/{slug}.json").is_file()
    state = json.loads((tmp_path / "log/state.json").read_text())
    assert {name: p["epochs"] for name, p in state["progress"].items()} == dict.fromkeys(
        ("toy", "sqlite_options", "spica_gpu_allocation"), 2
    )
    # the commands of the design, word by word, below another folder
    gpu = shell("cat artifacts/dream/gpu_allocation/epoch_*/metrics.jsonl | jq .", tmp_path)
    assert gpu.count('"test_id"') > 20
    assert "gpu_allocation_2" in shell("ls -lht artifacts/dream/promotions/ | grep gpu", tmp_path)
    promotion = shell("cat artifacts/dream/promotions/gpu_allocation_*.yaml", tmp_path)
    assert "vllm_memory_util:" in promotion and "status: replay" in promotion
    assert "trial 0" in shell("cat log/runner.log | grep -i gpu", tmp_path)
    assert shell("ls -lht artifacts/dream/gpu_allocation/", tmp_path)
