"""Arithmetic says before a launch whether it would fit, by the study's own measurements. Pure.

A start stands for those of the same command, whatever the share; of another command it says
nothing, since graphs, batches and speech options take memory of their own. What needs no start is
told without one: a share that does not fit by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from objectives.allocation import Allocation
from objectives.devices.device import TOTAL_TOLERANCE
from objectives.engines.engine import Engine
from objectives.figures import service_name
from objectives.fit.fits import Fits
from objectives.measurement import Measurement, ServiceFigures

MARGIN = 0.02  # of the device's total: inside it nothing is predicted, the servers are asked


@dataclass(frozen=True, slots=True)
class StartFigures:
    """Start figures are those of earlier starts of one allocation's commands, MiB.

    Each is None until a start has shown it.

    Args:
        outside_share_mib: What the server with a share holds beyond it: CUDA graphs, or its
            front-end processes on a CPU.
        non_kv_mib: The weights and activations inside the share.
        one_request_mib: The KV cache of one request of the largest model length.
        own_mib: The memory of each server without a share, by service.
        own_shares_mib: What those of them ask for that have a share of their own, by service: known
            without a start.
    """

    outside_share_mib: float | None
    non_kv_mib: float | None
    one_request_mib: float | None
    own_mib: Mapping[str, float | None]
    own_shares_mib: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction is the answer of the arithmetic.

    Args:
        fits: Whether the allocation fits, or why not.
        deficit_mib: The memory that is missing, MiB; what is left is below zero.
        explanation: The sum.
        margin_mib: The uncertainty of the sum, MiB.
    """

    fits: Fits
    deficit_mib: float | None
    explanation: str
    margin_mib: float = 0.0

    @property
    def is_ruled_out(self) -> bool:
        """Return whether it does not fit, so that no launch is needed to know."""
        return self.fits.is_ruled_out

    @property
    def is_sure(self) -> bool:
        """Return whether it fits by more than the margin, whatever the order of the starts."""
        return (
            self.fits is Fits.FITS
            and self.deficit_mib is not None
            and self.deficit_mib <= -self.margin_mib
        )


def share_mib(allocation: Allocation, total_mib: float) -> float:
    """Return the memory that the server with a share asks for, MiB; nothing where none has one."""
    return allocation.share * total_mib if allocation.has_share else 0.0


def figures(
    allocation: Allocation,
    launches: Iterable[tuple[Allocation, Measurement]],
    engines: Sequence[Engine],
    uuid: str = "",
    total_mib: float = 0.0,
) -> StartFigures:
    """Return what starts of an allocation's commands have shown, whatever their share was.

    It has the medians of the server with a share, and of each other one the largest memory.

    Args:
        allocation: The allocation.
        launches: The allocations that were launched, with what was measured of them.
        engines: One a service, of those on one device.
        uuid: The device; where a launch does not know it, its only one counts.
        total_mib: Its memory, MiB.
    """
    outside, non_kv, request = [], [], []
    own_mib: dict[str, float | None] = {e.name: None for e in engines if not e.has_share}
    keys = {e.name: e.memory_key(allocation) for e in engines}
    for launched, m in launches:
        device = m.devices.get(uuid, m.device)
        of_mib = device.device_total_mib
        for engine in engines:
            service = m.services.get(engine.name, ServiceFigures())
            if keys[engine.name] is None or engine.memory_key(launched) != keys[engine.name]:
                continue
            taken_mib = device.taken_mib.get(engine.name, service.memory_mib)
            if not engine.has_share and taken_mib is not None:
                own_mib[engine.name] = max(taken_mib, own_mib[engine.name] or 0.0)
            if not engine.has_share or of_mib is None:
                continue
            part_mib = share_mib(launched, of_mib)
            if taken_mib is not None:
                outside.append(max(0.0, taken_mib - part_mib))
            if service.kv_cache_mib is not None and _is_even(engine.name, m):
                non_kv.append(part_mib - service.kv_cache_mib)
                if service.kv_tokens and service.max_model_len:
                    token_mib = service.kv_cache_mib / service.kv_tokens
                    request.append(token_mib * service.max_model_len)
    shares_mib = {e.name: e.own_share_mib(allocation, total_mib) for e in engines}
    return StartFigures(
        outside_share_mib=median(outside) if outside else None,
        non_kv_mib=median(non_kv) if non_kv else None,
        one_request_mib=median(request) if request else None,
        own_mib=own_mib,
        own_shares_mib={n: mib for n, mib in shares_mib.items() if mib},
    )


