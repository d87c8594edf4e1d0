"""Checks that a part of a large space is spread over it, its beginning too, always the same."""

from __future__ import annotations

import pytest

from objectives.allocation import Allocation
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space
from study.recording.sobol import spread

SPACE = Space(
    (
        Parameter("vllm_memory_util", (0.4, 0.5, 0.6, 0.7)),
        Parameter("whisper_model_size", ("tiny", "base", "small")),
        Parameter("vllm.max_num_seqs", (16, 32, 64)),
    ),
    {},
)


def counts(configurations: list[Allocation], name: str) -> list[int]:
    values = [a.values[name] for a in configurations]
    return sorted(values.count(v) for v in set(values))


def test_it_is_the_same_every_time_and_names_nothing_twice():
    configurations = spread(SPACE, 20)
    assert configurations == spread(SPACE, 20)
    assert len({str(a) for a in configurations}) == 20


@pytest.mark.parametrize("count", [12, 20])
def test_every_value_of_every_parameter_has_its_share(count):
    configurations = spread(SPACE, count)
    for parameter in SPACE.parameters:
        held = counts(configurations, parameter.name)
        assert len(held) == parameter.size
        assert held[-1] - held[0] <= 4


def test_a_shorter_list_is_the_beginning_of_a_longer_one():
    assert spread(SPACE, 8) == spread(SPACE, 20)[:8]


def test_a_space_that_has_fewer_is_measured_whole():
    assert {str(a) for a in spread(SPACE, 1000)} == {str(a) for a in SPACE.grid()}
