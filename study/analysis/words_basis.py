"""Judge words where what is in use today gave none: a study can tell them once it is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives.speech.wer import Gate, gate, gate_constraint
from study.storage.context import StudyContext
from study.storage.trials import Trial


def words_judged(trials: Sequence[Trial], context: StudyContext) -> list[Trial]:
    """Return the trials with their words held against today's speech model in any launch.

    Where that was never measured either, they are held against those of the reference. Nothing
    changes where the baseline was measured: its words judged each trial as it ended.
    """
    launched = [t for t in trials if t.measurement is not None and t.repeat_of is None]
    today = context.baseline
    if any(str(t.allocation) == str(today) for t in launched):
        return list(trials)
    first = sorted(
        launched, key=lambda t: (t.allocation.speech_key != today.speech_key, not t.is_reference)
    )
    basis = next((t for t in first if t.measurement and t.measurement.word_errors), None)
    if basis is None or basis.measurement is None:
        return list(trials)
    known: dict[str, Gate] = {}
    judged = []
    for t in trials:
        if t.measurement is None:
            judged.append(t)
            continue
        speech = t.allocation.speech_key
        if speech not in known:  # the clips are the same, and scored once
            known[speech] = gate(
                t.measurement.word_errors,
                basis.measurement.word_errors,
                limit_points=context.gates.wer_points,
                same_configuration=speech == basis.allocation.speech_key,
            )
        share = gate_constraint(known[speech], context.gates.wer_points)
        constraints = {**t.constraints, "word_error_rate": share}
        judged.append(replace(t, word_gate=known[speech].verdict, constraints=constraints))
    return judged
