"""A launch measures figures of each service, memory of each device, and what belongs to the whole.

Names and definitions of all figures: study/guides/metrics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum, auto
from functools import cache
from typing import Any, Self

from objectives.figures import flat_name, service_and_field
from objectives.plain_data.by_type import mapping_of
from objectives.plain_data.card_sets import set_name
from objectives.plain_data.infinity import plain
from objectives.plain_data.names_of_0_1 import (
    current_name,
    current_names,
    without_capacity_of_0_1,
)
from objectives.service_figures import DeviceFigures, ServiceFigures, arguments_of
from objectives.speech.wer import WordErrors

__all__ = ["INFINITE", "DeviceFigures", "Measurement", "ServiceFigures", "is_figure"]

INFINITE = math.inf
GENERATOR = "generator"  # what bounds a capacity where the ramp never broke
UNNAMED = ""  # a device whose UUID was not kept
TOO_LONG = ("word_errors", "used_mib_by_s", "taken_mib")  # for a table


class Of(Enum):
    """A figure belongs to the whole launch, to a service or to a device."""

    WHOLE = auto()
    SERVICE = auto()
    DEVICE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measurement is everything that one launch measured; `None` is not measured.

    Units are in the names.

    Args:
        services: The figures by name of the service.
        devices: The memory by UUID of the device.
        turn_ttft_ms: The median wait for a turn through all services, of the window's turns; None
            where it has none.
        turn_ttft_p95_ms: The wait within which 95 % of those turns began to be answered.
        goodput_pct: The share of the window's turns that met every limit, percent.
        breaking_point_turns_per_s: The highest rate of a ramp at which 95 % of the turns are good.
        completed_turns_per_s: The most that were completed in 20 s after it broke, turns/s.
        capacity_turns_per_s: The smaller of the two; None where no rate is good.
        capacity_bracket: The last rate that passed and the first that failed, turns/s.
        capacity_bound_by: What broke first; `generator` where nothing did.
        capacity_turns_below: The turns of the ramp up to the breaking point.
        concurrent_capacity: The users who make that rate, at their pause between turns.
        ramp: Where the ramp began and how fast it grew, as `RampRange` writes it, and `kv_full_s`:
            when a KV cache was first seen full, where one was.
        ladder: Every rung of the capacity ladder that version 0.1 climbed in place of a ramp.
        kv_capacity_bound: The longest requests that the KV cache holds at once.
        segments: The figures of each segment of the window, by flat name.
        failure_rate: The share of the requests that failed, 0-1.
        oom_events: How often a server ran out of memory.
        generator_lag_p99_ms: The lateness within which 99 % of our own requests left, ms.
        lag_exceeded: Whether that was too late for the latencies to count.
        others_cpu_pct: How busy others kept all cores while it was loaded, percent of all.
        window_s: The time that telemetry watched, seconds.
        started_first: The service whose server was started first.
        wall_s: What the whole evaluation took, seconds.
        phase_s: The seconds by phase.
        measured_at: When it was measured, in ISO 8601.
    """

    services: Mapping[str, ServiceFigures] = field(default_factory=dict)
    devices: Mapping[str, DeviceFigures] = field(default_factory=dict)
    turn_ttft_ms: float | None = None
    turn_ttft_p95_ms: float | None = None
    goodput_pct: float | None = None
    breaking_point_turns_per_s: float | None = None
    completed_turns_per_s: float | None = None
    capacity_turns_per_s: float | None = None
    capacity_bracket: tuple[float | None, ...] = ()
    capacity_bound_by: str | None = None
    capacity_turns_below: int | None = None
    concurrent_capacity: int | None = None
    ramp: Mapping[str, float] = field(default_factory=dict)
    ladder: tuple[Mapping[str, Any], ...] = ()
    kv_capacity_bound: int | None = None
    segments: tuple[Mapping[str, float], ...] = ()
    failure_rate: float | None = None
    oom_events: int = 0
    generator_lag_p99_ms: float | None = None
    lag_exceeded: bool = False
    others_cpu_pct: float | None = None
    window_s: float | None = None
    started_first: str | None = None
    wall_s: float | None = None
    phase_s: Mapping[str, float] = field(default_factory=dict)
    measured_at: str | None = None

    @classmethod
    def from_flat(cls, figures: Mapping[str, Any]) -> Self:
        """Return the measurement that these figures make, by flat name; also by the names of 0.1.

        Figures that this version does not know are left out.

        Raises:
            ValueError: A figure is no number.
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

        Raises:
            ValueError: A figure is no number.
            KeyError or TypeError: It is no measurement.
        """
        if "services" not in mapping_of(data):
            return cls.from_flat(data)
        names = {f.name for f in fields(cls)} - {"services", "devices"}
        whole = {name: value for name, value in data.items() if name in names}
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
                name: ServiceFigures(**arguments_of(ServiceFigures, values))
                for name, values in mapping_of(services).items()
            },
            devices={
                uuid: DeviceFigures(**arguments_of(DeviceFigures, values))
                for uuid, values in mapping_of(devices).items()
            },
            **arguments_of(cls, without_capacity_of_0_1(whole)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; an infinite latency is the string "inf"."""
        data: dict[str, Any] = plain(self)
        for part in (*data["services"].values(), *data["devices"].values()):
            for name in [name for name, value in part.items() if value in (None, [], {})]:
                del part[name]  # most services have no KV cache, and most have no words
        return data

    def flat(self) -> dict[str, Any]:
        """Return every figure that fits a table by its flat name, `<service>_<figure>` or its own.

        A service has only what was measured of it, since most have no KV cache and many no words.
        Of several devices it holds the one with the least free memory.
        """
        services = {
            flat_name(service, f.name): value
            for service, figures in self.services.items()
            for f in fields(figures)
            if f.name not in TOO_LONG and (value := getattr(figures, f.name)) is not None
        }
        tightest = self.device
        device = {
            f.name: getattr(tightest, f.name)
            for f in fields(DeviceFigures)
            if f.name not in TOO_LONG
        }
        apart = ("services", "devices", "ramp", "ladder", "segments")
        whole = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}
        flat: dict[str, Any] = plain(services | whole | device | {"measured_on": self.measured_on})
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
        """Return the figures of the device with the least free memory; all `None` without one."""

        def free_mib(device: DeviceFigures) -> float:
            return INFINITE if device.free_memory_mib is None else device.free_memory_mib

        return min(self.devices.values(), key=free_mib, default=DeviceFigures())

    @property
    def capacity_is_lower_bound(self) -> bool:
        """Return whether the ramp never broke, so that there may be more."""
        return self.capacity_bound_by == GENERATOR

    @property
    def capacity_or_0(self) -> float | None:
        """Return the capacity, turns/s: 0 where no rate is good, None where none was measured."""
        no_rate_is_good = self.capacity_turns_per_s is None and self.capacity_bound_by is not None
        return 0.0 if no_rate_is_good else self.capacity_turns_per_s

    @property
    def measured_on(self) -> str | None:
        """Return the UUIDs of the devices; None where they were not kept."""
        return set_name(self.devices) or None

    @property
    def words(self) -> Mapping[str, tuple[WordErrors, ...]]:
        """Return the scored clips of each service that transcribes."""
        return {name: s.word_errors for name, s in self.services.items() if s.word_errors}

    def on_device(self, uuid: str) -> Self:
        """Return it with this UUID for its device, where that has none."""
        if UNNAMED not in self.devices and self.devices:
            return self
        return replace(self, devices={uuid: self.device})

    def without_samples(self) -> Self:
        """Return it without the memory by second, for files that keep many of them."""
        devices = {uuid: replace(d, used_mib_by_s=()) for uuid, d in self.devices.items()}
        return replace(self, devices=devices)


def is_figure(name: str) -> bool:
    """Return whether a flat name is one that a measurement can have.

    >>> is_figure("stt_latency_ms"), is_figure("weather")
    (True, False)
    """
    return _place(name) is not None


@cache
def _place(name: str) -> tuple[Of, str, str] | None:
    """Return what a flat name belongs to, the service and the field; None for no figure of ours."""
    name = current_name(name)
    if name in {f.name for f in fields(DeviceFigures)}:
        return Of.DEVICE, "", name
    if name in {f.name for f in fields(Measurement)} - {"services", "devices"} | {"measured_on"}:
        return Of.WHOLE, "", name
    parts = service_and_field(name, (f.name for f in fields(ServiceFigures)))
    return None if parts is None else (Of.SERVICE, *parts)
