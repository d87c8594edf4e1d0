"""A baseline that others leave no room for is refused; one that fits no empty card is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from made.factories import Card
from made.model_folders import write_config

from objectives.allocation import Allocation
from objectives.devices.device import Identity, Occupant
from objectives.devices.device_set import device_set
from objectives.engines.places import Place
from objectives.errors import InUse, SetupError
from objectives.services import LlmService, SttService
from study.bench import bench as bench_module
from study.bench.bench import Bench, bench
from study.bench.device_lock import sole_use
from study.bench.full_device import refuse_full_device
from study.bench.loan import borrowed
from study.fit.device_sets import undivided, uneven
from study.service_pause.options import Lending

TOTAL_MIB = Card.identity.total_mib


def machine(free_mib: float, *held_mib: float | None) -> Bench:
    """Return a machine whose card has so much free, and these occupants."""

    class Setting:
        tenants = ()
        services: Mapping[str, Any] = {}

    occupants = [Occupant(n, "a game", mib, None) for n, mib in enumerate(held_mib)]
    return Bench(device_set(cast(Any, Card(free_mib))), cast(Any, Setting()), {}, occupants)


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


class Twin(Card):
    """The second card of a machine."""

    identity = Identity("Card", "GPU-2", 12_000.0, "580.1", "13.0")


def test_two_names_of_one_card_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "open_device", lambda _, **__: Card())
    monkeypatch.setattr(bench_module, "versions", lambda _: {})
    spec = SimpleNamespace(devices={"gpu0": "0", "gpu1": "GPU-1"}, device="0")
    with pytest.raises(SetupError, match="gpu0 and gpu1 under `devices:` are one device"):
        bench(cast(Any, SimpleNamespace(services={})), cast(Any, spec))


def test_every_device_is_held_for_a_study_and_freed_after_it() -> None:
    both = {"gpu0": machine(9000.0).device, "gpu1": cast(Any, Twin())}
    one = replace(machine(9000.0), devices=both)
    assert [*one.devices] == ["gpu0", "gpu1"]
    with borrowed(share(0.5), one, Lending(), lambda _: None):
        for uuid in ("GPU-1", "GPU-2"):
            with pytest.raises(InUse), sole_use(uuid):
                pass
    with sole_use("GPU-1"), sole_use("GPU-2"):
        pass


def test_each_card_of_the_llms_set_must_have_room_for_the_baseline() -> None:
    twin = Twin(0.3 * TOTAL_MIB, game_mib=(0.6 * TOTAL_MIB,))
    services = {"llm": LlmService(model="m", place="gpu0+gpu1")}
    devices = cast(Any, {"gpu0": Card(0.9 * TOTAL_MIB), "gpu1": twin})
    setting = cast(Any, SimpleNamespace(tenants=(), services=services))
    full = Bench(devices, setting, {}, ())
    with pytest.raises(SetupError, match=r"cannot fit on gpu1: 3,600 of 12,000 .*\n.* a game"):
        refuse_full_device(share(0.6), full)
    refuse_full_device(share(0.6), replace(full, setting=cast(Any, replaced(setting, "gpu0"))))


def replaced(setting: Any, place: str) -> SimpleNamespace:
    services = {"llm": replace(setting.services["llm"], place=place)}
    return SimpleNamespace(tenants=(), services=services)


class Smaller(Card):
    """Another product, of half the memory."""

    identity = Identity("Old card", "GPU-3", 6_000.0, "580.1", "13.0")


def test_what_is_uneven_about_a_set_is_said() -> None:
    places = {"llm": (Place("gpu0"), Place("gpu0+gpu1")), "stt": (Place("gpu1"),)}
    even, odd = ({"gpu0": Card(), "gpu1": other} for other in (Twin(), Smaller()))
    assert not list(uneven(cast(Any, even), places))
    size, product = uneven(cast(Any, odd), places)
    assert size.startswith("gpu0+gpu1 are of 12,000 and 6,000 MiB: ") and "the smallest" in size
    assert product.startswith("gpu0+gpu1 are Card and Old card: ")


def test_heads_that_a_set_does_not_divide_are_said_before_a_launch(tmp_path: Path) -> None:
    write_config(tmp_path, num_attention_heads=28)
    services = {"llm": LlmService(model=str(tmp_path)), "stt": SttService()}
    places = {"llm": (Place("a"), Place("a+b"), Place("a+b+c")), "stt": (Place("a"),)}
    [sentence] = undivided(services, places)
    assert "28 attention heads" in sentence and "3 cards" in sentence
