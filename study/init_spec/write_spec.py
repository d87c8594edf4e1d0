"""The spec is checked by its reader before it gets its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import yaml

from objectives.allocation import DEFAULT_BOUNDS, RESIDENT, SHARE, SPEECH, Scalar
from objectives.engines.command import option_of
from objectives.engines.llm_server import USUAL
from objectives.engines.places import AND, HOST
from objectives.engines.registry import LLM_ENGINES
from objectives.errors import BadInput
from objectives.plain_data.atomic import drafted
from objectives.services import DeviceKind
from objectives.traffic.workload import Workload
from study.init_spec.caller import give
from study.init_spec.forms.running import Sleep
from study.init_spec.gpu_processes import Others
from study.init_spec.places import Places
from study.init_spec.roles import UnitServices
from study.init_spec.servers.beside_unit import Beside
from study.init_spec.servers.llm_unit import Llm
from study.init_spec.servers.second_speech import command_of_ours
from study.init_spec.servers.speech_unit import SpeechUnit
from study.spec.load import load

STEP = 0.05
PRIVATE = 0o600  # units' commands may hold keys


def shares(baseline: float) -> list[float]:
    """Return today's share and two steps to each side, as far as the bounds allow.

    >>> shares(0.5), shares(0.9)
    ([0.4, 0.45, 0.5, 0.55, 0.6], [0.6, 0.65, 0.7, 0.9])
    """
    low, high = DEFAULT_BOUNDS[SHARE]
    centre = min(max(baseline, low), high)
    around = {round(centre + n * STEP, 4) for n in (-2, -1, 0, 1, 2)}
    return sorted({baseline, *(s for s in around if low <= s <= high)})


def around(value: Scalar) -> list[Scalar]:
    """Return today's value of an option, and one to each side of it.

    >>> around(8192), around(0.8), around(0.1), around("x")
    ([4096, 8192, 16384], [0.7, 0.8, 0.9], [0.05, 0.1, 0.15], ['x'])
    """
    match value:
        case bool() | str():
            return [value]
        case int():
            return [*sorted({max(1, value // 2), value, value * 2})]
        case float():
            step = min(0.1, value / 2)
            steps = {round(value - step, 4), value, round(value + step, 4)}
            return [*sorted(v for v in steps if 0 < v < 1 or v == value)]


def spec_of(
    name: str, places: Places, today: UnitServices, others: Others | None
) -> dict[str, Any]:
    """Return the study's spec, as YAML's own types."""
    llm, stt = today.llm, today.stt
    of_speech = stt.llm.options if stt.llm else {}
    options = {**llm.options, **of_speech}
    options |= {k: v for b in today.beside for k, v in b.options.items()}
    lists = {k: [*values] for b in today.beside for k, values in b.choices.items()}
    searched: dict[str, list[Any]] = {} if llm.share is None else {SHARE: shares(llm.share)}
    searched |= {
        SPEECH: list(stt.models),
        **{k: lists.get(k) or around(v) for k, v in options.items()},
    }
    monotone = [*searched]
    asleep = {f"{name}.{RESIDENT}": False for name in today.asleep}
    searched |= {name: [True, False] for name in asleep}
    baseline: dict[str, Any] = {} if llm.share is None else {SHARE: llm.share}
    spec: dict[str, Any] = {
        "name": name,
        "measure": "live",
        **({"devices": dict(places.devices)} if places.devices else {"device": places.main}),
        "search_space": searched,
        "monotone": monotone,
        "baseline": {**baseline, SPEECH: stt.size, **options, **asleep},
    }
    if llm.share is not None:
        low, high = DEFAULT_BOUNDS[SHARE]
        spec["bounds"] = {SHARE: [min(low, *searched[SHARE]), max(high, *searched[SHARE])]}
    return spec | {
        "services": {
            name: own
            | ({"place": places.by_service[name]} if places.devices else {})
            | _woken(today.asleep.get(name))
            for name, own in {
                "llm": _llm(llm, is_spread=AND in places.by_service.get("llm", "")),
                "stt": _stt(stt, places),
                **{b.name: _beside(b, places) for b in today.beside},
            }.items()
        },
        "workload": {"window_s": 120, "turns_per_s": Workload().turns_per_s},
        "reserve_mib": others.reserve_mib if others else None,
    }


def _woken(sleep: Sleep | None) -> dict[str, Any]:
    """Return what wakes a service, in a spec's own keys; nothing where it runs all the time."""
    return {} if sleep is None else {"woken_by": "socket_activation", "idle_s": sleep.idle_s}


