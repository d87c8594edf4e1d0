"""Gates must hold of the running services before a change is committed or called rolled back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from objectives import waiting
from objectives.apis.short_requests import PAGE_S, page
from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.diagnosis import consequence_of
from objectives.diagnosis.symptoms import SYMPTOMS
from study.deploy.config.deployed import Deployed
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, is_same
from study.deploy.errors import StepFailed
from study.deploy.health.probe import kv_tokens, send_probe
from study.deploy.targets.target import Target

KV_TOLERANCE = 0.02
READY_POLL_S = 0.2
STABLE_LOOKS = 2
ELSEWHERE = {names.elsewhere for names in SYMPTOMS.values()}  # it runs on the CPU instead


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate has a verdict; where it did not run, the detail says why.

    Args:
        name: The name of the gate.
        verdict: Whether it held, or did not run.
        detail: Why, in words.
    """

    name: str
    verdict: Literal["pass", "fail", "not run"]
    detail: str

    def __str__(self) -> str:
        return f"{self.verdict:<7}  {self.name}: {self.detail}"


def wait_until_ready(target: Target, deployment: Deployment, name: str) -> None:
    """Wait until a service is active, healthy and answers its probe.

    Raises:
        StepFailed: It dies, or its time is over.
    """
    service = deployment.services[name]
    until, problem = time.monotonic() + service.start_timeout_s, "it was not active"
    first = target.life(name).restarts
    good = 0
    while good < STABLE_LOOKS:
        life = target.life(name)
        if life.restarts > first or life.result not in ("", "success"):
            result = f"result {life.result}, {life.restarts - first} restarts"
            why = out_of_memory(target, name) or result
            raise StepFailed(f"{service.unit or name} died while it started: {why}")
        if not life.active:
            good = 0
        elif service.health_url and page(service.health_url) is None:
            good, problem = 0, f"{service.health_url} does not say 200"
        elif (answer := send_probe(service.probe)) is not None and answer.error:
            good, problem = 0, f"its {service.probe.kind} failed: {answer.error}"
        else:
            good += 1
        if good < STABLE_LOOKS and time.monotonic() > until:
            raise StepFailed(
                f"{service.unit or name} was not ready within {service.start_timeout_s:g} s: "
                f"{problem}"
            )
        waiting.sleep(READY_POLL_S)


def try_gates(
    target: Target,
    deployment: Deployment,
    assignments: Sequence[Assignment],
    kv_expected: Mapping[str, int] | None = None,
) -> list[GateResult]:
    """Try every gate of all services on what runs now.

    Args:
        assignments: Values that the processes must carry.
        kv_expected: Tokens in the KV cache of each of the trial's servers that told them.
    """
    results = []
    for a in assignments:
        values = target.running(a)
        title = f"{a.service} runs with {a}"
        if values is None:
            results.append(GateResult(title, "not run", "the running processes cannot be seen"))
        elif all(is_same(v, a.text) for v in values):
            results.append(GateResult(title, "pass", "so say its processes"))
        else:
            texts = ", ".join(sorted({"(not set)" if v is None else v for v in values}))
            results.append(GateResult(title, "fail", f"its processes say {texts}"))
    for name, service in deployment.services.items():
        results += _alive(target, name, service)
    for engine in deployment.engines():
        service = deployment.services[engine.name]
        if engine.has_kv_cache and (service.api is None or service.metrics_url is not None):
            title = "KV tokens" if service.api is None else f"KV tokens of {engine.name}"
            expected = (kv_expected or {}).get(engine.name)
            results.append(_kv_cache(title, expected, kv_tokens(service)))
    return results


def _kv_cache(title: str, expected: int | None, tokens: int | None) -> GateResult:
    if not expected or tokens is None:
        whose = "the trial" if not expected else "the running server"
        return GateResult(title, "not run", f"{whose} does not tell them")
    off = abs(tokens - expected) / expected
    detail = f"{tokens:,}, the trial's {expected:,} ({100 * off:.1f} % off)"
    return GateResult(title, "pass" if off <= KV_TOLERANCE else "fail", detail)


def _alive(target: Target, name: str, service: Deployed) -> list[GateResult]:
    results = []
    if not target.life(name).active:
        results.append(GateResult(f"{name} is active", "fail", f"{service.unit} is not"))
    if service.health_url is None:
        results.append(GateResult(f"{name} health", "not run", "it has no health page"))
    elif page(service.health_url, within_s=max(PAGE_S, service.start_timeout_s)) is None:
        results.append(  # one that sleeps has to start first
            GateResult(f"{name} health", "fail", f"{service.health_url} does not say 200")
        )
    else:
        results.append(GateResult(f"{name} health", "pass", service.health_url))
    answer = send_probe(service.probe)
    if answer is None:
        results.append(GateResult(f"{name} probe", "not run", "its probe is `none`"))
    elif answer.error:
        results.append(GateResult(f"{name} probe", "fail", answer.error))
    else:
        detail = f"a real {service.probe.kind} in {answer.latency_ms:.0f} ms"
        results.append(GateResult(f"{name} probe", "pass", detail))
    return results


def failed_gates(results: Sequence[GateResult]) -> str:
    """Return what failed, in one line; empty where all held."""
    return "; ".join(f"{g.name}: {g.detail}" for g in results if g.verdict == "fail")


def check_gates(results: Sequence[GateResult]) -> None:
    """Check that every gate held that ran.

    Raises:
        StepFailed: One did not; the message has all that failed.
    """
    if problems := failed_gates(results):
        raise StepFailed(problems)


def out_of_memory(target: Target, name: str, since_s: float | None = None) -> str | None:
    """Return the log line that says that memory ran out, or that a service fell back to the CPU.

    Args:
        since_s: Unix time in s from which on the log is read; None: all of it.
    """
    diagnosis = diagnose(target.log(name, since_s), service=name)
    if diagnosis is None:
        return None
    failure = diagnosis.failure_class
    is_fatal = consequence_of(failure).breaks is not None or failure in ELSEWHERE
    return f"{failure}: {diagnosis.evidence}" if is_fatal else None
