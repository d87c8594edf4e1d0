"""This module makes the rule of a confirmation of what its spec asks; pure."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.engines.registry import apis_of
from objectives.errors import BadInput
from objectives.figures import figures_of, judged
from study.rule.rule import Claim, Rule
from study.spec.model import Spec


def claim_of(claim: Claim, ramp_s: float) -> Claim:
    """Return what can be claimed: without a ramp, latency alone.

    Raises:
        BadInput: Capacity is asked for, and nothing measures it.
    """
    if ramp_s > 0:
        return claim
    if claim is Claim.CAPACITY:
        raise BadInput("capacity is measured by a ramp, and ramp_s is 0; claim latency")
    return Claim.LATENCY


def rule_of(spec: Spec, claim: Claim, held_out: Sequence[str], *, is_alone: bool = False) -> Rule:
    """Return the rule by a spec, for this claim and held-out workloads of these names.

    Args:
        spec: What the study asks.
        claim: What must be better.
        held_out: The names of the held-out workloads.
        is_alone: Whether nothing that works is in use, so that nothing can be compared.
    """
    apis = apis_of(spec.services)
    weights = spec.fitness.effective_weights
    watched = {name: f.direction for name, f in judged(figures_of(apis)).items()}
    return Rule(
        claim=claim,
        is_alone=is_alone,
        weights={service: weights.get(service, 0.0) for service in apis},
        limits=spec.limits,
        watched={} if is_alone else watched,
        held_out=tuple(held_out),
        free_memory_mib=spec.gates.free_memory_mib if spec.measure == "live" else None,
    )
