"""Two servers share one device: kept while the command stays, started, and stopped for good."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from objectives.apis.pages import engine_page
from objectives.apis.short_requests import Refused
from objectives.devices.device_set import device_set
from objectives.engines.faster_whisper.stt import FasterWhisper
from objectives.engines.vllm.llm import Vllm
from objectives.errors import Disturbed, OutOfMemory, SetupError
from objectives.plain_data.units import MIB
from objectives.servers import blame
from objectives.servers.lineup import Lineup
from objectives.servers.process import MARK, marked
from objectives.servers.tenants import Tenant, holding
from objectives.services import LlmService, SttService
from objectives.traffic.clips import read_clips

SERVICE = LlmService(command="any")
CLIP = read_clips("assistant")[0]


@pytest.fixture
def pair(device):
    lineup = Lineup(device_set(device), reserve_mib=512.0)
    yield lineup
    lineup.stop("llm", "stt")


def ready(url, within_s):
    return Vllm(SERVICE).is_ready(url, within_s)


def test_a_command_that_runs_is_not_started_again(pair, fake_command, tmp_path):
    first = pair.start("llm", "completions", fake_command(), ready, tmp_path / "1.log", {})
    pid = pair.server("llm").pid
    again = pair.start("llm", "completions", fake_command(), ready, tmp_path / "2.log", {})
    assert first["llm_start_s"] > 0
    assert again == {"llm_start_s": 0.0, "llm_memory_mib": 100.0}
    assert pair.server("llm").pid == pid
    assert not (tmp_path / "2.log").exists()


def test_only_this_very_command_runs(pair, fake_command, tmp_path):
    assert not pair.runs("llm", fake_command())
    pair.start("llm", "completions", fake_command(), ready, tmp_path / "1.log", {})
    assert pair.runs("llm", fake_command())
    assert not pair.runs("llm", fake_command("well", "--label", "x"))
    assert not pair.runs("stt", fake_command())
    pair.stop("stt")
    assert pair.runs("llm", fake_command())
    pair.stop("llm")
    assert not pair.runs("llm", fake_command())


def test_a_server_that_has_died_does_not_run(pair, fake_command, tmp_path):
    pair.start("llm", "completions", fake_command(), ready, tmp_path / "1.log", {})
    server = pair.server("llm")
    server._supervisor.kill()
    server._supervisor.wait()
    assert not pair.runs("llm", fake_command())


def test_a_failed_start_holds_nothing(pair, fake_command, tmp_path):
    with pytest.raises(OutOfMemory) as caught:
        pair.start(
            "llm",
            "completions",
            fake_command("oom-at-start"),
            ready,
            tmp_path / "1.log",
            {"stt_start_s": 2.0},
        )
    assert caught.value.measured == {"stt_start_s": 2.0}
    assert not pair.runs("llm", fake_command("oom-at-start"))
    pair.start("llm", "completions", fake_command(), ready, tmp_path / "2.log", {})


def test_memory_is_what_the_device_lost_where_it_cannot_tell_of_processes(
    pair, device, fake_command, tmp_path
):
    device.held_mib = lambda pid: None

    def loads(url, within_s):
        device.free_mib = 5_000.0
        return ready(url, within_s)

    assert (
        pair.start("llm", "completions", fake_command(), loads, tmp_path / "1.log", {})[
            "llm_memory_mib"
        ]
        == 3_000
    )
    device.free_mib = 8_000.0


def test_a_server_that_answers_from_elsewhere_than_the_gpu_is_not_accepted(
    pair, device, fake_command, tmp_path
):
    device.identity = replace(device.identity, driver="580.1", cuda="13.0")
    device.held_mib = lambda pid: None
    with pytest.raises(OutOfMemory, match="llm_cpu_offload"):
        pair.start("llm", "completions", fake_command(), ready, tmp_path / "1.log", {})
    assert not pair.runs("llm", fake_command())


def test_what_a_running_server_took_is_not_a_neighbours(
    pair, device, fake_command, tmp_path, monkeypatch
):
    monkeypatch.setattr(blame, "PATIENCE_S", 0.2)
    device.held_mib = lambda pid: 3_000.0
    pair.start(
        "stt",
        "transcription",
        fake_command(),
        partial(FasterWhisper(SttService()).is_ready, clip=CLIP),
        tmp_path / "1.log",
        {},
    )
    device.free_mib = 5_000.0
    pair.start("llm", "completions", fake_command(), ready, tmp_path / "2.log", {})
    pair.stop("llm")
    device.free_mib = 4_000.0  # 1,000 MiB beyond what speech holds
    with pytest.raises(Disturbed, match="foreign_tenant: 1,000 MiB more"):
        pair.start("llm", "completions", fake_command(), ready, tmp_path / "3.log", {})
    assert not (tmp_path / "3.log").exists()
    device.free_mib = 8_000.0


def test_stopping_waits_until_the_memory_is_back(pair, device, fake_command, tmp_path):
    device.held_mib = lambda pid: 3_000.0
    pair.start("llm", "completions", fake_command(), ready, tmp_path / "1.log", {})
    looks = iter([5_000.0, 6_000.0, 7_800.0])
    device.sample = lambda plain=device.sample: setattr(device, "free_mib", next(looks)) or plain()
    pair.stop("llm")
    assert device.free_mib == 7_800
    assert next(looks, None) is None


@pytest.mark.parametrize(("mood", "is_ready"), [("well", True), ("never-ready", False)])
def test_ready_is_a_real_answer_of_both_kinds(fake, mood, is_ready):
    url = fake(mood).url
    assert Vllm(SERVICE).is_ready(url, 60) is is_ready
    assert FasterWhisper(SttService()).is_ready(url, 60, CLIP) is is_ready


def test_an_open_port_that_answers_otherwise_is_not_ready(fake):
    url = fake().url
    with pytest.raises(Refused, match=r"HTTP 400: .*not what a completion needs"):
        Vllm(LlmService(command="any", served_model="another")).is_ready(url, 60)
    assert not Vllm(LlmService(command="any", health_path="/no-such-page")).is_ready(url, 60)
    assert not FasterWhisper(SttService(health_path="/no-such-page")).is_ready(url, 60, CLIP)
    assert not FasterWhisper(SttService()).is_ready("http://127.0.0.1:1", 60, CLIP)


def test_an_engines_page_is_empty_where_there_are_none(fake):
    url = fake().url
    assert 'kv_cache_size_tokens="1600"' in engine_page(url, "/metrics")
    assert [engine_page(url, None), engine_page(url, "/no-such-page")] == ["", ""]
    assert engine_page("http://127.0.0.1:1", "/metrics") == ""


def test_the_vocabulary_is_the_specs_or_the_models(tmp_path):
    assert Vllm(LlmService(command="any")).vocabulary() is None
    assert Vllm(LlmService(command="any", vocabulary=50)).vocabulary() == 50
    (tmp_path / "config.json").write_text('{"text_config": {"vocab_size": 77}}')
    assert Vllm(LlmService(model=str(tmp_path))).vocabulary() == 77
    assert Vllm(LlmService(model=str(tmp_path / "none"))).vocabulary() is None


def test_a_tenant_really_holds_its_memory_until_the_block_ends(device, tmp_path):
    with holding([Tenant(name="ballast", mib=40)], device, tmp_path) as tenants:
        tenant = tenants["ballast"]
        pages = max(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree(tenant.pid)
        )
        assert pages * 4096 > 40 * MIB
    assert not tenant.alive
    assert tenant.log_text() == "ballast holds 40 MiB\n"


def tree(pid):
    mark = next(
        w for w in Path(f"/proc/{pid}/environ").read_text().split("\0") if w.startswith(f"{MARK}=")
    )
    return marked(mark.partition("=")[2])


def test_a_tenant_that_does_not_fit_is_refused_before_it_starts(device, tmp_path):
    tenants = [Tenant(name="ballast", share=0.8)]
    with (
        pytest.raises(SetupError, match=r"'ballast' wants 8,000 MiB and 8,000 MiB are free"),
        holding(tenants, device, tmp_path),
    ):
        pytest.fail("there is no room")
    assert list(tmp_path.iterdir()) == []
