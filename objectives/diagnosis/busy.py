"""Others keep a machine busy: how much, and who, in figures."""

from __future__ import annotations

from dataclasses import dataclass

CPU_PCT = 25.0  # of all cores; below, a desktop at rest
GPU_PCT = 10.0  # of the time


@dataclass(frozen=True, slots=True)
class Busy:
    """Others keep a machine so busy at one moment.

    Args:
        cpu_pct: How busy others keep all cores, percent of all.
        gpu_pct: How busy they keep the GPU, percent of the time; None where none tells, or where
            servers of ours work on it.
        on_cpu: The busiest on the cores, by name and number.
        on_gpu: Who holds most of the GPU's memory, by name and number.

    >>> Busy(24.0, 9.0).is_quiet, Busy(0.0, 64.0).is_quiet, Busy(25.0, None).is_quiet
    (True, False, False)
    """

    cpu_pct: float
    gpu_pct: float | None
    on_cpu: tuple[str, ...] = ()
    on_gpu: tuple[str, ...] = ()

    @property
    def keeps_cpu(self) -> bool:
        """Tell whether that is more of the cores than a desktop at rest takes."""
        return self.cpu_pct >= CPU_PCT

    @property
    def keeps_gpu(self) -> bool:
        """Tell whether that is more of the GPU than a desktop at rest takes."""
        return self.gpu_pct is not None and self.gpu_pct >= GPU_PCT

    @property
    def is_quiet(self) -> bool:
        """Tell whether neither cores nor GPU are kept busy."""
        return not (self.keeps_cpu or self.keeps_gpu)
