"""The deployment file: which units run in production, what maps to which flag or variable, and what they must keep.

A complete example with every section is example.yaml beside this file; `scripts/init_spec.py` writes one from the units
that run.

An application without an endpoint has `probe: {kind: command, argv: [/opt/app/check]}` or `{kind: none}`, and no
health_url. Who has no systemd units writes `env_file: {path: FILE, restart: [docker, compose, up, -d]}`, and
`variable:` in every `set`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from objectives.allocation import DEFAULT_BOUNDS
from objectives.plain_data.ranges import Range

Name = Literal["llm", "stt"]
NAMES: tuple[Name, ...] = ("llm", "stt")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a parameter becomes: the value of a flag or a variable, a bounded number or one of the listed choices."""

    flag: str | None = None
    variable: str | None = None
    low: float | None = None
    high: float | None = None
    whole: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)

    def bounds(self, name: str) -> tuple[float | None, float | None]:
        """Lowest and highest number, narrowed by what this project allows anywhere.

        >>> Setting(flag="-u", low=0.1, high=0.6).bounds("vllm_memory_util")
        (0.3, 0.6)
        """
        least, most = DEFAULT_BOUNDS.get(name, (None, None))
        low = least if self.low is None else self.low if least is None else max(self.low, least)
        high = most if self.high is None else self.high if most is None else min(self.high, most)
        return low, high

    @property
    def shown(self) -> str:
        """The flag or variable, as a person reads it."""
        return self.flag or f"{self.variable}="


@dataclass(frozen=True, slots=True)
class Probe:
    """One real request: a completion, a transcription, a command that exits 0, or none."""

    kind: Literal["completion", "transcription", "command", "none"] = "none"
    url: str | None = None
    model: str = "model"
    argv: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(0.1, 600)] = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """The speech stack of the unit itself, compared with the measured one; peak_mib: its memory at its highest, MiB."""

    library: str | None = None
    compute_type: str | None = None
    beam_size: Annotated[int | None, Range(1, 100)] = None
    peak_mib: Annotated[float | None, Range(0, 10_000_000)] = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """One service in production.

    python, version_url: either tells the server's version; log: a file that it writes, where that is not the journal
    """

    set: Mapping[str, Setting]
    unit: str | None = None
    python: str | None = None
    version_url: str | None = None
    health_url: str | None = None
    metrics_url: str | None = None
    probe: Probe = field(default_factory=Probe)
    restart_always: bool = False
    start_timeout_s: Annotated[float, Range(1, 7200)] = 600.0
    stop_timeout_s: Annotated[float, Range(1, 3600)] = 100.0
    log: str | None = None
    stack: Stack = field(default_factory=Stack)


@dataclass(frozen=True, slots=True)
class Services:
    """Both services."""

    llm: Deployed
    stt: Deployed


@dataclass(frozen=True, slots=True)
class EnvFile:
    """For services that are no units: a file of NAME=value lines, and the command that makes them take effect."""

    path: str
    restart: tuple[str, ...]
    stop: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(0.1, 600)] = 600.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the soak tolerates against the fresh baseline: p95 up to p95_ratio x the baseline's + p95_slack_ms."""

    baseline_windows: Annotated[int, Range(1, 100)] = 2
    windows: Annotated[int, Range(1, 1000)] = 5
    window_s: Annotated[float, Range(0.1, 86_400)] = 60.0
    min_requests: Annotated[int, Range(1, 100_000)] = 20
    p95_ratio: Annotated[float, Range(1, 100)] = 1.3
    p95_slack_ms: Annotated[float, Range(0, 600_000)] = 50.0
    failure_rate_points: Annotated[float, Range(0, 100)] = 1.0
    max_failed_windows: Annotated[int, Range(0, 1000)] = 1


@dataclass(frozen=True, slots=True)
class Watching:
    """The watch: the folder of promotions, and whether it may apply a confirmed one by itself after hold_days."""

    promotions: str = "artifacts/promotions"
    auto: bool = False
    hold_days: Annotated[float, Range(0, 3650)] = 7.0
    every_s: Annotated[float, Range(0.1, 86_400)] = 300.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """The whole file; `path` is where it was read from."""

    name: str
    services: Services
    device: str = "cuda"
    start_order: tuple[Name, ...] = ("stt", "llm")
    env_file: EnvFile | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    watch: Watching = field(default_factory=Watching)
    dead_man_s: Annotated[float, Range(1, 604_800)] = 3600.0
    memory_timeout_s: Annotated[float, Range(0.1, 3600)] = 120.0
    max_age_days: Annotated[float, Range(0.01, 3650)] = 30.0
    state: str = "/etc/gpu-allocation"
    path: Path = Path("deployment.yaml")

    def service(self, name: Name) -> Deployed:
        """A service by name."""
        return self.services.llm if name == "llm" else self.services.stt

    def ordered(self) -> Iterator[tuple[Name, Deployed]]:
        """Both services in the order in which they start."""
        return ((name, self.service(name)) for name in self.start_order)

    @property
    def folder(self) -> Path:
        """Where its versions are kept."""
        return Path(self.state) / self.name
