"""Places are found in a cluster: placement groups of the GPUs that one lane needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from objectives import waiting
from objectives.errors import SetupError
from study.lanes.cluster.ray_here import ray

FREE_S = 30.0  # cards that Ray counts as free are given within it


def free_places(lanes: int | None, count: int, say: Callable[[str], None]) -> list[Any]:
    """Return a placement group for each set of GPUs that is free on one machine.

    Args:
        lanes: The most to return; None returns all.
        count: How many GPUs make a set.
        say: It is given a line for each machine that has GPUs which make no set.

    Raises:
        SetupError: There is none.
    """
    groups, cluster = import_module("ray.util.placement_group"), ray()
    sets = sets_in([node for node in cluster.nodes() if node["Alive"]], count, say)
    free = int(cluster.available_resources().get("GPU", 0)) // count
    wanted = min(sets, free, lanes or free)
    places = [
        groups.placement_group([{"GPU": count}], strategy="STRICT_PACK") for _ in range(wanted)
    ]
    ready = {group.ready(): group for group in places}
    had, _ = waited(list(ready), FREE_S)
    for reference in ready.keys() - set(had):
        groups.remove_placement_group(ready[reference])
    if not had:
        total = int(cluster.cluster_resources().get("GPU", 0))
        no = "no free GPU" if count == 1 else f"no {count} GPUs that are free on one machine"
        raise SetupError(
            f"the cluster has {no} ({total} in all, of {len(cluster.nodes())} machines); "
            "end what holds them, or start more machines: `ray status` shows them"
        )
    return [group for reference, group in ready.items() if reference in had]


def sets_in(nodes: Sequence[Mapping[str, Any]], count: int, say: Callable[[str], None]) -> int:
    """Return how many sets of GPUs the machines of a cluster have, and name what makes none.

    Args:
        nodes: The machines, as Ray tells of them.
        count: How many GPUs make a set.
        say: It is given a line for each machine that has GPUs which make no set.

    Raises:
        SetupError: No machine has one.
    """
    gpus = [int(node["Resources"].get("GPU", 0)) for node in nodes]
    if any(gpus) and max(gpus) < count:
        raise SetupError(
            f"each trial needs {count} GPUs of one machine, and no machine of the cluster has "
            f"more than {max(gpus)}; start some that have them, or name fewer under `devices:`"
        )
    for node, here in zip(nodes, gpus, strict=True):
        if over := here % count:
            which = f"leaves {over} idle" if here > count else "is not used"
            has = f"{node['NodeManagerHostname']} has {here} GPU{'s' * (here != 1)}"
            say(f"{has} and a trial needs {count}: it {which}")
    return sum(here // count for here in gpus)


def waited(references: Sequence[Any], limit_s: float) -> tuple[list[Any], list[Any]]:
    """Wait for answers; return those that have come, and those that have not.

    Raises:
        KeyboardInterrupt: As `objectives.waiting`.
    """
    until_s, open_ = time.monotonic() + limit_s, list(references)
    while open_ and time.monotonic() < until_s:
        waiting.check()
        _, open_ = ray().wait(open_, num_returns=len(open_), timeout=waiting.LOOK_S)
    return [r for r in references if r not in open_], open_
