"""Arithmetic says before a launch whether it would fit, by the study's own measurements. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Literal

from objectives.allocation import Allocation
from objectives.measurement import Measurement, ServiceFigures

MARGIN = 0.02  # of the device's total: inside it nothing is predicted, the servers are asked
NOTHING = ServiceFigures()
Fits = Literal["fits", "predicted_oom", "predicted_kv_too_small", "unknown"]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a study's earlier starts, MiB; each is None until a start has shown it.

    Args:
        outside_share_mib: What the LLM server holds beyond its share: CUDA graphs, or its
            front-end processes on a CPU.
        non_kv_mib: The weights and activations inside the share.
        one_request_mib: The KV cache of one request of the largest model length.
        speech_mib: The memory of the speech server, by its configuration.
    """

    outside_share_mib: float | None
    non_kv_mib: float | None
    one_request_mib: float | None
    speech_mib: dict[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict is the answer of the arithmetic.

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
        return self.fits in ("predicted_oom", "predicted_kv_too_small")

    @property
    def is_sure(self) -> bool:
        """Return whether it fits by more than the margin, whatever the order of the starts."""
        return (
            self.fits == "fits"
            and self.deficit_mib is not None
            and self.deficit_mib <= -self.margin_mib
        )


def speech_key(allocation: Allocation) -> str:
    """Return what the speech server's memory depends on, as text.

    >>> values = {"vllm_memory_util": 0.5, "whisper_model_size": "base", "whisper.beam_size": 5}
    >>> speech_key(Allocation(values))
    'base beam_size=5'
    """
    options = allocation.options("whisper.")
    return " ".join([allocation.speech, *(f"{k}={v}" for k, v in sorted(options.items()))])


def share_mib(allocation: Allocation, total_mib: float) -> float:
    """Return the memory that the LLM server asks for, MiB."""
    return allocation.share * total_mib


def figures(launches: Iterable[tuple[Allocation, Measurement]]) -> Figures:
    """Return the medians over launches; of each speech configuration the largest memory."""
    outside, non_kv, request = [], [], []
    speech: dict[str, list[float]] = {}
    for allocation, m in launches:
        stt, llm = (m.services.get(name, NOTHING) for name in ("stt", "llm"))
        if stt.memory_mib is not None:
            speech.setdefault(speech_key(allocation), []).append(stt.memory_mib)
        if m.device.device_total_mib is None:
            continue
        llm_mib = share_mib(allocation, m.device.device_total_mib)
        if llm.memory_mib is not None:
            outside.append(max(0.0, llm.memory_mib - llm_mib))
        if llm.kv_cache_mib is not None:
            non_kv.append(llm_mib - llm.kv_cache_mib)
            if llm.kv_tokens and llm.max_model_len:
                request.append(llm.kv_cache_mib / llm.kv_tokens * llm.max_model_len)
    return Figures(
        outside_share_mib=median(outside) if outside else None,
        non_kv_mib=median(non_kv) if non_kv else None,
        one_request_mib=median(request) if request else None,
        speech_mib={k: max(v) for k, v in speech.items()},
    )


def check(
    allocation: Allocation,
    starts: Figures,
    *,
    total_mib: float,
    tenants_mib: float,
    reserve_mib: float,
) -> Verdict:
    """Return whether an allocation fits beside the tenants and the reserve.

    It is `unknown` until the figures that decide were measured.

    Args:
        allocation: The allocation.
        starts: The figures of earlier starts.
        total_mib: The memory of the device, MiB.
        tenants_mib: The memory that others hold, MiB.
        reserve_mib: The memory that must stay free, MiB.

    >>> speech_mib = {"base": 1000}
    >>> f = Figures(
    ...     outside_share_mib=0, non_kv_mib=5000, one_request_mib=500, speech_mib=speech_mib
    ... )
    >>> a = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
    >>> check(a, f, total_mib=12000, tenants_mib=0, reserve_mib=500).fits
    'fits'
    >>> check(a, f, total_mib=12000, tenants_mib=6000, reserve_mib=500).fits
    'predicted_oom'
    >>> check(a, f, total_mib=10000, tenants_mib=0, reserve_mib=500).fits
    'predicted_kv_too_small'
    """
    llm_mib = share_mib(allocation, total_mib)
    margin_mib = MARGIN * total_mib
    speech_mib = starts.speech_mib.get(speech_key(allocation))
    if starts.non_kv_mib is not None and starts.one_request_mib is not None:
        short_mib = starts.non_kv_mib + starts.one_request_mib - llm_mib
        if short_mib > margin_mib or (llm_mib <= starts.non_kv_mib and short_mib > 0):
            return Verdict(
                "predicted_kv_too_small",
                short_mib,
                f"{llm_mib:,.0f} MiB is less than {starts.non_kv_mib:,.0f} MiB for weights and "
                f"activations plus {starts.one_request_mib:,.0f} MiB for one request",
            )
    if speech_mib is None or starts.outside_share_mib is None:
        return Verdict("unknown", None, "not measured yet: the servers are asked")
    need_mib = llm_mib + starts.outside_share_mib + speech_mib + reserve_mib + tenants_mib
    sum_text = (
        f"{llm_mib:,.0f} share + {starts.outside_share_mib:,.0f} beyond it "
        f"+ {speech_mib:,.0f} speech + {tenants_mib:,.0f} tenants + {reserve_mib:,.0f} reserve "
        f"= {need_mib:,.0f} of {total_mib:,.0f} MiB"
    )
    if need_mib - total_mib > margin_mib:
        return Verdict("predicted_oom", need_mib - total_mib, sum_text)
    return Verdict("fits", need_mib - total_mib, sum_text, margin_mib)
