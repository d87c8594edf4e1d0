"""LLM servers other than vLLM: the command becomes a template, its memory a parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from objectives.allocation import SHARE, Scalar
from objectives.apis.api import parsed
from objectives.apis.short_requests import NoAnswer, request
from objectives.errors import BadInput
from study.init_spec.forms.running import Running
from study.init_spec.servers.llm_unit import Llm, kept_env, port_of, split_flags
from study.init_spec.servers.programs import Program
from study.init_spec.servers.template import literal, template

LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Words:
    """The words of an engine that the study fills in.

    Args:
        model: The flags that name the model, the first one as the study writes it.
        host: The flag of its address; None: it has none.
        ports: The flags of its port.
        memory: The flags of its memory, by the study's parameter.
        usual: Its memory where no flag says it, by the study's parameter.
        port: Its own default port.
        health_path: The path that says 200 once it is ready.
        has_metrics: Whether it has Prometheus' page.
        variables: By the study's parameter, the variable that sets its memory instead.
        is_free: Whether its model may be a word of its own.
        key: Its name as `services.llm.engine`; empty: a template starts it.
        own: By the study's parameter of a template, that of the engine.
        set_by_study: Its flags that the study sets itself.
    """

    model: tuple[str, ...]
    ports: tuple[str, ...] = ("--port",)
    host: str | None = "--host"
    memory: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    usual: Mapping[str, Scalar] = field(default_factory=dict)
    port: int = 8000
    health_path: str = "/health"
    has_metrics: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    is_free: bool = False
    key: str = ""
    own: Mapping[str, str] = field(default_factory=dict)
    set_by_study: tuple[str, ...] = ()


CONTEXT = "vllm.ctx_size"
ENGINES: Mapping[str, Words] = {
    "SGLang": Words(
        model=("--model-path", "--model"),
        memory={SHARE: ("--mem-fraction-static",)},
        port=30000,
        is_free=True,
        key="sglang",
        own={SHARE: "sglang.mem_fraction_static"},
        set_by_study=("--model-path", "--model", "--served-model-name"),
    ),
    "llama.cpp": Words(
        model=("-m", "--model", "-hf", "--hf-repo", "-mu", "--model-url"),
        memory={CONTEXT: ("-c", "--ctx-size")},
        key="llama_cpp",
        own={CONTEXT: "llama.ctx_size"},
        set_by_study=("-m", "--model", "-a", "--alias", "--slots", "--no-slots"),
        port=8080,
    ),
    "llama-cpp-python": Words(
        model=("--model",),
        memory={"vllm.n_ctx": ("--n-ctx",)},
        usual={"vllm.n_ctx": 2048},
        health_path="/v1/models",
    ),
    "Ollama": Words(
        model=(),
        ports=(),
        host=None,
        variables={"vllm.context_length": "OLLAMA_CONTEXT_LENGTH"},
        key="ollama",
        own={"vllm.context_length": "ollama.context_length"},
        port=11434,
        health_path="/api/version",
    ),
    "text-generation-inference": Words(
        model=("--model-id",),
        ports=("--port", "-p"),
        host="--hostname",
        memory={SHARE: ("--cuda-memory-fraction",)},
        port=80,
        has_metrics=True,
    ),
    "TensorRT-LLM": Words(
        model=("--model",),
        memory={"vllm.kv_cache_free_gpu_memory_fraction": ("--kv-cache-free-gpu-memory-fraction",)},
        usual={"vllm.kv_cache_free_gpu_memory_fraction": 0.9},
        is_free=True,
    ),
    "LMDeploy": Words(
        model=("--model-path",),
        ports=("--server-port",),
        host="--server-name",
        memory={"vllm.cache_max_entry_count": ("--cache-max-entry-count",)},
        usual={"vllm.cache_max_entry_count": 0.8},
        port=23333,
        is_free=True,
    ),
    "Aphrodite": Words(
        model=("--model",),
        memory={SHARE: ("--gpu-memory-utilization", "-gmu")},
        usual={SHARE: 0.9},
        port=2242,
        has_metrics=True,
        is_free=True,
    ),
    "transformers": Words(model=("--model",), is_free=True),
    "koboldcpp": Words(
        model=("--model",),
        memory={"vllm.contextsize": ("--contextsize",)},
        port=5001,
        health_path="/api/v1/info/version",
        is_free=True,
    ),
}
SECRETS = ("--api-key", "--hf-token", "--api-key-file", "--admin-api-key")


def read_other_llm(unit: Running, program: Program, named: str | None = None) -> Llm:
    """Read the command of an LLM server that is not vLLM.

    Args:
        named: Its model, where its command names none; None: its command does.

    Raises:
        BadInput: It is not read, with what was found and the key to write by hand.
    """
    words = ENGINES.get(program.engine)
    if words is None:
        raise BadInput(
            f"{unit.unit} runs {program.engine}, whose flags are not read here; write its command "
            "into `services.llm.command`, with {port} where its port goes (study/specs/gpu.yaml)"
        )
    flags, free = split_flags(unit.argv[program.start :])
    if program.engine == "LMDeploy" and free[:1] == ["api_server"]:
        free = free[1:]
    arguments = {name: values[0] if values else "" for name, values in flags}
    model = next((arguments[f] for f in words.model if arguments.get(f)), None)
    is_positional = model is None and words.is_free and bool(free)
    model = model or (free[0] if is_positional else unit.env.get("MODEL_ID") or named)
    port = port_of(
        unit, next((arguments[f] for f in words.ports if f in arguments), ""), words.port
    )
    if program.engine == "Ollama":
        port = port_of(unit, unit.env.get("OLLAMA_HOST", "").rpartition(":")[2], words.port)
        model = named or ollama_model(port)
    if not model:
        what = "serves whichever model a request names, and none is loaded here now"
        raise BadInput(
            f"{unit.unit} runs {program.engine}, which "
            + (what if program.engine == "Ollama" else "names no model here")
            + "; say which: --llm-model NAME"
        )
    values, set_by = _memory(unit, words, arguments)
    ours = {*words.ports, *SECRETS, *([words.host] if words.host else [])}
    ours |= {f for name in values for f in words.memory.get(name, ())}
    kept = [w for n, vs in flags if n not in ours for w in (_name(unit, n), *map(unit.path, vs))]
    first = [] if not is_positional else [unit.path(model)]
    of_api = ["api_server"] if program.engine == "LMDeploy" else []
    template_words = literal([*of_api, *first, *kept])
    if words.host:
        template_words += [words.host, "127.0.0.1"]
    template_words += [w for f in words.ports[:1] for w in (f, "{port}")]
    for name, flag in set_by.items():
        if flag.startswith("-"):
            template_words += [flag, "{" + name + "}"]
    env = {f: "{" + n + "}" for n, f in set_by.items() if not f.startswith("-")}
    if program.engine == "Ollama":
        env["OLLAMA_HOST"] = "127.0.0.1:{port}"
        env |= {k: v for k, v in unit.env.items() if k.startswith("OLLAMA_") and k not in env}
    served = arguments.get("--served-model-name") or arguments.get("--alias") or model
    if words.key and values and unit.container is None and is_named(program, arguments):
        return _of_engine(unit, program, words, (values, set_by), kept, (model, served, port))
    share = values.get(SHARE)
    notes = [
        f"{unit.unit} runs {program.engine}: the study starts it by `services.llm.command`; "
        "read that line once"
    ]
    for name in values:
        if not any(f in arguments for f in words.memory.get(name, ())) and name in words.memory:
            notes.append(
                f"{unit.unit} sets no {set_by[name]}: {program.engine}'s own {values[name]:g} is "
                "taken; check your version's"
            )
    if not values:
        notes.append(
            f"{unit.unit} names no memory or context of {program.engine}'s: none is searched"
        )
    return Llm(
        running=unit,
        python=None,
        model=unit.path(model),
        share=float(share) if isinstance(share, int | float) else None,
        args=(),
        env={} if unit.container else kept_env(unit),
        port=port,
        served_model=served,
        notes=tuple(notes),
        engine=program.engine,
        command=template(unit, program.start, template_words, env),
        options={n: v for n, v in values.items() if n != SHARE},
        flags=set_by,
        health_path=words.health_path,
        has_metrics=words.has_metrics,
    )


def is_named(program: Program, arguments: Mapping[str, str]) -> bool:
    """Tell whether a server's model is what its engine takes: of llama.cpp a file, no hub id."""
    return program.engine != "llama.cpp" or bool({"-m", "--model"} & arguments.keys())


