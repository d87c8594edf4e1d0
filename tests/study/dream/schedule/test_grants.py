"""Checks who may run beside whom."""

import pytest
from made.dream import experiment

from study.dream.schedule.grants import Demand, Grant, Split, demand_of, grant_for

EIGHT, TWO = tuple(range(8)), (0, 1)
GPU, OTHER, SMALL = Demand("0"), Demand("1"), Demand(None)
MIXED = Split.of([GPU, SMALL], 2, EIGHT)
CROWDED = Split.of([GPU, SMALL], 2, TWO)


def test_a_device_has_one_experiment() -> None:
    first = grant_for(GPU, [], MIXED)
    assert first == Grant("0", (0, 1, 2, 3, 4, 5))
    assert grant_for(GPU, [first], MIXED) is None
    assert grant_for(OTHER, [first], MIXED) is not None


def test_what_runs_beside_a_measurement_has_cores_of_its_own() -> None:
    gpu = Grant("0", (0, 1, 2, 3, 4, 5))
    first = grant_for(SMALL, [gpu], MIXED)
    assert first == Grant(None, (6,))
    second = grant_for(SMALL, [gpu, first], MIXED)
    assert second == Grant(None, (7,))
    assert grant_for(SMALL, [gpu, first, second], MIXED) is None


def test_two_devices_that_are_measured_at_once_share_no_core() -> None:
    split = Split.of([GPU, OTHER, SMALL], 3, EIGHT)
    first = grant_for(GPU, [], split)
    assert first == Grant("0", (0, 1, 2))
    second = grant_for(OTHER, [first], split)
    assert second == Grant("1", (3, 4, 5))
    assert grant_for(SMALL, [first, second], split) == Grant(None, (6,))
    assert grant_for(GPU, [second], split) == first
    alone = Split.of([GPU, OTHER, SMALL], 1, EIGHT)
    assert grant_for(OTHER, [], alone) == Grant("1", EIGHT)


def test_two_cores_have_none_to_spare_beside_a_measurement() -> None:
    assert grant_for(SMALL, [Grant("0", TWO)], CROWDED) is None
    small = grant_for(SMALL, [], CROWDED)
    assert small is not None and grant_for(GPU, [small], CROWDED) is None


def test_a_measurement_on_the_cpu_is_alone() -> None:
    cpu = Grant("cpu", EIGHT)
    assert grant_for(GPU, [cpu], MIXED) is None
    assert grant_for(Demand("cpu"), [Grant("0", (1,))], MIXED) is None


@pytest.mark.parametrize(("pct", "cores"), [(100.0, 4), (50.0, 4), (25.0, 2), (1.0, 1)])
def test_without_a_measurement_the_cores_are_those_of_the_files_share(pct, cores) -> None:
    grant = grant_for(Demand(None, 4), [], Split.of([SMALL], 2, EIGHT, pct))
    assert grant is not None and len(grant.cores) == cores


def test_the_first_gpu_has_one_name(tmp_path) -> None:
    def of(device: str) -> Demand:
        return demand_of(experiment(tmp_path, device=device, budget={"allow_gpu": True}))

    assert of("cuda") == of("0") == of("cuda:0") != of("1")
    assert demand_of(experiment(tmp_path, budget={"cpus": 3})) == Demand(None, 3)
