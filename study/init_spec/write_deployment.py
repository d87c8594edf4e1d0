"""The deployment says what in production sets each parameter, where something can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from objectives.allocation import RESIDENT, SHARE, SPEECH
from study.init_spec.forms.running import Project, Running
from study.init_spec.roles import UnitServices
from study.init_spec.service_entries import entry_beside, entry_of_llm, entry_of_speech


def deployment_of(
    name: str, device: str, today: UnitServices, peak_mib: float | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the deployment as YAML's own types, None where nothing can be set; and notes.

    What a unit does not offer is `none` there, and the gate says that it did not run.

    Args:
        peak_mib: Memory that the speech unit holds, MiB; None: not known.
    """
    notes: list[str] = []
    beside = [b for b in today.beside if b.flags]
    servers = [today.llm.running, today.stt.running, *(b.running for b in beside)]
    projects = [u.container.compose for u in servers if u.container and u.container.compose]
    is_compose = len(projects) == len(servers) and len({p.words for p in projects}) == 1
    manifests = [u.container.manifest for u in servers if u.container and u.container.manifest]
    is_manifest = len(manifests) == len(servers) and len({m[0] for m in manifests}) == 1
    if not is_compose and not is_manifest and (why := _no_target(servers)):
        return None, [why]
    if today.llm.share is None and not today.llm.options:
        return None, [
            f"no deployment was written: nothing of {today.llm.running.label} is searched, and a "
            "deployment needs a flag or variable of each service"
        ]
    entries = {
        "llm": entry_of_llm(today.llm, notes),
        "stt": entry_of_speech(today.stt, peak_mib, notes),
        **{b.name: entry_beside(b, notes) for b in beside},
    }
    for entry, unit in zip(entries.values(), servers, strict=True):
        if is_manifest and unit.container and unit.container.manifest:
            entry["container"] = unit.container.manifest[1]
        elif is_compose:
            entry["container"] = unit.container.name if unit.container else None
        else:
            entry["unit"] = unit.unit
    data: dict[str, Any] = {"name": name, "device": device, "services": entries}
    if is_manifest:
        data |= {"kubernetes": str(manifests[0][0]), "device": "none"}
    if is_compose:
        data["env_file"] = _env_file(servers[0], projects)
        path = projects[0].env_file
        if not path.exists():
            notes.append(
                f"{path} is not there; a rollout writes its values into it, so begin it with those "
                "of today"
            )
    not_set = [SHARE] if today.llm.share is None and not today.llm.key else []
    not_set += [f"{name}.{RESIDENT}" for name in today.asleep]
    not_set += [] if SPEECH in entries["stt"]["set"] else [SPEECH]
    if not_set:
        data["not_set"] = not_set
    return {**data, "start_order": [*(n for n in entries if n != "llm"), "llm"]}, notes


def _env_file(unit: Running, projects: Sequence[Project]) -> dict[str, Any]:
    """Return the file of a project's variables, and the commands by which they take effect."""
    project, names = projects[0], [p.service for p in projects]
    engine = unit.container.program if unit.container else ""
    if unit.is_unit and project.is_attached:  # it would see its containers end, and end or restart
        restart, stop = (["systemctl", verb, unit.unit] for verb in ("restart", "stop"))
    else:
        restart = [*project.words, "up", "-d", "--force-recreate", *names]
        stop = [*project.words, "stop", *names]
    return {"path": str(project.env_file), "restart": restart, "stop": stop, "program": engine}


def _no_target(servers: list[Running]) -> str | None:
    """Return in a sentence why nothing can set a value; None where something can."""
    for unit in servers:
        is_of_compose = unit.container is not None and unit.container.compose is not None
        if unit.is_unit and unit.member and not is_of_compose:
            return (
                f"no deployment was written: {unit.unit} starts several servers, so that none "
                "changes alone; give each a unit of its own"
            )
        if not unit.is_unit or unit.member:
            return (
                f"no deployment was written: {unit.label} is no unit of systemd's, and not all "
                "services are in one compose file; put its command into a unit or a compose file "
                "for rollouts, or set the values of a promotion by hand"
            )
    if len({u.unit for u in servers}) != len(servers):
        return "no deployment was written: two services share a unit, so none changes alone"
    return None
