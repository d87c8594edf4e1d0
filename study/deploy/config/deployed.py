"""A deployed service has a unit, pages, a probe, and a flag or variable for each parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from objectives.allocation import DEFAULT_BOUNDS
from objectives.plain_data.ranges import Range
from objectives.services import ApiName


@dataclass(frozen=True, slots=True)
class Binding:
    """A parameter becomes the value of a flag or a variable: a bounded number, or a listed choice.

    Args:
        flag: The flag of the unit's command, `--name`.
        variable: The environment variable. With a flag too, the variable is what is set, and the
            flag is where the command or a script puts its value, `--name ${NAME}`: there the
            running process shows it.
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
    def is_flag(self) -> bool:
        """Tell whether the command itself gets the flag."""
        return self.variable is None

    @property
    def label(self) -> str:
        """Return the flag or variable as a person reads it."""
        return str(self.flag) if self.is_flag else f"{self.variable}="


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe is one real request of an API, a command that exits 0, or none.

    Args:
        kind: Which of these.
        url: Where an answer is asked for.
        model: The model's name in that request.
        argv: The words of the command.
        timeout_s: The longest that an answer may take, s.
    """

    kind: Literal[
        "completion", "chat", "transcription", "embeddings", "rerank", "speech", "command", "none"
    ] = "none"
    url: str | None = None
    model: str = "model"
    argv: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(0.1, 600)] = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """The speech stack of the unit itself is compared with the measured one.

    Args:
        library: Such as `faster-whisper`.
        compute_type: Such as `float16`.
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
        api: How a service beside the LLM and speech is spoken to; None: it is one of those.
        container: Its container behind an env file, where its command and life are seen; on
            Kubernetes `WORKLOAD/CONTAINER`.
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
    api: ApiName | None = None
    container: str | None = None
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
