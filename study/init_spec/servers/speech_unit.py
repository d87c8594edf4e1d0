"""A running speech unit names its Whisper's size, arithmetic and beam by flags or variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from objectives.engines.registry import speech_engine
from objectives.errors import BadInput, SetupError
from objectives.model_files.whisper import HUB
from objectives.servers.versions import cached, installed
from objectives.services import SttService
from study.init_spec.caller import folder_of_model
from study.init_spec.forms.running import Running
from study.init_spec.servers.flags import split_flags
from study.init_spec.servers.llm_unit import Llm
from study.spec.speech.options import ARITHMETICS

OWN = "transcriber.py"  # this project's own server
# what is searched beside today's, where it is on the machine
ORDER = ("tiny", "base", "small", "medium", "large-v3")
NUMBERS = re.compile(r"-(?:ct2-?)?(int8|int8_float16|fp16|float16|ct2|fp32|float32)$")
BEAMS = re.compile("[0-9]{1,4}")
NAMES_MODEL = re.compile(r"(?i)model|whisper|size|asr|stt")
DEVICES: Mapping[str, Literal["cpu", "cuda"]] = {"cuda": "cuda", "gpu": "cuda", "cpu": "cpu"}
DEVICES = {**DEVICES, "cuda:0": "cuda"}


@dataclass(frozen=True, slots=True)
class SpeechUnit:
    """The speech unit of today runs like this.

    Args:
        running: Its unit.
        python: The interpreter that can run the study's speech server; None: the study's own.
        flag: The flag that names its size.
        variable: The variable that does instead.
        size: Its size as the study names it.
        choices: What the unit would get, by size.
        models: What the study loads, by size.
        device: `cpu` or `cuda`; None: it does not say.
        compute_type: Its arithmetic, such as `float16`; None: it does not say.
        beam_size: Beams of its decoder; None: it does not say.
        notes: What a person should know, a sentence each.
        command: The template that starts it for the study; None: the study's own server does.
        llm: What else is told, where an LLM's engine serves it; None: none does.
    """

    running: Running
    python: str | None
    flag: str | None
    variable: str | None
    size: str
    choices: Mapping[str, str]
    models: Mapping[str, str]
    device: Literal["cpu", "cuda"] | None
    compute_type: str | None
    beam_size: int | None
    notes: tuple[str, ...]
    command: str | None = None
    llm: Llm | None = None


def read_stt(unit: Running, size: str | None = None) -> SpeechUnit:
    """Find the model's size in the command line, then in the environment.

    Args:
        size: `VARIABLE=VALUE` where neither names one, since the application has it inside.

    Raises:
        BadInput: No size is found.
    """
    settings = list(_settings(unit))
    sizes = [s for s in settings if size_of(unit, s[2])]
    sizes.sort(key=lambda s: not NAMES_MODEL.search(s[0] or s[1]))  # stable: the first one of these
    if size is not None:
        variable, _, value = size.partition("=")
        sizes = (
            [("", variable, value)]
            if re.fullmatch(r"[A-Za-z_]\w{0,80}", variable, re.ASCII)
            else []
        )
    if not sizes or not (today := size_of(unit, sizes[0][2])):
        raise BadInput(
            f"{unit.label}: neither its command ({' '.join(unit.argv)[:80]}) nor its variables "
            f"name a Whisper size{unit.lack}; let the application read one from a variable and say "
            "which, with today's size: --size WHISPER_MODEL=base"
        )
    flag, variable, value = sizes[0]
    choices, models = _others(unit, today, value)
    notes = []
    if size is not None:
        notes.append(
            f"{unit.label} must read {variable} itself; nothing here can check that it does"
        )
    if not any(Path(word).name == OWN for word in unit.argv):
        notes.append(
            f"the study measures Whisper by its own server, not by {unit.label}: how sizes compare "
            "carries over, milliseconds may not"
        )
    away = [HUB[n] for n in beside(today) if n not in models]
    if away and not (Path(unit.path(value)) / "model.bin").is_file():
        notes.append(
            f"of speech only sizes on this machine are searched ({', '.join(models)}); for "
            f"another run `hf download {away[0]}` first"
        )
    return SpeechUnit(
        running=unit,
        python=_able(unit.python),
        flag=flag or None,
        variable=variable or None,
        size=today,
        choices=choices,
        models=models,
        device=next((DEVICES[v.lower()] for *_, v in settings if v.lower() in DEVICES), None),
        compute_type=next((v for *_, v in settings if v in ARITHMETICS), arithmetic_of(value)),
        beam_size=next(
            (int(v) for f, n, v in settings if "beam" in (f or n).lower() and BEAMS.fullmatch(v)),
            None,
        ),
        notes=tuple(notes),
    )


def names_size(unit: Running) -> bool:
    """Tell whether a flag or a variable of a unit names a Whisper size."""
    return any(size_of(unit, value) for *_, value in _settings(unit))


def _settings(unit: Running) -> Iterator[tuple[str, str, str]]:
    """Yield every flag and every variable with its value: flag, variable, value."""
    flags, _ = split_flags(unit.argv[1:])
    for name, values in flags:
        yield name, "", values[0] if values else ""
    for name, value in unit.env.items():
        yield "", name, value


def size_of(unit: Running, value: str) -> str | None:
    """Return the size that a value names: a faster-whisper name, a hub id, or a model's folder."""
    if value in HUB:
        return value
    by_hub = {hub: size for size, hub in HUB.items()}
    if value in by_hub:
        return by_hub[value]
    if (name := named_size(value)) is not None:
        return name
    folder = Path(unit.path(value))
    return folder.name if value and (folder / "model.bin").is_file() else None


