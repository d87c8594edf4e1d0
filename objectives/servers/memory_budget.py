"""The joint memory arithmetic before a launch: would it fit, going by what this study has already measured? Pure."""

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
    """What earlier starts of this study showed, MiB; None until one has shown it.

    outside_share_mib: what the LLM server holds beyond its share (CUDA graphs, its front-end processes on a CPU)
    non_kv_mib: weights and activations inside the share
    one_request_mib: KV cache of one request of the largest model length
    speech_mib: by speech configuration
    """

    outside_share_mib: float | None
    non_kv_mib: float | None
    one_request_mib: float | None
    speech_mib: dict[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The arithmetic's answer; a positive `deficit_mib` is what is missing, a negative one what is left."""

    fits: Fits
    deficit_mib: float | None
    explanation: str
    margin_mib: float = 0.0

    @property
    def is_ruled_out(self) -> bool:
        """Whether it does not fit, so that no launch is needed to know."""
        return self.fits in ("predicted_oom", "predicted_kv_too_small")

    @property
    def is_sure(self) -> bool:
        """Whether it fits by more than the margin, so that the order in which the servers start cannot matter."""
        return (
            self.fits == "fits"
            and self.deficit_mib is not None
            and self.deficit_mib <= -self.margin_mib
        )


def speech_key(allocation: Allocation) -> str:
    """What the speech server's memory depends on.

    >>> speech_key(Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base", "whisper.beam_size": 5}))
    'base beam_size=5'
    """
    options = allocation.options("whisper.")
    return " ".join([allocation.speech, *(f"{k}={v}" for k, v in sorted(options.items()))])


def share_mib(allocation: Allocation, total_mib: float) -> float:
    """What the LLM server asks for, MiB."""
    return allocation.share * total_mib


def figures(known: Iterable[tuple[Allocation, Measurement]]) -> Figures:
    """Medians over the starts measured so far."""
    outside, non_kv, request = [], [], []
    speech: dict[str, list[float]] = {}
    for allocation, m in known:
        stt, llm = (m.services.get(name, NOTHING) for name in ("stt", "llm"))
        if stt.memory_mib is not None:
            speech.setdefault(speech_key(allocation), []).append(stt.memory_mib)
        if m.device.device_total_mib is None:
            continue
        asked = share_mib(allocation, m.device.device_total_mib)
        if llm.memory_mib is not None:
            outside.append(max(0.0, llm.memory_mib - asked))
        if llm.kv_cache_mib is not None:
            non_kv.append(asked - llm.kv_cache_mib)
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
    known: Figures,
    *,
    total_mib: float,
    tenants_mib: float,
    reserve_mib: float,
) -> Verdict:
    """Whether an allocation fits beside the tenants and the reserve; `unknown` until figures were measured.

    >>> f = Figures(outside_share_mib=0, non_kv_mib=5000, one_request_mib=500, speech_mib={"base": 1000})
    >>> a = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
    >>> check(a, f, total_mib=12000, tenants_mib=0, reserve_mib=500).fits
    'fits'
    >>> check(a, f, total_mib=12000, tenants_mib=6000, reserve_mib=500).fits
    'predicted_oom'
    >>> check(a, f, total_mib=10000, tenants_mib=0, reserve_mib=500).fits
    'predicted_kv_too_small'
    """
    asked_mib = share_mib(allocation, total_mib)
    margin_mib = MARGIN * total_mib
    speech_mib = known.speech_mib.get(speech_key(allocation))
    if known.non_kv_mib is not None and known.one_request_mib is not None:
        short_mib = known.non_kv_mib + known.one_request_mib - asked_mib
        if short_mib > margin_mib or (asked_mib <= known.non_kv_mib and short_mib > 0):
            return Verdict(
                "predicted_kv_too_small",
                short_mib,
                f"{asked_mib:,.0f} MiB is less than {known.non_kv_mib:,.0f} MiB for weights and activations "
                f"plus {known.one_request_mib:,.0f} MiB for one request",
            )
    if speech_mib is None or known.outside_share_mib is None:
        return Verdict("unknown", None, "not measured yet: the servers are asked")
    need_mib = asked_mib + known.outside_share_mib + speech_mib + reserve_mib + tenants_mib
    sum_text = (
        f"{asked_mib:,.0f} share + {known.outside_share_mib:,.0f} beyond it + {speech_mib:,.0f} speech "
        f"+ {tenants_mib:,.0f} tenants + {reserve_mib:,.0f} reserve = {need_mib:,.0f} of {total_mib:,.0f} MiB"
    )
    if need_mib - total_mib > margin_mib:
        return Verdict("predicted_oom", need_mib - total_mib, sum_text)
    return Verdict("fits", need_mib - total_mib, sum_text, margin_mib)
