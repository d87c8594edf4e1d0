"""Checks our own experiment, recorded: its generations, then its confirmation."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from processes.commands import ROOT, run_script

from study.cli.console import Terminal
from study.confirmation.subject import subject
from study.dream.experiments.file import read_dream_file
from study.dream.experiments.model import OwnExperiment
from study.dream.schedule.grants import Demand, demand_of
from study.dream.turns.confirming import candidate_of
from study.dream.turns.log import TurnLog
from study.dream.turns.own import run_own
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob
from study.run_plan import RunOptions, plan_run
from study.spec.load import load

NAME = "spica_gpu_allocation"


def entry_of(spec: str) -> dict[str, object]:
    data = yaml.safe_load((ROOT / f"study/specs/{spec}.yaml").read_text())
    return {**data, "name": NAME, "selector": {"population_size": 20}}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    other = {"name": "other", "search_space": {}}
    file = {"experiments": [entry_of("cpu_recorded"), other]}
    (tmp_path / "dream.yaml").write_text(yaml.safe_dump(file))
    (tmp_path / "log").mkdir()
    return tmp_path


def turn(place: Path, *, is_confirming: bool = False) -> Report:
    experiment = read_dream_file(place / "dream.yaml").named(NAME)
    assert isinstance(experiment, OwnExperiment) and demand_of(experiment) == Demand(None)
    job = TurnJob(
        config=place / "dream.yaml",
        in_force=place / "dream.yaml",
        name=NAME,
        root=place / "art",
        logdir=place / "log",
        report=place / "report.json",
        is_confirming=is_confirming,
    )
    assert TurnJob.from_text(job.to_text()) == job
    return run_own(experiment, job, TurnLog(place / "log/runner.log", NAME))


def test_a_study_has_its_generations_and_then_its_confirmation(place: Path, capfd) -> None:
    first = turn(place)
    assert (first.ending, first.is_better) == (TurnEnding.RAN, True) and first.evaluated > 10
    art = place / "art"
    lines = (art / "gpu_allocation/epoch_1/metrics.jsonl").read_text().splitlines()
    assert list(json.loads(lines[0]))[:4] == [
        "test_id",
        "status",
        "vllm_memory_util",
        "whisper_model_size",
    ]
    winner = json.loads((art / f"winners/{NAME}.json").read_text())["best"]
    assert winner["params"] == first.best_params and winner["fitness"] == first.best
    report, epochs = first, 1
    while not report.is_confirming:
        report = turn(place)
        epochs += report.evaluated > 0
    for n in range(1, epochs + 1):
        own = (art / f"gpu_allocation/epoch_{n}/gen_0_candidates.jsonl").read_text().splitlines()
        own = [json.loads(line)["trial"] for line in own]
        assert own == sorted(set(own)), "each launch once"
        summary = json.loads((art / f"gpu_allocation/epoch_{n}/summary.json").read_text())
        assert summary["experiment"] == NAME
    lines = (place / "log/gpu_allocation.jsonl").read_text().splitlines()
    numbers = [json.loads(line)["trial"] for line in lines]
    assert numbers == sorted(set(numbers)) and len(numbers) > 10
    last = turn(place, is_confirming=True)
    assert last.ending is TurnEnding.FINISHED and not last.is_confirming
    (newest,) = sorted((art / "promotions").glob("gpu_allocation_*.yaml"))[-1:]
    data = yaml.safe_load(newest.read_text())
    assert data["status"] == "replay"
    assert last.reason.startswith(data["confirmation"]["verdict"])
    log = (place / "log/runner.log").read_text().splitlines()
    assert log and all(re.match(rf"\S+ \S+ \[{NAME}\] ", line) for line in log)
    assert subject(newest).spec.name == "gpu_allocation", "its file lists several experiments"


def test_the_promotion_of_an_experiment_is_confirmed_by_its_name_alone(place: Path) -> None:
    turn(place)
    (path, *_) = (place / "art/promotions").glob("*.yaml")
    ran = run_script("confirm.py", path, "--out", place / "art")
    assert ran.returncode in (0, 4, 5), ran.stderr


def test_the_promotion_of_another_experiment_is_not_its_candidate(place: Path) -> None:
    turn(place)
    plan = plan_run(
        load(place / "dream.yaml", NAME), RunOptions(out=place / "art"), Terminal(quiet=True)
    )
    plan = replace(plan, spec=replace(plan.spec, name="gpu_allocation"))
    plan = replace(plan, folder=place / "art/gpu_allocation")
    assert candidate_of(plan) is not None
    shorter = replace(plan, spec=replace(plan.spec, name="gpu"))
    assert candidate_of(shorter) is None
