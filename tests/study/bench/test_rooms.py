"""What others hold is told of each device of a study by itself, and a plan counts it there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from made.factories import Card

from objectives.allocation import Allocation
from objectives.devices.device import Identity, Occupant
from objectives.engines.registry import engines_of
from objectives.servers.earlier_starts import predicted
from objectives.services import LlmService, Services, SttService
from study.bench.bench import Bench
from study.bench.rooms import rooms_of


class Twin(Card):
    """The second card of a machine."""

    identity = Identity("Card", "GPU-2", 12_000.0, "580.1", "13.0")


def test_each_device_has_its_own_others_without_those_that_lend() -> None:
    devices = {"gpu0": Card(9_000.0), "gpu1": Twin(4_000.0, game_mib=(6_000.0,), unit="game")}
    bench = Bench(devices, cast(Any, None), {}, [Occupant(9, "x", 1_000.0, None)])
    source = cast(Any, SimpleNamespace(bench=bench))
    named = {"gpu0": "0", "gpu1": "1"}
    held = {n: room.held_mib for n, room in rooms_of(named, source, ["game"], {9}).items()}
    assert held == {"gpu0": 2_000.0, "gpu1": 2_000.0}
    assert rooms_of(named, source, [])["gpu1"].held_mib == 8_000.0


@pytest.mark.parametrize(("recording", "names"), [(None, ["gpu0", "gpu1"]), ("a", ["gpu0"])])
def test_where_nobody_looked_every_gpu_is_such_a_one(recording: object, names: list[str]) -> None:
    elsewhere = SimpleNamespace(bench=None, recording=recording, identity=Card.identity)
    rooms = rooms_of({"gpu0": "0", "gpu1": "1", "cpu": "cpu"}, cast(Any, elsewhere), [])
    assert [*rooms] == names and rooms["gpu0"].held_mib == 0.0


def test_a_plan_names_the_card_of_a_set_that_is_too_full() -> None:
    devices = {"gpu0": Card(9_000.0), "gpu1": Twin(4_000.0)}
    bench = Bench(devices, cast(Any, None), {}, ())
    source = cast(Any, SimpleNamespace(bench=bench))
    rooms = rooms_of({}, source, [])
    services: Services = {"llm": LlmService(model="m"), "stt": SttService(place="gpu1")}
    both = {"vllm_memory_util": 0.6, "whisper_model_size": "base", "llm.place": "gpu0+gpu1"}
    engines = engines_of(services)
    full = predicted(Allocation(both), [], engines, rooms, 100.0)
    assert full.is_ruled_out and full.explanation.startswith("gpu1: 7,200 share + 8,000 tenants")
    alone = predicted(Allocation({**both, "llm.place": "gpu0"}), [], engines, rooms, 100.0)
    assert not alone.is_ruled_out
