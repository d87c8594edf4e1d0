"""Fake servers fail in a whole trial: the class, victim and phase are named, and what follows."""

import time

import pytest
from made.live_factories import LOW, Phases, services, setting

from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.engines.vllm.llm import Vllm
from objectives.errors import Disturbed, OutOfMemory, SetupError
from objectives.evaluation import Job, Step
from objectives.exercise.exercise import Exercise
from objectives.fit.fits import Fits
from objectives.load import ramp
from objectives.measurement import INFINITE
from objectives.servers import blame
from objectives.servers.blame import check_neighbours, prechecked, raised
from objectives.servers.memory_budget import Prediction
from objectives.servers.tenants import Tenant
from objectives.speech.wer import WordErrors
from objectives.traffic.clips import Clip, read_clips

HIGH = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
TINY = Allocation({"vllm_memory_util": 0.4, "whisper_model_size": "tiny"})
AFTER = 4  # readiness, two warm-ups and one request alone; the mood shows under joint load


@pytest.fixture(autouse=True)
def _hurry(monkeypatch, one_generator):
    monkeypatch.setattr(blame, "DYING_S", 0.3)
    monkeypatch.setattr(blame, "PATIENCE_S", 0.5)


@pytest.fixture
def failed(device, tmp_path):
    """Measure one trial that fails, and return its failure and its phases."""

    def measure(*moods, is_ruled_out, **more):
        phases, fails = Phases(), setting(*moods, **more)
        with Colocation(fails, device_set(device), tmp_path, on_phase=phases.append) as colocation:
            outcome = colocation.measure(Job(LOW, 0, tmp_path / "0"))
        assert outcome.measurement is None
        assert outcome.failure.is_ruled_out is is_ruled_out
        return outcome.failure, phases

    return measure


def facts(failure):
    d = failure.diagnosis
    return d.failure_class, d.victim, d.phase, d.deficit_mib


def test_a_well_pair_is_measured(device, tmp_path, monkeypatch):
    monkeypatch.setattr(ramp, "COMPLETION_WINDOW_S", 3.0)  # else 4,000 turns in its tenth second
    more = {"ramp_s": 10, "ramp_doubling_s": 1}
    limits = {"stt_latency_p95_ms": 0.001}
    with Colocation(setting(limits=limits, **more), device_set(device), tmp_path) as colocation:
        m = colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
    assert (m.figure("llm_offered"), m.figure("stt_offered"), m.failure_rate) == (8, 8, 0)
    assert (
        0
        < m.figure("llm_ttft_ms")
        <= m.figure("llm_latency_ms")
        <= m.figure("llm_latency_p95_ms")
        < INFINITE
    )
    assert 0 < m.figure("stt_latency_ms") <= m.figure("stt_latency_p95_ms") < INFINITE
    assert (
        m.figure("llm_kv_tokens"),
        m.figure("llm_kv_cache_mib"),
        m.figure("llm_max_model_len"),
    ) == (1600, 256, 1024)
    assert m.kv_capacity_bound == 80
    assert m.figure("llm_preemptions") == 8
    assert (
        m.figure("gpu_utilization_pct"),
        m.figure("free_memory_mib"),
        m.figure("own_memory_pct"),
    ) == (20, 8000, 0)
    assert (
        m.figure("llm_memory_mib"),
        m.figure("stt_memory_mib"),
        m.figure("device_total_mib"),
    ) == (100, 100, 10_000)
    assert m.started_first == "stt"
    assert (
        min(
            m.figure("llm_start_s"),
            m.figure("stt_start_s"),
            m.figure("llm_interference"),
            m.figure("stt_interference"),
        )
        > 0
    )
    assert (m.concurrent_capacity, m.capacity_turns_per_s, m.capacity_or_0) == (None, None, 0)
    assert (m.capacity_bound_by, m.goodput_pct) == ("stt_latency_p95_ms", 50)
    assert m.ramp == {"first_per_s": 4.0, "doubling_s": 1.0}
    assert [part["llm_ttft_p95_ms"] for part in m.segments] == [m.figure("llm_ttft_p95_ms")]
    assert len((tmp_path / "0/ramp.jsonl").read_text().splitlines()) > 20
    assert m.figure("stt_wer_pct") is None  # random weights have no words
    assert len((tmp_path / "0/replies.jsonl").read_text().splitlines()) == 16