def _is_even(service: str, of: Measurement) -> bool:
    """Return whether the devices of a service are of one size.

    Else what it tells of its cache is that of the first, while the smallest one bounds it.
    """
    totals = [d.device_total_mib or 0.0 for d in of.devices.values() if service in d.taken_mib]
    return max(totals, default=0.0) <= (1 + TOTAL_TOLERANCE) * min(totals, default=0.0)


def check(
    allocation: Allocation,
    starts: StartFigures,
    *,
    total_mib: float,
    tenants_mib: float,
    reserve_mib: float,
    has_share: bool = True,
) -> Prediction:
    """Return whether an allocation fits beside the tenants and the reserve.

    It is `unknown` until the figures that decide were measured. A figure that was not measured is
    at least nothing, or the share that is asked for, which rules out what does not fit even then.

    Args:
        allocation: The allocation.
        starts: The figures of earlier starts of its commands.
        total_mib: The memory of the device, MiB.
        tenants_mib: The memory that others hold, MiB.
        reserve_mib: The memory that must stay free, MiB.
        has_share: Whether a server with a share of it is on the device.

    >>> f = StartFigures(
    ...     outside_share_mib=0, non_kv_mib=5000, one_request_mib=500, own_mib={"stt": 1000}
    ... )
    >>> a = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
    >>> str(check(a, f, total_mib=12000, tenants_mib=0, reserve_mib=500).fits)
    'fits'
    >>> str(check(a, f, total_mib=12000, tenants_mib=6000, reserve_mib=500).fits)
    'predicted_oom'
    >>> str(check(a, f, total_mib=10000, tenants_mib=0, reserve_mib=500).fits)
    'predicted_kv_too_small'
    """
    part_mib = share_mib(allocation, total_mib) if has_share else 0.0
    margin_mib = MARGIN * total_mib
    if starts.non_kv_mib is not None and starts.one_request_mib is not None:
        short_mib = starts.non_kv_mib + starts.one_request_mib - part_mib
        if short_mib > margin_mib or (part_mib <= starts.non_kv_mib and short_mib > 0):
            return Prediction(
                Fits.PREDICTED_KV_TOO_SMALL,
                short_mib,
                f"{part_mib:,.0f} MiB is less than {starts.non_kv_mib:,.0f} MiB for weights and "
                f"activations plus {starts.one_request_mib:,.0f} MiB for one request",
            )
    parts_mib: dict[str, float | None] = {}
    if has_share and allocation.has_share:
        parts_mib |= {"share": part_mib, "beyond it": starts.outside_share_mib}
    parts_mib |= {service_name(service): mib for service, mib in starts.own_mib.items()}
    parts_mib |= {"tenants": tenants_mib, "reserve": reserve_mib}
    missing = [part for part, mib in parts_mib.items() if mib is None]
    shares_mib = {service_name(service): mib for service, mib in starts.own_shares_mib.items()}
    parts_mib |= {part: shares_mib[part] for part in missing if part in shares_mib}
    need_mib = sum(mib or 0.0 for mib in parts_mib.values())
    left_out = [part for part, mib in parts_mib.items() if mib is None]
    sum_text = " + ".join(f"{mib:,.0f} {p}" for p, mib in parts_mib.items() if mib is not None)
    sum_text += f" = {need_mib:,.0f} of {total_mib:,.0f} MiB"
    sum_text += f", without {' and '.join(left_out)}, not measured yet" if left_out else ""
    if need_mib - total_mib > margin_mib:
        return Prediction(Fits.PREDICTED_OOM, need_mib - total_mib, sum_text)
    if missing:
        return Prediction(Fits.UNKNOWN, None, "not measured yet: the servers are asked")
    return Prediction(Fits.FITS, need_mib - total_mib, sum_text, margin_mib)
