"""This module names the workloads that a confirmation also measures under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives.engines.engine import kv_cache_args
from objectives.errors import BadInput
from objectives.traffic.clips import Clip
from study.rule.rule import Claim
from study.spec.model import HeldOut, Spec
from study.spec.traffic import WindowTraffic, held_out_traffic, longest_request
from study.text import one_line

DEFAULT_HELD_OUT = (HeldOut("voice_assistant"),)
HELD_OUT_PRESETS = (*DEFAULT_HELD_OUT, HeldOut("multi_user"), HeldOut("long_context"))


def held_out_by_name(names: Sequence[str], of_spec: Sequence[HeldOut]) -> Sequence[HeldOut]:
    """Return the workloads of these names, each once; without names the spec's, or the default.

    Raises:
        BadInput: A name is neither a preset nor in the spec.

    >>> [h.name for h in held_out_by_name(["multi_user"], ())], held_out_by_name((), ())[0].name
    (['multi_user'], 'voice_assistant')
    """
    by_name = {h.name: h for h in (*HELD_OUT_PRESETS, *of_spec)}
    if unknown := [n for n in names if n not in by_name]:
        what = f"--workloads: there is no workload {unknown[0]!r}; choose {', '.join(by_name)}"
        raise BadInput(one_line(what))
    return [by_name[n] for n in dict.fromkeys(names)] or of_spec or DEFAULT_HELD_OUT


def held_out_traffics(
    names: Sequence[str], spec: Spec, claim: Claim, clips: Sequence[Clip]
) -> list[WindowTraffic]:
    """Return the traffic of these workloads, with a ramp where the claim needs one.

    Raises:
        BadInput: A name is not known, or a captured trace cannot be read.
    """
    longest = longest_request(kv_cache_args(spec.services))
    # a claim of latency needs no ramp of theirs, which is a third of their time and more
    ramp_s = spec.workload.ramp_s if Claim.CAPACITY in claim.parts else 0.0
    named = held_out_by_name(names, spec.workloads)
    traffics = [held_out_traffic(h, spec.workload, clips, longest) for h in named]
    return [replace(t, workload=replace(t.workload, ramp_s=ramp_s)) for t in traffics]
