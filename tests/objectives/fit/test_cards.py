"""Checks the cards that are known, however their names are written."""

from __future__ import annotations

import pytest

from objectives.errors import BadInput
from objectives.fit.cards import card


@pytest.mark.parametrize(
    ("name", "usable_mib", "compute"),
    [
        ("RTX 3060", 12_036, 8.6),
        ("NVIDIA GeForce RTX 3060", 12_036, 8.6),
        ("rtx3060 12 GB", 12_036, 8.6),
        ("NVIDIA H100 80GB HBM3", 81_079, 9.0),
        ("NVIDIA A100-SXM4-80GB", 81_470, 8.0),
        ("Tesla T4", 14_910, 7.5),
    ],
)
def test_a_card_is_found_by_the_name_that_people_have(
    name: str, usable_mib: float, compute: float
) -> None:
    known_card = card(name)
    assert (known_card.usable_mib, known_card.compute) == (usable_mib, compute)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("RTX 4060 Ti", "RTX 4060 Ti 16GB"),
        ("rtx 3080 12GB", "RTX 3080"),
        ("banana", "RTX 5090"),
        ("RTX 3060 " + "9" * 5000 + "GB", "known are"),
    ],
)
def test_an_unknown_card_names_near_ones(name: str, near: str) -> None:
    with pytest.raises(BadInput, match=r"--total-mib") as error:
        card(name)
    assert near in str(error.value)


def test_what_is_not_known_of_a_card_is_told() -> None:
    assert card("RTX 3060").notes == []
    (note,) = card("RTX 4070").notes
    assert "nvidia-smi shows" in note
