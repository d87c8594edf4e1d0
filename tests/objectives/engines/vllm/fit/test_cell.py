"""Checks the verdict on a cell: what starts, what cannot, and what only the servers can tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.model_folders import QWEN_7B, write_config

from objectives.allocation import Allocation
from objectives.engines.faster_whisper.fit import speech_memory, speech_parameters
from objectives.engines.vllm.fit.cell import UNDER_LOAD_MIB, cell_of
from objectives.engines.vllm.fit.options import vllm_options
from objectives.engines.vllm.fit.reserve import reserve_of
from objectives.engines.vllm.llm import Vllm
from objectives.fit.cell import Cell, Host, SpeechMemory
from objectives.model_files.model import Model, read_model
from objectives.services import LlmService, SttService

HOST = Host(product="a card", total_mib=24_000, held_mib=0, reserve_mib=512)
ARGS = ("--load-format", "dummy", "--max-model-len", "4096", "--enforce-eager")


def allocation(share: float, **values: Any) -> Allocation:
    return Allocation({"vllm_memory_util": share, "whisper_model_size": "base", **values})


def cell(
    folder: Path,
    share: float,
    *flags: str,
    host: Host = HOST,
    speech: SpeechMemory | None = None,
    version: str | None = "0.26.0",
    model: Model | None = None,
    **changes: Any,
) -> Cell:
    model = model or read_model(write_config(folder, QWEN_7B, **changes), is_random=True)
    configuration = allocation(share)
    argv = Vllm(LlmService(model="m", args=(*ARGS, *flags))).command(configuration, {}).argv
    options = vllm_options(
        argv, model.shape, total_mib=host.total_mib, product=host.product, is_cpu=host.is_cpu
    )
    return cell_of(
        configuration,
        model,
        options,
        speech or SpeechMemory(1000.0),
        host,
        request_tokens=2048 + 128,
        version=version,
    )


def test_a_share_that_holds_everything_starts(tmp_path: Path) -> None:
    forecast = cell(tmp_path, 0.8)
    assert (forecast.outcome, forecast.is_close) == ("starts", False)
    # 19,200 of the share - 14,526 of weights - 264 of activations - 265
    assert forecast.kv_tokens == pytest.approx(4_145 * 1024 / 56, abs=32)
    assert (forecast.longest_tokens, forecast.at_once) == (4096, forecast.kv_tokens // 2176)
    assert forecast.free_mib == pytest.approx(24_000 - 19_200 - 500 - 1000 - UNDER_LOAD_MIB)


def test_a_share_below_the_weights_does_not(tmp_path: Path) -> None:
    forecast = cell(tmp_path, 0.5)
    assert (forecast.outcome, forecast.is_close, forecast.is_ruled_out) == (
        "predicted_kv_too_small",
        False,
        True,
    )
    assert "14,526 weights" in forecast.why and forecast.kv_tokens is None


def test_one_request_of_the_longest_length_must_fit(tmp_path: Path) -> None:
    assert cell(tmp_path, 0.66, "--max-num-seqs", "4").outcome == "starts"
    longer = cell(tmp_path, 0.66, "--max-num-seqs", "4", "--max-model-len", "32768")
    assert longer.outcome == "predicted_kv_too_small" and "1,792 one request" in longer.why
    fitted = cell(tmp_path, 0.66, "--max-model-len", "auto")
    assert fitted.outcome == "starts" and fitted.longest_tokens == fitted.kv_tokens


def test_what_does_not_fit_beside_the_others_is_out_of_memory(tmp_path: Path) -> None:
    host = replace(HOST, held_mib=8_000)
    forecast = cell(tmp_path, 0.8, host=host)
    assert (forecast.outcome, forecast.is_close) == ("predicted_oom", False)
    assert forecast.missing_mib == pytest.approx(19_200 + 500 + 1000 + 8_000 - 24_000)
    assert "8,000 others" in forecast.why


@pytest.mark.parametrize(
    ("held_mib", "outcome", "is_close"),
    [
        (2_700, "starts", False),
        (2_900, "starts", True),
        (3_400, "predicted_oom", True),
        (3_900, "predicted_oom", False),
    ],
)
def test_a_sum_inside_the_reserve_is_close(
    tmp_path: Path, held_mib: float, outcome: str, is_close: bool
) -> None:
    forecast = cell(tmp_path, 0.8, host=replace(HOST, held_mib=held_mib))
    assert (forecast.outcome, forecast.is_close) == (outcome, is_close)


def test_graphs_lie_beyond_the_share_in_0_26_and_inside_since(tmp_path: Path) -> None:
    flags = ("--no-enforce-eager", "--max-num-seqs", "64")
    old, new = cell(tmp_path, 0.8, *flags), cell(tmp_path, 0.8, *flags, version="0.32.0")
    assert old.kv_tokens and new.kv_tokens and old.free_mib and new.free_mib
    assert (old.kv_tokens - new.kv_tokens) * 56 / 1024 == pytest.approx(380, abs=2)
    assert new.free_mib - old.free_mib == 380
    unknown = cell(tmp_path, 0.8, *flags, version=None)
    assert unknown.kv_tokens == new.kv_tokens


def test_a_cache_that_is_asked_for_overrides_the_share(tmp_path: Path) -> None:
    forecast = cell(tmp_path, 0.3, "--kv-cache-memory-bytes", "1G")
    assert (forecast.outcome, forecast.kv_tokens) == ("starts", 18_720)


@pytest.mark.parametrize(
    ("flags", "changes", "words"),
    [
        ((), {"architectures": ["FalconForCausalLM"]}, "FalconForCausalLM are not counted"),
        (("--quantization", "fp8"), {}, "--quantization fp8 makes other weights"),
        ((), {"mamba_d_state": 16, "architectures": ["LlamaForCausalLM"]}, "mamba_d_state"),
    ],
)
def test_what_is_not_known_is_told(
    tmp_path: Path, flags: tuple[str, ...], changes: dict[str, Any], words: str
) -> None:
    forecast = cell(tmp_path, 0.8, *flags, **changes)
    assert forecast.outcome == "unknown" and words in forecast.why
    assert forecast.kv_tokens is None


def test_an_unknown_cache_does_not_hide_that_the_weights_alone_are_too_much(
    tmp_path: Path,
) -> None:
    known = read_model(write_config(tmp_path / "known"), is_random=True)
    hybrid = read_model(write_config(tmp_path / "hybrid", mamba_d_state=16), is_random=True)
    hybrid = replace(hybrid, weights_mib=known.weights_mib)
    assert cell(tmp_path, 0.5, model=hybrid).outcome == "predicted_kv_too_small"
    assert cell(tmp_path, 0.8, model=hybrid).outcome == "unknown"


def test_without_the_speech_model_the_llm_is_told_and_no_verdict(tmp_path: Path) -> None:
    forecast = cell(tmp_path, 0.8, speech=SpeechMemory(None, "no such speech model"))
    assert (forecast.outcome, forecast.free_mib, forecast.why) == (
        "unknown",
        None,
        "no such speech model",
    )
    assert forecast.kv_tokens


@pytest.mark.parametrize(
    ("flags", "words"), [(("--enable-lora",), "--enable-lora is not counted"), ((), "")]
)
def test_what_is_not_counted_makes_every_verdict_close(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    for share in (0.5, 0.8):
        forecast = cell(tmp_path, share, *flags)
        assert forecast.is_close is bool(flags) and words in forecast.why


def test_a_model_that_sees_takes_more_than_is_counted(tmp_path: Path) -> None:
    known = read_model(write_config(tmp_path), is_random=True)
    seeing = replace(known, shape=replace(known.shape, other_parts=("vision_config",)))
    forecast = cell(tmp_path, 0.8, model=seeing)
    assert forecast.is_close and "what vision takes is not counted" in forecast.why
    assert not cell(tmp_path, 0.8, "--language-model-only", model=seeing).is_close


def test_large_vocabularies_weigh_in_small_steps(tmp_path: Path) -> None:
    model = read_model(write_config(tmp_path), is_random=True)
    options = vllm_options(
        ["--max-num-batched-tokens", "256", "--enforce-eager"],
        model.shape,
        total_mib=12_000,
        product="",
        is_cpu=False,
    )
    parts = reserve_of(model.shape, options, "0.26.0", is_cpu=False).parts
    assert parts["activations"] == pytest.approx(256 * (152064 * 6 + 3584 * 2) / 2**20)


@pytest.mark.parametrize(
    ("size", "kind", "measured_mib"),
    [
        ("tiny.en", "float16", 689.6),
        ("base", "float16", 817.6),
        ("small", "float16", 1233.6),
        ("tiny.en", "int8_float16", 657.6),
        ("base", "int8_float16", 755.6),
        ("small", "int8_float16", 947.6),
    ],
)
def test_speech_is_within_its_slack_of_what_the_recordings_measured(
    size: str, kind: str, measured_mib: float
) -> None:
    stt = SttService(models={size: "nowhere"}, compute_type=kind)
    configuration = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": size})
    memory = speech_memory(
        stt, configuration, speech_parameters(size, "nowhere", None), is_cpu=False
    )
    assert memory.mib is not None and abs(memory.mib - measured_mib) <= min(60, memory.slack_mib)


def test_speech_elsewhere_takes_nothing_and_a_template_is_not_known() -> None:
    configuration = allocation(0.5, **{"whisper.compute_type": "float16", "whisper.extra_mib": 100})
    memory = speech_memory(SttService(device="cpu"), configuration, 10**6, is_cpu=False)
    assert memory.mib == 0
    memory = speech_memory(SttService(command="serve {port}"), configuration, 10**6, is_cpu=False)
    assert memory.mib is None and "template" in memory.why
    memory = speech_memory(SttService(), configuration, None, is_cpu=False)
    assert memory.mib is None and "base" in memory.why
    with_extra = speech_memory(SttService(), configuration, 0, is_cpu=False)
    assert with_extra.mib == 700


def test_the_ends_of_a_share_are_where_it_begins_and_ends_to_start(tmp_path: Path) -> None:
    forecast = cell(tmp_path, 0.8)
    assert forecast.least_mib is not None and forecast.most_mib is not None
    total_mib = HOST.total_mib
    (least, surely), (safe, most) = forecast.least_mib, forecast.most_mib
    assert least < surely < 0.8 * total_mib < safe < most
    for mib, outcome in (
        (least - 1, "predicted_kv_too_small"),
        (least + 1, "starts"),
        (most - 1, "starts"),
        (most + 1, "predicted_oom"),
    ):
        assert cell(tmp_path, mib / total_mib).outcome == outcome
    assert cell(tmp_path, (surely + 1) / total_mib).is_close is False
    assert cell(tmp_path, (safe - 1) / total_mib).is_close is False
