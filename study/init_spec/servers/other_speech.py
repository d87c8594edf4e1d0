"""Speech servers on another engine than faster-whisper: a template starts them."""

from __future__ import annotations

import re
from pathlib import Path

from objectives.engines.engine import SpeechEngine
from objectives.engines.every import form_of
from objectives.errors import BadInput
from study.init_spec.forms.running import Running
from study.init_spec.servers.llm_unit import host_file, split_flags
from study.init_spec.servers.programs import Program
from study.init_spec.servers.speech_unit import Speech, named_size
from study.init_spec.servers.template import literal, template

GGML = re.compile(r"ggml-(.+)\.bin")
OF_WHISPER_CPP = ("--host", "--port", "--inference-path", "-m", "--model")
NOT_OPENAI = "the study asks a speech server by OpenAI's POST /v1/audio/transcriptions"


def read_other_stt(unit: Running, program: Program) -> Speech:
    """Read a speech server that is neither faster-whisper nor on it.

    Raises:
        BadInput: It is not read, with what was found and the key to write by hand.
    """
    flags, free = split_flags(unit.argv[program.start :])
    arguments = {name: values[0] if values else "" for name, values in flags}
    if program.engine == "whisper.cpp":
        return _whisper_cpp(unit, program, arguments)
    if (form := form_of(program.engine)) is not None and form.transcribes:
        model = arguments.get("--model") or (free[0] if free else "")
        size = named_size(model) or re.sub(r"^.*/", "", model).lower()
        words = [
            w
            for n, vs in flags
            if n not in ("--host", "--port", "--served-model-name", "--model", "--api-key")
            for w in (n, *map(unit.path, vs))
        ]
        ours = ["--model", "{model}", "--served-model-name", "whisper-1"]
        ours += ["--host", "127.0.0.1", "--port", "{port}", *literal(words)]
        return _speech(
            unit, size, {size: unit.path(model)}, "--model", template(unit, program.start, ours)
        )
    raise BadInput(
        f"{unit.unit} runs {program.engine}, another engine than {SpeechEngine.title}; "
        f"{NOT_OPENAI}: write a command that serves it into `services.stt.command`, with {{port}} "
        "where its port goes and {model} for the model of a size in `services.stt.models` "
        "(study/guides/spec.md)"
    )


def _whisper_cpp(unit: Running, program: Program, arguments: dict[str, str]) -> Speech:
    flag = next((f for f in ("-m", "--model") if f in arguments), "-m")
    model = unit.path(arguments.get(flag, "models/ggml-base.en.bin"))
    match = GGML.fullmatch(Path(model).name)
    if match is None:
        raise BadInput(
            f"{unit.unit} runs whisper.cpp on {model!r}, whose size its name does not tell; write "
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


def _speech(unit: Running, size: str, models: dict[str, str], flag: str, command: str) -> Speech:
    note = f"{unit.unit}: the study starts it by `services.stt.command`; read that line once"
    return Speech(
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
        notes=(note,),
        command=command,
    )
