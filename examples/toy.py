"""A toy for the D-REAM runner: a hill whose top is known, at x = 4 and y = b."""

from __future__ import annotations

from typing import Any


class Hill:
    """A hill is evaluated in no time.

    Args:
        top: Where it is highest.
    """

    def __init__(self, top: int = 4) -> None:
        self.top = top

    def evaluate(self, candidate: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Return how high it is there, and what getting there costs."""
        height = 100 - 5 * (candidate["x"] - self.top) ** 2 + (3 if candidate["y"] == "b" else 0)
        print(f"{context['experiment']}: {candidate}")
        return {"status": "pass", "metrics": {"height": height, "steps": 10 + candidate["x"]}}
