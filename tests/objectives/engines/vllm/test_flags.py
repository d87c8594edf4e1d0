"""What flags of vLLM do to its memory is read as its own parser reads them."""

from pathlib import Path

import pytest

from objectives.allocation import Allocation, Scalar
from objectives.engines.vllm.flags import (
    is_share,
    memory_options,
    overriding,
    overriding_variable,
)
from objectives.engines.vllm.llm import Vllm
from objectives.engines.vllm.values import disagreement
from objectives.services import LlmService

BOTH: dict[str, Scalar] = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}


@pytest.mark.parametrize(
    ("word", "flag"),
    [
        ("--kv-cache-memory-bytes", "--kv-cache-memory-bytes"),
        ("--kv_cache_memory_bytes=8G", "--kv-cache-memory-bytes"),
        ("--kv-cache-memory=123", "--kv-cache-memory-bytes"),  # as vLLM's own log advises it
        ("--num_gpu_blocks_override", "--num-gpu-blocks-override"),
        ("--num-g=9", "--num-gpu-blocks-override"),
        ("--config", "--config"),
        ("--kv-cache-dtype", None),
        ("--config-format", None),
        ("--kv", None),  # vLLM refuses it itself: it may be several
        ("kv-cache-memory-bytes", None),
        ("--max-num-seqs=8", None),
    ],
)
def test_a_flag_that_sets_the_kv_cache_overrides_the_share(word, flag):
    assert (overriding(word) or (None,))[0] == flag


@pytest.mark.parametrize(
    ("word", "sets"),
    [
        ("--gpu-memory-utilization", True),
        ("--gpu_memory_utilization=0.4", True),
        ("--device-memory-utilization=0.4", True),
        ("--gpu-memory-util", True),
        ("--gpu", True),
        ("--gpu-memory-utilization-not", False),
        ("--max-model-len", False),
    ],
)
def test_a_share_may_be_cut_short_or_have_its_other_name(word, sets):
    assert is_share(word) is sets


@pytest.mark.parametrize(
    ("name", "value", "overrides"),
    [
        ("VLLM_CPU_KVCACHE_SPACE", "4", True),
        ("VLLM_CPU_KVCACHE_SPACE", "", False),
        ("VLLM_ENABLE_STARTUP_PLAN", "1", True),
        ("VLLM_ENABLE_STARTUP_PLAN", "0", False),
        ("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS", "0", False),  # the share is kept all the same
    ],
)
def test_a_variable_may_override_the_share(name, value, overrides):
    assert (overriding_variable(name, value) is not None) is overrides


def test_what_graphs_are_captured_for_matters_only_where_there_are_graphs():
    graphs = {"enforce_eager": False, "max_cudagraph_capture_size": 256}
    assert memory_options(graphs) == graphs
    assert memory_options({**graphs, "enforce_eager": True}) == {"enforce_eager": True}


@pytest.mark.parametrize(
    ("values", "args", "option", "words"),
    [
        ({"max_num_batched_tokens": [256, 1024], "max_num_seqs": [16, 512]}, (), 0, "256"),
        ({"max_num_batched_tokens": [256]}, ("--max_num_seqs=512",), 0, "512"),
        ({"max_num_seqs": [512]}, ("--max-num-batched-tokens", "256"), 0, "512"),
        (
            {"max_num_batched_tokens": [2048]},
            ("--no-enable-chunked-prefill", "--max-model-len", "4096"),
            0,
            "4096",
        ),
        (
            {"max_num_batched_tokens": [2048], "enable_chunked_prefill": [True, False]},
            ("--max-model-len", "4096"),
            0,
            "4096",
        ),
        (
            {"max_num_batched_tokens": [512, 2048], "max_cudagraph_capture_size": [512, 1024]},
            (),
            1,
            "512 and 1024",
        ),
    ],
)
def test_what_vllm_would_refuse_or_cut_is_told(values, args, option, words):
    name, what, way_out = disagreement(values, args)
    assert name == ("max_num_batched_tokens", "max_cudagraph_capture_size")[option]
    assert words in what
    assert way_out