def named_size(value: str) -> str | None:
    """Return the size in the name of a model by somebody else; None where there is none.

    >>> named_size("tiny-int8"), named_size("rhasspy/faster-whisper-base-int8"), named_size("x")
    ('tiny', 'base', None)
    >>> named_size("openai/whisper-large-v3"), named_size("x/faster-whisper-turbo-ct2")
    ('large-v3', 'turbo')
    """
    name = NUMBERS.sub("", re.sub(r"^.*/", "", value))
    is_distilled = "distil" in name
    name = re.sub(r"^(faster-)?(distil-)?(whisper-)?(distil-)?", "", name)
    name = f"distil-{name}" if is_distilled else name
    is_hub = "whisper" in value or name != value
    return name if is_hub and name in HUB else None


def arithmetic_of(value: str) -> str | None:
    """Return the arithmetic in the name of a model; None where there is none.

    >>> arithmetic_of("medium-int8"), arithmetic_of("base")
    ('int8', None)
    """
    match = NUMBERS.search(value)
    name = {"fp16": "float16"}.get(match[1], match[1]) if match else None
    return name if name in ARITHMETICS else None


def _others(unit: Running, size: str, value: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return today's size and those beside it that this machine has, smallest first.

    The first mapping says what the unit would get by size, the second what the study loads.
    """
    folder = Path(unit.path(value))
    if (folder / "model.bin").is_file():
        beside = {f.name: str(f) for f in folder.parent.iterdir() if (f / "model.bin").is_file()}
        by_bytes = dict(
            sorted(beside.items(), key=lambda kv: (Path(kv[1]) / "model.bin").stat().st_size)
        )
        return by_bytes, by_bytes
    models = here(HUB, size)
    names = [*models]
    if value in HUB.values():
        return {n: HUB[n] for n in names}, models
    return {n: value.replace(size, n) if size in value else n for n in names}, models


def beside(size: str) -> list[str]:
    """Return the sizes that are searched beside today's.

    >>> beside("base.en")
    ['tiny.en', 'base.en', 'small.en', 'medium.en', 'large-v3']
    """
    return [s + (".en" if size.endswith(".en") and s != "large-v3" else "") for s in ORDER]


def here(hub: Mapping[str, str], size: str) -> dict[str, str]:
    """Return today's size and those beside it that this machine has, smallest first.

    Each is a hub id, or the folder where only who has called sudo has it: the study runs as root.

    Args:
        hub: The hub id of each size.
        size: Today's.
    """
    found = {n: _found(hub[n]) for n in (*beside(size), size) if n in hub}
    return {n: place or hub[n] for n, place in found.items() if place or n == size}


def _found(hub_id: str) -> str | None:
    try:
        cached(hub_id)
    except SetupError:
        return folder_of_model(hub_id)
    return hub_id


def _able(python: str | None) -> str | None:
    """Return the interpreter if it can run the study's speech server; None: the study's own."""
    engine = speech_engine(SttService())
    try:
        packages = installed(python, engine.packages) if python else {}
    except SetupError:
        return None
    return python if engine.lack(packages) is None else None
