"""Make a study of many trials, and measure what looking at it takes.

    python -m tests.campaigns.sizes 1000 10000

It prints the CPU time of the report, of the dashboard until it serves, and of a run that finds
nothing more to do, in seconds, and the memory of each at its peak.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna
from optuna.trial import TrialState, create_trial

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.measurement import Measurement
from objectives.recording.file import read
from study.search.score import Score, StudyScorer, failure_constraint, study_scorer
from study.search.tell import failed_attributes, scored_attributes
from study.spec.load import load
from study.storage.backends.writes import together
from study.storage.context import context_of
from study.storage.find import study_in
from study.storage.owner import Owner
from study.storage.trials import counted
from study.storage.url import sqlite_url

from .campaign import commanded

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "objectives" / "recordings" / "h200.jsonl"
FAKE = ROOT / "tests" / "support" / "fake_servers" / "fakes.py"
NAME = "long"
TABLES = (
    "trials",
    "trial_params",
    "trial_values",
    "trial_user_attributes",
    "trial_system_attributes",
    "trial_intermediate_values",
)
MOST_MADE = 1000  # trials; of more, each stands there so many times
AT_ONCE = 200  # trials that are added in one transaction
SPEC = """
name: long
measure: live
device: cpu
search_space:
  vllm_memory_util: {{low: 0.01, high: 0.5, step: 0.001}}
  whisper_model_size: [tiny, base, small]
  vllm.enforce_eager: [false, true]
bounds: {{vllm_memory_util: [0.01, 0.5]}}
baseline: {{vllm_memory_util: 0.02, whisper_model_size: base, vllm.enforce_eager: true}}
services:
  llm: {{command: "{fake} --label {{vllm_memory_util}}{{vllm.enforce_eager}}", vocabulary: 2048}}
  stt: {{command: "{fake} --label {{whisper_model_size}}"}}
workload: {{window_s: 1, words: dictation, llm_per_s: 6, stt_per_s: 6, prompt_tokens: [8, 16],
  output_tokens: 2, ramp_s: 0, alone_requests: 1}}
