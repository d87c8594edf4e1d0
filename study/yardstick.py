"""What a study's measurements are scored against: its reference, its baseline and the lengths of its clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from objectives.allocation import Allocation
from objectives.fitness import Reference, reference_of
from objectives.measurement import Measurement
from objectives.servers.memory_budget import speech_key
from objectives.traffic.clips import read_clips
from study.scoring import Score, score
from study.spec.model import Spec
from study.storage.trials import Row


@dataclass(slots=True)
class Yardstick:
    """Grows with the study: the first finite measurement becomes the reference if the baseline's did not."""

    spec: Spec
    clip_seconds: tuple[float, ...]
    reference: Reference | None = field(default=None, init=False)
    _baseline: Measurement | None = field(default=None, init=False)

    def take(self, allocation: Allocation, measured: Measurement) -> bool:
        """Note the baseline, and the reference where there is none; whether this measurement became it."""
        if self._baseline is None and str(allocation) == str(self.spec.baseline):
            self._baseline = measured
        if self.reference is not None:
            return False
        self.reference = reference_of(measured)
        return self.reference is not None

    def score(self, allocation: Allocation, measured: Measurement) -> Score:
        """What a measurement is worth."""
        return score(
            self.spec,
            measured,
            self.reference or Reference(1.0, 1.0, None),
            self._baseline,
            same_speech=speech_key(allocation) == speech_key(self.spec.baseline),
            clip_seconds=self.clip_seconds,
        )


def yardstick_of(spec: Spec, found: Sequence[Row]) -> Yardstick:
    """The yardstick after what has been measured before: an earlier run's reference stays the reference."""
    made = Yardstick(spec, tuple(c.seconds for c in read_clips(spec.workload.clips)))
    for r in sorted(found, key=lambda r: not r.is_reference):
        if r.measurement is not None and r.repeat_of is None:
            made.take(r.allocation, r.measurement)
    return made
