"""Ray is an optional dependency, which is imported here and nowhere else."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from objectives.errors import SetupError

TOKEN = Path("~/.ray/auth_token")
MODE, TOKEN_ITSELF, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
WAY_OUT = (
    "anybody who reaches a Ray cluster runs programs on it, so one without tokens is not used: "
    "`ray get-auth-token --generate`, copy ~/.ray/auth_token to all machines, and set "
    f"{MODE}=token for `ray start` on each and for this command"
)


def ray() -> Any:
    """Return Ray.

    Raises:
        SetupError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise SetupError(
            "--cluster needs Ray: python -m pip install 'gpu-allocation-study[cluster]'"
        ) from error


def refuse_without_token() -> None:
    """Refuse to go near a cluster without a token.

    Raises:
        SetupError: This process has none.
    """
    if os.environ.get(MODE) != "token":
        raise SetupError(f"{MODE} is not token here; {WAY_OUT}")
    file = Path(os.environ.get(TOKEN_FILE) or TOKEN).expanduser()
    if not os.environ.get(TOKEN_ITSELF) and not file.is_file():
        raise SetupError(f"no token of Ray in {file}; {WAY_OUT}")


def actor_cards() -> list[str]:
    """Return the GPUs that Ray gave to this actor, by index or UUID."""
    cards = ray().get_runtime_context().get_accelerator_ids()["GPU"]
    return [str(card) for card in cards]