def test_words_are_scored_once_for_each_speech_configuration(device, tmp_path):
    with Colocation(setting(is_scored=True), device_set(device), tmp_path) as colocation:
        first = colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
        colocation.exercise.word_errors["base"] = first.words["stt"][:1]
        second = colocation.measure(Job(LOW, 1, tmp_path / "0")).measurement
    assert first.words["stt"][0].errors == 0  # the fake says the words of the first clip, always
    assert len(first.words["stt"]) == len(read_clips("assistant"))
    assert first.figure("stt_wer_pct") > 50
    assert second.figure("stt_wer_pct") == 0  # from what is remembered: not scored again


def test_words_are_counted_over_clips_of_their_own(device, tmp_path):
    with Colocation(setting(is_scored=True), device_set(device), tmp_path) as colocation:
        clip = Clip("a.mp3", b"sound", 1.0, ("set a timer for twelve minutes",))
        other = Clip("b.mp3", b"sound", 1.0, ("set a timer for ten minutes",))
        exercise = colocation.exercise
        colocation.under(Exercise(exercise.workload, exercise.clips, words=(clip, other)), None)
        m = colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
    assert m.words["stt"] == (WordErrors(0, 6), WordErrors(1, 6))
    assert m.figure("stt_offered") == 8  # of the window: these clips are no traffic


def test_no_memory_for_the_share_at_the_start(failed):
    failure, phases = failed("oom-at-start", is_ruled_out=True)
    assert facts(failure) == ("oom_budget", "llm", "start", 13680.64)
    assert "less than desired GPU memory utilization" in failure.diagnosis.evidence
    assert failure.measured["stt_start_s"] > 0
    assert phases.launches == (0, 0)


def test_out_of_memory_under_load_although_the_server_exits_0(failed):
    failure, phases = failed(f"oom-under-load --after {AFTER}", is_ruled_out=True)
    assert facts(failure) == ("oom_runtime_llm", "llm", "load", 137.38)
    assert "torch.OutOfMemoryError" in failure.diagnosis.evidence
    assert failure.measured["llm_kv_tokens"] == 1600
    assert phases.launches == (1, 0)


def test_an_exit_with_status_0_under_load_is_a_death_and_tried_once_more(failed, monkeypatch):
    monkeypatch.setattr(blame, "DYING_S", 10.0)
    failure, phases = failed(f"exits-0-under-load --after {AFTER}", is_ruled_out=False)
    assert facts(failure) == ("engine_death", "llm", "load", None)
    assert "exit status 0" in failure.diagnosis.evidence
    assert phases.launches == (2, 1)


def test_an_engine_that_only_answers_errors_is_dead_too(failed):
    failure, phases = failed(f"error-in-stream --after {AFTER}", is_ruled_out=False)
    assert facts(failure) == ("engine_death", "llm", "load", None)
    assert "EngineCore encountered an issue" in failure.diagnosis.evidence
    assert phases.launches == (2, 1)


@pytest.mark.parametrize("after", [1, AFTER], ids=["alone", "under joint load"])
def test_speech_out_of_memory(failed, after):
    failure, phases = failed("well", f"stt-oom --after {after}", is_ruled_out=True)
    assert facts(failure) == ("oom_runtime_stt", "stt", "load", None)
    assert "out of memory while transcribing" in failure.diagnosis.evidence
    assert phases.launches == (after == AFTER, 0)


def test_a_speech_server_that_answers_500_without_a_word_counts_as_memory(failed):
    failure, _ = failed("well", f"stt-500 --after {AFTER}", is_ruled_out=True)
    assert facts(failure) == ("oom_runtime_stt", "stt", "load", None)
    assert failure.diagnosis.evidence.startswith("speech: HTTP 500")


