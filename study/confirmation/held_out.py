"""This module has the traffic of a confirmation: held-out workloads, and what must not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request, Workload, as_compared
from study.rule.rule import Claim
from study.spec.model import HeldOut, Spec
from study.spec.services.lengths import longest_taken
from study.spec.traces.held_out import held_out_traffic
from study.spec.traffic import WindowTraffic
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
    space = spec.search_space
    longest = longest_taken(spec.services, space.parameters, spec.baseline.values)
    # a claim of latency needs no ramp of theirs, which is a third of their time and more
    ramp_s = spec.workload.ramp_s if Claim.CAPACITY in claim.parts else 0.0
    named = held_out_by_name(names, spec.workloads)
    traffics = [held_out_traffic(h, spec.workload, clips, longest) for h in named]
    return [replace(t, workload=replace(t.workload, ramp_s=ramp_s)) for t in traffics]


def refuse_another_trace(path: Path, data: Mapping[str, Any], replayed: Workload) -> None:
    """Refuse a trace that has changed since the study replayed it.

    Args:
        path: The promotion.
        data: What it holds.
        replayed: The workload of the spec now.
    """
    workload = data.get("workload")
    then = workload.get("trace_sha256") if isinstance(workload, dict) else None
    now = replayed.trace
    if then is not None and (now is None or now.sha256 != then):
        named = "no trace" if now is None else now.options.file
        raise BadInput(
            one_line(
                f"{path}: its study replayed another trace than {named}, or another slice of it; "
                "bring the file back as it was, or measure anew with run_study.py --fresh"
            )
        )


def plain_traffic(of: Workload | Request) -> dict[str, Any]:
    """Return what is sent as plain data; a trace and a prefix that it has none of are left out.

    So the digests are those of confirmations that were begun before there were any.
    """
    stored = as_compared(of) if isinstance(of, Workload) else of
    return {k: v for k, v in asdict(stored).items() if k not in ("trace", "prefix", "beside") or v}
