"""The command line of a running vLLM names its model, share and the flags that a study keeps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.engines.vllm_flags import (
    DEFAULT_SHARE,
    is_share,
    overriding,
    overriding_variable,
)
from objectives.errors import BadInput
from study.init_spec.running_units import Running

SHARE_FLAG = "--gpu-memory-utilization"
SET_TO_0 = "VLLM_ENABLE_STARTUP_PLAN"  # by the study: it would hand one trial another's KV cache
# the study sets these itself
OWN = (SHARE_FLAG, "--model", "--served-model-name", "--host", "--port", "--uds")
SECRET_FLAGS = ("--api-key", "--hf-token", "--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs")
KEPT_ENV = re.compile(
    r"VLLM_(?!API_KEY)[A-Z0-9_]+|HF_HOME|HF_HUB_CACHE|LD_LIBRARY_PATH|PYTORCH_[A-Z_]+"
)


@dataclass(frozen=True, slots=True)
class Llm:
    """The LLM server of today runs like this.

    Args:
        running: Its unit.
        python: The interpreter that has vLLM.
        model: Its model.
        share: Its share of the device memory, 0 to 1.
        args: The flags that the study keeps, with their values.
        env: The variables that the study keeps.
        port: Where it listens.
        served_model: The model's name in requests.
        notes: What a person should know, a sentence each.
    """

    running: Running
    python: str
    model: str
    share: float
    args: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    served_model: str
    notes: tuple[str, ...]


def read_llm(unit: Running) -> Llm:
    """Read vLLM's command line, from `vllm serve MODEL ...` or `-m vllm.entrypoints...`.

    Raises:
        BadInput: Something that the study needs is not in it.
    """
    if unit.python is None:
        raise BadInput(
            f"{unit.unit}: {unit.argv[0]} is no interpreter; "
            "write the spec from study/specs/gpu.yaml"
        )
    start = next(
        i for i, word in enumerate(unit.argv) if word == "serve" or word.startswith("vllm.")
    )
    flags, free = split_flags(unit.argv[start + 1 :])
    arguments = {name: values[0] if values else "" for name, values in flags}
    model = arguments.get("--model") or (free[0] if free else None)
    if not model:
        raise BadInput(
            f"{unit.unit}: its command names no model; write the spec from study/specs/gpu.yaml"
        )
    notes = []
    _refuse_overrides(unit, flags)
    share = DEFAULT_SHARE
    if texts := ["".join(values[:1]) for name, values in flags if is_share(name)]:
        text = texts[-1]
        share = float(text) if re.fullmatch(r"[0-9.]{1,8}", text) else math.nan
    else:
        notes.append(
            f"{unit.unit} sets no {SHARE_FLAG}: vLLM's own {DEFAULT_SHARE} is taken; "
            "check your version's"
        )
    if not 0 < share < 1:
        raise BadInput(f"{unit.unit}: {SHARE_FLAG} {text} is no share between 0 and 1")
    dropped = sorted({name for name, _ in flags if name in SECRET_FLAGS})
    if dropped:
        notes.append(f"left out of the spec, a study needs none: {', '.join(dropped)}")
    args: list[str] = []
    for name, values in flags:
        if name not in (*OWN, *SECRET_FLAGS) and not is_share(name):
            args += [name, *map(unit.path, values)]
    port = 8000 if 8000 in unit.ports or not unit.ports else unit.ports[0]
    if arguments.get("--port", "").isdigit():
        port = int(arguments["--port"])
    return Llm(
        running=unit,
        python=unit.python,
        model=unit.path(model),
        share=share,
        args=tuple(args),
        env={k: v for k, v in unit.env.items() if KEPT_ENV.fullmatch(k) and k != SET_TO_0},
        port=port,
        served_model=arguments.get("--served-model-name") or model,
        notes=tuple(notes),
    )


def _refuse_overrides(unit: Running, flags: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    """Refuse a unit whose memory is not that of its share."""
    found = [f"{flag[0]}: {flag[1]}" for name, _ in flags if (flag := overriding(name))]
    found += [
        f"{name}={value}: {why}"
        for name, value in unit.env.items()
        if name != SET_TO_0 and (why := overriding_variable(name, value))
    ]
    if found:
        raise BadInput(
            f"{unit.unit} has {found[0]}; give it a {SHARE_FLAG} instead, "
            "or write the spec from study/specs/gpu.yaml"
        )


def split_flags(words: Sequence[str]) -> tuple[list[tuple[str, tuple[str, ...]]], list[str]]:
    """Split words into flags with their values, in order, and the words before the first flag.

    >>> split_flags(("m", "--a-b", "1", "2", "--c_d=3", "--e"))
    ([('--a-b', ('1', '2')), ('--c-d', ('3',)), ('--e', ())], ['m'])
    """
    flags: list[tuple[str, tuple[str, ...]]] = []
    free: list[str] = []
    for word in words:
        if re.match(r"--?[A-Za-z]", word):
            name, sep, value = word.partition("=")
            flags.append((name.replace("_", "-"), (value,) if sep else ()))
        elif flags:
            flags[-1] = (flags[-1][0], (*flags[-1][1], word))
        else:
            free.append(word)
    return flags, free
