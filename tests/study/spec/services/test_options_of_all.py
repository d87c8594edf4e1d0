"""What vLLM refuses or ignores is refused of each service that it serves, with line and way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from objectives.errors import BadInput
from study.spec.load import load
from study.spec.model import Spec

SHARE = ["--gpu-memory-utilization", "0.1"]
OWN: dict[str, dict[str, Any]] = {
    "llm": {"model": "m"},
    "tags": {"api": "chat", "engine": "vllm", "model": "m"},
    "embed": {"api": "embeddings", "engine": "vllm", "model": "m"},
    "notes": {"api": "transcription", "engine": "vllm", "model": "m"},
    "stt": {"engine": "vllm"},
}
SERVED = tuple(OWN)


def read(
    folder: Path,
    name: str,
    args: Any = (),
    options: dict[str, Any] | None = None,
    **more: Any,
) -> Spec:
    """Read a spec of one service, with a list of each of its options or one in use today."""
    (folder / "some.jsonl").touch()
    prefix = "vllm" if name == "llm" else name
    own = {f"{prefix}.{option}": value for option, value in (options or {}).items()}
    space = {"whisper_model_size": ["base"], **{k: v for k, v in own.items() if _is_list(v)}}
    today = {k: v[0] if _is_list(v) else v for k, v in own.items()}
    has_share = name == "llm" or "gpu_memory_utilization" in (options or {})
    flags = list(args) if has_share else [*SHARE, *args]
    services = {"llm": OWN["llm"], name: {**OWN[name], "args": flags, **more.pop("own", {})}}
    spec = {
        "name": "all",
        **({} if "devices" in more else {"device": more.pop("device", "cuda")}),
        "measure": {"recorded": "some.jsonl"},
        "search_space": space,
        "baseline": {"whisper_model_size": "base", **today},
        "services": services,
        **more,
    }
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return load(path)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        (
            (),
            {"max_num_seqs": [512, 16], "max_num_batched_tokens": 256},
            "max_num_batched_tokens: vLLM refuses 256 of them for 512 requests at once",
        ),
        (("--max-num-seqs", "512", "--max-num-batched-tokens=256"), {}, "args: vLLM refuses 256"),
        ((), {"max_num_seqs": [0, 4]}, "max_num_seqs: 0 is no whole number from 1; write one"),
        ((), {"enforce_eager": ["yes"]}, "enforce_eager: 'yes' is neither true nor false"),
        (("-tp", "2"), {}, "args: tp spreads "),
        (
            (),
            {"tensor_parallel_size": [1, 2]},
            "size: tensor-parallel-size spreads",
        ),
        (
            (),
            {"pipeline_parallel_size": 2},
            "size: pipeline-parallel-size spread",
        ),
        (
            ("--enforce-eager",),
            {"max_cudagraph_capture_size": [128, 256]},
            "max_cudagraph_capture_size: it does nothing beside --enforce-eager",
        ),
        (("--port", "1"), {}, "args: --port is set by the study itself"),
        (("--served-model", "x"), {}, "args: --served-model is set by the study itself"),
        (("--api-key", "x"), {}, "args: --api-key is set by the study itself"),
        ((), {"host": ["::1"]}, "host: it is set by the study itself"),
    ],
)
def test_what_vllm_refuses_or_ignores_is_refused(
    tmp_path: Path, name: str, args: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, name, args, options)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    prefix = "vllm" if name == "llm" else name
    assert f": services.{name}.args: " in str(caught.value) or f".{prefix}." in str(caught.value)


@pytest.mark.parametrize("name", SERVED)
def test_what_vllm_takes_is_taken(tmp_path: Path, name: str) -> None:
    args = ("--max-num-seqs", "16", "--max-num-batched-tokens=2k", "-tp", "1", "--seed", "-1")
    assert read(tmp_path, name, args, {"max_num_seqs": [16, 64]}).search_space.size == 2


@pytest.mark.parametrize("name", SERVED)
def test_graphs_are_idle_where_none_is_captured(tmp_path: Path, name: str) -> None:
    options = {"max_cudagraph_capture_size": [128, 256]}
    with pytest.raises(BadInput, match="vLLM captures no graphs on a CPU; remove it"):
        read(tmp_path, name, (), options, device="cpu")
    both = {**options, "enforce_eager": [False, True]}
    assert read(tmp_path, name, (), both).search_space.size == 3  # as one candidate


def test_graphs_are_those_of_the_place(tmp_path: Path) -> None:
    options = {"max_cudagraph_capture_size": [128, 256]}
    devices = {"gpu0": 0, "cpu": None}
    with pytest.raises(BadInput, match="vLLM captures no graphs on a CPU"):
        read(tmp_path, "tags", (), options, own={"place": "cpu"}, devices=devices)
    either = {**options, "place": ["gpu0", "cpu"]}
    spec = read(tmp_path, "tags", (), either, devices=devices)
    assert spec.search_space.size == 4


@pytest.mark.parametrize("name", [n for n in SERVED if n != "llm"])
@pytest.mark.parametrize(
    ("args", "own", "words"),
    [
        (("--kv-cache-memory=2G",), {}, "--kv-cache-memory-bytes beside a searched share"),
        (("--config", "x.yaml"), {}, "--config beside a searched share"),
        ((), {"env": {"VLLM_CPU_KVCACHE_SPACE": "4"}}, "4 beside a searched share"),
        (("--gpu-memory-util", "0.2"), {}, "gpu_memory_utilization says its share too; remove one"),
    ],
)
def test_nothing_overrides_a_share_that_is_searched(
    tmp_path: Path, name: str, args: Any, own: Any, words: str
) -> None:
    searched = {"gpu_memory_utilization": [0.1, 0.2]}
    with pytest.raises(BadInput) as caught:
        read(tmp_path, name, args, searched, own=own)
    assert words in str(caught.value)
    if "share too" not in words:
        assert str(caught.value).endswith(f"not search {name}.gpu_memory_utilization")
        assert read(tmp_path, name, args, own=own).search_space.size == 1  # no share is searched


@pytest.mark.parametrize("name", [n for n in SERVED if n != "llm"])
@pytest.mark.parametrize("text", ["3", "0", "much", ""])
def test_a_share_among_the_flags_is_one(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(BadInput, match=f"args: '{text}' is no share of a device; write numbers"):
        read(tmp_path, name, ("--gpu-memory-utilization", text))


@pytest.mark.parametrize("name", ["stt", "notes"])
def test_the_language_goes_with_each_request_and_is_no_flag(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=rf"set by the study itself; use services\.{name}\.language"):
        read(tmp_path, name, (), {"language": ["en", "de"]})
    with pytest.raises(BadInput, match="args: --language is set by the study itself"):
        read(tmp_path, name, ("--language", "en"))


@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        ((), {"max_num_seqs": [2, 8]}, "vLLM makes 896 tokens a batch of it"),
        (("--max-num-seqs", "3"), {}, "args: vLLM makes 1344 tokens a batch of it"),
        ((), {"max_num_batched_tokens": [1024, 2048]}, "vLLM refuses 1024 of them, since a clip"),
    ],
)
@pytest.mark.parametrize("name", ["stt", "notes"])
def test_a_whisper_needs_a_batch_that_holds_a_clip(tmp_path, name, args, options, words):
    own = {"own": {"model": "openai/whisper-small"}} if name == "notes" else {}
    with pytest.raises(BadInput, match=words):
        read(tmp_path, name, args, options, **own)
    read(tmp_path, "notes", args, options)  # a model that is not known to be one
    enough = {"max_num_seqs": 4, "max_num_batched_tokens": 2048}
    assert read(tmp_path, name, (), enough, **own)
