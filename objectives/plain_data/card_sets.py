"""The cards of a set have one name, as it is stored: their UUIDs, the LLM's first; pure."""

from __future__ import annotations

from collections.abc import Iterable


def set_name(uuids: Iterable[str]) -> str:
    """Return the name of a set, which of one card is its UUID.

    >>> set_name(["GPU-a", "GPU-b"])
    'GPU-a GPU-b'
    """
    return " ".join(uuids)


def cards_of(name: str) -> tuple[str, ...]:
    """Return the UUIDs of a set, or of one card; none where no card was kept.

    >>> cards_of("GPU-a GPU-b"), cards_of("GPU-a"), cards_of("")
    (('GPU-a', 'GPU-b'), ('GPU-a',), ())
    """
    return tuple(name.split())


def is_set(name: str) -> bool:
    """Tell whether several cards have this name."""
    return len(cards_of(name)) > 1
