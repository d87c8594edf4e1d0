"""Jobs and outcomes cross a process as JSON, and come back as they were."""

import json
from pathlib import Path

import pytest
from factories import only

from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.evaluation import Failure, Job, Outcome
from objectives.measurement import INFINITE

NO_MEMORY = Diagnosis("oom_startup", "llm", FailurePhase.START, 137.38, "torch.OutOfMemoryError")
DEATH = Diagnosis("engine_death", "llm", FailurePhase.LOAD, None, "exit status 0")
OUTCOMES = {
    "a measurement": Outcome(
        only(stt_latency_p95_ms=65.5, llm_latency_p95_ms=INFINITE, capacity_turns_per_s=18),
        wall_s=90.0,
    ),
    "ruled out": Outcome(
        failure=Failure(NO_MEMORY, is_ruled_out=True, measured={"stt_start_s": 2.0}), wall_s=12.5
    ),
    "disturbed": Outcome(
        failure=Failure(
            DEATH,
            is_ruled_out=False,
            measured={
                "llm_latency_p95_ms": INFINITE,
                "lag_exceeded": False,
                "phase_s": {"window": 5.0},
            },
        )
    ),
    "set-up": Outcome(setup_error="no such flag; leave it out", wall_s=3.0),
}


def there_and_back(data):
    return json.loads(json.dumps(data, allow_nan=False))


@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_job_comes_back_as_it_was(is_fresh):
    allocation = Allocation({"vllm_memory_util": 0.4, "whisper_model_size": "base"})
    job = Job(allocation, 7, Path("trials/3"), is_fresh)
    assert Job.from_json(there_and_back(job.to_json())) == job


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_comes_back_as_it_was(name):
    outcome = OUTCOMES[name]
    assert Outcome.from_json(there_and_back(outcome.to_json())) == outcome
