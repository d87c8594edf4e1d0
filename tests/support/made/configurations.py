"""This module makes configurations as a study has them, of what their launches measured."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.allocation import Allocation
from objectives.measurement import Measurement
from objectives.speech.wer import WordVerdict
from study.analysis.configurations import Configuration
from study.storage.trial import State, Trial


def launched(number: int, measured: Sequence[Measurement], fitness: float = 0.6) -> Configuration:
    """Return a configuration with one launch for each measurement."""
    allocation = Allocation(
        {"vllm_memory_util": 0.5, "whisper_model_size": "base", "vllm.max_num_seqs": number}
    )
    rows = [
        Trial(
            number=n,
            allocation=allocation,
            state=State.COMPLETE,
            fitness=fitness + n / 100,
            measurement=measurement,
            diagnosis=None,
            measured={},
            constraints={},
            contributions={},
            word_gate=WordVerdict.PASS,
            minutes_more_audio=None,
            repeat_of=None,
            is_reference=False,
            wall_s=90.0,
            seed=n,
            at=None,
        )
        for n, measurement in enumerate(measured)
    ]
    return Configuration(allocation, tuple(rows), ())
