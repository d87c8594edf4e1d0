"""A promotion must have been measured with the versions of the servers in production."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives.apis.api import parsed
from objectives.apis.short_requests import page
from objectives.engines.engine import Engine
from objectives.errors import BadInput
from objectives.servers.versions import installed
from study.deploy.config.deployment import Deployment
from study.text import one_line


def running_versions(deployment: Deployment) -> dict[str, str]:
    """Return versions by package, as far as the deployment names who tells them."""
    versions: dict[str, str] = {}
    for engine in deployment.engines():
        versions |= _running(deployment, engine)
    return versions


def check_versions(versions: Mapping[str, Any], deployment: Deployment, path: Path) -> list[str]:
    """Return a sentence for each service whose version could not be compared.

    Args:
        versions: Those of a promotion, by service and package.
        path: The promotion's file.

    Raises:
        BadInput: Another version runs here.
    """
    notes = []
    for engine in deployment.engines():
        recorded, here = versions.get(engine.name), _running(deployment, engine)
        measured = recorded if isinstance(recorded, Mapping) else {}
        both = [p for p in engine.server_packages if p in measured and p in here]
        for package in both:
            if str(measured[package]) != here[package]:
                raise BadInput(
                    f"{path}: measured with {package} {one_line(str(measured[package]))[:40]}, "
                    f"{here[package]} runs here; confirm it anew"
                )
        if not both and engine.server_packages:
            notes.append(
                f"the {engine.name} server's version was not compared; "
                "name its `python:` or `version_url:`"
            )
    return notes


def _running(deployment: Deployment, engine: Engine) -> dict[str, str]:
    service = deployment.services[engine.name]
    if service.python is not None:
        return installed(service.python, engine.packages)
    text = page(service.version_url)
    if text is None or not engine.server_packages:
        return {}
    try:
        answer = parsed(text.encode())
    except ValueError:
        return {}
    version = answer.get("version") if isinstance(answer, dict) else None
    return {engine.server_packages[0]: version[:100]} if isinstance(version, str) else {}
