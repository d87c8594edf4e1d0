"""Messages between the driver and a lane come back as they were."""

from pathlib import Path

import pytest
from made.factories import only

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.evaluation import Failure, Job, Outcome
from objectives.measurement import INFINITE
from objectives.servers.tenants import Tenant
from objectives.services import LlmService, OtherService, SttService
from objectives.setting import Setting
from objectives.traffic.workload import Workload
from study.lanes.process.messages import Answer, Opening, Order, Prepare, line_of, message_of

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
    "given up": Outcome(given_up={"llm_latency_p95_ms": INFINITE}),
    "set-up": Outcome(setup_error="no such flag; leave it out", wall_s=3.0),
}


ALLOCATION = Allocation({"vllm_memory_util": 0.4, "whisper_model_size": "base"})
RANGE = RampRange(1.5, 25.0)


def there_and_back(message):
    return message_of(line_of(message))


@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_job_comes_back_as_it_was(is_fresh):
    order = Order(3, Job(ALLOCATION, 7, Path("trials/3"), is_fresh), True, RANGE, ())
    assert there_and_back(order) == order


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_comes_back_as_it_was(name):
    answer = Answer(3, OUTCOMES[name], 2.5, None)
    assert there_and_back(answer) == answer


def test_a_lane_opens_with_the_setting_and_the_measurements_of_the_driver():
    services = {"stt": SttService(), "llm": LlmService(), "embed": OtherService(api="embeddings")}
    setting = Setting(
        services=services, workload=Workload(), tenants=(Tenant(name="game", mib=20.0),)
    )
    measured = OUTCOMES["a measurement"].measurement
    opening = Opening({"a": "GPU-a"}, (0, 1), setting, Path("lanes"), ((ALLOCATION, measured),))
    assert there_and_back(opening) == opening


def test_a_question_that_stays_with_the_driver_is_not_sent_along():
    job = Job(ALLOCATION, 7, Path("trials/3"), is_worth=lambda _: True)
    with pytest.raises(TypeError):
        line_of(Prepare(job))
