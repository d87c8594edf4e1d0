"""One LLM is spread over several cards: each of them is counted, watched and judged by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest
from made.live_factories import LOW, SERVER, Shelf, setting
from made.model_folders import write_config

from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.device import Identity, Sample
from objectives.devices.device_set import DeviceSet, env_of
from objectives.engines.command import Command
from objectives.engines.places import Place
from objectives.engines.registry import engines_of
from objectives.engines.sglang import SGLang
from objectives.engines.vllm.llm import Vllm
from objectives.errors import OutOfMemory
from objectives.evaluation import Job
from objectives.load.replies import Symptom
from objectives.measurement import DeviceFigures, Measurement, ServiceFigures
from objectives.servers.blame import Suspects, failed_load, on_named_device
from objectives.servers.earlier_starts import Starts
from objectives.servers.lineup import Lineup
from objectives.services import LlmService, OtherService, Services, SttService
from objectives.setting import Setting

BOTH = "gpu0+gpu1"


class Gpu(Shelf):
    """A card of numbers, of which a server holds what a test says."""

    def __init__(self, number: int, total_mib: float = 10_000.0, mib: float | None = 100.0) -> None:
        uuid = f"GPU-{number}"
        self.identity = Identity(f"Card of {total_mib:g}", uuid, total_mib, "580.1", "13.0")
        order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        self.server_env = MappingProxyType({**order, "CUDA_VISIBLE_DEVICES": str(number)})
        self.free_mib, self.mib = 0.8 * total_mib, mib

    def sample(self) -> Sample:
        return Sample(time.monotonic(), self.free_mib)

    def held_mib(self, pid: int) -> float | None:
        return self.mib


def cards(*sizes_mib: float) -> DeviceSet:
    return {f"gpu{n}": Gpu(n, size) for n, size in enumerate(sizes_mib or (10_000.0, 10_000.0))}


def at(share: float = 0.4, place: str = BOTH, **more: Any) -> Allocation:
    return Allocation({**LOW.values, "vllm_memory_util": share, "llm.place": place, **more})


def spread() -> Setting:
    usual = setting()
    services = {n: replace(s, place="gpu0") for n, s in usual.services.items()}
    return replace(usual, services=services)


def llm(*args: str, model: str = "m") -> Vllm:
    return Vllm(LlmService(model=model, args=args, place="gpu0"))


def size_in(argv: tuple[str, ...]) -> list[str]:
    flags = [n for n, word in enumerate(argv) if word == "--tensor-parallel-size"]
    return [argv[n + 1] for n in flags]


def test_the_engine_is_told_over_how_many_cards_it_is_spread() -> None:
    assert size_in(llm().command(at(), {}).argv) == ["2"]
    assert size_in(llm().command(at(place="gpu0+gpu1+gpu2"), {}).argv) == ["3"]
    assert size_in(llm().command(LOW, {}).argv) == []
    # where it is searched, a unit that was spread is told so
    assert size_in(llm().command(at(place="gpu0"), {}).argv) == ["1"]
    assert size_in(llm("--tensor-parallel-size", "2").command(at(), {}).argv) == ["2"]
    assert "--tensor-parallel-size 2" in llm().settings(at())
    keys = {llm().memory_key(at(place=place)) for place in (BOTH, "gpu0", "gpu0+gpu2")}
    assert len(keys) == 3  # other cards may be of another size


def test_a_server_sees_the_cards_of_its_set_in_their_order() -> None:
    first, second = cards().values()
    assert env_of([second, first])["CUDA_VISIBLE_DEVICES"] == "1,0"
    assert env_of([first]) == first.server_env


@pytest.mark.usefixtures("one_generator")
def test_each_card_of_a_set_is_measured_and_held_by_the_llm(tmp_path: Path) -> None:
    devices = cards()
    with Colocation(spread(), devices, tmp_path) as colocation:
        measured = colocation.measure(Job(at(0.05), 0, tmp_path / "0")).measurement
        command = colocation.servers.lineup._held["llm"].command
        occupancy = colocation.servers.occupancy()
    assert measured is not None and measured.devices.keys() == {"GPU-0", "GPU-1"}
    assert [d.taken_mib for d in measured.devices.values()] == [{"llm": 100.0}] * 2
    assert [d.free_memory_mib for d in measured.devices.values()] == [8_000.0, 8_000.0]
    assert command.env["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert occupancy.held_mib.keys() == {"llm", "stt"}
    again = Measurement.from_json(measured.to_json())
    assert again.devices["GPU-1"].taken_mib == {"llm": 100.0}


def test_a_card_of_the_set_that_is_too_full_is_named_before_a_launch(tmp_path: Path) -> None:
    devices = cards()
    devices["gpu1"].free_mib = 3_000.0  # type: ignore[attr-defined]
    with Colocation(spread(), devices, tmp_path) as colocation:
        failure = colocation.measure(Job(at(0.4), 0, tmp_path / "0")).failure
        assert failure is not None
        assert not list((tmp_path / "0").glob("*.log"))
        assert (
            colocation.servers.starts.prediction(at(0.4, "gpu0"), colocation.servers.lineup).fits
            == "unknown"
        )
    assert failure.diagnosis is not None and failure.diagnosis.phase == "precheck"
    assert failure.diagnosis.evidence.startswith("gpu1: 4,000 share")


def starts(first_mib: float, second_mib: float, *taken_mib: float) -> Starts:
    """Return what a start over two cards showed, whose first one told 2,000 MiB of cache."""
    sizes = zip((first_mib, second_mib), taken_mib, strict=True)
    devices = {
        f"GPU-{n}": DeviceFigures(device_total_mib=total, taken_mib={"llm": taken})
        for n, (total, taken) in enumerate(sizes)
    }
    figures = ServiceFigures(
        memory_mib=max(taken_mib), kv_cache_mib=2_000.0, kv_tokens=4_000, max_model_len=1_000
    )
    services = {"llm": figures, "stt": ServiceFigures(memory_mib=100.0)}
    launches = [(at(0.4), Measurement(services=services, devices=devices))]
    return Starts(engines_of(spread().services), launches)


def test_what_each_card_lost_counts_there_alone() -> None:
    lineup = Lineup(cards(10_000.0, 5_000.0), reserve_mib=100.0)
    uneven = starts(10_000.0, 5_000.0, 4_100.0, 2_100.0)
    fits = uneven.prediction(at(0.4), lineup)
    assert fits.fits == "fits"
    # 100 beyond the share of either, and not 2,100 beyond that of the smaller one
    crowded = uneven.prediction(at(0.79), lineup)
    assert crowded.fits == "predicted_oom" and "100 beyond it" in crowded.explanation


def test_the_cache_of_uneven_cards_is_the_servers_to_tell() -> None:
    small = at(0.15)
    even = Lineup(cards(), reserve_mib=100.0)
    prediction = starts(10_000.0, 10_000.0, 4_100.0, 4_100.0).prediction(small, even)
    assert prediction.fits == "predicted_kv_too_small" and "1,500 MiB" in prediction.explanation
    uneven = Lineup(cards(10_000.0, 5_000.0), reserve_mib=100.0)
    assert starts(10_000.0, 5_000.0, 4_100.0, 2_100.0).prediction(small, uneven).fits == "fits"


def test_a_start_on_one_card_says_nothing_of_one_on_two() -> None:
    lineup = Lineup(cards(), reserve_mib=100.0)
    real: Services = {"llm": LlmService(model="m", place="gpu0"), "stt": SttService(place="gpu0")}
    known = starts(10_000.0, 10_000.0, 4_100.0, 4_100.0)
    known.engines = engines_of(real)
    assert known.prediction(at(0.4), lineup).fits == "fits"
    assert known.prediction(at(0.4, "gpu0"), lineup).fits == "unknown"


def test_an_answer_without_memory_on_one_card_is_not_accepted(tmp_path: Path) -> None:
    devices = cards()
    devices["gpu1"].mib = 1.0  # type: ignore[attr-defined]
    lineup = Lineup(devices, reserve_mib=100.0)
    command = Command((*SERVER.split(), "--mood", "well"), {}, 30.0)
    ready = Vllm(LlmService(command="any")).is_ready
    with pytest.raises(OutOfMemory, match="1 MiB more are held on gpu1"):
        log = tmp_path / "llm.log"
        lineup.start("llm", "completions", command, ready, log, {}, place=Place(BOTH))
    assert not lineup.taken_mib


def test_the_line_of_a_worker_names_the_card_as_the_spec_does() -> None:
    line = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB. GPU 1 has a total"
    assert on_named_device(line, ("gpu2", "gpu3")) == f"gpu3: {line}"
    assert on_named_device(line, ("gpu2",)) == line
    worker = "(Worker_TP0 pid=11) ERROR ValueError: Free memory on device (1.0/8.0 GiB) on startup"
    assert on_named_device(worker, ("gpu2", "gpu3")) == f"gpu2: {worker}"
    assert on_named_device("cuda:7 is full", ("gpu2", "gpu3")) == "cuda:7 is full"


@pytest.mark.parametrize(("names", "start"), [(("gpu2", "gpu3"), "gpu3: "), (("gpu2",), "")])
def test_memory_that_a_worker_lacks_under_load_is_that_of_its_card(
    names: tuple[str, ...], start: str
) -> None:
    line = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total"
    )
    log = f"(APIServer pid=1) INFO:     Application startup complete.\n(Worker pid=9) ERROR {line}"
    server = SimpleNamespace(name="llm", alive=False, exit_code=0, log_text=lambda: log)
    suspects = Suspects({"llm": cast(Any, server)}, {"llm": "completions"}, {}, {}, {"llm": names})
    failed = failed_load(suspects, Symptom("no answer", "llm"))
    assert isinstance(failed, OutOfMemory)
    assert failed.diagnosis.failure_class == "oom_runtime_llm"
    assert failed.diagnosis.evidence.startswith(f"{start}(Worker pid=9) ERROR torch.OutOf")


def test_heads_that_the_cards_do_not_share_out_are_told(tmp_path: Path) -> None:
    write_config(tmp_path, num_attention_heads=28)
    assert llm(model=str(tmp_path)).undivided(2) is None
    assert "28 attention heads" in (llm(model=str(tmp_path)).undivided(3) or "")
    assert llm(model="not/here").undivided(3) is None
    assert SGLang(LlmService(model=str(tmp_path))).undivided(3) is None


def test_an_other_service_stays_on_one_card() -> None:
    embed = OtherService(api="embeddings", engine="vllm", model="m", place="gpu1")
    [engine] = engines_of({"embed": embed})
    assert not size_in(engine.command(at(), {}).argv)
