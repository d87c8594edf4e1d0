"""This module says how a device is divided now, and whether the KV cache was ever pressed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from objectives.devices.device import Identity, Occupant
from study.init_spec.servers.llm_unit import Llm
from study.init_spec.servers.speech_unit import SpeechUnit
from study.quick.pressure import Pressure

LISTED = 5  # others that are named


def division(
    identity: Identity,
    free_mib: float,
    occupants: Sequence[Occupant],
    services: Mapping[str, Collection[int]],
) -> list[str]:
    """Say who holds the memory, service by service, then the others, then what is left.

    Args:
        identity: The device.
        free_mib: Its free memory, MiB.
        occupants: Who holds its memory.
        services: The processes of each service, by its name for people.
    """
    total = identity.total_mib
    lines = [f"{identity.product}: {total:,.0f} MiB"]
    if any(o.mib is None for o in occupants):
        lines.append(
            f"  {_part(total - free_mib, total)} in use; this driver does not tell whose (as under "
            f"WSL2): {len(occupants)} processes"
        )
    else:
        known = {pid for pids in services.values() for pid in pids}
        for name, pids in services.items():
            held_mib = sum(o.mib or 0.0 for o in occupants if o.pid in pids)
            lines.append(f"  {_part(held_mib, total)} {name}")
        others = sorted((o for o in occupants if o.pid not in known), key=lambda o: -(o.mib or 0))
        for o in others[:LISTED]:
            what = o.unit or o.command[:60]
            lines.append(f"  {_part(o.mib or 0.0, total)} other: {what} (process {o.pid})")
        if rest := others[LISTED:]:
            lines.append(f"  {_part(sum(o.mib or 0.0 for o in rest), total)} {len(rest)} others")
    return [*lines, f"  {_part(free_mib, total)} left"]


def _part(mib: float, total_mib: float) -> str:
    return f"{mib:>9,.0f} MiB {100 * mib / total_mib:>3.0f} %"


def of_llm(llm: Llm) -> str:
    """Say what the LLM server runs, and with which share."""
    share = "" if llm.share is None else f", allowed {100 * llm.share:.3g} %"
    return f"LLM: {llm.running.label}, {llm.engine} with {llm.model}{share}"


def of_speech(speech: SpeechUnit) -> str:
    """Say what recognizes speech."""
    return f"speech: {speech.running.label}, {speech.size}, on {speech.device or 'a device untold'}"


def of_cache(port: int, looked: Pressure | None) -> str:
    """Say whether the KV cache was ever pressed, as far as vLLM tells."""
    if looked is None:
        return f"KV cache: not known, http://127.0.0.1:{port}/metrics does not answer"
    size = "" if looked.tokens is None else f" of {looked.tokens:,} tokens"
    seen = f"{looked.looks} looks in {looked.seconds:.0f} s"
    full = "how full it is, is not told"
    if looked.highest_pct is not None:
        full = f"at most {looked.highest_pct:.0f} % full in {seen}"
    if looked.waiting:
        full += f", up to {looked.waiting} requests waiting"
    match looked.preemptions:
        case None:
            verdict = "whether it was ever pressed is not told"
        case 0:
            verdict = "never pressed since it started (no request was put back for want of room)"
        case count:
            verdict = f"pressed: {count:,} times a request was put back for want of room"
    return f"KV cache{size}: {verdict}; {full}"
