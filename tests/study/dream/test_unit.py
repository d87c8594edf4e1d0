"""Checks the runner as a unit on a real systemd, and that production is lent in its turn alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from fake_servers.fakes import FAKE
from rigs.systemd_rig import SPEC, UNITS, Rig, rig, wait_until

UNIT, JUDGE = "dream.service", "judge.service"
PRINT = "from processes.commands import main_of; main_of('run_dream.py')()"
TOY = """
import subprocess, time
def evaluate(candidate):
    time.sleep(0.2)
    judge = subprocess.run(["systemctl", "is-active", "-q", "judge.service"])
    return {"height": 10 - abs(candidate["x"] - 3), "judge_runs": judge.returncode == 0}
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Rig]:
    """Boot a machine where production runs, with a study of ours beside a toy as a unit."""
    with rig() as booted:
        fakes = f"{sys.executable} -IS {FAKE} --port {{port}}"
        own = yaml.safe_load(SPEC.format(server=fakes))
        own |= {"name": "spica_lend", "lending": {"units": [JUDGE]}}
        own["budget"] = {"max_candidates": 1, "max_generations": 1}
        toy = {
            "name": "toy",
            "search_space": {"x": list(range(1000))},
            "evaluator": {"path": "toy.py"},
            "budget": {"max_candidates": 3, "wallclock_sec": 60},
            "metrics": {"target_direction": {"height": "up", "judge_runs": "neutral"}},
        }
        booted.write("/root/dream.yaml", yaml.safe_dump({"experiments": [own, toy]}))
        booted.write("/root/toy.py", TOY)
        judge = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
        booted.write(f"{UNITS}/{JUDGE}", judge)
        words = ("--config", "/root/dream.yaml", "--logdir", "/root/log", "--out", "/root/art")
        printing = booted.fork(PRINT, *words, "--print-unit")
        text, _ = printing.communicate(timeout=120)
        assert printing.returncode == 0, text
        booted.write(f"{UNITS}/{UNIT}", text)
        booted.systemctl("daemon-reload")
        booted.systemctl("enable", "--now", JUDGE)
        yield booted


def states(machine: Rig) -> dict[str, Any]:
    if not (machine.root / "root/log/state.json").exists():  # another worker has the tests before
        return {"progress": {}}
    state: dict[str, Any] = json.loads(machine.read("/root/log/state.json"))
    return state


def is_lent(machine: Rig) -> bool:
    """Say whether our study has its servers up, in the place of production."""
    return bool(machine.run("pgrep", "-f", "fakes.py", check=False)) and not is_running(machine)


def is_running(machine: Rig) -> bool:
    return machine.show(JUDGE, "ActiveState") == "active"


def all_is_back(machine: Rig) -> None:
    """Wait until production runs as before, and check that nothing of a turn is left."""
    wait_until(lambda: is_running(machine))
    assert machine.systemctl("is-enabled", JUDGE) == "enabled"
    wait_until(
        lambda: (
            not machine.systemctl(
                "list-units", "--all", "--plain", "--no-legend", "gpu-allocation-*"
            )
        )
    )
    for pattern in ("fakes.py", "study.dream.turns", "host.py"):
        assert not machine.run("pgrep", "-f", pattern, check=False), pattern


def trials(machine: Rig) -> list[dict[str, Any]]:
    if not (machine.root / "root/log/toy.jsonl").exists():
        return []
    return [json.loads(line) for line in machine.read("/root/log/toy.jsonl").splitlines()]


def test_systemd_accepts_the_unit_with_its_quotas(machine: Rig) -> None:
    assert machine.run("systemd-analyze", "verify", f"{UNITS}/{UNIT}") == ""
    assert machine.show(UNIT, "CPUQuotaPerSecUSec") not in ("", "infinity")
    assert int(machine.show(UNIT, "MemoryMax")) > 2**30


def test_a_stop_in_the_turn_that_borrows_ends_in_time_and_gives_all_back(machine: Rig) -> None:
    machine.systemctl("start", UNIT)
    wait_until(lambda: is_lent(machine), 120)
    machine.systemctl("stop", UNIT)
    # else systemd had killed what was left after 10 s
    assert machine.show(UNIT, "Result") == "success"
    assert machine.show(UNIT, "ActiveState") == "inactive"
    all_is_back(machine)
    state = states(machine)
    assert state["progress"]["spica_lend"]["ending"] == "interrupted" and not state["running"]


def test_the_next_start_goes_on_and_production_runs_in_the_turns_of_others(machine: Rig) -> None:
    machine.systemctl("start", UNIT)
    wait_until(lambda: states(machine)["progress"].get("toy", {}).get("epochs", 0) >= 2, 240)
    machine.systemctl("stop", UNIT)
    assert machine.show(UNIT, "Result") == "success"
    all_is_back(machine)
    assert states(machine)["progress"]["spica_lend"]["epochs"] >= 1
    assert len(trials(machine)) >= 6
    assert all(t["raw_metrics"]["judge_runs"] for t in trials(machine))
    log = machine.read("/root/log/runner.log").splitlines()
    lent = [n for n, line in enumerate(log) if "lent to this study: judge.service" in line]
    back = [n for n, line in enumerate(log) if "given back after" in line]
    others = [n for n, line in enumerate(log) if "[toy] trial " in line]
    assert lent and back
    for begin in lent:
        end = min((n for n in back if n > begin), default=len(log))
        assert not [n for n in others if begin < n < end]


def test_a_reload_has_the_file_read_and_a_kill_gives_all_back(machine: Rig) -> None:
    before = trials(machine)
    machine.systemctl("start", UNIT)
    wait_until(lambda: len(trials(machine)) > len(before), 240)
    machine.systemctl("reload", UNIT)
    seen = len(trials(machine))
    wait_until(lambda: len(trials(machine)) > seen, 240)
    assert machine.show(UNIT, "ActiveState") == "active"
    machine.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
    all_is_back(machine)
    machine.systemctl("stop", UNIT)  # or it would begin again by itself after a minute
    after = trials(machine)
    assert after[: len(before)] == before
    candidates = [t["params"]["x"] for t in after]
    assert len(candidates) == len(set(candidates))