def _of_engine(
    unit: Running,
    program: Program,
    words: Words,
    memory: tuple[Mapping[str, Scalar], Mapping[str, str]],
    kept: Sequence[str],
    names: tuple[str, str, int],
) -> Llm:
    """Return a server that `services.llm.engine` starts by itself.

    Args:
        memory: Today's values of its options of memory, and what sets each, by a template's name.
        kept: Its other words.
        names: Its model, the model's name in requests, and its port.
    """
    values, set_by = memory
    flags, _ = split_flags(kept)
    args = [w for n, vs in flags if n not in words.set_by_study for w in (n, *vs)]
    env = {k: v for k, v in unit.env.items() if k.startswith("OLLAMA_") and k != "OLLAMA_HOST"}
    env = {k: v for k, v in env.items() if k not in set_by.values()}
    python = unit.python or unit.argv[0]
    return Llm(
        running=unit,
        python=python if program.engine == "SGLang" else None,
        model=unit.path(names[0]),
        share=None,
        args=tuple(args),
        env={**kept_env(unit), **env},
        port=names[2],
        served_model=names[1],
        notes=(),
        engine=program.engine,
        options={words.own[n]: v for n, v in values.items()},
        flags={words.own[n]: flag for n, flag in set_by.items()},
        health_path=words.health_path,
        has_metrics=words.has_metrics,
        key=words.key,
        program="" if program.engine == "SGLang" else unit.path(unit.argv[0]),
    )


