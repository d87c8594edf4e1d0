"""A launch measures figures of each service and of each device; this module reads both back.

Names and definitions of all figures: study/guides/metrics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from typing import Any

from objectives.plain_data.by_type import mapping_of
from objectives.plain_data.infinity import NUMBERS, with_infinity
from objectives.speech.wer import WordErrors

AMOUNTS = {"phase_s": "the seconds of a phase are", "taken_mib": "what a server took is"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """A launch measured these figures of one service; `None` is not measured or not applicable.

    Args:
        latency_ms: The median from the scheduled send to the end of an answer, ms.
        latency_p95_ms: The time within which 95 % of those answers ended, ms.
        ttft_ms: The median from the scheduled send to the first content, ms.
        ttft_p95_ms: The time within which 95 % of the answers began, ms.
        tpot_ms: The median time per output token after the first, ms.
        tpot_p95_ms: The time per token within which 95 % of the requests stayed, ms.
        rtfx: The seconds of audio transcribed in one second of service.
        wer_pct: The word error rate over the whole corpus, percent.
        interference: The median under joint load over the median alone.
        offered: The number of requests that were due in the window.
        start_s: The time from launch to ready, seconds; 0 where the server was kept.
        memory_mib: The device memory that the server took to start, MiB; of several devices the
            most on one.
        kv_peak_pct: The highest use of the KV cache, percent.
        kv_tokens: The size of the KV cache, tokens.
        kv_cache_mib: The size of the KV cache, MiB.
        max_model_len: The longest request that the server is meant for, tokens.
        preemptions: The number of requests put back for want of KV cache.
        cold_starts: How often it was started in the window since it slept when it was asked.
        cold_start_s: The longest of those starts, seconds.
        awake_pct: The share of the window in which it was awake, percent.
        asleep_mib: The device memory that it holds while it sleeps, MiB.
        word_errors: The errors and words of each clip.
    """

    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    ttft_ms: float | None = None
    ttft_p95_ms: float | None = None
    tpot_ms: float | None = None
    tpot_p95_ms: float | None = None
    rtfx: float | None = None
    wer_pct: float | None = None
    interference: float | None = None
    offered: int | None = None
    start_s: float | None = None
    memory_mib: float | None = None
    kv_peak_pct: float | None = None
    kv_tokens: int | None = None
    kv_cache_mib: float | None = None
    max_model_len: int | None = None
    preemptions: int | None = None
    cold_starts: int | None = None
    cold_start_s: float | None = None
    awake_pct: float | None = None
    asleep_mib: float | None = None
    word_errors: tuple[WordErrors, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """A launch measured these figures of one device; `None` is not measured.

    Args:
        device_total_mib: All memory of the device, MiB.
        free_memory_mib: The least free memory in the window, MiB.
        own_memory_pct: The memory of our servers as a share of what tenants leave, percent.
        gpu_utilization_pct: The mean share of the memory in use, percent.
        gpu_busy_pct: The share of the time in which a kernel was resident, percent.
        gpu_power_w: The mean power, W.
        used_mib_by_s: The memory in use at each second of the window, MiB.
        taken_mib: What each server on several devices had taken of this one when it was ready, MiB.
    """

    device_total_mib: float | None = None
    free_memory_mib: float | None = None
    own_memory_pct: float | None = None
    gpu_utilization_pct: float | None = None
    gpu_busy_pct: float | None = None
    gpu_power_w: float | None = None
    used_mib_by_s: tuple[int, ...] = field(default=(), repr=False)
    taken_mib: Mapping[str, float] = field(default_factory=dict, repr=False)


def arguments_of(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a class of figures from plain data, without names unknown to it.

    Raises:
        ValueError: A figure is no number.
        TypeError: The data, a rung or the phases are no mapping.
    """
    values, are_figures = {}, _fields(kind)
    for name, plain in mapping_of(data).items():
        if name not in are_figures:
            continue
        value = plain if name == "word_errors" else with_infinity(plain)  # those are whole numbers
        if are_figures[name] and not (value is None or is_number(value)):
            raise ValueError(f"{name} is {str(value)[:40]}, which is no figure")
        values[name] = value
    if "word_errors" in values:
        values["word_errors"] = tuple(
            w if isinstance(w, WordErrors) else _word_errors(**w) for w in values["word_errors"]
        )
    if "used_mib_by_s" in values:
        values["used_mib_by_s"] = tuple(values["used_mib_by_s"])
    for name in {"ladder", "segments"} & values.keys():
        values[name] = tuple(dict(mapping_of(part)) for part in values[name])
    if not all(all(map(is_number, part.values())) for part in values.get("segments", ())):
        raise ValueError("a figure of a segment is no number")
    if "capacity_bracket" in values:
        values["capacity_bracket"] = tuple(values["capacity_bracket"])
        if not all(rate is None or is_number(rate) for rate in values["capacity_bracket"]):
            raise ValueError("a rate of capacity_bracket is no number")
    if "ramp" in values:
        values["ramp"] = dict(mapping_of(values["ramp"]))
    for name in AMOUNTS.keys() & values.keys():
        values[name] = mapping_of(values[name])
        if not all(map(is_amount, values[name].values())):
            raise ValueError(f"{AMOUNTS[name]} no number from 0")
    return values


@cache
def _fields(kind: type) -> Mapping[str, bool]:
    """Return whether each field is a figure, by its name."""
    return {f.name: str(f.type).removesuffix(" | None") in ("int", "float") for f in fields(kind)}


# a study holds those of every clip once a launch, and most of them are the same
@lru_cache(maxsize=4096, typed=True)
def _word_errors(errors: int, reference_words: int) -> WordErrors:
    for count in (errors, reference_words):
        if type(count) is not int or count < 0:
            raise ValueError(f"a number of words is {str(count)[:40]!r}")
    return WordErrors(errors, reference_words)


def is_amount(value: Any) -> bool:
    """Return whether a value is a finite number from 0."""
    return is_number(value) and 0 <= value < math.inf


def is_number(value: Any) -> bool:
    """Return whether a figure is a number: infinite, or neither NaN nor beyond what is measured.

    >>> is_number(12.5), is_number(float("inf")), is_number(float("nan")), is_number("12.5")
    (True, True, False, False)
    """
    return isinstance(value, NUMBERS) and (value == math.inf or abs(value) < 1e15)
