"""This module holds what the files say against every start that a recording holds."""

from __future__ import annotations

from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.diagnosis.log import FailurePhase
from objectives.engines.every import version_in
from objectives.fit.cell import Cell, Host
from objectives.fit.fits import Fits
from objectives.measurement import Measurement
from objectives.plain_data.by_type import from_plain
from objectives.recording import RecordedLaunch, Recording
from objectives.servers.tenants import Tenant
from objectives.services import Service
from study.fit.by_files import by_files, held_by
from study.spec.choices import LLM
from study.spec.services.of_turns import KINDS

RESERVE_MIB = 512.0


@dataclass(frozen=True, slots=True)
class Held:
    """A start is held against what the files say of it.

    Args:
        cell: What the files say.
        has_started: Whether all servers became ready.
        kv_tokens: The size of the KV cache that was measured; None where none was.
    """

    cell: Cell
    has_started: bool
    kv_tokens: int | None

    @property
    def is_right(self) -> bool:
        """Return whether the files said whether it starts, close or not."""
        return self.cell.outcome is not Fits.UNKNOWN and self.has_started != self.cell.is_ruled_out

    @property
    def off_pct(self) -> float | None:
        """Return how far off the KV tokens are, percent; None where either is not known."""
        if not self.kv_tokens or self.cell.kv_tokens is None:
            return None
        return 100 * (self.cell.kv_tokens / self.kv_tokens - 1)


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement sums up the starts of a recording.

    Args:
        name: The name of its file.
        product: The device.
        model: The name of the LLM's model.
        starts: Each start.
    """

    name: str
    product: str
    model: str
    starts: tuple[Held, ...]

    @property
    def kv_off_pct(self) -> float | None:
        """Return how far off the KV tokens are at most, percent; None where none were measured."""
        return max((abs(s.off_pct) for s in self.starts if s.off_pct is not None), default=None)

    @property
    def sure(self) -> tuple[Held, ...]:
        """Return the starts whose sum is outside its margin."""
        return tuple(s for s in self.starts if not s.cell.is_close)


def agreement(recording: Recording) -> Agreement:
    """Return how the files agree with the starts of a recording.

    Args:
        recording: The recording; its model is one of those that ship, or lies beside it.

    Raises:
        SetupError: The config.json of its model is not there.
    """
    provenance, entries = recording.provenance, recording.entries
    conditions = provenance.conditions
    services: dict[str, Service] = {
        name: from_plain(kind, conditions["services"][name]) for name, kind in KINDS.items()
    }
    tenants = [from_plain(Tenant, tenant) for tenant in conditions["tenants"]]
    total_mib, is_cpu = provenance.device.total_mib, provenance.device.driver is None
    host = Host(
        product=provenance.device.product,
        total_mib=total_mib,
        held_mib=held_by(tenants, total_mib, is_cpu=is_cpu),
        reserve_mib=RESERVE_MIB,
        is_cpu=is_cpu,
    )
    model_files = by_files(
        services,
        Allocation(entries[0].values),
        host,
        conditions["workload"]["prompt_tokens"][1] + conditions["workload"]["output_tokens"],
        version=version_in(services, provenance.versions),
        beside=(recording.path.parent,),
        is_shipped=True,
    )
    starts = tuple(_held(model_files.cell(Allocation(e.values)), e) for e in entries)
    return Agreement(recording.path.name, host.product, model_files.llm.model, starts)


def _held(cell: Cell, launch: RecordedLaunch) -> Held:
    """Return a launch beside what the files say of it."""
    has_started = launch.diagnosis is None or launch.diagnosis.phase is FailurePhase.LOAD
    measured = launch.measurement or Measurement.from_flat(launch.measured)
    llm = measured.services.get(LLM)
    return Held(cell, has_started, None if llm is None else llm.kv_tokens)
