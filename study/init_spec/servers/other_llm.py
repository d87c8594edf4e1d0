"""LLM servers of other engines than the usual are started by a template, or by their own engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from objectives.allocation import SHARE, Scalar
from objectives.engines.every import form_of
from objectives.engines.registry import LLM_ENGINES
from objectives.engines.unit_form import Words
from objectives.errors import BadInput
from study.init_spec.forms.running import Running
from study.init_spec.servers.flags import split_flags
from study.init_spec.servers.llm_unit import Llm, kept_env, port_of
from study.init_spec.servers.template import SECRET, literal, template
from study.server_words.programs import Program

# those of no engine, which a template starts; an engine's are in its room
OTHERS: Mapping[str, Words] = {
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
        first="api_server",
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
    """Read the command of an LLM server of another engine than the usual one.

    Args:
        named: Its model, where its command names none; None: its command does.

    Raises:
        BadInput: It is not read, with what was found and the key to write by hand.
    """
    words = _words(program)
    if words is None:
        raise BadInput(
            f"{unit.label} runs {program.engine}, whose flags are not read here; write its command "
            "into `services.llm.command`, with {port} where its port goes (study/specs/gpu.yaml)"
        )
    flags, free = split_flags(unit.argv[program.start :])
    first = [words.first] if words.first else []
    if first and free[:1] == first:
        free = free[1:]
    arguments = {name: values[0] if values else "" for name, values in flags}
    model = next((arguments[f] for f in words.model if arguments.get(f)), None)
    is_positional = model is None and words.is_free and bool(free)
    model = model or (free[0] if is_positional else unit.env.get("MODEL_ID") or named)
    flagged = next((arguments[f] for f in words.ports if f in arguments), "")
    address = unit.env.get(words.address, "") if words.address else f":{flagged}"
    port = port_of(unit, address.rpartition(":")[2], words.port)
    if words.loaded is not None:
        model = named or words.loaded(port)
    if not model:
        what = "serves whichever model a request names, and none is loaded here now"
        raise BadInput(
            f"{unit.label} runs {program.engine}, which "
            + (what if words.loaded else "names no model here")
            + f"{unit.lack}; say which: --llm-model NAME"
        )
    values, set_by = _memory(unit, words, arguments)
    ours = {*words.ports, *SECRETS, *([words.host] if words.host else [])}
    ours |= {f for name in values for f in words.memory.get(name, ())}
    kept = [w for n, vs in flags if n not in ours for w in (_name(unit, n), *map(unit.path, vs))]
    first += [unit.path(model)] if is_positional else []
    template_words = literal([*first, *kept])
    if words.host:
        template_words += [words.host, "127.0.0.1"]
    template_words += [w for f in words.ports[:1] for w in (f, "{port}")]
    for name, flag in set_by.items():
        if flag.startswith("-"):
            template_words += [flag, "{" + name + "}"]
    env = {f: "{" + n + "}" for n, f in set_by.items() if not f.startswith("-")}
    if words.address:
        env[words.address] = "127.0.0.1:{port}"
        env |= {k: v for k, v in _own_env(unit, words).items() if k not in env}
    served = arguments.get("--served-model-name") or arguments.get("--alias") or model
    is_taken = not words.files or bool({*words.files} & arguments.keys())
    if program.key and values and unit.container is None and is_taken:
        return _of_engine(unit, program, words, (values, set_by), kept, (model, served, port))
    share = values.get(SHARE)
    notes = [
        f"{unit.label} runs {program.engine}: the study starts it by `services.llm.command`; "
        "read that line once"
    ]
    for name in values:
        if not any(f in arguments for f in words.memory.get(name, ())) and name in words.memory:
            notes.append(
                f"{unit.label} sets no {set_by[name]}: {program.engine}'s own {values[name]:g} is "
                "taken; check your version's"
            )
    if not values:
        notes.append(
            f"{unit.label} names no memory or context of {program.engine}'s: none is searched"
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


def _words(program: Program) -> Words | None:
    form = form_of(program.engine)
    return (form.words if form else OTHERS).get(program.engine)


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
    env = {k: v for k, v in _own_env(unit, words).items() if k not in set_by.values()}
    is_package = not LLM_ENGINES[program.key].program
    return Llm(
        running=unit,
        python=(unit.python or unit.argv[0]) if is_package else None,
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
        key=program.key,
        program="" if is_package else unit.path(unit.argv[0]),
    )


def _own_env(unit: Running, words: Words) -> dict[str, str]:
    """Return the engine's own variables of a unit, but for its address and its keys."""
    names = (k for k in unit.env if words.prefix and k.startswith(words.prefix))
    return {k: unit.env[k] for k in names if k != words.address and not SECRET.fullmatch(k)}


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
