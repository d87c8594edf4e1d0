"""A deployment file is read here; what may reach a unit or a command is plain, bounded text."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

from objectives.errors import BadInput
from study.deploy.config.deployed import Binding, Deployed, Probe
from study.deploy.config.deployment import Deployment
from study.promotion.trust import check_trusted
from study.spec.services.of_turns import KINDS
from study.spec.yaml_file import read_yaml
from study.spec.yaml_node import YamlEntry
from study.text import cut

CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,200})?")
UNIT_PATTERN = re.compile(r"[A-Za-z0-9:_.\\@-]{1,200}(?<!@)\.service")
FLAG_PATTERN = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]{0,80}")
VARIABLE_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
CHOICE_PATTERN = re.compile(r"[A-Za-z0-9_./:@+-]{1,200}")
URL_PATTERN = re.compile(r"https?://[A-Za-z0-9.:_\[\]-]{1,200}(/[A-Za-z0-9._/-]{0,200})?")


def load_deployment(path: Path) -> Deployment:
    """Read and check a deployment file.

    Raises:
        BadInput: It is wrong; the message names file, line and key.
    """
    if not path.exists():
        way_out = (
            "scripts/init_spec.py writes one from your units, "
            "or copy study/deploy/example.yaml and edit it"
        )
        raise BadInput(f"{path}: there is no such deployment file; {way_out}")
    entry, _, _ = read_yaml(path)
    _check_owner(path)
    entry.only([f for f in Deployment.__dataclass_fields__ if f != "path"])
    services = entry.at("services")
    if services.is_mapping:
        for name in KINDS:
            if name not in services.items():
                raise services.at(name).wrong("it is missing", f"add `{name}:`")
    deployment: Deployment = entry.build(Deployment)
    _check_apis(services, deployment)
    in_their_order = {name: deployment.services[name] for name in (*KINDS, *deployment.services)}
    deployment = replace(deployment, path=path.resolve(), services=in_their_order)
    for key in ("name", "state", "signers"):
        pattern, example = {
            "name": (r"[a-z][a-z0-9_-]{0,40}", "voice"),
            "state": (r"/[\w./-]{1,200}", "/etc/x"),
            "signers": (r"(/[\w./-]{1,200})?", "/etc/gpu-allocation/allowed_signers"),
        }[key]
        value = getattr(deployment, key) or ""
        if not re.fullmatch(pattern, value, re.ASCII) or ".." in Path(value).parts:
            raise entry.at(key).wrong(
                f"{entry.at(key).quotation} cannot name a folder or file",
                f"write plain letters: {example}",
            )
    is_whole = sorted(deployment.start_order) == sorted(deployment.services)
    if not is_whole and entry.at("start_order").is_present:
        usual = ", ".join(name for name, _ in replace(deployment, start_order=()).ordered())
        raise entry.at("start_order").wrong(
            "it must name each service once", f"write such as [{usual}]"
        )
    units = [s.unit for s in deployment.services.values() if s.unit]
    if deployment.kubernetes is not None:
        _check_kubernetes(entry, deployment)
    elif deployment.env_file is None and len(set(units)) != len(deployment.services):
        raise entry.at("services").wrong(
            "each service needs a unit of its own", "add `unit: NAME.service` to each"
        )
    if deployment.env_file is not None and (
        units or not deployment.env_file.restart or not deployment.env_file.path.startswith("/")
    ):
        where = entry.at("env_file")
        raise where.wrong(
            "needs an absolute path, a restart command and services without `unit:`",
            "see the head of study/deploy/config/deployment.py",
        )
    is_unit = deployment.env_file is None
    is_container = not is_unit or deployment.kubernetes is not None
    for name, service in deployment.services.items():
        if service.container and not (is_container and CONTAINER.fullmatch(service.container)):
            raise services.at(name, "container").wrong(
                f"{cut(repr(service.container))} is no container behind an env_file",
                "remove it, or write the name that `docker ps` shows",
            )
        _check_service(services.at(name), service, is_unit=is_unit)
    return deployment


def _check_kubernetes(entry: YamlEntry, deployment: Deployment) -> None:
    for name, service in deployment.services.items():
        if "/" not in (service.container or "") or service.unit or deployment.env_file:
            raise entry.at("services", name).wrong(
                "on Kubernetes it is a container, neither a unit nor behind an env_file",
                "write `container: WORKLOAD/CONTAINER`, as the manifest names them",
            )


def _check_apis(services: YamlEntry, deployment: Deployment) -> None:
    """Refuse a service beside the LLM and speech that does not say how it is spoken to."""
    for name, service in deployment.services.items():
        if (name in KINDS) is not (service.api is None):
            way_out = (
                "remove it" if name in KINDS else "write how it is spoken to: chat, embeddings, ..."
            )
            what = "the name says it already" if name in KINDS else "it is missing"
            raise services.at(name, "api").wrong(what, way_out)


def _check_owner(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadInput(
            f"others than its owner may write it, and it names commands; run `chmod go-w {path}`",
            str(path),
        )
    owner, owners = path.stat().st_uid, {0, int(os.environ.get("SUDO_UID") or 0)}
    if os.geteuid() == 0 and owner not in owners:
        raise BadInput(
            f"root does not run commands of user {owner}'s file; run `sudo chown root {path}`",
            str(path),
        )
    if os.geteuid() == 0:
        check_trusted(path)


def _check_service(entry: YamlEntry, service: Deployed, *, is_unit: bool) -> None:
    if service.unit and not UNIT_PATTERN.fullmatch(service.unit):
        raise entry.at("unit").wrong(
            f"{cut(repr(service.unit))} is no service unit",
            "write NAME.service, of a template one that runs: NAME@INSTANCE.service",
        )
    for key in ("health_url", "metrics_url", "version_url"):
        _check_url(entry.at(key), getattr(service, key))
    _check_url(entry.at("probe", "url"), service.probe.url)
    for key in ("python", "log"):
        if (value := getattr(service, key)) is not None and not value.startswith("/"):
            raise entry.at(key).wrong(
                f"{cut(repr(value))} is no absolute path", "write one, such as /opt/vllm/bin/python"
            )
    match service.probe:
        case Probe(kind=kind, url=None) if kind not in ("command", "none"):
            raise entry.at("probe").wrong(f"a {service.probe.kind} needs an address", "add `url:`")
        case Probe(kind="command", argv=()):
            raise entry.at("probe").wrong("a command needs words", "add `argv: [/path/of/check]`")
    if not service.set:
        raise entry.at("set").wrong(
            "nothing is mapped", "add a line `parameter: {flag: --NAME, low: 0, high: 1}`"
        )
    for name, binding in service.set.items():
        _check_binding(entry.at("set", name), name, binding, is_unit=is_unit)


def _check_binding(entry: YamlEntry, name: str, binding: Binding, *, is_unit: bool) -> None:
    if binding.variable is None and (binding.flag is None or not is_unit):
        raise entry.wrong(
            "it needs either `flag:` or `variable:`", "give one; an env_file only takes variables"
        )
    if binding.flag is not None and not FLAG_PATTERN.fullmatch(binding.flag):
        raise entry.at("flag").wrong(f"{cut(repr(binding.flag))} is no flag", "write --name")
    if binding.variable is not None and not VARIABLE_PATTERN.fullmatch(binding.variable):
        raise entry.at("variable").wrong(
            f"{cut(repr(binding.variable))} is no variable", "write NAME"
        )
    for key, value in binding.choices.items():
        if not CHOICE_PATTERN.fullmatch(value) or not CHOICE_PATTERN.fullmatch(key):
            raise entry.at("choices").wrong(
                f"{cut(repr(value))} is no plain name or path", "use letters, digits and _./:@+-"
            )
    low, high = binding.bounds(name)
    if not binding.choices and (low is None or high is None or not low <= high):
        raise entry.wrong("its bounds are missing", "add `low:` and `high:`, or `choices:`")


def _check_url(entry: YamlEntry, url: str | None) -> None:
    if url is not None and not URL_PATTERN.fullmatch(url):
        raise entry.wrong(
            f"{cut(repr(url))} is no plain http address", "write http://127.0.0.1:8000/health"
        )
