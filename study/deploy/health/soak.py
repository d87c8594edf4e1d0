"""A soak watches services for some windows after a change, and judges them against a baseline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from objectives import waiting
from objectives.apis.short_requests import page
from objectives.load.figures_of_replies import nearest_rank
from study.deploy.config.deployment import Deployment, Thresholds
from study.deploy.errors import StepFailed
from study.deploy.health.gates import out_of_memory
from study.deploy.health.probe import ProbeResult, RequestCounters, read_counters, send_probe
from study.deploy.targets.target import Life, Target

SOAK_LOOK_S = 1.0
UNHEALTHY_LOOKS = 3


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """These figures describe one service over some windows; None: not measured.

    Args:
        probes: How many probes we sent.
        failed: How many of them failed.
        p95_ms: 95th percentile of the probes that were answered, ms.
        requests: How many requests of its own traffic it answered, where it tells.
        traffic_p95_ms: Their 95th percentile, ms.
    """

    probes: int = 0
    failed: int = 0
    p95_ms: float | None = None
    requests: int = 0
    traffic_p95_ms: float | None = None

    def __str__(self) -> str:
        p95 = "not measured" if self.p95_ms is None else f"{self.p95_ms:,.0f} ms"
        text = f"{self.probes} probes, {self.failed} failed, p95 {p95}"
        if self.requests and self.traffic_p95_ms is not None:
            text += f"; own traffic {self.requests} requests, p95 {self.traffic_p95_ms:,.0f} ms"
        return text


Observed = Mapping[str, WindowFigures]


def judge_window(
    now: Observed, before: Observed, limits: Thresholds
) -> tuple[list[str], list[str]]:
    """Return the complaints of one window, and what it could not tell.

    Like is compared with like: probes with probes, a service's own traffic with its own traffic.
    Too little of either tells nothing, and is no failure.
    """
    complaints, unknown = [], []
    for name in now:
        new, old = now[name], before[name]
        if new.probes and old.probes:
            points = 100.0 * (new.failed / new.probes - old.failed / old.probes)
            if points > limits.failure_rate_points:
                complaints.append(f"{name}: {new.failed} of {new.probes} probes failed")
        if new.p95_ms is None or old.p95_ms is None:
            if not new.failed:
                unknown.append(f"{name}: no probes")
        elif new.p95_ms > (limit := limits.p95_ratio * old.p95_ms + limits.p95_slack_ms):
            complaints.append(f"{name}: p95 {new.p95_ms:,.0f} ms, at most {limit:,.0f} is allowed")
        enough = min(new.requests, old.requests) >= limits.min_requests
        if enough and new.traffic_p95_ms is not None and old.traffic_p95_ms is not None:
            limit = limits.p95_ratio * old.traffic_p95_ms + limits.p95_slack_ms
            if new.traffic_p95_ms > limit:
                complaints.append(
                    f"{name}: p95 of its own traffic {new.traffic_p95_ms:,.0f} ms, "
                    f"at most {limit:,.0f} is allowed"
                )
        else:
            unknown.append(f"{name}: too little traffic of its own")
    return complaints, unknown


def observe_window(
    deployment: Deployment, window_s: float, probes: int, look: Callable[[], None] = lambda: None
) -> Observed:
    """Observe one window: probes spread evenly over it, and what the services' counters added.

    Args:
        window_s: Its length, s.
        look: Is called about every second; may raise to end the window.
    """
    services = deployment.services
    before = {name: read_counters(s) for name, s in services.items()}
    answers: dict[str, list[ProbeResult]] = {name: [] for name in services}
    began = looked = time.monotonic()
    for n in range(probes):
        for name, service in services.items():
            answer = send_probe(service.probe)
            if answer is not None:
                answers[name].append(answer)
        due = began + window_s * (n + 1) / probes
        while True:
            if time.monotonic() - looked >= SOAK_LOOK_S or n == 0:
                look()
                looked = time.monotonic()
            if (left := due - time.monotonic()) <= 0:
                break
            waiting.sleep(min(left, SOAK_LOOK_S))
    look()
    return {
        name: _figures(answers[name], before[name], read_counters(s))
        for name, s in services.items()
    }


def _figures(
    answers: Sequence[ProbeResult], before: RequestCounters | None, after: RequestCounters | None
) -> WindowFigures:
    good = [a.latency_ms for a in answers if a.latency_ms is not None]
    added = after.since(before) if before is not None and after is not None else None
    return WindowFigures(
        probes=len(answers),
        failed=len(answers) - len(good),
        p95_ms=nearest_rank(good, 0.95),
        requests=added.requests if added else 0,
        traffic_p95_ms=added.p95_ms if added else None,
    )


def baseline(deployment: Deployment) -> Observed:
    """Measure a fresh baseline: as many probes as all its windows hold, over their whole time."""
    limits = deployment.thresholds
    n = limits.baseline_windows
    return observe_window(deployment, n * limits.window_s, n * limits.min_requests)


class SoakGuard:
    """A guard ends a soak at once: after a restart, for lack of memory, or a silent health page.

    Args:
        target: Where the services run.
        deployment: What they run with, and what the soak tolerates.
    """

    def __init__(self, target: Target, deployment: Deployment) -> None:
        self.target, self.deployment = target, deployment
        self.since_s = time.time()
        self.lives: dict[str, Life] = {name: target.life(name) for name in deployment.services}
        self.silent: dict[str, int] = dict.fromkeys(deployment.services, 0)

    def look(self) -> None:
        """Look once at all services.

        Raises:
            StepFailed: One has restarted, died, run out of memory or fallen silent.
        """
        for name, service in self.deployment.services.items():
            now = self.target.life(name)
            if memory := out_of_memory(self.target, name, self.since_s):
                raise StepFailed(f"{service.unit or name}: {memory}")
            if now != self.lives[name]:
                how = "restarted" if now.active else f"died ({now.result})"
                raise StepFailed(f"{service.unit or name} {how} in the soak")
            is_silent = service.health_url is not None and page(service.health_url) is None
            self.silent[name] = self.silent[name] + 1 if is_silent else 0
            if self.silent[name] >= UNHEALTHY_LOOKS:
                raise StepFailed(
                    f"{service.health_url} did not say 200 {UNHEALTHY_LOOKS} times in a row"
                )


def soak(
    deployment: Deployment, guard: SoakGuard, before: Observed, say: Callable[[str], None]
) -> Observed:
    """Watch the windows of the deployment, and return the last one's figures.

    Raises:
        StepFailed: Something critical happened, or more windows failed than may.
    """
    limits, failed = deployment.thresholds, 0
    last: Observed = {}
    for n in range(1, limits.windows + 1):
        last = observe_window(deployment, limits.window_s, limits.min_requests, guard.look)
        complaints, unknown = judge_window(last, before, limits)
        failed += bool(complaints)
        verdict = f"failed ({'; '.join(complaints)})" if complaints else "good"
        say(
            f"soak window {n} of {limits.windows}: {verdict}; "
            + "; ".join(f"{k}: {v}" for k, v in last.items())
        )
        if unknown and not complaints and n == limits.windows:
            say(f"  not told by this soak: {'; '.join(unknown)}")
        if failed > limits.max_failed_windows:
            raise StepFailed(
                f"{failed} soak windows failed, {limits.max_failed_windows} may: "
                + "; ".join(complaints)
            )
    return last
