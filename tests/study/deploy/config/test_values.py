"""A number of a promotion becomes the text that its trial used."""

from __future__ import annotations

import pytest

from objectives.errors import BadInput
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import assignments, text_of

SHARE = Binding(flag="--gpu-memory-utilization", low=0.1, high=0.9)
SEATS = Binding(flag="--max-num-seqs", low=1, high=256, whole=True)
DEPLOYMENT = Deployment(
    name="voice",
    services={"llm": Deployed(set={"vllm_memory_util": SHARE, "vllm.max_num_seqs": SEATS})},
)


def test_numbers_become_the_text_that_the_trial_used() -> None:
    assigned = assignments({"vllm_memory_util": 0.1 + 0.3, "vllm.max_num_seqs": 8}, DEPLOYMENT)
    assert [(a.binding.flag, a.text) for a in assigned] == [
        ("--gpu-memory-utilization", "0.4"),
        ("--max-num-seqs", "8"),
    ]


def test_a_large_number_keeps_all_its_digits() -> None:
    binding = Binding(flag="--max-num-batched-tokens", low=1, high=1e7)
    assert text_of("vllm.max_num_batched_tokens", 1_048_577, binding) == "1048577"


def test_mib_of_a_promotion_are_written_as_the_share_that_they_are() -> None:
    both = {"vllm_memory_util": 0.500006, "vllm_memory_mib": 40_540, "vllm.max_num_seqs": 8}
    assigned = assignments(both, DEPLOYMENT)
    assert [(a.parameter, a.text) for a in assigned] == [
        ("vllm_memory_util", "0.500006"),
        ("vllm.max_num_seqs", "8"),
    ]
    mib = Binding(variable="LLM_MIB", low=1, high=1e6, whole=True)
    mapped = Deployment(name="voice", services={"llm": Deployed(set={"vllm_memory_mib": mib})})
    either = {name: both[name] for name in ("vllm_memory_mib", "vllm_memory_util")}
    assert [a.text for a in assignments(either, mapped)] == ["40540"]
    with pytest.raises(BadInput, match="sets 'vllm_memory_util', which "):
        assignments({"vllm_memory_util": 0.5}, mapped)


def test_true_and_false_are_choices() -> None:
    graphs = Binding(
        variable="GRAPHS", choices={"true": "--enforce-eager", "false": "--no-enforce-eager"}
    )
    assert text_of("vllm.enforce_eager", True, graphs) == "--enforce-eager"
    assert text_of("vllm.enforce_eager", False, graphs) == "--no-enforce-eager"
    with pytest.raises(BadInput, match="0 is not one of the choices"):
        text_of("vllm.enforce_eager", 0, graphs)
