"""A second speech server becomes an entry of `services:`, on the study's own server or by its own.

One of faster-whisper is measured on ours, as that of turns is; any other by its own command.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from objectives.allocation import SPEECH, Allocation
from objectives.engines.registry import speech_engine
from objectives.errors import BadInput, SetupError
from objectives.servers.versions import cached
from objectives.services import COMPUTE_TYPES, DeviceKind, SttService
from study.init_spec.forms.running import Running
from study.init_spec.servers.beside_unit import API, NAMES, Beside, free_name, tenant
from study.init_spec.servers.other_speech import NOT_OPENAI
from study.init_spec.servers.speech_unit import SpeechUnit, names_size
from study.init_spec.servers.template import quoted

HEARS = re.compile(r"(?i)whisper|transcri|(?:^|[^a-z])(?:asr|stt)(?:[^a-z]|$)")


def hears(unit: Running) -> bool:
    """Tell whether a server that is not known says that it has a Whisper, and of which size."""
    words = (*unit.argv, *unit.env, *unit.env.values())
    return names_size(unit) and any(map(HEARS.search, words))


def beside_of(speech: SpeechUnit, taken: set[str]) -> Beside:
    """Return the entry of a second speech server that has been read.

    Args:
        speech: What was read.
        taken: The names that others have.
    """
    name = free_name(NAMES["stt"], taken)
    option = f"{name}.model"
    folders = {size: _folder(model) for size, model in speech.models.items()}
    flag = speech.flag or speech.variable
    return Beside(
        running=speech.running,
        name=name,
        api=API["stt"],
        command=(speech.command or "").replace("{model}", "{" + option + "}"),
        env={},
        health_path="/health",
        served_model="whisper-1",
        port=next(iter(speech.running.ports), 0),
        options={option: folders[speech.size]},
        flags={option: flag} if flag else {},
        choices={option: {folders[size]: speech.choices[size] for size in speech.models}},
        speech=speech,
    )


def not_read(unit: Running, name: str, engine: str, error: BadInput | None) -> str:
    """Return the sentence of a second speech server that stays a tenant.

    Args:
        unit: How it runs.
        name: Its name in a spec.
        engine: What it is.
        error: Why it is not read; None: no server of its engine is.
    """
    why = f"that is not read ({error})" if error else f"where {NOT_OPENAI}"
    return tenant(
        unit,
        f"a second speech server ({engine}) {why}; a command that serves it so, with {{port}}, "
        f"belongs into `services.{name}.command`, with `api: transcription`",
    )


def command_of_ours(beside: Beside, device: DeviceKind) -> tuple[str, dict[str, str]]:
    """Return the template and variables by which the study's own server stands for another's.

    Args:
        beside: The service.
        device: What it computes on.
    """
    speech = beside.speech
    assert speech is not None  # noqa: S101  it is one of speech
    usual = SttService()
    ours = SttService(
        python=speech.python or sys.executable,
        models={speech.size: "{" + f"{beside.name}.model" + "}"},
        device=device,
        compute_type=speech.compute_type or COMPUTE_TYPES[device],
        beam_size=usual.beam_size if speech.beam_size is None else speech.beam_size,
    )
    today = Allocation({SPEECH: speech.size})
    command = speech_engine(ours).resident_command(today, {})
    return quoted(command.argv), dict(command.env)


def lacking(beside: Beside) -> list[str]:
    """Return in a sentence which of its models are not on this machine, where ours needs them."""
    ids: Mapping[str, str] = beside.choices[f"{beside.name}.model"]
    if beside.command or not (away := [m for m in ids if not m.startswith("/")]):
        return []
    return [
        f"{beside.name}: our speech server takes folders; run `hf download {away[0]}` and write "
        f"the folder that it prints in place of {away[0]}"
    ]


def _folder(model: str) -> str:
    """Return the folder of a model of the hub's where it is here, else its name as it is."""
    if model.startswith("/"):
        return model
    try:
        return cached(model)
    except SetupError:
        return model
