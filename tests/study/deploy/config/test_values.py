"""A number of a promotion becomes the text that its trial used."""

from __future__ import annotations

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