gates: {{free_memory_mib: 0}}
reserve_mib: 1e6
precheck: report
"""


def make(folder: Path, trials: int, seed: int = 0) -> Path:
    """Measure the first trial of a live study of fake servers, and make up the others.

    Their figures are those of the recording that ships, with noise; one of eight runs out of
    memory, and four of ten measure a configuration again.

    Returns:
        The spec; the study lies in folder/out.
    """
    spec_file = folder / "long.yaml"
    fake = f"{sys.executable} -IS {FAKE} --port {{port}} --mood well"
    spec_file.write_text(SPEC.format(fake=fake))
    with patch.dict(os.environ, ALLOCATION_STUDY_LOCKS=str(folder)):
        code, output = commanded("run_study", _options(spec_file, 1))
    assert code in (0, 4), output
    spec, rng = load(spec_file), random.Random(seed)
    study = study_in(sqlite_url(folder / "out" / NAME / "study.db"))
    scorer = study_scorer(context_of(study), counted(study))
    distributions = spec.search_space.distributions()
    figures = [m for e in read(RECORDING).entries if (m := e.measurement) is not None]
    at = datetime(2026, 11, 29, tzinfo=UTC)
    earlier, scores = [spec.baseline], dict[tuple[int, str], Score]()

    def add(number: int) -> None:
        allocation = rng.choice(earlier)
        if rng.random() < 0.6:
            allocation = spec.search_space.decode(
                {name: _drawn(d, rng) for name, d in distributions.items()}
            )
            earlier.append(allocation)
        attributes: dict[str, Any] = {
            "allocation": dict(allocation.values),
            "process": Owner.me().to_json(),
            "begun": True,
            "at": (at + timedelta(seconds=90 * number)).isoformat(),
            "seed": number,
            "wall_s": round(rng.uniform(60, 120), 2),
            "generation": number // 5,
            "slot": number % 5,
            "role": "child",
            "parents": [rng.randrange(number)],
        }
        params = spec.search_space.encode(allocation)
        study.add_trial(
            create_trial(
                params=dict(params),
                distributions={name: distributions[name] for name in params},
                **_ended(allocation, figures, scorer, scores, rng, attributes),
            )
        )

    for start in range(1, trials, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, trials))
        together(study, lambda numbers=numbers: [add(n) for n in numbers])
    return spec_file


def multiply(file: Path, times: int) -> None:
    """Let a study hold all of its trials so many times, which takes a database no time."""
    with closing(sqlite3.connect(file)) as opened, opened:
        count = opened.execute("SELECT MAX(trial_id) FROM trials").fetchone()[0]
        for table in TABLES:
            columns = [row[1] for row in opened.execute(f"PRAGMA table_info({table})")][1:]
            numbers = {"trial_id": "trial_id + :n", "number": "number + :n"}
            own = ["trial_id + :n"] if table == "trials" else ["NULL"]
            values = ", ".join([*own, *(numbers.get(name, name) for name in columns)])
            for n in range(count, count * times, count):
                opened.execute(
                    f"INSERT INTO {table} SELECT {values} FROM {table} WHERE trial_id <= :count",
                    {"n": n, "count": count},
                )


def _drawn(distribution: optuna.distributions.BaseDistribution, rng: random.Random) -> Any:
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            return rng.choice(distribution.choices)
        case optuna.distributions.FloatDistribution():
            steps = round((distribution.high - distribution.low) / (distribution.step or 1e-3))
            return round(distribution.low + rng.randint(0, steps) * (distribution.step or 1e-3), 9)
        case optuna.distributions.IntDistribution():
            return rng.randint(distribution.low, distribution.high)
    raise TypeError(distribution)


def _ended(
    allocation: Allocation,
    figures: Sequence[Measurement],
    scorer: StudyScorer,
    scores: dict[tuple[int, str], Score],
    rng: random.Random,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    """Return how a trial ends: out of memory, or with figures."""
    if allocation.share > 0.45 or rng.random() < 0.02:
        diagnosis = Diagnosis(
            "oom_budget", "llm", FailurePhase.START, rng.uniform(100, 900), "Free memory is less"
        )
        total_mib = 24_000.0
        return {
            "state": TrialState.PRUNED,
            "value": 0.0,
            "intermediate_values": {0: 0.0},
            "user_attrs": attributes | failed_attributes(diagnosis, {"device_total_mib": 24_000.0}),
            "constraints": {"memory": failure_constraint(diagnosis, total_mib)},
        }
    place, slower = rng.randrange(len(figures)), 1.0 + (0.45 - allocation.share)
    base = figures[place]
    services = {
        name: replace(
            s,
            latency_ms=_noisy(s.latency_ms, slower, rng),
            latency_p95_ms=_noisy(s.latency_p95_ms, slower, rng),
        )
        for name, s in base.services.items()
    }
    measured = replace(base, services=services)
    key = place, allocation.speech_key
    if key not in scores:  # its words, which are the same, take most of the time
        scores[key] = scorer.score(allocation, measured)
    scored = replace(scores[key], fitness=scorer.fitness(measured))
    return {
        "value": scored.fitness.value,
        "user_attrs": {
            k: v
            for k, v in (attributes | scored_attributes(measured, scored)).items()
            if v is not None
        },
        "constraints": dict(scored.constraints),
    }


def _noisy(value: float | None, factor: float, rng: random.Random) -> float | None:
    return None if value is None else value * factor * rng.lognormvariate(0, 0.03)


def _options(spec: Path, trials: int) -> list[str]:
    return [str(spec), "--out", str(spec.parent / "out"), "--n-trials", str(trials), "--quiet"]


@contextmanager
def _process(line: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "ALLOCATION_STUDY_LOCKS": str(folder)}
    with subprocess.Popen(
        [sys.executable, *line], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE
    ) as process:
        yield process


def _run(line: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a script; return its CPU time, s, and its peak memory, MiB."""
    with _process(line, folder) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 4), output
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _until_served(line: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a script until its first line; return its CPU time, s, and its peak memory, MiB."""
    with _process(line, folder) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        process.kill()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = -9
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("trials", nargs="+", type=int)
    options.add_argument("--keep", type=Path, help="the folder of the studies; default: none stays")
    arguments = options.parse_args()
    print("| trials | report | dashboard | end of a run |\n|---|---|---|---|")
    for trials in arguments.trials:
        with tempfile.TemporaryDirectory() as name:
            folder = (arguments.keep or Path(name)) / str(trials)
            spec = folder / "long.yaml"
            if not spec.exists():
                folder.mkdir(parents=True)
                make(folder, min(trials, MOST_MADE))
                multiply(folder / "out" / NAME / "study.db", -(-trials // MOST_MADE))
                ended = ["scripts/run_study.py", *_options(spec, trials)]
                _run(ended, folder)  # writes the lines that each trial's end would have written
            db = str(folder / "out" / NAME / "study.db")
            costs = (
                _run(["scripts/report.py", db, "-o", str(folder / "report.html")], folder),
                _run(["scripts/run_study.py", *_options(spec, trials)], folder),
                _until_served(["scripts/dashboard.py", db, "--port", "0"], folder),
            )
            report, end, dashboard = (f"{s:.1f} s, {mib:,.0f} MiB" for s, mib in costs)
            print(f"| {trials:,} | {report} | {dashboard} | {end} |", flush=True)


if __name__ == "__main__":
    main()
