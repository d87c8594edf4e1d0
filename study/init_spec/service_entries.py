"""A deployment has an entry of each service: what sets its parameters, its pages and its stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectives.allocation import DEFAULT_BOUNDS, SHARE, SPEECH, Scalar
from objectives.apis.paths import PATHS
from objectives.engines.registry import SpeechEngine
from objectives.services import ApiName
from study.init_spec.forms.running import Running
from study.init_spec.running_units import http_status
from study.init_spec.servers.beside_unit import Beside
from study.init_spec.servers.flags import split_flags
from study.init_spec.servers.llm_unit import Llm
from study.init_spec.servers.speech_unit import SpeechUnit


def binding(
    unit: Running, setting: str, parameter: str, value: Scalar, notes: list[str]
) -> dict[str, Any]:
    """Return which flag or variable sets a parameter in production.

    Args:
        setting: The flag, or the variable, that the server itself reads.
        parameter: The study's parameter.
        value: Today's value.
        notes: Gets what must be done by hand first, in a sentence.
    """
    is_flag = setting.startswith("-")
    flag = {"flag": setting} if is_flag else {}
    variable = unit.variables.get(setting.replace("_", "-") if is_flag else setting)
    if variable is not None and unit.container is not None and variable in unit.env:
        # a shell in the container reads it: what sets it is said outside
        return binding(unit, variable, parameter, value, notes) | flag
    if variable is not None:
        return {"variable": variable, **flag}
    if unit.container is not None and unit.container.manifest is not None:
        return flag or {"variable": setting}  # a patch changes either in its place
    is_compose = unit.container is not None and unit.container.compose is not None
    if not is_flag and not is_compose:
        return {"variable": setting}
    if unit.script is None and not is_compose:
        if (hidden := unit.hidden.get(setting.replace("_", "-"))) is not None:
            notes.append(
                f"{unit.label} has {setting} in ${hidden}: move it from there into ExecStart= "
                "itself before a rollout, which `promote.py plan` refuses until then"
            )
        return flag
    variable = parameter.upper().replace(".", "_") if is_flag else setting
    where = unit.script or str(
        unit.container.compose.file if unit.container and unit.container.compose else ""
    )
    before = f"{setting} " if is_flag else f"{setting}="
    notes.append(
        f"{where} sets {before}{value} itself: write {before}${{{variable}:-{value}}} there before "
        f"a rollout, which sets {variable}"
    )
    return {"variable": variable, **flag}


def entry_of_llm(llm: Llm, notes: list[str]) -> dict[str, Any]:
    """Return the entry of the LLM that answers turns.

    Args:
        llm: The LLM as it runs today.
        notes: Gets what must be done by hand first, in a sentence.
    """
    low, high = DEFAULT_BOUNDS[SHARE]
    at = f"http://127.0.0.1:{llm.port}"
    today: Mapping[str, Scalar] = {
        **({} if llm.share is None else {SHARE: llm.share}),
        **llm.options,
    }
    settings: dict[str, Any] = {}
    for parameter, value in today.items():
        bounds = (low, high) if parameter == SHARE else _bounds(value)
        own = binding(llm.running, llm.flags[parameter], parameter, value, notes)
        settings[parameter] = {**own, "low": bounds[0], "high": bounds[1]}
        if isinstance(value, int):
            settings[parameter]["whole"] = True
    entry: dict[str, Any] = {"set": settings}
    if llm.python and llm.is_usual:
        entry["python"] = llm.python
    entry["health_url"] = at + llm.health_path
    if llm.has_metrics:
        entry["metrics_url"] = f"{at}/metrics"
    entry["probe"] = {
        "kind": "completion",
        "url": f"{at}/v1/completions",
        "model": llm.served_model,
    }
    return {**entry, **_restart(llm)}


def _restart(llm: Llm | None) -> dict[str, Any]:
    """Return that a unit must be restarted always, where its engine may end as if all were well."""
    if llm is None or not llm.is_usual:
        return {}
    running = llm.running
    is_unit = running.is_unit and not (running.container and running.container.compose)
    return {"restart_always": running.restart != "always"} if is_unit else {}


def _bounds(value: Scalar) -> tuple[float, float]:
    number = float(value) if isinstance(value, int | float) else 1.0
    return (1, 1_000_000) if isinstance(value, int) else (0.01, max(0.99, number))


def entry_of_speech(stt: SpeechUnit, peak_mib: float | None, notes: list[str]) -> dict[str, Any]:
    """Return the entry of the speech server that hears turns.

    Args:
        stt: The server as it runs today.
        peak_mib: Memory that it holds, MiB; None: not known.
        notes: Gets what must be done by hand first, in a sentence.
    """
    settings: dict[str, Any] = {}
    if setting := stt.flag or stt.variable:
        own = binding(stt.running, setting, SPEECH, stt.choices.get(stt.size, stt.size), notes)
        settings[SPEECH] = {**own, "choices": dict(stt.choices)}
    traits: dict[str, Any] = {
        "library": None if stt.command or stt.llm else SpeechEngine.title,
        "compute_type": stt.compute_type,
        "beam_size": stt.beam_size,
        "peak_mib": peak_mib,
    }
    stack = {"stack": {k: v for k, v in traits.items() if v is not None}}
    if (llm := stt.llm) is None:
        return {"set": settings, **_seen_pages(stt.running, notes), **stack}
    settings |= _settings(llm.running, llm.options, llm.flags, notes)
    python = {"python": llm.python} if llm.python else {}
    return {"set": settings, **python, **_pages(llm, "transcription"), **_restart(llm), **stack}


def _seen_pages(unit: Running, notes: list[str]) -> dict[str, Any]:
    """Return the health page and the probe of a speech server that answers now.

    What no port answers for here is left to a person: whether it is OpenAI's API is not seen.
    """
    entry: dict[str, Any] = {}
    path = PATHS["transcription"]
    for port in unit.ports if unit.sleep is None or unit.pids else ():  # else it would wake
        if http_status(port, "GET", "/health") == 200:
            entry["health_url"] = f"http://127.0.0.1:{port}/health"
        if http_status(port, "GET", path) == 405:  # there, and it wants a POST
            entry["probe"] = {"kind": "transcription", "url": f"http://127.0.0.1:{port}{path}"}
    flags, _ = split_flags(unit.argv)
    named = [v for name, values in flags if name == "--port" for v in values if v.isdecimal()]
    if "probe" not in entry and (ports := [*map(str, unit.ports), *named]):
        notes.append(
            f"{unit.label} answers no POST {path} now, so that its probe is `none`: where it does, "
            f"write `probe: {{kind: transcription, url: http://127.0.0.1:{ports[0]}{path}, "
            "model: MODEL}` into the deployment, with a model that it has"
        )
    return {**entry, "probe": entry.get("probe", {"kind": "none"})}


def _pages(server: Llm | Beside, api: ApiName) -> dict[str, Any]:
    """Return the health page and the probe of a server, as its command tells them."""
    at = f"http://127.0.0.1:{server.port}"
    return {
        "health_url": at + server.health_path,
        "probe": {
            "kind": "completion" if api == "completions" else api,
            "url": at + PATHS[api],
            "model": server.served_model,
        },
    }


def _settings(
    unit: Running, options: Mapping[str, Scalar], flags: Mapping[str, str], notes: list[str]
) -> dict[str, Any]:
    """Return which flag or variable sets each number in production."""
    settings: dict[str, Any] = {}
    for parameter, value in options.items():
        own = binding(unit, flags[parameter], parameter, value, notes)
        low, high = _bounds(value)
        settings[parameter] = {**own, "low": low, "high": high, "whole": isinstance(value, int)}
    return settings


def entry_beside(beside: Beside, notes: list[str]) -> dict[str, Any]:
    """Return the entry of a server beside the turn.

    Args:
        beside: The server as it runs today.
        notes: Gets what must be done by hand first, in a sentence.
    """
    if beside.speech is None:
        settings = _settings(beside.running, beside.options, beside.flags, notes)
        pages = _pages(beside, beside.api)
    else:
        settings, pages = {}, _seen_pages(beside.running, notes)
        for parameter, value in beside.options.items():
            texts = beside.choices[parameter]
            own = binding(
                beside.running, beside.flags[parameter], parameter, texts[str(value)], notes
            )
            settings[parameter] = {**own, "choices": dict(texts)}
    return {"api": beside.api, "set": settings, **pages, **_restart(beside.llm)}
