"""Orders allocations so that servers restart least, by what their commands depend on."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.allocation import SPEECH, Allocation


def order_by_llm(
    allocations: Sequence[Allocation], running: Allocation | None = None
) -> list[Allocation]:
    """Return the order that restarts servers least.

    Equal LLM settings stand side by side, those of `running` first.
    """
    groups = list(
        dict.fromkeys(llm_key(a) for a in ([running] if running else []) + list(allocations))
    )
    return sorted(allocations, key=lambda a: groups.index(llm_key(a)))


def llm_key(allocation: Allocation) -> tuple[tuple[str, str], ...]:
    """Return what the LLM server's command depends on: equal keys share a running server."""
    searched = allocation.values.items()
    return tuple(
        sorted((k, str(v)) for k, v in searched if k != SPEECH and not k.startswith("whisper."))
    )
