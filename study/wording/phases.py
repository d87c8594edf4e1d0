"""This module puts in words what a launch is doing; pure."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.diagnosis.busy import Busy
from objectives.diagnosis.victim import VictimKind
from objectives.evaluation import Phase, Step
from objectives.figures import service_name
from objectives.servers.phase_times import TimedPhase
from objectives.servers.retries import PATIENCE_S
from study.text import cut
from study.wording.failures import failure_in_words, victim_in_words

STEPS: Mapping[Step, str] = {
    Step.TENANTS: "taking the memory of the tenants",
    Step.WARMING_UP: "warming up",
    Step.ALONE: "each service alone",
    Step.WORDS: "counting words",
    Step.LOADING: "loading both",
    Step.LOADING_AGAIN: "loading both again: our requests left late",
    Step.RAMP: "ramp of turns",
    Step.HOLD: "turns at a constant rate",
    Step.RAMP_AGAIN: "ramp of turns again, around what the first one found",
    Step.SETTLING: "waiting until the servers are idle again",
    Step.RAMP_LATE: "ramp of turns again: our requests left late",
    Step.HOLD_LATE: "turns at a constant rate again: our requests left late",
}


def phase_in_words(phase: Phase) -> str:
    """Say what a launch is doing, in a few words.

    >>> phase_in_words(Phase(Step.STARTING, "llm")), phase_in_words(Phase(Step.RAMP))
    ('starting LLM', 'ramp of turns')
    """
    match phase.step:
        case Step.STARTING:
            return _start_in_words(str(phase.service))
        case Step.RETRYING if phase.diagnosis is not None:
            d = phase.diagnosis
            is_server = d.blamed is not None and d.blamed.kind is VictimKind.SERVICE
            who = f" ({victim_in_words(d.blamed)})" if is_server else ""
            why = f"once more, since {failure_in_words(d.failure_class)}{who}"
            return f"{why}: {cut(d.evidence, 160)}" if d.evidence else why
        case Step.WAITING if phase.busy is not None:
            return f"waiting, {PATIENCE_S:g} s at most, since {busy_in_words(phase.busy)}"
        case Step.BESIDE_OTHERS if phase.busy is not None:
            return f"{busy_in_words(phase.busy)}: what is measured beside them holds only there"
    return STEPS.get(phase.step, phase.step)


def busy_in_words(busy: Busy) -> str:
    """Say what others keep busy, and who.

    >>> busy_in_words(Busy(64.0, None, ("make (process 7)", "rsync (process 9)")))
    'others keep the CPU 64 % busy, most of it make (process 7) and rsync (process 9)'
    >>> busy_in_words(Busy(3.0, 70.0, on_gpu=("game (process 7)",)))
    'others keep the GPU 70 % busy, on it game (process 7)'
    """
    parts = []
    if busy.keeps_cpu:
        who = f", most of it {' and '.join(busy.on_cpu)}" if busy.on_cpu else ""
        parts.append(f"the CPU {busy.cpu_pct:.0f} % busy{who}")
    if busy.keeps_gpu:
        who = f", on it {' and '.join(busy.on_gpu)}" if busy.on_gpu else ""
        parts.append(f"the GPU {busy.gpu_pct:.0f} % busy{who}")
    return f"others keep {'; and '.join(parts)}"


def timed_phase_in_words(phase: TimedPhase) -> str:
    """Return what people call a phase whose seconds were kept.

    >>> timed_phase_in_words(TimedPhase.start("stt")), timed_phase_in_words(TimedPhase("window"))
    ('starting speech', 'window')
    """
    return phase.name if phase.service is None else _start_in_words(phase.service)


def _start_in_words(service: str) -> str:
    return f"starting {service_name(service)}"
