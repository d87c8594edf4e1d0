"""A baseline that others leave no room for is refused; one that fits no empty card is launched."""

from __future__ import annotations

from typing import Any, cast

import pytest
from factories import Card

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.errors import SetupError
from study.bench.bench import Bench, refuse_full_device

TOTAL_MIB = Card.identity.total_mib


def machine(free_mib: float, *held_mib: float | None) -> Bench:
    """Return a machine whose card has so much free, and these occupants."""

    class Setting:
        tenants = ()

    occupants = [Occupant(n, "a game", mib, None) for n, mib in enumerate(held_mib)]
    return Bench(cast(Any, Card(free_mib)), cast(Any, Setting()), {}, occupants)


def share(value: float) -> Allocation:
    return Allocation({"vllm_memory_util": value, "whisper_model_size": "base"})


@pytest.mark.parametrize(
    ("free_mib", "held_mib"),
    [(0.5 * TOTAL_MIB, (0.45 * TOTAL_MIB,)), (0.5 * TOTAL_MIB, ()), (0.5 * TOTAL_MIB, (None,))],
)
def test_what_others_hold_is_refused(free_mib: float, held_mib: tuple[float | None, ...]) -> None:
    with pytest.raises(SetupError, match="cannot fit"):
        refuse_full_device(share(0.6), machine(free_mib, *held_mib))


def test_a_share_that_no_empty_card_has_is_left_to_its_launch() -> None:
    refuse_full_device(share(0.99), machine(0.97 * TOTAL_MIB))
    refuse_full_device(share(0.99), machine(0.93 * TOTAL_MIB, 0.02 * TOTAL_MIB))
    with pytest.raises(SetupError, match="cannot fit"):
        refuse_full_device(share(0.90), machine(0.80 * TOTAL_MIB, 0.19 * TOTAL_MIB))


def test_what_to_end_is_named_where_it_frees_enough() -> None:
    with pytest.raises(SetupError, match="ending process 0, if it is yours would free 5,400\n"):
        refuse_full_device(share(0.6), machine(0.5 * TOTAL_MIB, 0.45 * TOTAL_MIB))
    with pytest.raises(SetupError, match=r"too few\n"):
        refuse_full_device(share(0.7), machine(0.1 * TOTAL_MIB, 0.2 * TOTAL_MIB))