@pytest.mark.parametrize(
    ("moods", "name", "victim"),
    [
        (("empty", "well"), "wrong_answer", "llm"),
        (("well", "empty"), "wrong_answer", "stt"),
    ],
)
def test_empty_answers_are_the_fault_of_whose_they_are(failed, moods, name, victim):
    failure, phases = failed(*moods, is_ruled_out=False)
    assert facts(failure) == (name, victim, "load", None)
    title = {"llm": "LLM", "stt": "speech"}[victim]
    assert failure.diagnosis.evidence == f"{title}: empty answer"
    assert phases.launches == (0, 1)


def test_a_server_that_is_never_ready_is_tried_once_more_and_then_infeasible(failed):
    failure, phases = failed("never-ready", start_timeout_s=0.5, is_ruled_out=True)
    assert facts(failure) == ("startup_timeout", "llm", "start", None)
    assert phases.launches == (0, 1)


def test_a_command_that_is_wrong_stops_the_study(device, tmp_path):
    wrong = setting("well --no-such-flag")
    with (
        Colocation(wrong, device_set(device), tmp_path) as colocation,
        pytest.raises(SetupError) as caught,
    ):
        colocation.measure(Job(LOW, 0, tmp_path / "0")).raise_for_setup()
    assert "the llm server does not start: " in str(caught.value)
    assert "unrecognized arguments: --no-such-flag" in str(caught.value)


def test_a_tenant_that_dies_is_the_victim_and_is_there_again_for_the_next_trial(device, tmp_path):
    tenants = (Tenant(name="ballast", mib=1),)
    with Colocation(
        setting(tenants=tenants, window_s=1.5), device_set(device), tmp_path
    ) as colocation:
        [tenant] = colocation.servers.tenants.values()

        def kill(phase):
            if phase.step is Step.LOADING:
                tenant._supervisor.kill()

        colocation.on_phase = kill
        failure = colocation.measure(Job(LOW, 0, tmp_path / "0")).failure
        assert not tenant.alive
        colocation.on_phase = lambda _: None
        again = colocation.measure(Job(LOW, 0, tmp_path / "1")).measurement
        assert again.failure_rate == 0.0
        assert [t.alive for t in colocation.servers.tenants.values()] == [True]
    assert failure.is_ruled_out
    assert failure.diagnosis.victim == "tenant:ballast"
    assert failure.diagnosis.phase == "load"


def test_servers_are_kept_as_long_as_their_commands(device, tmp_path):
    (tmp_path / "1").mkdir()  # no server writes its log there
    with Colocation(setting(), device_set(device), tmp_path) as colocation:
        first, same, other, last = (
            colocation.measure(Job(allocation, 0, tmp_path / str(n))).measurement
            for n, allocation in enumerate([TINY, TINY, LOW, TINY])
        )
    assert min(first.figure("llm_start_s"), first.figure("stt_start_s")) > 0
    assert (same.figure("llm_start_s"), same.figure("stt_start_s")) == (0, 0)
    # `base` was not measured before: it was started beside the LLM server, which made figures sure
    assert (other.figure("llm_start_s"), other.figure("stt_start_s") > 0, other.started_first) == (
        0,
        True,
        "llm",
    )
    assert (last.figure("llm_start_s"), last.figure("stt_start_s") > 0, last.started_first) == (
        0,
        True,
        "llm",
    )


def test_near_the_wall_speech_is_started_first_although_the_llm_server_could_be_kept(
    device, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        device, "free_mib", 4_700.0
    )  # 4,000 + 0 + 100 + 512 and the margin of 200 do not fit
    with Colocation(setting(), device_set(device), tmp_path) as colocation:
        measurements = [
            colocation.measure(Job(a, 0, tmp_path / str(n))).measurement
            for n, a in enumerate([TINY, LOW, TINY])
        ]
    assert [(m.figure("llm_start_s") > 0, m.started_first) for m in measurements] == [
        (True, "stt")
    ] * 3
    assert "stopping" in measurements[1].phase_s
    assert measurements[1].phase_s["starting llm"] > 0


def test_the_time_is_split_by_phase_and_memory_is_kept_by_the_second(device, tmp_path):
    with Colocation(setting(window_s=2), device_set(device), tmp_path) as colocation:
        m = colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
    assert list(m.phase_s) == ["stopping", "starting stt", "starting llm", "alone", "window"]
    assert m.phase_s["window"] > 1
    assert m.phase_s["starting llm"] == pytest.approx(m.figure("llm_start_s"), abs=0.5)
    assert len(m.figure("used_mib_by_s")) > 2
    assert set(m.figure("used_mib_by_s")) == {2000}