@pytest.mark.parametrize(
    ("values", "args", "option", "words"),
    [
        ({"max_num_batched_tokens": ["2k"], "max_num_seqs": [4096]}, (), "max_num_batched", "2000"),
        ({"max_num_seqs": ["4k"]}, (), "max_num_seqs", "4k is no whole number from 1"),
        ({"max_num_seqs": [True]}, (), "max_num_seqs", "True is no whole number"),
        ({"block_size": [0.5]}, (), "block_size", "0.5 is no whole number"),
        ({}, ("--max-num-seqs", "0"), "max_num_seqs", "0 is no whole number from 1"),
        ({}, ("--max-num-seqs=many",), "max_num_seqs", "many is no whole number from 1"),
        ({"enforce_eager": [1, 0]}, (), "enforce_eager", "1 is neither true nor false"),
        ({"enable_prefix_caching": ["yes"]}, (), "enable_prefix", "'yes' is neither true nor"),
        (
            {"disable_log_stats": [True, False]},
            (),
            "disable_log_stats",
            "no --no-disable-log-stats",
        ),
        ({}, ("--enforce-eager", "true"), "enforce_eager", "vLLM's --enforce-eager takes no value"),
        ({}, ("--no-enable-prefix-caching=1",), "no_enable", "takes no value"),
    ],
)
def test_a_value_that_its_parser_would_not_take_is_told(values, args, option, words):
    name, what, way_out = disagreement(values, args)
    assert name.startswith(option) and words in what and way_out


@pytest.mark.parametrize(
    ("values", "args"),
    [
        ({"max_num_batched_tokens": [512], "max_num_seqs": [512]}, ()),
        ({"max_num_batched_tokens": [2048]}, ("--max-model-len", "4096")),
        ({"max_num_batched_tokens": ["4k"], "max_num_seqs": [4000]}, ()),
        ({"max_model_len": ["auto", "4K"], "seed": [-1], "enable_prefix_caching": [True]}, ()),
        ({}, ("--max-model-len=-1", "--enforce-eager", "--no-enable-prefix-caching", "-tp", "1")),
        ({"max_num_seqs": [4096]}, ()),
        (
            {"max_num_batched_tokens": [512, 2048], "max_cudagraph_capture_size": [256, 1024]},
            (),
        ),
    ],
)
def test_what_vllm_takes_is_taken(values, args):
    assert disagreement(values, args) is None


def test_a_template_depends_on_every_value_that_it_names():
    template = "llama-server --port {port} -c {vllm_memory_util} -np {vllm.np}"
    engine = Vllm(LlmService(command=template))
    keys = {
        engine.memory_key(Allocation({**BOTH, "vllm_memory_util": share, "vllm.np": np}))
        for share, np in ((0.5, 1), (0.6, 1), (0.5, 2))
    }
    assert keys == {"vllm.np=1", "vllm.np=2"}


def test_a_template_that_sets_the_kv_cache_says_nothing_of_its_share():
    template = "vllm serve m --port {port} --gpu-memory-utilization 0.5 --kv-cache-memory {x}"
    assert Vllm(LlmService(command=template)).memory_key(Allocation(BOTH)) is None


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ('{"vocab_size": 77}', 77),
        ('{"text_config": {"vocab_size": 77}}', 77),
        ("[]", None),
        ("null", None),
        ('{"text_config": null}', None),
        ('{"vocab_size": "many"}', None),
        ('{"vocab_size": 1e400}', None),
        ('{"vocab_size": true}', None),
        ("[" * 100_000, None),
    ],
)
def test_a_config_that_tells_no_vocabulary_gives_none(
    tmp_path: Path, config: str, size: int | None
) -> None:
    (tmp_path / "config.json").write_text(config)
    assert Vllm(LlmService(model=str(tmp_path))).vocabulary() == size


@pytest.mark.parametrize(
    ("args", "most"),
    [
        (("--max-num-seqs", "64"), 64),
        (("--max_num_seqs=64",), 64),
        (("--max-num-seqs", "64", "--max-num-seqs=16"), 16),
        (("--enforce-eager",), None),
    ],
)
def test_the_last_that_is_said_of_requests_at_once_counts(args, most):
    allocation = Allocation(BOTH)
    assert Vllm(LlmService(args=args)).at_once(allocation) == most
