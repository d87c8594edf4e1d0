"""Which promotion may be applied here: sealed, confirmed, in date, of this device, driver and server versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.devices.device import Device
from objectives.devices.open_device import open_device
from objectives.errors import BadInput
from objectives.measurement import current_names
from study.confirmation.protocol import DEFAULT_PCT
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, assignments
from study.deploy.health.server_versions import compared
from study.promotion.seal import moment, verify
from study.text import one_line


@dataclass(frozen=True, slots=True)
class Admitted:
    """A promotion that may be applied, with what its figures say.

    kv_tokens: of the trial's LLM server; share: of device memory; stt_mib, free_mib: memory of the speech server, and
    the least that was left free; None where it was not measured
    """

    path: Path
    sha256: str
    status: str
    assigned: tuple[Assignment, ...]
    written_at: datetime
    kv_tokens: int | None
    share: float | None
    stt_mib: float | None
    free_mib: float | None
    said: tuple[str, ...]


def refuse_at_once(path: Path) -> dict[str, Any]:
    """A promotion's data, its seal verified; what no machine and no option can ever apply is refused.

    raises: BadInput
    """
    data = verify(path)
    if data.get("status") == "replay" or data.get("measured_elsewhere"):
        raise BadInput(
            f"{path}: it was replayed from measurements of elsewhere, and says nothing about this machine; "
            "measure this one: `python scripts/run_study.py my_gpu.yaml`"
        )
    status = one_line(str(data.get("status")))[:40]
    if status in ("rejected", "inconclusive"):
        raise BadInput(
            f"{path}: its confirmation ended {status}; nothing overrides that; measure it anew"
        )
    return data


def admit(
    path: Path, deployment: Deployment, device: Device | None, *, i_know: bool = False
) -> Admitted:
    """Check a promotion against this machine and its deployment.

    i_know: admits an unconfirmed one, and nothing else
    raises: BadInput with what is wrong and the way out
    """
    data = refuse_at_once(path)
    status = one_line(str(data.get("status")))[:40]
    if status != "confirmed" and not (i_know and status == "candidate"):
        raise BadInput(
            f"{path}: it is not confirmed (status: {status}); run `python scripts/confirm.py {path}`, "
            "or add --i-know to apply a candidate all the same"
        )
    if status == "confirmed":
        _confirmed_here(data, device, path)
    parameters = data.get("parameters")
    if not isinstance(parameters, Mapping):
        raise BadInput(f"{path}: it has no parameters; take the file as the study wrote it")
    assigned = assignments(parameters, deployment)
    at = _date(data, path)
    age = (datetime.now(UTC) - at).total_seconds() / 86400.0
    if age > deployment.max_age_days:
        raise BadInput(
            f"{path}: it is {age:.0f} days old, max_age_days is {deployment.max_age_days:g}; confirm it anew"
        )
    if age < -1.0:
        raise BadInput(
            f"{path}: it was written in the future ({at:%Y-%m-%d}); set this machine's clock, or confirm anew"
        )
    said = [*_device(data, device, path), *compared(_mapping(data, "versions"), deployment, path)]
    figures = current_names(_mapping(_mapping(data, "metrics"), "winner"))
    stt_mib, free_mib = _number(figures, "stt_memory_mib"), _least_free_mib(data)
    said += [*_stack(data, deployment, stt_mib, free_mib), *_margins(data)]
    tokens = _number(figures, "llm_kv_tokens")
    return Admitted(
        path=path,
        sha256=str(data["sha256"]),
        status=status,
        assigned=assigned,
        written_at=at,
        kv_tokens=int(tokens) if tokens else None,
        share=_number(parameters, "vllm_memory_util"),
        stt_mib=stt_mib,
        free_mib=free_mib,
        said=tuple(said),
    )


def _margins(data: Mapping[str, Any]) -> list[str]:
    """By how much its confirmation let metrics be worse, where that is more than usual."""
    c = _mapping(data, "confirmation")
    margins = {"every metric": c.get("margin_pct"), **_mapping(c, "margins_pct")}
    wide = {k: v for k in margins if (v := _number(margins, k)) is not None and v > DEFAULT_PCT}
    if not wide:
        return []
    may = ", ".join(f"{one_line(k)} may be {v:g} % worse" for k, v in wide.items())
    return [f"it was confirmed although {may}"]


def opened(deployment: Deployment) -> Device | None:
    """The device of the deployment; None where it says `none`."""
    return None if deployment.device == "none" else open_device(deployment.device)


def _device(data: Mapping[str, Any], device: Device | None, path: Path) -> list[str]:
    measured = _mapping(data, "device")
    if device is None:
        return ["device and driver were not compared: the deployment says `device: none`"]
    here = device.identity
    for what, then, now in (
        ("device", measured.get("uuid"), here.uuid),
        ("driver", measured.get("driver"), here.driver),
    ):
        if then != now:
            raise BadInput(
                f"{path}: measured on {what} {one_line(str(then))[:60]}, here is {now}; measure it here"
            )
    return []


def _confirmed_here(data: Mapping[str, Any], device: Device | None, path: Path) -> None:
    """raises: BadInput where the confirmation itself says otherwise, or was of another card or driver"""
    told = _mapping(data, "confirmation")
    if told.get("verdict") != "confirmed":
        raise BadInput(
            f"{path}: its status is confirmed and its confirmation is not; run scripts/confirm.py again"
        )
    if device is None:
        return
    for what, key, now in (
        ("device", "cards", device.identity.uuid),
        ("driver", "drivers", device.identity.driver),
    ):
        then = told.get(key)
        if isinstance(then, list) and then and now not in then:
            shown = one_line(", ".join(map(str, then)))[:80]
            raise BadInput(f"{path}: confirmed on {what} {shown}, here is {now}; confirm it here")


def _stack(
    data: Mapping[str, Any], deployment: Deployment, stt_mib: float | None, free_mib: float | None
) -> list[str]:
    """The unit's own speech stack beside the measured one.

    raises: BadInput where the unit needs more memory than the winner leaves
    """
    own, said = deployment.services.stt.stack, []
    words = str(_mapping(data, "commands").get("stt", "")).split()
    measured = {
        "library": next(
            (p for p in _mapping(_mapping(data, "versions"), "stt") if p == "faster-whisper"), None
        ),
        "compute_type": _after(words, "--compute-type"),
        "beam_size": _after(words, "--beam-size"),
    }
    for key, then in measured.items():
        now = getattr(own, key)
        if now is None or then is None:
            said.append(
                f"the speech stack's {key} was not compared: {'unit' if now is None else 'trial'} does not tell it"
            )
        elif str(now) != str(then):
            said.append(
                f"the speech stack differs: {key} is {now} in production, {one_line(str(then))[:40]} was measured"
            )
    if own.peak_mib is None or stt_mib is None or free_mib is None:
        return [*said, "the speech unit's peak memory was not compared with what the winner leaves"]
    if own.peak_mib > stt_mib + free_mib:
        raise BadInput(
            f"services.stt.stack.peak_mib: the unit needs {own.peak_mib:,.0f} MiB, the winner leaves "
            f"{stt_mib + free_mib:,.0f}; measure with `services.stt.extra_mib` set to the difference"
        )
    return said


def _least_free_mib(data: Mapping[str, Any]) -> float | None:
    """The least free memory in the study's window and in the stress of the confirmation; None where not measured."""
    stress = _number(_mapping(_mapping(data, "confirmation"), "stress"), "least_free_memory_mib")
    window = _number(_mapping(_mapping(data, "metrics"), "winner"), "free_memory_mib")
    return min((v for v in (stress, window) if v is not None), default=None)


def _after(words: list[str], flag: str) -> str | None:
    return words[words.index(flag) + 1] if flag in words[:-1] else None


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value: Any = data.get(key)
    return float(value) if type(value) in (int, float) and abs(value) < 1e15 else None  # nor NaN


def _date(data: Mapping[str, Any], path: Path) -> datetime:
    """When it was last measured for its confirmation, else written."""
    confirmed = _mapping(data, "confirmation")
    told = confirmed.get("last_pair_at") or confirmed.get("written_at") or data.get("written_at")
    if (at := moment(told)) is None:
        raise BadInput(
            f"{path}: it does not say when it was written; take the file as the study wrote it"
        )
    return at
