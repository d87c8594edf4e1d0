"""The command line of a running vLLM names its model, share and the flags that a study keeps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from objectives.allocation import SHARE, Scalar
from objectives.engines.every import unit_forms
from objectives.engines.llm_server import USUAL, LlmServer
from objectives.engines.registry import LLM_ENGINES
from objectives.engines.unit_form import UnitForm
from objectives.errors import BadInput
from objectives.services import LlmService
from study.init_spec.forms.running import Running
from study.init_spec.servers.flags import SECRET_FLAGS, WAY_OUT, Flags, split_flags, with_file
from study.init_spec.servers.template import SECRET, literal, template
from study.server_words.programs import program_of

# what engines, torch, CUDA and the hub read; not what a unit's own command is made of
KEPT_ENV = re.compile(
    "|".join(form.kept for form in unit_forms() if form.kept)
    + r"|HF_HOME|HF_HUB_[A-Z_]+|HUGGINGFACE_HUB_CACHE|TRANSFORMERS_(?:CACHE|OFFLINE)"
    r"|XDG_CACHE_HOME|PATH|LD_LIBRARY_PATH|LD_PRELOAD|PYTORCH_[A-Z_]+|TORCH[A-Z_]*|TRITON_[A-Z_]+"
    r"|NCCL_[A-Z_]+|CUDA_(?:HOME|PATH|MODULE_LOADING|CACHE_PATH)|FLASHINFER_[A-Z_]+"
    r"|TMPDIR|(?:OMP|MKL|OPENBLAS|NUMEXPR)_NUM_THREADS|TOKENIZERS_PARALLELISM|VIRTUAL_ENV"
)


@dataclass(frozen=True, slots=True)
class Llm:
    """The LLM server of today runs like this.

    Args:
        running: Its unit.
        python: The interpreter that has it; None: a template starts it.
        model: Its model.
        share: Its share of the device memory, 0 to 1; None: it has no share.
        args: The flags that the study keeps, with their values.
        env: The variables that the study keeps.
        port: Where it listens.
        served_model: The model's name in requests.
        notes: What a person should know, a sentence each.
        engine: Its name, as people write it.
        flags: The flag or variable that sets each parameter in production.
        is_usual: Whether it is the engine of a spec that names none.
        command: The template that starts it for the study; None: the study's own command does.
        options: Its other options of memory with today's values, by the study's parameter.
        health_path: The path that says 200 once it is ready.
        has_metrics: Whether it has Prometheus' page.
        key: Its name as `services.llm.engine`; empty: the usual one, or a template.
        program: The file of its command, where that is no Python.
    """

    running: Running
    python: str | None
    model: str
    share: float | None
    args: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    served_model: str
    notes: tuple[str, ...]
    engine: str
    flags: Mapping[str, str]
    is_usual: bool = False
    command: str | None = None
    options: Mapping[str, Scalar] = field(default_factory=dict)
    health_path: str = "/health"
    has_metrics: bool = True
    key: str = ""
    program: str = ""


def read_llm(unit: Running, named: str = "", served: str = "model") -> Llm:
    """Read the command line of the usual engine: its model, its share and its other flags.

    Args:
        unit: How it runs.
        named: What stands for the model in its template; empty: the model itself.
        served: The model's name in the study's requests.

    Raises:
        BadInput: Something that the study needs is not in it.
    """
    engine, program = LLM_ENGINES[USUAL](LlmService()), program_of(unit.argv)
    form = engine.unit_form
    assert form is not None  # noqa: S101  the usual engine has one
    start = program.start if program else len(unit.argv)
    flags, free = with_file(unit, engine.title, *split_flags(unit.argv[start:]))
    arguments = {name: values[0] if values else "" for name, values in flags}
    model = arguments.get("--model") or (free[0] if free else None)
    if model is None:
        model, flags = _model_behind(flags, form.alone)
    if not model:
        raise BadInput(f"{unit.label}: its command names no model{unit.lack}; {WAY_OUT}")
    notes = []
    _refuse_overrides(unit, flags, engine, form)
    share = engine.default_share
    if texts := ["".join(values[:1]) for name, values in flags if engine.is_share(name)]:
        text = texts[-1]
        share = float(text) if re.fullmatch(r"[0-9.]{1,8}", text) else math.nan
    else:
        notes.append(
            f"{unit.label} sets no {form.share_flag}: {engine.title}'s own {share} is taken; "
            "check your version's"
        )
    if not 0 < share < 1:
        raise BadInput(
            f"{unit.label}: {form.share_flag} {text} is no share that leaves something to the "
            "others; set one between 0 and 1, both excluded"
        )
    dropped = {name for name, _ in flags if name in SECRET_FLAGS}
    mark = form.variables.rstrip("_")
    dropped |= {name for name in unit.env if SECRET.fullmatch(name) and mark in name}
    if dropped:
        notes.append(f"left out of the spec, a study needs none: {', '.join(sorted(dropped))}")
    args: list[str] = []
    for name, values in flags:
        if name not in (*form.own_flags, *SECRET_FLAGS) and not engine.is_share(name):
            args += [name, *map(unit.path, values)]
    served_model = arguments.get("--served-model-name") or model
    command = None
    if unit.container is None and unit.python is None:
        notes.append(
            f"{unit.label}: which Python has {engine.title} is not seen from here: the study "
            f"starts {unit.argv[0]!r} as it does"
        )
    if unit.container is not None or unit.python is None:
        ours = ["--model", *([named] if named else literal([model])), "--served-model-name", served]
        ours += ["--host", "127.0.0.1", "--port", "{port}", form.share_flag, "{" + SHARE + "}"]
        kept = {k: v for k, v in unit.env.items() if k not in form.unset}
        command = template(replace(unit, env=kept), start, [*ours, *literal(args)])
    return Llm(
        running=unit,
        python=unit.python,
        model=unit.path(model),
        share=share,
        args=tuple(args),
        env={} if unit.container else kept_env(unit),
        port=port_of(unit, arguments.get("--port", ""), 8000),
        served_model=served_model,
        notes=tuple(notes),
        engine=engine.title,
        flags={SHARE: form.share_flag},
        is_usual=True,
        command=command,
    )


def kept_env(unit: Running) -> dict[str, str]:
    """Return the variables that a server itself reads, without keys and its command's own."""
    unset = {name for form in unit_forms() for name in form.unset}
    own = tuple(form.variables for form in unit_forms() if form.variables)
    return {
        k: v
        for k, v in unit.env.items()
        if KEPT_ENV.fullmatch(k)
        and not SECRET.fullmatch(k)
        and k not in unset
        and (k not in unit.plumbing or not k.startswith(own))
    }


