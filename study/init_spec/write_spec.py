"""The spec and the deployment file are checked by their readers before they get their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from objectives.allocation import DEFAULT_BOUNDS, SHARE, SPEECH
from objectives.errors import BadInput
from objectives.plain_data.atomic import drafted
from objectives.traffic.workload import Workload
from study.deploy.config.load import load_deployment
from study.init_spec.gpu_processes import Others
from study.init_spec.llm_unit import SHARE_FLAG, Llm
from study.init_spec.running_units import http_status
from study.init_spec.speech_unit import Speech
from study.spec.load import load as load_spec

STEP = 0.05


def shares(baseline: float) -> list[float]:
    """Return today's share and two steps to each side, as far as the bounds allow.

    >>> shares(0.5), shares(0.9)
    ([0.4, 0.45, 0.5, 0.55, 0.6], [0.6, 0.65, 0.7, 0.9])
    """
    low, high = DEFAULT_BOUNDS[SHARE]
    centre = min(max(baseline, low), high)
    around = {round(centre + n * STEP, 4) for n in (-2, -1, 0, 1, 2)}
    return sorted({baseline, *(s for s in around if low <= s <= high)})


def spec_of(name: str, device: str, llm: Llm, stt: Speech, others: Others | None) -> dict[str, Any]:
    """Return the study's spec, as YAML's own types."""
    low, high = DEFAULT_BOUNDS[SHARE]
    searched = shares(llm.share)
    speech: dict[str, Any] = {
        "models": dict(stt.models),
        "device": "cpu" if device == "cpu" else stt.device or "cuda",
    }
    speech |= {
        k: v
        for k, v in (("compute_type", stt.compute_type), ("beam_size", stt.beam_size))
        if v is not None
    }
    if stt.python:
        speech["python"] = stt.python
    return {
        "name": name,
        "measure": "live",
        "device": device,
        "search_space": {SHARE: searched, SPEECH: list(stt.models)},
        "monotone": [SHARE, SPEECH],
        "baseline": {SHARE: llm.share, SPEECH: stt.size},
        "bounds": {SHARE: [min(low, *searched), max(high, *searched)]},
        "services": {
            "llm": {
                "python": llm.python,
                "model": llm.model,
                "args": list(llm.args),
                "env": dict(llm.env),
            },
            "stt": speech,
        },
        "workload": {"window_s": 120, "turns_per_s": Workload().turns_per_s},
        "reserve_mib": others.reserve_mib if others else None,
    }


def deployment_of(
    name: str, device: str, llm: Llm, stt: Speech, peak_mib: float | None
) -> dict[str, Any]:
    """Return the deployment, as YAML's own types.

    What a unit does not offer is `none` there, and the gate says that it did not run.

    Args:
        peak_mib: Memory that the speech unit holds, MiB; None: not known.
    """
    low, high = DEFAULT_BOUNDS[SHARE]
    at = f"http://127.0.0.1:{llm.port}"
    size: dict[str, Any] = {"flag": stt.flag} if stt.flag else {"variable": stt.variable}
    speech: dict[str, Any] = {
        "unit": stt.running.unit,
        "set": {SPEECH: {**size, "choices": dict(stt.choices)}},
    }
    for port in stt.running.ports:
        if http_status(port, "GET", "/health") == 200:
            speech["health_url"] = f"http://127.0.0.1:{port}/health"
        if (
            http_status(port, "GET", "/v1/audio/transcriptions") == 405
        ):  # there, and it wants a POST
            url = f"http://127.0.0.1:{port}/v1/audio/transcriptions"
            speech["probe"] = {"kind": "transcription", "url": url}
    speech.setdefault("probe", {"kind": "none"})
    stack = {
        "library": "faster-whisper",
        "compute_type": stt.compute_type,
        "beam_size": stt.beam_size,
    }
    speech["stack"] = {k: v for k, v in {**stack, "peak_mib": peak_mib}.items() if v is not None}
    return {
        "name": name,
        "device": device,
        "services": {
            "llm": {
                "unit": llm.running.unit,
                "set": {SHARE: {"flag": SHARE_FLAG, "low": low, "high": high}},
                "python": llm.python,
                "health_url": f"{at}/health",
                "metrics_url": f"{at}/metrics",
                "probe": {
                    "kind": "completion",
                    "url": f"{at}/v1/completions",
                    "model": llm.served_model,
                },
                "restart_always": llm.running.restart != "always",
            },
            "stt": speech,
        },
        "start_order": ["stt", "llm"],
    }


def write_checked(path: Path, head: Sequence[str], data: dict[str, Any]) -> None:
    """Write a file whole, after the study or the rollout has read its draft.

    Raises:
        BadInput: It exists already, or would be refused, with the reason.
    """
    if path.exists():
        raise BadInput(f"{path} exists; move it away, or name others with --out and --deployment")
    comments = [" ".join(line.split()) for line in head]
    text = "".join(f"# {line}\n" for line in comments) + yaml.safe_dump(
        data, sort_keys=False, width=110
    )
    load = load_deployment if "dead_man_s" in data or "start_order" in data else load_spec
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with drafted(path) as draft:
            draft.write_text(text, "utf-8")
            draft.chmod(0o600 if load is load_spec else 0o644)  # units' commands may hold keys
            load(draft)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); name another file") from error
