"""A promotion becomes a patch of Kubernetes, which a person applies: nothing here talks to one."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.bounded_yaml import BadYaml, construct, read_bytes
from study.bounded_yaml import compose as parsed
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment
from study.systemd.unit_file import values_of, with_flag

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Pod", "ReplicaSet", "Job")
PATCHED = ("Deployment", "StatefulSet", "DaemonSet")  # the pods of others are never made anew
SHELL = re.compile(r"-[A-Za-z]*c")


@dataclass(frozen=True, slots=True)
class ManifestWorkload:
    """A workload of a manifest makes pods.

    Args:
        kind: Its kind, such as `Deployment`.
        name: Its name.
        namespace: Its namespace; None: that of the context.
        containers: Its containers, as the manifest has them.
    """

    kind: str
    name: str
    namespace: str | None
    containers: tuple[Mapping[str, Any], ...]


def workloads(path: Path) -> Iterator[ManifestWorkload]:
    """Yield the workloads of a manifest.

    Raises:
        BadInput: It is not read.
    """
    for data in documents(path):
        if data.get("kind") not in KINDS:
            continue
        spec: Any = data.get("spec") or {}
        template = spec.get("template")
        pods = spec if template is None else template.get("spec") or {}
        meta = data.get("metadata") or {}
        containers = tuple(c for c in pods.get("containers") or [] if isinstance(c, Mapping))
        yield ManifestWorkload(
            str(data["kind"]), str(meta.get("name")), meta.get("namespace"), containers
        )


def documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a YAML file that are mappings.

    Raises:
        BadInput: It is not read.
    """
    try:
        text = read_bytes(path, links=True).decode("utf-8-sig", errors="replace")
        for part in re.split(r"(?m)^---\s*$", text):
            data = construct(parsed(part.encode(), aliases=True))
            if isinstance(data, Mapping):
                yield data
    except BadYaml as error:
        raise BadInput(f"{path}:{error.line}: {error.what}; mend it, it is read here") from error


def patch_lines(deployment: Deployment, assigned: Sequence[Assignment]) -> Iterator[str]:
    """Yield what would change, the commands that a person runs for it, and those that undo it.

    Raises:
        BadInput: The manifest has no such workload or container, or it cannot be patched.
    """
    manifest = deployment.path.parent / str(deployment.kubernetes)
    there = {w.name: w for w in workloads(manifest)}
    forward, back = dict[str, list[dict[str, Any]]](), dict[str, list[dict[str, Any]]]()
    for name, service in deployment.services.items():
        own = [a for a in assigned if a.service == name and a.text is not None]
        if not own:
            continue
        label, _, inside = str(service.container).partition("/")
        workload = there.get(label)
        containers = workload.containers if workload else ()
        container = next((c for c in containers if c.get("name") == inside), None)
        if workload is None or container is None:
            names = ", ".join(
                f"{w.name}/{c.get('name')}" for w in there.values() for c in w.containers
            )
            raise BadInput(
                f"services.{name}.container: {manifest} has no {service.container}; "
                f"it has {names or 'none'}"
            )
        if workload.kind not in PATCHED:
            raise BadInput(
                f"services.{name}.container: a {workload.kind} is not made anew by a patch; "
                "put the container into a Deployment"
            )
        for a in own:
            now = ", ".join(values(container, a)) or "(not set)"
            yield f"  {a.service}: {a.binding.label} {now} -> {a.text}"
        new, old = patched(container, own)
        forward.setdefault(label, []).append(new)
        back.setdefault(label, []).append(old)
    yield "apply it by hand, and watch the rollout:"
    for label, changes in forward.items():
        yield from _commands(there[label], changes)
    yield "and back:"
    for label, changes in back.items():
        yield from _commands(there[label], changes)
    yield f"then write the same into {manifest}, or the next `kubectl apply` of it takes it back"


def values(container: Mapping[str, Any], a: Assignment) -> list[str]:
    """Return every value that a manifest gives a flag or variable of a container."""
    if a.binding.is_flag:
        words = _words(container)
        text = words[-1] if _is_shell(words) else ""
        return values_of(shlex.split(text) if text else words, str(a.binding.flag))
    named = [e for e in container.get("env") or [] if e.get("name") == a.binding.variable]
    return [str(e.get("value", "(from elsewhere)")) for e in named]


def patched(
    container: Mapping[str, Any], assigned: Sequence[Assignment]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a patch says of a container, and what the one says that takes it back."""
    key = "args" if container.get("args") or not container.get("command") else "command"
    own = [str(w) for w in container.get(key) or []]
    words = [*own]
    env, old_env = list[dict[str, Any]](), list[dict[str, Any]]()
    for a in assigned:
        text = str(a.text)
        if not a.binding.is_flag:
            env.append({"name": a.binding.variable, "value": text})
            before = values(container, a)
            gone = {"name": a.binding.variable, "$patch": "delete"}
            old_env.append({"name": a.binding.variable, "value": before[-1]} if before else gone)
        elif _is_shell(_words(container)):
            words[-1] = with_flag(words[-1], str(a.binding.flag), text)
        else:
            words = _with_flag(words, str(a.binding.flag), text)
    new, old = ({"name": container["name"]} for _ in range(2))
    if words != own:
        new, old = new | {key: words}, old | {key: own}
    return (new | {"env": env}, old | {"env": old_env}) if env else (new, old)


def _words(container: Mapping[str, Any]) -> list[str]:
    return [str(w) for key in ("command", "args") for w in container.get(key) or []]


def _is_shell(words: Sequence[str]) -> bool:
    return len(words) > 2 and SHELL.fullmatch(words[-2]) is not None


def _with_flag(words: Sequence[str], flag: str, value: str) -> list[str]:
    """Return words with this value of a flag, in its place or at the end."""
    done, is_set, is_next = list[str](), False, False
    for word in words:
        name, is_joined, _ = word.partition("=")
        is_it = name.startswith("-") and name.replace("_", "-") == flag.replace("_", "-")
        if is_next:
            done.append(value)
        else:
            done.append(f"{name}={value}" if is_it and is_joined else word)
        is_set, is_next = is_set or is_it, is_it and not is_joined
    return done if is_set else [*done, flag, value]


def _commands(workload: ManifestWorkload, containers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the commands that patch a workload and wait for its rollout."""
    patch = {"spec": {"template": {"spec": {"containers": list(containers)}}}}
    where = ["--namespace", workload.namespace] if workload.namespace else []
    what = f"{workload.kind.lower()}/{workload.name}"
    yield "  " + shlex.join(["kubectl", "patch", what, *where, "--patch", json.dumps(patch)])
    yield "  " + shlex.join(["kubectl", "rollout", "status", what, *where])