def _llm(llm: Llm, *, is_spread: bool = False) -> dict[str, Any]:
    if llm.command is None:
        engine = {"engine": llm.key} if llm.key else {}
        started = {"program": llm.program} if llm.program else {"python": llm.python}
        return {
            **engine,
            **started,
            "model": llm.model,
            "args": _without_its_set(llm.args) if is_spread else list(llm.args),
            "env": dict(llm.env),
        }
    own = {"command": llm.command, "model": llm.model, "env": dict(llm.env)}
    if not llm.is_usual:
        own |= {"served_model": llm.served_model, "health_path": llm.health_path}
    return own


def _without_its_set(args: Sequence[str]) -> list[str]:
    """Return the flags without that which the place of an LLM on several devices says."""
    ours = LLM_ENGINES[USUAL].of_its_set
    kept = list[str]()
    for before, word in pairwise(["", *args]):
        if not {option_of(w) for w in (before, word) if w.startswith("-")} & {*ours}:
            kept.append(word)
    return kept


def _stt(stt: SpeechUnit, places: Places) -> dict[str, Any]:
    own: dict[str, Any] = {"models": dict(stt.models)}
    if stt.llm is not None and stt.llm.key:
        more = {"python": stt.python, "args": list(stt.llm.args), "env": dict(stt.llm.env)}
        return {"engine": stt.llm.key, **own, **more}
    if stt.command is not None:
        own["command"] = stt.command
    if not places.devices:
        own["device"] = "cpu" if places.main == "cpu" else stt.device or "cuda"
    for key, value in (("compute_type", stt.compute_type), ("beam_size", stt.beam_size)):
        if value is not None:
            own[key] = value
    return own | ({"python": stt.python} if stt.python else {})


def _beside(beside: Beside, places: Places) -> dict[str, Any]:
    if (llm := beside.llm) is not None and llm.command is None:
        return {"api": beside.api, "engine": USUAL, **_llm(llm)}
    own: dict[str, Any] = {
        "api": beside.api,
        "command": beside.command,
        "health_path": beside.health_path,
        "env": dict(beside.env),
    }
    if not beside.command:
        is_cpu = places.by_service.get(beside.name, places.main) == HOST
        kind: DeviceKind = "cpu" if is_cpu else "cuda"
        own["command"], own["env"] = command_of_ours(beside, kind)
    return own if beside.is_renamed else own | {"served_model": beside.served_model}


def write_spec(path: Path, head: Sequence[str], data: dict[str, Any]) -> list[str]:
    """Write the spec; return in a sentence what of it is not on this machine.

    Raises:
        BadInput: It exists already, or would be refused even where its files are.
    """
    notes: list[str] = []

    def check(draft: Path) -> None:
        load(draft, is_here=False)
        try:
            load(draft)
        except BadInput as error:
            notes.append(f"not on this machine yet: {error.what}")

    write_checked(path, head, data, check, PRIVATE, is_given=True)
    return notes


def write_checked(
    path: Path,
    head: Sequence[str],
    data: dict[str, Any],
    check: Callable[[Path], object],
    mode: int,
    *,
    is_given: bool = False,
) -> None:
    """Write a file whole, after the study or the rollout has read its draft.

    A deployment names commands that root runs, also when nobody has called sudo: it stays root's.

    Raises:
        BadInput: It exists already, or would be refused, with the reason.
    """
    check_free(path)
    comments = [" ".join(line.split()) for line in head]
    text = "".join(f"# {line}\n" for line in comments) + yaml.safe_dump(
        data, sort_keys=False, width=110
    )
    try:
        made = [*takewhile(lambda folder: not folder.exists(), path.parents)]
        path.parent.mkdir(parents=True, exist_ok=True)
        with drafted(path) as draft:
            draft.write_text(text, "utf-8")
            draft.chmod(mode)
            for own in (draft, *made) if is_given else ():
                give(own)
            try:
                check(draft)
            except BadInput as error:
                why = error.what if error.file == str(draft) else error
                raise BadInput(f"{path} is not written, as it would be refused: {why}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); name another file") from error


def check_free(path: Path) -> None:
    """Refuse a file that is there already, or that none can be named.

    Raises:
        BadInput: It is there, or its name is too long.
    """
    try:
        is_there = path.exists()
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); name another file") from error
    if is_there:
        raise BadInput(f"{path} exists; move it away, or name others with --out and --deployment")