def test_another_share_is_another_llm_server_beside_the_same_speech(device, tmp_path):
    with Colocation(setting(), device_set(device), tmp_path) as colocation:
        colocation.measure(Job(LOW, 0, tmp_path / "0"))
        speech = colocation.servers.lineup.server("stt").pid
        other = colocation.measure(Job(HIGH, 1, tmp_path / "1")).measurement
        assert colocation.servers.lineup.server("stt").pid == speech
    assert (other.figure("llm_start_s") > 0, other.figure("stt_start_s"), other.started_first) == (
        True,
        0,
        "stt",
    )


def test_a_smaller_kv_cache_of_the_same_command_is_contaminated(device, tmp_path):
    with Colocation(setting(), device_set(device), tmp_path) as colocation:
        colocation.servers.starts.kv_tokens = {
            str(Vllm(services()["llm"]).command(LOW, {})): 99_000
        }
        colocation.on_phase = (phases := Phases()).append
        failure = colocation.measure(Job(LOW, 0, tmp_path / "0")).failure
    assert not failure.is_ruled_out
    assert facts(failure) == ("contaminated", None, "start", None)
    assert phases.launches == (0, 2)


def test_a_first_start_that_compiled_does_not_condemn_those_after_it(device, tmp_path):
    """It leaves less to the cache than a warm one: 16,272 and 16,592 tokens on an H200."""
    command = str(Vllm(services()["llm"]).command(LOW, {}))
    with Colocation(setting(), device_set(device), tmp_path) as colocation:
        colocation.servers.starts.kv_tokens = {command: 700}
        assert colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
        assert colocation.servers.starts.kv_tokens[command] > 1.02 * 700


def test_what_the_arithmetic_rules_out_is_not_launched(device, tmp_path):
    device.free_mib = 5_000.0
    with Colocation(setting(), device_set(device), tmp_path) as colocation:
        colocation.measure(Job(LOW, 0, tmp_path / "0"))
        too_large = Allocation({"vllm_memory_util": 0.7, "whisper_model_size": "base"})
        failure = colocation.measure(Job(too_large, 1, tmp_path / "1")).failure
    assert failure.is_ruled_out
    assert facts(failure)[:3] == ("predicted_oom", None, "precheck")
    assert failure.diagnosis.deficit_mib == pytest.approx(7000 + 100 + 512 + 5000 - 10_000)
    assert not (tmp_path / "1").exists()


def test_prechecked_is_out_of_memory_with_the_deficit():
    error = prechecked(Prediction(Fits.PREDICTED_KV_TOO_SMALL, 12.5, "a sum"))
    assert facts(error) == ("predicted_kv_too_small", None, "precheck", 12.5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kv_too_small", OutOfMemory),
        ("host_oom", Disturbed),
        ("engine_death", Disturbed),
        ("gpu_hardware", SetupError),
    ],
)
def test_a_class_has_its_outcome(name, expected):
    assert type(raised(Diagnosis(name, "llm", FailurePhase.LOAD, None, "a line"), {})) is expected


def test_a_neighbour_that_grows_beyond_the_reserve_is_named(device):
    check_neighbours(device, 8_400.0, 512.0, {})  # 400 MiB more are held: inside the reserve
    with pytest.raises(Disturbed) as caught:
        check_neighbours(device, 9_000.0, 512.0, {})
    assert facts(caught.value) == ("foreign_tenant", None, "precheck", 1000)
    assert "largest process: 2 a game (4,000 MiB)" in caught.value.diagnosis.evidence


def test_a_neighbour_that_passes_by_is_waited_for(device, monkeypatch):
    monkeypatch.setattr(blame, "PATIENCE_S", 30.0)
    monkeypatch.setattr(time, "sleep", lambda _: setattr(device, "free_mib", 8_900.0))
    check_neighbours(device, 9_000.0, 512.0, {})
    assert device.free_mib == 8_900
