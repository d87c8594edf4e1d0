"""Allocations survive the way through Optuna's parameters, and a space knows its values."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from objectives.allocation import Allocation
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space, suggest

SHARES = Parameter("vllm_memory_util", (0.40, 0.45, 0.50, 0.55, 0.60))
SIZES = Parameter("whisper_model_size", ("tiny", "base", "small"))
BATCH = Parameter("vllm.max_num_seqs", (8, 16, 64))
SPACE = Space((SHARES, SIZES), {})
EVERY_KIND = [
    SHARES,
    SIZES,
    BATCH,
    Parameter("vllm.block_size", (16, 32, 48)),
    Parameter("vllm.enable_chunked_prefill", (True, False)),
    Parameter("vllm.one", (7,)),
    Parameter("whisper.beam_size", low=1, high=5, step=2),
    Parameter("vllm.share", low=0.1, high=0.5, step=0.1),
]


@pytest.mark.parametrize(
    ("parameter", "distribution"),
    [
        (SHARES, FloatDistribution(0.40, 0.60, step=0.05)),
        (SIZES, CategoricalDistribution(("tiny", "base", "small"))),
        (BATCH, IntDistribution(0, 2)),  # by position: the list is uneven
        (Parameter("n", (16, 32, 48)), IntDistribution(16, 48, step=16)),
        (Parameter("n", (0.6, 0.5, 0.4)), IntDistribution(0, 2)),
        (Parameter("n", (True, False)), CategoricalDistribution((True, False))),
        (Parameter("n", low=1, high=9, step=2), IntDistribution(1, 9, step=2)),
        (Parameter("n", low=8, high=512, log=True), IntDistribution(8, 512, log=True)),
        (Parameter("n", low=0.3, high=0.7), FloatDistribution(0.3, 0.7)),
    ],
    ids=str,
)
def test_numeric_lists_are_ordered_and_anything_else_is_a_category(parameter, distribution):
    assert parameter.distribution == distribution


@pytest.mark.parametrize("parameter", EVERY_KIND, ids=lambda p: p.name)
def test_every_value_survives_the_way_through_optuna(parameter):
    values = parameter.values()
    assert len(values) == parameter.size
    for value in values:
        stored = parameter.encode(value)
        assert parameter.distribution._contains(parameter.distribution.to_internal_repr(stored))
        assert parameter.decode(stored) == value
        assert type(parameter.decode(stored)) is type(value)


@pytest.mark.parametrize("parameter", EVERY_KIND, ids=lambda p: p.name)
@pytest.mark.parametrize("value", [99, 0.4321, "huge"])
def test_a_value_outside_is_refused_by_name(parameter, value):
    with pytest.raises(ValueError, match=rf"^{parameter.name}={value} is "):
        parameter.encode(value)


def test_a_float_that_optuna_rounded_is_the_listed_one():
    assert SHARES.decode(0.45000000000000007) == 0.45
    assert SHARES.encode(0.1 + 0.35) == 0.45


def test_a_continuous_range_has_no_size():
    free = Parameter("vllm_memory_util", low=0.3, high=0.7)
    assert free.size is None
    assert Space((free, SIZES), {}).size is None
    with pytest.raises(ValueError, match="vllm_memory_util is a continuous range"):
        free.values()


def test_a_grid_holds_every_configuration_once():
    grid = list(SPACE.grid())
    assert SPACE.size == len(grid) == len(set(grid)) == 15
    assert all(SPACE.decode(SPACE.encode(a)) == a for a in grid)


def test_what_is_fixed_is_in_every_allocation():
    space = Space((SHARES, BATCH), {"whisper_model_size": "base", "whisper.beam_size": 5})
    a = space.allocation({"vllm_memory_util": 0.5, "vllm.max_num_seqs": 16})
    assert (
        str(a)
        == "vllm_memory_util=0.5 whisper_model_size=base vllm.max_num_seqs=16 whisper.beam_size=5"
    )
    assert (a.share, a.speech) == (0.5, "base")
    assert (a.options("vllm."), a.options("whisper.")) == ({"max_num_seqs": 16}, {"beam_size": 5})
    assert space.encode(a) == {"vllm_memory_util": 0.5, "vllm.max_num_seqs#position": 1}


def test_equal_allocations_are_one_key_whatever_their_order():
    one = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
    other = Allocation({"whisper_model_size": "base", "vllm_memory_util": 0.5})
    assert one == other
    assert len({one, other}) == 1


def test_a_trial_is_asked_for_every_parameter_and_stores_it():
    space = Space((SHARES, SIZES, BATCH, Parameter("whisper.beam_size", low=1, high=5)), {})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        trial = study.ask()
        proposal = suggest(trial, space)
        assert proposal == space.decode(trial.params)
        assert set(trial.params) == set(space.distributions())
        assert proposal.values["vllm.max_num_seqs"] in BATCH.choices
