"""This module names a lane's card, or those of its set, for people and for folders; pure."""

from __future__ import annotations

from objectives.plain_data.card_sets import cards_of, is_set

OF_SET = 4  # letters of each UUID in the name of a set
KINDS = ("GPU", "MIG")


def short_name(card: str) -> str:
    """Return the UUID of a card, or those of a set, as people are told them.

    >>> short_name("GPU-0f3c9a12-1111-2222-3333-444455556666")
    'GPU-0f3c9a12'
    >>> short_name("GPU-0f3c9a12-1111 GPU-77ab41d0-5555 host-box")
    'GPU-0f3c+77ab+host-box'
    """
    if not is_set(card):
        return "-".join(card.split("-")[:2])
    first, *others = (
        f"{kind}-{rest[:OF_SET]}" if kind in KINDS else f"{kind}-{rest}"
        for kind, _, rest in (uuid.partition("-") for uuid in cards_of(card))
    )
    kind, *_ = first.partition("-")
    return "+".join((first, *(name.removeprefix(f"{kind}-") for name in others)))


def folder_name(card: str) -> str:
    """Return the name of a lane's folder, which no other lane has: no two have one first card.

    >>> folder_name("GPU-a GPU-b"), folder_name("MIG-GPU-a/1/0")
    ('GPU-a+GPU-b', 'MIG-GPU-a_1_0')
    """
    first, *others = cards_of(card)
    return "+".join((first, *map(short_name, others))).replace("/", "_")
