"""What overrides the share of a study that searches it is refused, with line and way out."""

import pytest

from objectives.errors import BadInput
from study.spec.load import load

SPEC = """\
name: small
measure: {recorded: some.jsonl}
device: cpu
search_space:
  SEARCHED
baseline: {vllm_memory_util: 0.5, whisper_model_size: base, MORE}
services:
  llm: {model: m, LLM}
"""
SHARES = "vllm_memory_util: [0.4, 0.5]"


@pytest.fixture
def refusal(tmp_path):
    (tmp_path / "some.jsonl").touch()

    def refused(llm="", more="", searched=SHARES):
        path = tmp_path / "spec.yaml"
        text = SPEC.replace("SEARCHED", searched).replace("MORE", more).replace("LLM", llm)
        path.write_text(text)
        try:
            load(path)
        except BadInput as error:
            return str(error).removeprefix(str(path))
        return None

    return refused


@pytest.mark.parametrize(
    ("llm", "start"),
    [
        ("args: [--kv-cache-memory-bytes, 2G]", ":8: services.llm.args: --kv-cache-memory-bytes "),
        ("args: ['--kv_cache_memory_bytes=2G']", ":8: services.llm.args: --kv-cache-memory-bytes "),
        ("args: ['--num-gpu-blocks-override', '9']", ":8: services.llm.args: --num-gpu-blocks-"),
        ("args: [--config, x.yaml]", ":8: services.llm.args: --config "),
        ("env: {VLLM_CPU_KVCACHE_SPACE: '4'}", ":8: services.llm.env.VLLM_CPU_KVCACHE_SPACE: 4 "),
        ("env: {VLLM_ENABLE_STARTUP_PLAN: '1'}", ":8: services.llm.env.VLLM_ENABLE_STARTUP_PLAN: "),
        (
            "command: 'vllm serve --port {port} -u {vllm_memory_util} --kv-cache-memory=2'",
            ":8: services.llm.command: --kv-cache-memory-bytes ",
        ),
    ],
)
def test_a_flag_or_variable_beside_a_searched_share_is_refused(refusal, llm, start):
    message = refusal(llm)
    assert message.startswith(start)
    assert "beside a searched share: " in message
    assert message.endswith("; remove it, or do not search the LLM's memory")
    assert refusal(llm.replace("vllm_memory_util", "model"), searched="vllm.seed: [1]") is None


@pytest.mark.parametrize("name", ["vllm.kv_cache_memory_bytes", "vllm.kv-cache-memory-bytes"])
def test_a_parameter_beside_a_searched_share_is_refused(refusal, name):
    searched = f"{SHARES}\n  {name}: [1, 2]"
    message = refusal(searched=searched, more=f"{name}: 1")
    assert message.startswith(f":6: search_space.{name}: beside a searched share, ")
    assert refusal(more=f"{name}: 1").startswith(f":6: baseline.{name}: beside a searched share, ")
    assert refusal(searched=f"{name}: [1, 2]", more=f"{name}: 1") is None


def test_the_shell_of_a_live_study_counts_too(refusal, tmp_path, monkeypatch):
    (tmp_path / "m").mkdir()
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    assert refusal() is None  # a replay starts no server
    path = tmp_path / "live.yaml"
    path.write_text((tmp_path / "spec.yaml").read_text().replace("{recorded: some.jsonl}", "live"))
    with pytest.raises(
        BadInput, match=r"this shell sets it, .*; run `unset VLLM_CPU_KVCACHE_SPACE"
    ):
        load(path)


@pytest.mark.parametrize("flag", ["--gpu-memory-util", "--device_memory_utilization=0.5"])
def test_another_spelling_of_the_share_is_set_by_the_study_too(refusal, flag):
    assert "is set by the study itself" in refusal(f"args: ['{flag}']")
