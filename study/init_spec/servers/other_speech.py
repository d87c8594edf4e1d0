"""Speech servers on another engine than faster-whisper are started by a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from objectives.apis.transcription import MODEL
from objectives.engines.every import form_of
from objectives.engines.registry import SPEECH_ENGINES, SpeechEngine, speech_engine
from objectives.engines.unit_form import Words
from objectives.errors import BadInput
from objectives.services import SttService
from study.init_spec.forms.running import Running
from study.init_spec.servers.engine_beside import renamed
from study.init_spec.servers.flags import SECRET_FLAGS, host_file, split_flags
from study.init_spec.servers.llm_unit import read_llm
from study.init_spec.servers.speech_unit import SpeechUnit, here, named_size
from study.init_spec.servers.template import literal, template
from study.server_words.programs import Program

WHISPER_CPP = "whisper.cpp"
GGML = re.compile(r"ggml-(.+)\.bin")
OF_WHISPER_CPP = ("--host", "--port", "--inference-path", "-m", "--model")
_READ_IT = "{}: the study starts it by `services.stt.command`; read that line once"
NOT_OPENAI = "the study asks a speech server by OpenAI's POST /v1/audio/transcriptions"


def knows(program: Program) -> bool:
    """Tell whether the command of such a server is read here."""
    is_engine = program.key in SPEECH_ENGINES
    return program.engine == WHISPER_CPP or is_engine or _words(program) is not None


def _words(program: Program) -> Words | None:
    """Return the words of an engine that a template starts for speech; None where none does."""
    form = form_of(program.engine)
    return form.words.get(program.engine) if form and form.transcribes else None


def read_other_stt(unit: Running, program: Program) -> SpeechUnit:
    """Read a speech server that is neither faster-whisper nor on it.

    Raises:
        BadInput: It is not read, with what was found and the key to write by hand.
    """
    flags, _ = split_flags(unit.argv[program.start :])
    arguments = {name: values[0] if values else "" for name, values in flags}
    if program.engine == WHISPER_CPP:
        return _whisper_cpp(unit, program, arguments)
    if program.key in SPEECH_ENGINES:
        return _of_engine(unit, program, is_named="--model" in arguments)
    if (words := _words(program)) is not None:
        return _by_template(unit, program, words, arguments)
    raise BadInput(
        f"{unit.label} runs {program.engine}, another engine than {SpeechEngine.title}; "
        f"{NOT_OPENAI}: write a command that serves it into `services.stt.command`, with {{port}} "
        "where its port goes and {model} for the model of a size in `services.stt.models` "
        "(study/guides/spec.md)"
    )


def _of_engine(unit: Running, program: Program, *, is_named: bool) -> SpeechUnit:
    """Read an engine of the study's that serves an LLM, or here a Whisper, in a share.

    Args:
        unit: How it runs.
        program: What it is.
        is_named: Whether a flag names its model, which a rollout can set then.
    """
    llm = read_llm(unit, "{model}", MODEL)
    key = "" if llm.command else program.key
    service = SttService(engine=key, command=llm.command)
    llm = renamed(llm, speech_engine(service).prefix)
    size = named_size(llm.model) or re.sub(r"^.*/", "", llm.model).lower()
    hub = SPEECH_ENGINES[program.key].hub
    models = here(hub, size) if is_named and llm.model == hub.get(size) else {}
    notes = llm.notes
    if not is_named:
        notes += (
            f"{unit.label} names its model by no --model, so that no rollout can change it: only "
            f"{size} is measured",
        )
    if llm.command:
        notes += (_READ_IT.format(unit.label),)
    return SpeechUnit(
        running=unit,
        python=llm.python,
        flag="--model" if is_named else None,
        variable=None,
        size=size,
        choices={n: hub[n] for n in models} or {size: llm.model},
        models=models or {size: llm.model},
        device=None,
        compute_type=None,
        beam_size=None,
        notes=notes,
        command=llm.command,
        llm=replace(llm, key=key),
    )


def _by_template(
    unit: Running, program: Program, words: Words, arguments: Mapping[str, str]
) -> SpeechUnit:
    """Read an engine whose command names a Whisper, and that a template starts."""
    flag = next((f for f in words.model if arguments.get(f)), words.model[0])
    if not (model := unit.path(arguments.get(flag, ""))):
        raise BadInput(f"{unit.label}: its command names no {flag}{unit.lack}; add it there")
    size = named_size(model) or re.sub(r"^.*/", "", model).lower()
    host = (words.host, "127.0.0.1") if words.host else ()
    set_by_us = {*words.model, *words.ports, words.host, *SECRET_FLAGS, "--served-model-name"}
    flags, _ = split_flags(unit.argv[program.start :])
    kept = [w for n, vs in flags if n not in set_by_us for w in (n, *map(unit.path, vs))]
    ours = [flag, "{model}", "--served-model-name", MODEL, *host, words.ports[0], "{port}"]
    command = template(unit, program.start, [*ours, *literal(kept)])
    return _speech(unit, size, {size: model}, flag, command)


def _whisper_cpp(unit: Running, program: Program, arguments: dict[str, str]) -> SpeechUnit:
    flag = next((f for f in ("-m", "--model") if f in arguments), "-m")
    model = unit.path(arguments.get(flag, "models/ggml-base.en.bin"))
    match = GGML.fullmatch(Path(model).name)
    if match is None:
        raise BadInput(
            f"{unit.label} runs whisper.cpp on {model!r}, whose size its name does not tell; write "
            "its command into `services.stt.command`, with {port} and {model}, and its file into "
            "`services.stt.models`"
        )
    here = host_file(unit, model)
    beside = sorted(here.parent.glob("ggml-*.bin"), key=lambda f: f.stat().st_size) if here else []
    sizes = {
        m[1]: str(Path(model).with_name(f.name)) for f in beside if (m := GGML.fullmatch(f.name))
    }
    models = {n: f for n, f in sizes.items() if named_size(f"whisper-{n}")} | {match[1]: model}
    flags, _ = split_flags(unit.argv[program.start :])
    kept = [w for n, vs in flags if n not in OF_WHISPER_CPP for w in (n, *map(unit.path, vs))]
    ours = ["-m", "{model}", "--host", "127.0.0.1", "--port", "{port}"]
    ours += ["--inference-path", "/v1/audio/transcriptions", *literal(kept)]
    return _speech(unit, match[1], models, flag, template(unit, program.start, ours))


def _speech(
    unit: Running, size: str, models: dict[str, str], flag: str, command: str
) -> SpeechUnit:
    return SpeechUnit(
        running=unit,
        python=None,
        flag=flag,
        variable=None,
        size=size,
        choices=models,
        models=models,
        device=None,
        compute_type=None,
        beam_size=None,
        notes=(_READ_IT.format(unit.label),),
        command=command,
    )
