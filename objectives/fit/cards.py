"""Cards are known by name: how much memory CUDA has on them, and what they can run."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from objectives.errors import BadInput

# between NVML's total and CUDA's: 246 MiB on an RTX 3060 to 615 on an H200, where both are known
DRIVER_MIB = 450.0
NAMED = 6


@dataclass(frozen=True, slots=True)
class Card:
    """A card is a GPU by its name.

    Args:
        name: Its name, as people say it.
        nvml_mib: Its memory as nvidia-smi shows it, MiB.
        cuda_mib: The memory of which an engine takes its share, MiB; None where nobody told it.
        compute: Its compute capability.
    """

    name: str
    nvml_mib: float
    cuda_mib: float | None
    compute: float

    @property
    def usable_mib(self) -> float:
        """Return the memory that servers may share, MiB."""
        return self.cuda_mib or self.nvml_mib - DRIVER_MIB

    @property
    def notes(self) -> list[str]:
        """Return in sentences what a person must know of it."""
        if self.cuda_mib is not None:
            return []
        return [
            f"of {self.nvml_mib:,.0f} MiB that nvidia-smi shows, about {self.usable_mib:,.0f} "
            "are for servers: what the driver keeps is not known of this card"
        ]


def card(name: str) -> Card:
    """Return a card by its name, however it is written.

    Raises:
        BadInput: It is not known; the error names near ones.
    """
    known = _cards()
    size = re.search(r"(?<!\d)(\d{1,4})\s*gb", name, re.IGNORECASE)
    entry = known.get(_key(name))
    if entry is None and size is not None:
        shorter = known.get(_key(name.replace(size[0], "")))
        entry = shorter if shorter and round(shorter.nvml_mib / 1024) == int(size[1]) else None
    if entry is not None:
        return entry
    near = difflib.get_close_matches(_key(name), known, n=NAMED, cutoff=0.5)
    names = [known[key].name for key in near] or sorted(c.name for c in known.values())
    what = "near it are" if near else "known are"
    raise BadInput(
        f"--card {name!r} is not known; {what} {', '.join(names)}; "
        "or give its memory: --total-mib N, as CUDA has it (`nvidia-smi` shows 1 to 4 % more)"
    )


@cache
def _cards() -> Mapping[str, Card]:
    data = json.loads((files("objectives.fit") / "cards.json").read_text("utf-8"))
    return {_key(row[0]): Card(*row) for row in data["cards"]}


def _key(name: str) -> str:
    """Return a name without what people write in different ways.

    >>> _key("NVIDIA GeForce RTX 3060"), _key("A100-SXM4-80GB"), _key("H100 80GB HBM3")
    ('rtx3060', 'a10080gb', 'h10080gb')
    """
    return re.sub(r"nvidia|geforce|tesla|sxm\d?|pcie|hbm\d?e?|[^a-z0-9]", "", name.lower())
