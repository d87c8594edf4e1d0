"""Of the servers that are named one is the LLM's, one is speech's, and others stand beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.engines.llm_server import USUAL
from objectives.engines.registry import SpeechEngine, engines_beside
from objectives.errors import BadInput
from study.init_spec.forms.running import Running, Sleep
from study.init_spec.servers.beside_unit import API, NAMES, Beside, free_name, read_beside, tenant
from study.init_spec.servers.engine_beside import read_engine_beside
from study.init_spec.servers.flags import refuse_blanks, serving
from study.init_spec.servers.llm_unit import Llm, read_llm
from study.init_spec.servers.other_llm import read_other_llm
from study.init_spec.servers.other_speech import knows, read_other_stt
from study.init_spec.servers.second_speech import beside_of, hears, lacking, not_read
from study.init_spec.servers.speech_unit import SpeechUnit, names_size, read_stt
from study.server_words.programs import Program

OF_WHISPER = (*(known.engine for known in SpeechEngine.unit_form.known),)
OF_WHISPER += ("whisper-asr-webservice", "WhisperX")


@dataclass(frozen=True, slots=True)
class UnitServices:
    """The services of today are these.

    Args:
        llm: The LLM's.
        stt: Speech's.
        beside: Others that a study can measure.
        notes: What stays a tenant, or is none of them, a sentence each.
    """

    llm: Llm
    stt: SpeechUnit
    beside: tuple[Beside, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def asleep(self) -> dict[str, Sleep]:
        """Return what wakes each service that sleeps, by its name."""
        named = {"llm": self.llm.running, "stt": self.stt.running}
        named |= {b.name: b.running for b in self.beside}
        return {name: unit.sleep for name, unit in named.items() if unit.sleep is not None}

    @property
    def running(self) -> tuple[Running, ...]:
        """Return how each of them runs."""
        return (self.llm.running, self.stt.running, *(b.running for b in self.beside))


def services(
    units: Sequence[Running], size: str | None, llm_model: str | None = None
) -> UnitServices:
    """Tell which server is the LLM's and which is speech's, and read all of them.

    Args:
        size: `VARIABLE=VALUE` of an application that has Whisper inside.
        llm_model: The model of an LLM server whose command names none.

    Raises:
        BadInput: There is not one of each, or one does not say what the study needs.
    """
    programs = [(u, serving(u)) for u in units]
    llms = [(u, p) for u, p in programs if p and p.role == "llm"]
    known = [(u, p) for u, p in programs if p and p.role == "stt"]
    heard: list[tuple[Running, Program | None]] = [(u, p) for u, p in known if _is_read(p)]
    heard = heard or [(u, p) for u, p in programs if p is None and names_size(u)] or [*known]
    if not heard:  # an application has Whisper inside, and does not say so
        unknown = [(u, p) for u, p in programs if p is None]
        heard = [(u, p) for u, p in unknown if u.container is None or len(unknown) == 1]
    if not llms or not heard:
        raise BadInput(_lack(programs, "llm" if not llms else "stt"))
    (llm, llm_program), (stt, stt_program) = llms[0], heard[0]
    for unit, program in programs:
        if unit is stt or program is not None:
            refuse_blanks(unit, program)
    beside: list[Beside] = []
    notes: list[str] = []
    for unit, program in programs:
        if unit in (llm, stt):
            continue
        other = _other(unit, program, {b.name for b in beside})
        if isinstance(other, Beside):
            beside.append(other)
            notes += _notes(other, llm, stt)
        elif other:
            notes.append(other)
    read = read_llm(llm) if llm_program.key == USUAL else None
    return UnitServices(
        llm=read or read_other_llm(llm, llm_program, llm_model),
        stt=_speech(stt, stt_program, size),
        beside=tuple(beside),
        notes=tuple(notes),
    )


def _is_read(program: Program) -> bool:
    return program.engine in OF_WHISPER or knows(program)


def _speech(unit: Running, program: Program | None, size: str | None) -> SpeechUnit:
    if program is None or program.engine in OF_WHISPER:
        return read_stt(unit, size)
    return read_other_stt(unit, program)


def _other(unit: Running, program: Program | None, taken: set[str]) -> Beside | str:
    """Return what another server is; empty for what has no part in a GPU."""
    if program is not None and _is_of_engine(program):
        return read_engine_beside(unit, program, taken)
    has_part = unit.container is None or has_gpu(unit)
    if program.role == "stt" if program else hears(unit) and has_part:
        return _second_speech(unit, program, taken)
    if program is not None:
        return read_beside(unit, program, taken)
    return "" if not has_part else tenant(unit, f"not known here ({' '.join(unit.argv)[:80]})")


def _is_of_engine(program: Program) -> bool:
    """Tell whether another server is an LLM's, or of an engine that serves such a service."""
    engines = (USUAL, *engines_beside(API[program.role]))
    return program.role == "llm" or program.key in engines


def _second_speech(unit: Running, program: Program | None, taken: set[str]) -> Beside | str:
    """Read a second speech server; a sentence where it stays a tenant."""
    name, engine = free_name(NAMES["stt"], taken), program.engine if program else "not known here"
    if program is not None and not _is_read(program):
        return not_read(unit, name, engine, None)
    try:
        return beside_of(_speech(unit, program, None), taken)
    except BadInput as error:
        return not_read(unit, name, engine, error)


def _notes(beside: Beside, llm: Running, stt: Running) -> list[str]:
    """Return what a person should know of a service beside the turn."""
    own = beside.llm or beside.speech
    notes = [*own.notes] if own else []
    of_turns = {
        "completions": (llm, "the LLM that answers turns"),
        "transcription": (stt, "the speech server that turns begin with"),
    }
    if beside.api in of_turns:
        first, what = of_turns[beside.api]
        notes.append(
            f"{beside.running.label} is {beside.name}, beside {first.label}, which is named first "
            f"and so taken for {what}"
        )
    return notes + (lacking(beside) if beside.speech else [])


def has_gpu(unit: Running) -> bool:
    """Tell whether a container asks for a GPU."""
    words = unit.container.options if unit.container else ()
    return any("gpu" in w or "nvidia" in w for w in words)


def _lack(programs: Sequence[tuple[Running, Program | None]], role: str) -> str:
    """Return in a sentence what is missing, and what was found instead."""
    others = "; ".join(
        f"{u.label} runs {p.engine if p else repr(' '.join(u.argv)[:80])}" for u, p in programs
    )
    if role == "llm":
        return (
            f"one --unit must serve the LLM, and none does: {others or 'nothing'}; name it too, or "
            "write its command into `services.llm.command`, with {port} where its port goes "
            "(study/specs/gpu.yaml)"
        )
    return (
        f"one --unit must hold Whisper, and none does: {others}; name it too, or, where an "
        "application has it inside, that one and the variable that it reads the size from: "
        "--size WHISPER_MODEL=base"
    )
