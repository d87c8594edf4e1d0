"""What one trial measured, and how replies become figures. Names and definitions: README, "What is measured"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from objectives.speech.wer import WordErrors, wer_pct

INFINITE = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything one trial measured. `None` means not measured; units are in the names; shares are 0-1."""

    stt_latency_ms: float | None = None
    stt_latency_p95_ms: float | None = None
    stt_rtfx: float | None = None
    stt_wer_pct: float | None = None
    llm_latency_ms: float | None = None
    llm_latency_p95_ms: float | None = None
    llm_ttft_ms: float | None = None
    llm_ttft_p95_ms: float | None = None
    llm_tpot_ms: float | None = None
    turn_ttft_ms: float | None = None
    turn_ttft_p95_ms: float | None = None
    concurrent_capacity: int | None = None
    capacity_is_lower_bound: bool | None = None
    capacity_bound_by: str | None = None
    ladder: tuple[Mapping[str, Any], ...] = ()
    kv_capacity_bound: int | None = None
    kv_peak_pct: float | None = None
    kv_tokens: int | None = None
    kv_cache_mib: float | None = None
    max_model_len: int | None = None
    preemptions: int | None = None
    gpu_utilization_pct: float | None = None
    gpu_busy_pct: float | None = None
    gpu_power_w: float | None = None
    free_memory_mib: float | None = None
    own_memory_pct: float | None = None
    llm_memory_mib: float | None = None
    stt_memory_mib: float | None = None
    device_total_mib: float | None = None
    interference_stt: float | None = None
    interference_llm: float | None = None
    failure_rate: float | None = None
    oom_events: int = 0
    generator_lag_p99_ms: float | None = None
    lag_exceeded: bool = False
    offered_llm: int = 0
    offered_stt: int = 0
    llm_start_s: float | None = None
    stt_start_s: float | None = None
    window_s: float | None = None
    started_first: str | None = None
    wall_s: float | None = None
    phase_s: Mapping[str, float] = field(default_factory=dict)
    used_mib_by_s: tuple[int, ...] = field(default=(), repr=False)
    measured_at: str | None = None
    measured_on: str | None = None
    word_errors: tuple[WordErrors, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON line; an infinite latency is the string "inf", since JSON has no infinity."""
        data: dict[str, Any] = plain(asdict(self))
        return data

    def figures(self) -> dict[str, Any]:
        """`to_json` without what is too long for a table: the ladder, the memory by second, every clip's errors."""
        return {
            k: v
            for k, v in self.to_json().items()
            if k not in ("word_errors", "ladder", "used_mib_by_s")
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """The inverse of `to_json`; figures that this version does not know are left out.

        raises: ValueError where a figure is no number
        """
        known = {f.name: str(f.type).removesuffix(" | None") for f in fields(cls)}
        values: dict[str, Any] = {k: _figure(v) for k, v in data.items() if k in known}
        for name, value in values.items():
            if known[name] in ("int", "float") and not (value is None or _is_number(value)):
                raise ValueError(f"{name} is {str(value)[:40]}, which is no figure")
        values["word_errors"] = tuple(WordErrors(**w) for w in values.get("word_errors", ()))
        values["used_mib_by_s"] = tuple(values.get("used_mib_by_s", ()))
        values["ladder"] = tuple(
            {k: _figure(v) for k, v in rung.items()} for rung in values.get("ladder", ())
        )
        return cls(**values)


def plain(value: Any) -> Any:
    """The same for JSON, which has no infinity: an infinite figure is the string "inf".

    >>> plain({"ladder": ({"p95_ms": float("inf")},)})
    {'ladder': [{'p95_ms': 'inf'}]}
    """
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return "inf" if value == INFINITE else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and (value == INFINITE or not abs(value) >= 1e15)


def _figure(value: Any) -> Any:
    return INFINITE if value == "inf" else value


def word_error_rate(errors: Sequence[WordErrors]) -> float | None:
    """Corpus word error rate, percent; None where no clip was scored."""
    return wer_pct(errors) if errors else None
