"""Services on several devices are started, predicted and measured each on its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from made.live_factories import LOW, Shelf, setting

from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.device import Identity
from objectives.devices.device_set import DeviceSet
from objectives.engines.places import Place
from objectives.engines.registry import engines_of
from objectives.evaluation import Job
from objectives.measurement import DeviceFigures, Measurement, ServiceFigures
from objectives.recording import read
from objectives.servers.earlier_starts import Starts
from objectives.servers.lineup import Lineup
from objectives.servers.tenants import Tenant
from objectives.servers.versions import unable
from objectives.services import LlmService, Services, SttService
from objectives.setting import Setting, conditions

pytestmark = pytest.mark.usefixtures("forked")
ROOT = Path(__file__).resolve().parents[2]


class Other(Shelf):
    """A second device of numbers, half as large."""

    identity = Identity("Old shelf", "shelf-1", 5_000.0, None, None)
    server_env = MappingProxyType({"SHELF": "1"})
    free_mib = 4_500.0


def two() -> DeviceSet:
    return {"gpu0": Shelf(), "gpu1": Other()}


def at(place: str, **more: object) -> Allocation:
    return Allocation({**LOW.values, "stt.place": place, **more})  # type: ignore[dict-item]


def placed() -> Setting:
    usual = setting()
    return replace(usual, services={n: replace(s, place="gpu0") for n, s in usual.services.items()})


def test_a_service_that_moves_is_started_there_and_the_llm_is_kept(tmp_path: Path) -> None:
    with Colocation(placed(), two(), tmp_path) as colocation:
        first = colocation.measure(Job(at("gpu0"), 0, tmp_path / "0")).measurement
        both = colocation.servers.occupancy()
        second = colocation.measure(Job(at("gpu1"), 0, tmp_path / "1")).measurement
        alone = colocation.servers.occupancy()
    assert first is not None and second is not None
    assert {u: d.device_total_mib for u, d in second.devices.items()} == {
        "shelf-0": 10_000.0,
        "shelf-1": 5_000.0,
    }
    assert both.held_mib.keys() == {"llm", "stt"} and alone.held_mib.keys() == {"llm"}
    assert second.services["llm"].start_s == 0 and second.services["stt"].start_s
    assert second.device.device_total_mib == 5_000.0  # the one with the least that is free


def launches() -> list[tuple[Allocation, Measurement]]:
    """Return what a start showed with speech on the old card, which took 4,800 MiB there."""
    devices = {
        "shelf-0": DeviceFigures(device_total_mib=10_000.0, free_memory_mib=5_000.0),
        "shelf-1": DeviceFigures(device_total_mib=5_000.0, free_memory_mib=200.0),
    }
    llm = ServiceFigures(
        memory_mib=4_000.0, kv_cache_mib=2_000.0, kv_tokens=4_000, max_model_len=1_000
    )
    services = {"llm": llm, "stt": ServiceFigures(memory_mib=4_800.0)}
    return [(at("gpu1"), Measurement(services=services, devices=devices))]


def test_memory_is_predicted_for_each_device_by_itself() -> None:
    starts = Starts(engines_of(placed().services), launches())
    lineup = Lineup(two(), reserve_mib=100.0)
    crowded = starts.prediction(at("gpu1"), lineup)
    assert crowded.fits == "predicted_oom" and "of 5,000 MiB" in crowded.explanation
    assert "share" not in crowded.explanation
    # of the LLM's own device 40 % is known to be enough, of 15 % it is known not to be
    assert starts.prediction(at("gpu0"), lineup).fits == "unknown"
    small = starts.prediction(at("gpu0", vllm_memory_util=0.15), lineup)
    assert small.fits == "predicted_kv_too_small" and "1,500 MiB" in small.explanation


def test_the_tenant_of_another_device_is_not_the_llms(tmp_path: Path) -> None:
    ballast = Tenant(name="ballast", share=0.01, device="gpu1")
    variant = replace(placed(), tenants=(ballast,))
    with Colocation(variant, two(), tmp_path) as colocation:
        assert colocation.servers.occupancy().held_mib == {}
    [log] = tmp_path.glob("*ballast.log")
    assert "holds 50 MiB" in log.read_text()
    assert conditions(variant)["tenants"][0]["device"] == "gpu1"
    plain = replace(variant, tenants=(replace(ballast, device=None),))
    assert "device" not in conditions(plain)["tenants"][0]  # as recordings have it


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("gpu1/int8", ("--device", "cuda", "--compute-type", "int8")),
        ("gpu1", ("--device", "cuda", "--compute-type", "float16")),
        ("cpu", ("--device", "cpu", "--compute-type", "int8")),
        ("cpu/float32", ("--device", "cpu", "--compute-type", "float32")),
    ],
)
def test_our_speech_server_is_told_its_device_and_number_format(
    place: str, words: tuple[str, ...]
) -> None:
    services: Services = {"llm": LlmService(place="gpu0"), "stt": SttService(models={"base": "b"})}
    stt = engines_of(services)[0]
    argv = stt.command(at(place), {}).argv
    start = argv.index("--device")
    assert argv[start : start + 4] == words
    assert stt.memory_key(at(place)) != stt.memory_key(at("gpu0"))


def test_the_guide_has_the_figures_of_the_recording_that_ships() -> None:
    recording = read(ROOT / "objectives/recordings/h200_places.jsonl")
    rows = re.findall(r"^\| (gpu\d|cpu), .*", (ROOT / "study/guides/devices.md").read_text(), re.M)
    assert rows == ["gpu0", "gpu1", "cpu"]
    text = (ROOT / "study/guides/devices.md").read_text()
    for entry in recording.entries:
        m, place = entry.measurement, str(entry.values["stt.place"]).partition("/")[0]
        assert m is not None and len(m.devices) == 3
        services = ("stt", "llm", "embed")
        cells = [f"{m.services[s].latency_p95_ms:,.0f}" for s in services]
        [row] = re.findall(rf"^\| {place}, .*", text, re.M)
        assert f"| {m.capacity_turns_per_s:.2f} |" in row
        assert row.endswith(f"| {' | '.join(cells)} |")


@pytest.mark.parametrize(
    ("compute", "places", "message"),
    [
        (6.1, {"llm": (Place("old"),)}, "vLLM's wheels need 7.5"),
        (6.1, {"stt": (Place("old"),)}, "CTranslate2 has float16 from 7 on"),
        (7.5, {"stt": (Place("old", "bfloat16"),)}, "CTranslate2 has bfloat16 from 8 on"),
        (5.2, {"stt": (Place("new"), Place("old", "int8"))}, "has int8 from 6.1 on"),
        (6.1, {"stt": (Place("new"), Place("old", "int8"))}, None),
        (6.1, {}, None),
        (None, {"llm": (Place("old"),), "stt": (Place("old"),)}, None),
    ],
)
def test_what_a_card_cannot_do_is_said(
    compute: float | None, places: Mapping[str, tuple[Place, ...]], message: str | None
) -> None:
    old = Shelf()
    old.compute = compute
    new = Shelf()
    new.compute = 8.6
    services: Services = {"llm": LlmService(), "stt": SttService()}
    sentences = unable({"new": new, "old": old}, services, places)
    assert (
        ([message in s and "(old)" in s for s in sentences] == [True]) if message else not sentences
    )


def test_what_a_command_starts_and_what_allows_float16_are_not_judged() -> None:
    old = Shelf()
    old.compute = 6.1
    stt = SttService(env={"CT2_CUDA_ALLOW_FP16": "1"})
    assert not unable({"": old}, {"llm": LlmService(command="serve {port}"), "stt": stt}, {})
