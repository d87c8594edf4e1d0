"""Tests of what this machine may lack: skipped with the reason, and in CI (CI=true) failed where it must be there."""

import os
from pathlib import Path

import pytest

from objectives.device import open_device
from objectives.errors import SetupError
from objectives.install import VLLM, WHISPERS

SERVERS = Path(__file__).resolve().parents[1] / ".servers"


def pytest_runtest_setup(item):
    if item.get_closest_marker("live") and (missing := missing_servers()):
        reason = f"{missing} is not installed; run: python scripts/install_cpu_servers.py"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the live tests: {reason}", pytrace=False)
        pytest.skip(reason)
    if item.get_closest_marker("gpu") and (missing := missing_gpu()):
        pytest.skip(missing)


def missing_servers() -> str | None:
    stamp = SERVERS / "vllm/.installed"
    if not stamp.is_file() or stamp.read_text() != VLLM:
        return VLLM
    models = [SERVERS / "models/llm", *(SERVERS / "models/whisper" / source.size for source in WHISPERS)]
    return next((str(folder) for folder in models if not folder.is_dir()), None)


def missing_gpu() -> str | None:
    try:
        open_device("cuda")
    except SetupError as error:
        return str(error)
    return None