def port_of(unit: Running, text: str, usual: int) -> int:
    """Return where a server listens on this machine.

    Args:
        text: The port that its command names; empty: none.
        usual: Its own default.
    """
    if unit.sleep is not None:
        return unit.sleep.port
    is_port = re.fullmatch(r"[0-9]{1,5}", text) is not None
    inside = int(text) if is_port else usual
    if unit.container is not None and unit.container.ports:
        ports = unit.container.ports
        return ports.get(inside) or min(ports.values())
    if is_port or usual in unit.ports or not unit.ports:
        return inside
    return unit.ports[0]


def _refuse_overrides(
    unit: Running,
    flags: Sequence[tuple[str, tuple[str, ...]]],
    engine: LlmServer,
    form: UnitForm,
) -> None:
    """Refuse a unit whose memory is not that of its share."""
    overrides = [f"{flag[0]}: {flag[1]}" for name, _ in flags if (flag := engine.overriding(name))]
    overrides += [
        f"{name}={value}: {why}"
        for name, value in unit.env.items()
        if name not in form.unset and (why := engine.overriding_variable(name, value))
    ]
    if overrides:
        raise BadInput(
            f"{unit.label} has {overrides[0]}; give it a {form.share_flag} instead, "
            "or write the spec from study/specs/gpu.yaml"
        )


def _model_behind(flags: Flags, alone: Sequence[str]) -> tuple[str | None, Flags]:
    """Return the model that stands behind a flag which does not take it, and the flags without."""
    for place, (name, values) in enumerate(flags):
        if len(values) > (0 if name in alone else 1) and "/" in values[-1]:
            rest = [*flags[:place], (name, values[:-1]), *flags[place + 1 :]]
            return values[-1], rest
    return None, flags
