"""What one launch measured: figures of each service, memory of each device, and what belongs to the whole.

Names and definitions of all figures: study/guides/metrics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum, auto
from functools import cache
from itertools import chain
from typing import Any, Self

from objectives.speech.wer import WordErrors

INFINITE = float("inf")
UNNAMED = ""  # a device whose UUID was not kept
TOO_LONG = ("word_errors", "used_mib_by_s")  # for a table
NAMES_OF_0_1 = {  # flat names that did not begin with their service
    "interference_stt": "stt_interference",
    "interference_llm": "llm_interference",
    "offered_stt": "stt_offered",
    "offered_llm": "llm_offered",
    "kv_peak_pct": "llm_kv_peak_pct",
    "kv_tokens": "llm_kv_tokens",
    "kv_cache_mib": "llm_kv_cache_mib",
    "max_model_len": "llm_max_model_len",
    "preemptions": "llm_preemptions",
    "word_errors": "stt_word_errors",
}

PHASES_OF_0_1 = {"starting speech": "starting stt", "starting LLM": "starting llm"}


class Of(Enum):
    """What a figure belongs to."""

    WHOLE = auto()
    SERVICE = auto()
    DEVICE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """What a launch measured of one service; `None` is not measured or not applicable."""

    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    ttft_ms: float | None = None
    ttft_p95_ms: float | None = None
    tpot_ms: float | None = None
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
    word_errors: tuple[WordErrors, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """What a launch measured of one device; `None` is not measured."""

    device_total_mib: float | None = None
    free_memory_mib: float | None = None
    own_memory_pct: float | None = None
    gpu_utilization_pct: float | None = None
    gpu_busy_pct: float | None = None
    gpu_power_w: float | None = None
    used_mib_by_s: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that one launch measured. `None` is not measured; units are in the names.

    Args:
        services: figures by name of the service
        devices: memory by UUID of the device
        turn_ttft_ms: of a voice turn through all services, at the most sessions passed
        concurrent_capacity: voice sessions at once
        ladder: every rung of the capacity ladder
        failure_rate: share of the requests that failed, 0-1
        phase_s: seconds by phase
    """

    services: Mapping[str, ServiceFigures] = field(default_factory=dict)
    devices: Mapping[str, DeviceFigures] = field(default_factory=dict)
    turn_ttft_ms: float | None = None
    turn_ttft_p95_ms: float | None = None
    concurrent_capacity: int | None = None
    capacity_is_lower_bound: bool | None = None
    capacity_bound_by: str | None = None
    ladder: tuple[Mapping[str, Any], ...] = ()
    kv_capacity_bound: int | None = None
    failure_rate: float | None = None
    oom_events: int = 0
    generator_lag_p99_ms: float | None = None
    lag_exceeded: bool = False
    window_s: float | None = None
    started_first: str | None = None
    wall_s: float | None = None
    phase_s: Mapping[str, float] = field(default_factory=dict)
    measured_at: str | None = None

    @classmethod
    def from_flat(cls, figures: Mapping[str, Any]) -> Self:
        """Return the measurement that these figures make, by flat name; also by the names of 0.1.

        Figures that this version does not know are left out.

        raises: ValueError where a figure is no number
        """
        whole: dict[str, Any] = {}
        services: dict[str, dict[str, Any]] = {}
        device: dict[str, Any] = {}
        for name, value in current_names(figures).items():
            match _place(name):
                case Of.WHOLE, _, key:
                    whole[key] = value
                case Of.SERVICE, service, key:
                    services.setdefault(service, {})[key] = value
                case Of.DEVICE, _, key:
                    device[key] = value
        uuid = figures.get("measured_on") or UNNAMED
        return cls._of(whole, services, {uuid: device} if device or uuid else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`, also of the flat data that 0.1 wrote.

        raises: ValueError where a figure is no number
        """
        if "services" not in data:
            return cls.from_flat(data)
        known = {f.name for f in fields(cls)} - {"services", "devices"}
        whole = {name: value for name, value in data.items() if name in known}
        return cls._of(whole, data["services"], data["devices"])

    @classmethod
    def _of(
        cls,
        whole: Mapping[str, Any],
        services: Mapping[str, Mapping[str, Any]],
        devices: Mapping[str, Mapping[str, Any]],
    ) -> Self:
        return cls(
            services={
                name: ServiceFigures(**_read(ServiceFigures, values))
                for name, values in services.items()
            },
            devices={
                uuid: DeviceFigures(**_read(DeviceFigures, values))
                for uuid, values in devices.items()
            },
            **_read(cls, whole),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; an infinite latency is the string "inf", since JSON has no infinity."""
        data: dict[str, Any] = plain(asdict(self))
        for part in (*data["services"].values(), *data["devices"].values()):
            for name in [name for name, value in part.items() if value in (None, [])]:
                del part[name]  # most services have no KV cache, and most have no words
        return data

    def flat(self) -> dict[str, Any]:
        """Return every figure that fits a table by its flat name: `<service>_<figure>`, others as they are.

        A service has only what was measured of it, since most have no KV cache and many no words. Of
        several devices the one with the least free memory is told.
        """
        named = {
            f"{service}_{f.name}": value
            for service, figures in self.services.items()
            for f in fields(figures)
            if f.name not in TOO_LONG and (value := getattr(figures, f.name)) is not None
        }
        device = {
            f.name: getattr(self.device, f.name)
            for f in fields(DeviceFigures)
            if f.name not in TOO_LONG
        }
        apart = ("services", "devices", "ladder")
        whole = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}
        flat: dict[str, Any] = plain(named | whole | device | {"measured_on": self.measured_on})
        return flat

    def figure(self, name: str) -> Any:
        """Return one figure by its flat name; None where it was not measured.

        >>> Measurement.from_flat({"stt_latency_ms": 12.0}).figure("stt_latency_ms")
        12.0
        """
        match _place(name):
            case Of.SERVICE, service, key:
                return getattr(self.services.get(service), key, None)
            case Of.DEVICE, _, key:
                return getattr(self.device, key)
            case Of.WHOLE, _, key:
                return getattr(self, key)
        return None

    @property
    def device(self) -> DeviceFigures:
        """The figures of the device with the least free memory; all `None` where none was measured."""
        devices = self.devices.values()
        return min(devices, key=lambda d: d.free_memory_mib or 0.0, default=DeviceFigures())

    @property
    def measured_on(self) -> str | None:
        """The UUIDs of the devices; None where they were not kept."""
        return " ".join(self.devices) or None

    @property
    def word_errors(self) -> tuple[WordErrors, ...]:
        """Every scored clip of every service that transcribes."""
        return tuple(chain.from_iterable(s.word_errors for s in self.services.values()))

    def on_device(self, uuid: str) -> Self:
        """Return it with the UUID of its device, where it was measured on one that was not named."""
        if UNNAMED not in self.devices and self.devices:
            return self
        return replace(self, devices={uuid: self.device})

    def without_samples(self) -> Self:
        """Return it without the memory by second, for files that keep many of them."""
        devices = {uuid: replace(d, used_mib_by_s=()) for uuid, d in self.devices.items()}
        return replace(self, devices=devices)


def current_names(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat figures under the names of today.

    >>> current_names({"kv_tokens": 4096, "stt_start_s": 3.5})
    {'llm_kv_tokens': 4096, 'stt_start_s': 3.5}
    """
    named = {NAMES_OF_0_1.get(name, name): value for name, value in figures.items()}
    if named.get("phase_s"):
        named["phase_s"] = {PHASES_OF_0_1.get(p, p): s for p, s in named["phase_s"].items()}
    return named


def is_figure(name: str) -> bool:
    """Return whether a flat name is one that a measurement can have.

    >>> is_figure("stt_latency_ms"), is_figure("weather")
    (True, False)
    """
    return _place(name) is not None


@cache
def _place(name: str) -> tuple[Of, str, str] | None:
    """Return where a flat name leads: to what, the service and the field; None for no figure of ours."""
    name = NAMES_OF_0_1.get(name, name)
    if name in {f.name for f in fields(DeviceFigures)}:
        return Of.DEVICE, "", name
    if name in {f.name for f in fields(Measurement)} - {"services", "devices"} | {"measured_on"}:
        return Of.WHOLE, "", name
    for f in sorted(fields(ServiceFigures), key=lambda f: -len(f.name)):
        if name.endswith(f"_{f.name}"):
            return Of.SERVICE, name.removesuffix(f"_{f.name}"), f.name
    return None


def _read(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a class from plain data, without those that it does not know.

    raises: ValueError where a figure is no number
    """
    values = {}
    for f in fields(kind):
        if f.name not in data:
            continue
        value = _infinite(data[f.name])
        is_figure = str(f.type).removesuffix(" | None") in ("int", "float")
        if is_figure and not (value is None or _is_number(value)):
            raise ValueError(f"{f.name} is {str(value)[:40]}, which is no figure")
        values[f.name] = value
    if "word_errors" in values:
        values["word_errors"] = tuple(
            w if isinstance(w, WordErrors) else WordErrors(**w) for w in values["word_errors"]
        )
    if "used_mib_by_s" in values:
        values["used_mib_by_s"] = tuple(values["used_mib_by_s"])
    if "ladder" in values:
        rungs = ({k: _infinite(v) for k, v in rung.items()} for rung in values["ladder"])
        values["ladder"] = tuple(rungs)
    return values


def plain(value: Any) -> Any:
    """Return the same for JSON, which has no infinity: an infinite figure is the string "inf".

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


def _infinite(value: Any) -> Any:
    return INFINITE if value == "inf" else value
