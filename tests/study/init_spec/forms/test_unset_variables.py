"""A variable without a value is refused where a server needs it, and vanishes where it may."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.unit_texts import read

from objectives.errors import BadInput
from study.init_spec.init_spec import InitOptions, write_files

VLLM = "/opt/v/bin/vllm serve"
LLAMA = "/l/llama-server"
FROM = "EnvironmentFile=HERE/env\nExecStart="
UNREAD = "is not set: HERE/env cannot be read; "
NEEDED = {
    f"{FROM}{LLAMA} -m ${{MODEL}} --ctx-size ${{CTX}}": f"`${{MODEL}}` {UNREAD}-m needs it",
    f"{FROM}{LLAMA} -m q.gguf --ctx-size $CTX": f"`$CTX` {UNREAD}--ctx-size needs it",
    f"{FROM}{LLAMA} -m /m/${{NAME}}.gguf": f"`${{NAME}}` {UNREAD}-m needs it",
    f"{FROM}{VLLM} m --gpu-memory-utilization=${{U}}": f"`${{U}}` {UNREAD}--gpu-memory-utilization",
    f"{FROM}{VLLM} /m/${{NAME}}": f"`${{NAME}}` {UNREAD}its command needs it",
    f"{FROM}{VLLM} ${{MODEL}}": f"its command names no model (`${{MODEL}}` {UNREAD[:-2]})",
    f"{FROM}/bin/sh -c 'exec {VLLM} m --max-model-len \"$$LEN\"'": f"`$LEN` {UNREAD}--max-model",
    f"{FROM}/usr/bin/env CUDA_VISIBLE_DEVICES=${{GPU}} {VLLM} m": f"`${{GPU}}` {UNREAD}CUDA_",
    f"{FROM}/usr/bin/docker run -v ${{DATA}}:/d ollama/ollama": f"`${{DATA}}` {UNREAD}-v",
    f"Environment=MODEL=\nExecStart={LLAMA} -m ${{MODEL}}": "`${MODEL}` is empty: nothing that is",
}


@pytest.mark.parametrize("text", NEEDED)
def test_a_variable_that_is_not_set_is_refused_where_it_is_a_value(folder: Path, text: str) -> None:
    (folder / "a.service").write_text(f"[Service]\n{text.replace('HERE', str(folder))}\n")
    spec = folder / "my.yaml"
    options = InitOptions(("./a.service", "./stt.service"), spec, folder / "d.yaml", "my", "cpu")
    with pytest.raises(BadInput) as error:
        write_files(options, print)
    assert NEEDED[text].replace("HERE", str(folder)) in str(error.value)
    assert not spec.exists()


OPTIONAL = (
    f"{LLAMA} -m q.gguf -c 4096 $OTHERS",
    f"{LLAMA} -m q.gguf -c 4096 --jinja $EXTRA_ARGS",
    f"{LLAMA} -m q.gguf -c 4096 --api-key ${{KEY}}",
    f"/bin/sh -c 'exec {LLAMA} -m q.gguf -c $${{CTX:-4096}} --alias \"$${{NAME:-}}\"'",
    f"/bin/sh -c 'EAGER=; exec {LLAMA} -m q.gguf -c 4096 --jinja $$EAGER \"$$@\"'",
    f"/usr/bin/docker run --name llm-${{ID}} -e HF_TOKEN=${{T}} img {LLAMA} -m q.gguf -c 4096",
)


@pytest.mark.parametrize("start", OPTIONAL)
def test_a_variable_that_is_not_set_vanishes_where_it_may(folder: Path, start: str) -> None:
    llm = read(folder, "a.service", f"EnvironmentFile=-/no\nExecStart={start}", "stt.service").llm
    assert llm.model == "q.gguf" and 4096 in llm.options.values()


COMPOSE = """
services:
  llm: {image: "vllm/vllm-openai:${TAG:-v1}", command: LLM, volumes: ["${HUB:-./hub}:/h"]}
  stt: {image: ghcr.io/speaches-ai/speaches, environment: {WHISPER__MODEL: "SIZE"}}
  web: {image: web, command: "--db ${PASSWORD}"}
"""


@pytest.mark.parametrize(
    ("llm", "size", "what"),
    [
        ("--model m --gpu-memory-utilization ${U}", "base", "`${U}` is not set: HERE/.env"),
        ("[--model, '${M}']", "base", "`${M}` is not set: HERE/.env gives no value; --model needs"),
        ("[--model, '${M:?say which}']", "base", "`${M:?say which}` is not set"),
        ("--model m", "${SIZE}", "name a Whisper size (`${SIZE}` is not set: HERE/.env gives no"),
    ],
)
def test_a_variable_that_compose_replaces_by_nothing_is_refused(
    folder: Path, llm: str, size: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))  # no engine is asked
    (folder / ".env").write_text("OTHER=1\n")
    text = COMPOSE.replace("LLM", llm if llm[0] == "[" else f'"{llm}"').replace("SIZE", size)
    with pytest.raises(BadInput) as error:
        read(folder, "compose.yaml", text)
    assert what.replace("HERE", str(folder)) in str(error.value)


def test_the_words_of_a_quadlet_have_the_variables_of_its_unit(folder: Path) -> None:
    text = "[Service]\nEnvironment=M=org/m\n[Container]\nImage=vllm/vllm-openai\n"
    text += "Exec=--model ${M}\n"
    assert read(folder, "a.container", text, "stt.service").llm.model == "org/m"
