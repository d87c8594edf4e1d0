"""A spec may name the engine of its LLM: its parameters, its model and its program follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES

from objectives.errors import BadInput
from objectives.services import LlmService
from objectives.setting import conditions
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import setting_of

ARGS = ["--ctx-size", "8192"]


def read(folder: Path, space: Any = None, baseline: Any = None, **llm: Any) -> Spec:
    (folder / "m.gguf").write_text("a model")
    program = folder / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    usual = {"engine": "llama_cpp", "program": "./llama-server", "model": "m.gguf", "args": ARGS}
    services = {**FAKES["services"], "llm": {**usual, **llm}}
    space = space or {"llama.threads": [1, 2], "whisper_model_size": ["base"]}
    baseline = baseline or {"llama.threads": 1, "whisper_model_size": "base"}
    keys = {"services": services, "search_space": space, "baseline": baseline, "measure": "live"}
    path = folder / "llama.yaml"
    path.write_text(yaml.safe_dump({**FAKES, **keys, "bounds": {}}, sort_keys=False))
    return load(path)


def test_it_has_parameters_of_its_own_and_no_share(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert str(spec.baseline) == "whisper_model_size=base llama.threads=1"
    assert not spec.baseline.has_share and spec.search_space.size == 2
    llm = spec.services["llm"]
    assert isinstance(llm, LlmService)
    assert llm.model == str(tmp_path / "m.gguf") and llm.program == str(tmp_path / "llama-server")


def test_it_is_a_condition_of_every_figure_and_the_usual_one_is_none(tmp_path: Path) -> None:
    llm = conditions(setting_of(read(tmp_path)))["services"]["llm"]
    assert (llm["engine"], llm["model"]) == ("llama_cpp", "m.gguf")
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(FAKES, sort_keys=False))
    assert "engine" not in conditions(setting_of(load(path)))["services"]["llm"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "lama_cpp"}, "services.llm.engine: unknown engine 'lama_cpp'; did you mean"),
        ({"engine": 3}, "services.llm.engine: "),
        ({"model": "none.gguf"}, "services.llm.model: there is no file 'none.gguf'"),
        ({"model": None}, "services.llm.model: "),
        ({"program": "no-such-program"}, "services.llm.program: 'no-such-program' is not on the"),
        ({"args": []}, "services.llm.args: nothing says the context"),
        ({"args": ["-c", "1", "--port", "5"]}, "services.llm.args: --port is set by the study"),
        ({"args": ["-c", "1", "-m", "x"]}, "services.llm.args: -m is set by the study itself"),
        (
            {"space": {"vllm_memory_util": [0.5]}},
            "takes the memory that it needs, and has no share",
        ),
        ({"space": {"vllm.max_num_seqs": [1, 2]}}, "vllm.max_num_seqs: unknown parameter"),
        ({"space": {"llama.port": [1, 2]}}, "llama.port: it is set by the study itself"),
        ({"space": {"llama.model": ["a"]}}, "use services.llm.model"),
        ({"space": {"llama.cache_type_k": ["f16"]}}, "it changes the LLM's answers"),
        ({"baseline": {"vllm_memory_util": 0.5}}, "baseline.vllm_memory_util: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, **changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_template_may_start_it_too(tmp_path: Path) -> None:
    command = "docker run x --port {port} -c {llama.ctx_size}"
    space = {"llama.ctx_size": [4096, 8192], "whisper_model_size": ["base"]}
    baseline = {"llama.ctx_size": 4096, "whisper_model_size": "base"}
    spec = read(tmp_path, space, baseline, command=command)
    assert not spec.baseline.has_share and spec.search_space.size == 2
