"""A running speech unit names its Whisper's size, arithmetic and beam by flags or variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from objectives.engines.faster_whisper import FasterWhisper
from objectives.errors import BadInput, SetupError
from objectives.servers.versions import cached, installed
from study.init_spec.llm_unit import split_flags
from study.init_spec.running_units import Running
from study.spec.services.of_turns import WHISPER_HUB
from study.spec.speech.options import ARITHMETICS

# what is searched beside today's, where it is on the machine
ORDER = ("tiny", "base", "small", "medium", "large-v3")


@dataclass(frozen=True, slots=True)
class Speech:
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


def read_stt(unit: Running, size: str | None = None) -> Speech:
    """Find the model's size in the command line, then in the environment.

    Args:
        size: `VARIABLE=VALUE` where neither names one, since the application has it inside.

    Raises:
        BadInput: No size is found.
    """
    settings = list(_settings(unit))
    sizes = [s for s in settings if _size(unit, s[2])]
    if size is not None:
        variable, _, value = size.partition("=")
        sizes = (
            [("", variable, value)]
            if re.fullmatch(r"[A-Za-z_]\w{0,80}", variable, re.ASCII)
            else []
        )
    if not sizes or not (today := _size(unit, sizes[0][2])):
        raise BadInput(
            f"{unit.unit}: neither its command nor its Environment= names a Whisper size; "
            "let the application read one from a variable and say which, with today's size: "
            "--size WHISPER_MODEL=base"
        )
    flag, variable, value = sizes[0]
    choices, models = _others(unit, today, value)
    notes = (
        []
        if size is None
        else [f"{unit.unit} must read {variable} itself; nothing here can check that it does"]
    )
    return Speech(
        running=unit,
        python=_with_faster_whisper(unit.python),
        flag=flag or None,
        variable=variable or None,
        size=today,
        choices=choices,
        models=models,
        device=next(
            ("cuda" if v == "cuda" else "cpu" for *_, v in settings if v in ("cuda", "cpu")), None
        ),
        compute_type=next((v for *_, v in settings if v in ARITHMETICS), None),
        beam_size=next(
            (int(v) for f, n, v in settings if "beam" in (f or n).lower() and v.isdigit()), None
        ),
        notes=tuple(notes),
    )


def _settings(unit: Running) -> Iterator[tuple[str, str, str]]:
    """Yield every flag and every variable with its value: flag, variable, value."""
    flags, _ = split_flags(unit.argv[1:])
    for name, values in flags:
        yield name, "", values[0] if values else ""
    for name, value in unit.env.items():
        yield "", name, value


def _size(unit: Running, value: str) -> str | None:
    """Return the size that a value names: a faster-whisper name, a hub id, or a model's folder."""
    if value in WHISPER_HUB:
        return value
    by_hub = {hub: size for size, hub in WHISPER_HUB.items()}
    if value in by_hub:
        return by_hub[value]
    folder = Path(unit.path(value))
    return folder.name if value and (folder / "model.bin").is_file() else None


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
    candidates = [s + (".en" if size.endswith(".en") and s != "large-v3" else "") for s in ORDER]
    names = [n for n in candidates if n == size or _is_here(n)]
    if size not in names:
        names.append(size)
    is_hub = value in WHISPER_HUB.values()
    return {n: WHISPER_HUB[n] if is_hub else n for n in names}, {n: WHISPER_HUB[n] for n in names}


def _is_here(size: str) -> bool:
    try:
        cached(WHISPER_HUB[size])
    except SetupError:
        return False
    return True


def _with_faster_whisper(python: str | None) -> str | None:
    """Return the interpreter if it can run the study's speech server; None: the study's own."""
    try:
        return (
            python
            if python and "faster-whisper" in installed(python, FasterWhisper.packages)
            else None
        )
    except SetupError:
        return None
