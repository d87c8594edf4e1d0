"""The files say of a cell of a search space whether it starts, and what its KV cache holds."""

from __future__ import annotations

from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.fit.beside_memory import MemoryNeed
from objectives.fit.fits import Fits

# of a process with CUDA, outside every share: 494 on an H100, another on other cards
CONTEXT_MIB = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host is the device that is shared, with what else it holds.

    Args:
        product: Its name.
        total_mib: The memory that servers may share, MiB.
        held_mib: What others hold of it, tenants among them, MiB.
        reserve_mib: What must stay free for the growth of what is there, MiB.
        is_cpu: Whether it is the host's own memory.
        beside: What services beside a voice turn take of it, as far as it is known.
    """

    product: str
    total_mib: float
    held_mib: float
    reserve_mib: float
    is_cpu: bool = False
    beside: tuple[MemoryNeed, ...] = ()

    @property
    def parts(self) -> dict[str, float]:
        """Return what is known to be held of it, MiB: by the services beside, and by others."""
        known = {c.service: c.mib for c in self.beside if c.mib is not None}
        return {**known, "others": self.held_mib}

    @property
    def slack_mib(self) -> float:
        """Return how far off that may be, with what must stay free, MiB."""
        return self.reserve_mib + sum(c.slack_mib for c in self.beside)

    @property
    def unknown(self) -> str:
        """Return in sentences what is not known of the services beside; empty where all is."""
        return "; ".join(c.unknown for c in self.beside if c.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell is an allocation with what the files say of it; what they do not say is None.

    Args:
        allocation: The allocation.
        outcome: Whether it starts, or why not.
        is_close: Whether the sum is inside its margin, so that only the servers can tell.
        missing_mib: The memory that is missing, MiB; below zero what is left.
        margin_mib: How far off the sum may be, MiB.
        kv_tokens: The size of its KV cache.
        longest_tokens: The longest request that it takes.
        at_once: How many of the workload's longest requests it takes at once.
        free_mib: What stays free of the device under load, about, MiB.
        least_mib: What the LLM needs to start, MiB, perhaps and surely; None where it has no share.
        most_mib: What it may be given beside everything else, MiB, surely and perhaps.
        own_mib: What the LLM takes itself, and how far off that may be, MiB; None where it has a
            share, or nobody knows.
        why: The sum, or why it is not known.
        place: The names of the LLM's devices; empty where they have none.
    """

    allocation: Allocation
    outcome: Fits
    is_close: bool = False
    missing_mib: float | None = None
    margin_mib: float | None = None
    kv_tokens: int | None = None
    longest_tokens: int | None = None
    at_once: int | None = None
    free_mib: float | None = None
    least_mib: tuple[float, float] | None = None
    most_mib: tuple[float, float] | None = None
    own_mib: tuple[float, float] | None = None
    why: str = ""
    place: str = ""

    @property
    def is_ruled_out(self) -> bool:
        """Return whether it does not start, by the sum."""
        return self.outcome.is_ruled_out


@dataclass(frozen=True, slots=True)
class SpeechMemory:
    """A speech server takes this memory.

    Args:
        mib: Its memory on the device, MiB; None where that is not known.
        why: Why it is not known; empty where it is.
        slack_mib: How far off it may be, MiB.
    """

    mib: float | None
    why: str = ""
    slack_mib: float = 0.0
