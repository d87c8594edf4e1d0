"""The deployment file says which units run in production, and which parameter sets which flag.

A complete example with every section is study/deploy/example.yaml; `scripts/init_spec.py` writes
one from the units that run.

An application without an endpoint has `probe: {kind: command, argv: [/opt/app/check]}` or
`{kind: none}`, and no health_url. Who has no systemd units writes
`env_file: {path: FILE, restart: [docker, compose, up, -d]}`, and `variable:` in every `set`.
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
class Binding:
    """A parameter becomes the value of a flag or a variable: a bounded number, or a listed choice.

    Args:
        flag: The flag of the unit's command, `--name`; one of `flag` and `variable`.
        variable: The environment variable.
        low: The lowest number allowed.
        high: The highest number allowed.
        whole: Whether the number must be whole.
        choices: The text of each choice, by the promotion's value.
    """

    flag: str | None = None
    variable: str | None = None
    low: float | None = None
    high: float | None = None
    whole: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)

    def bounds(self, name: str) -> tuple[float | None, float | None]:
        """Return the lowest and highest number, narrowed by what this project allows anywhere.

        >>> Binding(flag="-u", low=0.1, high=0.6).bounds("vllm_memory_util")
        (0.3, 0.6)
        """
        least, most = DEFAULT_BOUNDS.get(name, (None, None))
        low = least if self.low is None else self.low if least is None else max(self.low, least)
        high = most if self.high is None else self.high if most is None else min(self.high, most)
        return low, high

    @property
    def label(self) -> str:
        """Return the flag or variable as a person reads it."""
        return self.flag or f"{self.variable}="


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe is one real request: a completion, a transcription, a command that exits 0, or none.

    Args:
        kind: Which of these.
        url: Where a completion or a transcription is asked for.
        model: The model's name in that request.
        argv: The words of the command.
        timeout_s: The longest that an answer may take, s.
    """

    kind: Literal["completion", "transcription", "command", "none"] = "none"
    url: str | None = None
    model: str = "model"
    argv: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(0.1, 600)] = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """The speech stack of the unit itself is compared with the measured one.

    Args:
        library: Such as `faster-whisper`.
        compute_type: Such as `int8`.
        beam_size: Beams of the decoder.
        peak_mib: The unit's memory at its highest, MiB.
    """

    library: str | None = None
    compute_type: str | None = None
    beam_size: Annotated[int | None, Range(1, 100)] = None
    peak_mib: Annotated[float | None, Range(0, 10_000_000)] = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A service in production has a unit, settings, pages and a probe.

    Args:
        set: The flag or variable of each parameter.
        unit: Its systemd unit; None: behind an env file.
        python: The interpreter that has its server, which tells the server's version.
        version_url: The page that tells it instead.
        health_url: The page that says 200 when it is ready.
        metrics_url: The page with its Prometheus counters.
        probe: The real request that it must answer.
        restart_always: Whether the drop-in sets Restart=always.
        start_timeout_s: The longest that a start may take, s.
        stop_timeout_s: The longest that a stop may take before it is killed, s.
        log: The file that it writes, where that is not the journal.
        stack: Its speech stack, for comparison.
    """

    set: Mapping[str, Binding]
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
    """A deployment has these two services."""

    llm: Deployed
    stt: Deployed


@dataclass(frozen=True, slots=True)
class EnvFile:
    """Services that are no units read a file of NAME=value lines, and restart by a command.

    Args:
        path: The file, absolute.
        restart: The words of the command that makes the lines take effect.
        stop: The words of the command that stops both services; empty: none.
        timeout_s: The longest that either command may take, s.
    """

    path: str
    restart: tuple[str, ...]
    stop: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(0.1, 600)] = 600.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The soak tolerates a p95 up to p95_ratio x the fresh baseline's + p95_slack_ms.

    Args:
        baseline_windows: Windows of the baseline.
        windows: Windows of the soak.
        window_s: Length of a window, s.
        min_requests: Probes in a window, and the least traffic of a service's own that is judged.
        p95_ratio: Factor on the baseline's p95.
        p95_slack_ms: Allowance beside that, ms.
        failure_rate_points: How many points more of the probes may fail, percent.
        max_failed_windows: How many windows may fail.
    """

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
    """The watch looks at a folder of promotions, and may apply a confirmed one by itself.

    Args:
        promotions: The folder, from the deployment file's own where it is relative.
        auto: Whether it may apply.
        hold_days: Days after the confirmation before it may.
        every_s: Time between two looks, s.
    """

    promotions: str = "artifacts/promotions"
    auto: bool = False
    hold_days: Annotated[float, Range(0, 3650)] = 7.0
    every_s: Annotated[float, Range(0.1, 86_400)] = 300.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment is the whole file.

    Args:
        name: Names the folder of its versions.
        services: The LLM server and the speech server.
        device: As in a spec; `none`: no memory is looked at.
        start_order: What starts first is ready before the next starts.
        env_file: For services that are no units.
        thresholds: What the soak tolerates.
        watch: What the watch may do.
        dead_man_s: Seconds after which a timer rolls an uncommitted change back.
        memory_timeout_s: The longest wait for the memory of stopped servers, s.
        max_age_days: The age at which a promotion must be confirmed anew, days.
        state: The folder under which versions are kept.
        path: Where the file was read from.
    """

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
        """Return a service by name."""
        return self.services.llm if name == "llm" else self.services.stt

    def ordered(self) -> Iterator[tuple[Name, Deployed]]:
        """Return both services in the order in which they start."""
        return ((name, self.service(name)) for name in self.start_order)

    @property
    def folder(self) -> Path:
        """Return where its versions are kept."""
        return Path(self.state) / self.name