def _name(unit: Running, name: str) -> str:
    """Return a flag as the command writes it: some servers know no `-` in place of `_`."""
    written = (w.partition("=")[0] for w in unit.argv)
    return next((w for w in written if w.replace("_", "-") == name), name)


def _memory(
    unit: Running, words: Words, arguments: Mapping[str, str]
) -> tuple[dict[str, Scalar], dict[str, str]]:
    """Return today's values of the options of memory, and the flag or variable of each."""
    values: dict[str, Scalar] = {}
    set_by: dict[str, str] = {}
    for name, flags in words.memory.items():
        flag = next((f for f in flags if f in arguments), flags[-1])
        value = number(arguments.get(flag, "")) or words.usual.get(name)
        if value is not None:
            values[name], set_by[name] = value, _name(unit, flag)
    for name, variable in words.variables.items():
        value = number(unit.env.get(variable, "")) or words.usual.get(name)
        if value is not None:
            values[name], set_by[name] = value, variable
    return values, set_by


def number(text: str) -> int | float | None:
    """Return the number that a text is; None where it is none, or not above 0.

    >>> number("8192"), number("0.7"), number("auto"), number("0")
    (8192, 0.7, None, None)
    """
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return None
    value = float(text) if "." in text else int(text)
    return value or None


def ollama_model(port: int) -> str | None:
    """Return the model that an Ollama on this machine has loaded, else its only one; None: none."""
    for path in ("/api/ps", "/api/tags"):
        try:
            answer = request("GET", f"http://127.0.0.1:{port}{path}", within_s=LOOK_S)
        except NoAnswer:
            return None
        names = _names(answer.body)
        if names and (path == "/api/ps" or len(names) == 1):
            return names[0]
    return None


def _names(body: bytes) -> Sequence[str]:
    try:
        data = parsed(body)
    except ValueError:
        return []
    models = data.get("models") if isinstance(data, dict) else None
    named = (
        [m.get("name") for m in models if isinstance(m, dict)] if isinstance(models, list) else []
    )
    return [n for n in named if isinstance(n, str)]
