"""The deployment file says which units run in production, and which parameter sets which flag.

A complete example with every section is study/deploy/example.yaml; `scripts/init_spec.py` writes
one from the units that run.

An application without an endpoint has `probe: {kind: command, argv: [/opt/app/check]}` or
`{kind: none}`, and no health_url. A service beside the LLM and speech has an `api:`. Who has no
systemd units writes `env_file: {path: FILE, restart: [docker, compose, up, -d]}`, and `variable:`
in every `set`; with `container: NAME` in a service its container is looked at. On Kubernetes it is
`kubernetes: FILE`, and `container: WORKLOAD/CONTAINER` in every service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from objectives.engines.engine import Engine
from objectives.engines.registry import engines_of, in_order
from objectives.plain_data.ranges import Range
from objectives.servers.supervision.container import ContainerProgram
from objectives.services import OtherService, Services
from study.deploy.config.deployed import Deployed
from study.spec.services.of_turns import KINDS


@dataclass(frozen=True, slots=True)
class EnvFile:
    """Services that are no units read a file of NAME=value lines, and restart by a command.

    Args:
        path: The file, absolute.
        restart: The words of the command that makes the lines take effect.
        stop: The words of the command that stops all services; empty: none.
        timeout_s: The longest that either command may take, s.
        program: What knows the services' containers: `docker` or `podman`.
    """

    path: str
    restart: tuple[str, ...]
    stop: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(0.1, 600)] = 600.0
    program: ContainerProgram = "docker"


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
        services: The services by name, in the order in which people read them.
        device: As in a spec; `none`: no memory is looked at.
        start_order: What starts first is ready before the next starts; empty for the order of a
            study.
        env_file: For services that are no units.
        kubernetes: The manifest whose workloads serve; a promotion becomes a patch for a person.
        not_set: Parameters of a promotion that nothing in production has, such as the share of an
            LLM server without one.
        thresholds: What the soak tolerates.
        watch: What the watch may do.
        dead_man_s: Seconds after which a timer rolls an uncommitted change back.
        memory_timeout_s: The longest wait for the memory of stopped servers, s.
        max_age_days: The age at which a promotion must be confirmed anew, days.
        signers: The file of OpenSSH's allowed signers, absolute; one of them must have signed a
            promotion. None: none needs to be signed.
        state: The folder under which versions are kept.
        path: Where the file was read from.
    """

    name: str
    services: Mapping[str, Deployed]
    device: str = "cuda"
    start_order: tuple[str, ...] = ()
    env_file: EnvFile | None = None
    kubernetes: str | None = None
    not_set: tuple[str, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    watch: Watching = field(default_factory=Watching)
    dead_man_s: Annotated[float, Range(1, 604_800)] = 3600.0
    memory_timeout_s: Annotated[float, Range(0.1, 3600)] = 120.0
    max_age_days: Annotated[float, Range(0.01, 3650)] = 30.0
    signers: str | None = None
    state: str = "/etc/gpu-allocation"
    path: Path = Path("deployment.yaml")

    def unmapped(self) -> list[str]:
        """Return the parameters of `not_set` that no service sets either."""
        mapped = {name for service in self.services.values() for name in service.set}
        return [name for name in self.not_set if name not in mapped]

    def engines(self) -> tuple[Engine, ...]:
        """Return the engine of each service, in their order."""
        return in_order(self._kinds())

    def ordered(self) -> Iterator[tuple[str, Deployed]]:
        """Return the services in the order in which they start."""
        names = self.start_order or [e.name for e in engines_of(self._kinds())]
        return ((name, self.services[name]) for name in names)

    @property
    def restart_s(self) -> float:
        """Return the longest that stopping and starting all services may take, s."""
        restarts_s = sum(s.start_timeout_s + s.stop_timeout_s for s in self.services.values())
        return restarts_s + self.memory_timeout_s

    def _kinds(self) -> Services:
        return {
            name: KINDS[name]() if s.api is None else OtherService(api=s.api, command="")
            for name, s in self.services.items()
        }

    @property
    def promotions_folder(self) -> Path:
        """Return where the watch looks for promotions."""
        return self.path.parent / self.watch.promotions

    @property
    def folder(self) -> Path:
        """Return where its versions are kept."""
        return Path(self.state) / self.name
