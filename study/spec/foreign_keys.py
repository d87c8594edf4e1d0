"""A spec may have keys that are not ours alone; they are listed here.

Files that people had before this project load as they are.
"""

from __future__ import annotations

from typing import Literal

from objectives.figures import Direction
from study.spec.choices import FIGURES
from study.spec.model import KEYS
from study.spec.yaml_node import YamlEntry

# keys that such a file has too, and may have beside `experiments:`
SHARED = (
    "name",
    "enabled",
    "template",
    "search_space",
    "evaluator",
    "budget",
    "metrics",
    "selector",
)
OWN_KEYS = tuple(k for k in KEYS if k not in SHARED)
LEGACY = ("version", "run", "mutators", "logging", "description", "tags")


def check_metrics(top: YamlEntry) -> list[str]:
    """Refuse directions that contradict ours, and return the keys of `metrics` that are ignored."""
    if "metrics" not in top.items():
        return []
    metrics = top.at("metrics").items()
    directions = metrics["target_direction"].items() if "target_direction" in metrics else {}
    for name, entry in directions.items():
        direction = Direction(entry.build(Literal["up", "down", "neutral"]))
        ours = FIGURES[name].direction if name in FIGURES else Direction.NEUTRAL
        if Direction.NEUTRAL not in (ours, direction) and direction is not ours:
            verb = "maximises" if ours is Direction.UP else "minimises"
            raise entry.wrong(
                f"{direction} contradicts this project, which {verb} {name}",
                f"write {ours} or remove it",
            )
    return [f"metrics.{k}" for k in metrics if k != "target_direction"]
