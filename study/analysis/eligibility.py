"""Why a configuration may not be promoted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.servers.memory_budget import speech_key
from study.analysis.configurations import Configuration
from study.spec.model import Spec
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.wording import CONSTRAINTS, WORD_GATES


def barred(c: Configuration, asked: Spec | StudyContext) -> str | None:
    """Why a configuration may not be promoted whatever its score; None where nothing stands against it."""
    if speech_key(c.allocation) != speech_key(asked.baseline):
        for r in c.measured:
            if r.word_gate != "pass":
                return f"the words it understands: {WORD_GATES.get(r.word_gate, r.word_gate)}"
    if any(r.measurement and r.measurement.lag_exceeded for r in c.measured):
        return "our own requests left late while it was measured"
    return None


def over(measured: Sequence[Trial]) -> list[str]:
    """The limits that any of these launches went over, in words."""
    passed = [k for r in measured for k, v in r.constraints.items() if v > 0]
    return [CONSTRAINTS.get(k, k) for k in dict.fromkeys(passed)]


def unfit(r: Trial, spec: Spec | StudyContext) -> str | None:
    """Why an allocation may not be promoted whatever it scores; None where nothing stands against it."""
    m = r.measurement
    if m is None or m.oom_events:
        return "it ran out of memory"
    if m.lag_exceeded:
        return "our own requests left late while it was measured"
    if speech_key(r.allocation) != speech_key(spec.baseline) and r.word_gate != "pass":
        more = (
            f"; about {r.minutes_more_audio:.0f} more minutes of audio would decide"
            if r.minutes_more_audio
            else ""
        )
        word = {
            "cannot_tell": f"the clips are too few to tell whether its words are as good{more}",
            "not_measured": "its word error rate was not measured",
        }
        return word.get(str(r.word_gate), "its word error rate is over the gate")
    return None


def hindrance(r: Trial, baseline: Trial, spec: Spec | StudyContext) -> str | None:
    """Why a leading allocation may not be promoted; None where nothing stands against it."""
    if (why := unfit(r, spec)) is not None:
        return why
    ahead = sum(
        (r.contributions.get(k) or 0.0) - (baseline.contributions.get(k) or 0.0)
        for k in ("stt", "llm", "capacity")
    )
    if ahead <= 0:
        return "it leads by efficiency and stability only, not by latency or capacity"
    return None
