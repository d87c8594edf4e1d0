"""Arithmetic before a launch goes by the study's own starts, with a margin of uncertainty."""

import pytest
from factories import only

from objectives.allocation import Allocation
from objectives.engines.engine import engines_of
from objectives.measurement import Measurement
from objectives.servers.memory_budget import MARGIN, StartFigures, check, figures
from objectives.services import LlmService, SttService

TOTAL = 10_000.0
ENGINES = engines_of({"llm": LlmService(), "stt": SttService()})


def at(share, speech="base", **options):
    return Allocation({"vllm_memory_util": share, "whisper_model_size": speech, **options})


def start(share, **figures_):
    values = {
        "device_total_mib": TOTAL,
        "llm_memory_mib": share * TOTAL + 300,
        "stt_memory_mib": 1000,
    }
    values |= {
        "kv_cache_mib": share * TOTAL - 3000,
        "kv_tokens": 1000,
        "max_model_len": 500,
    } | figures_
    return at(share), only(**values)


def says(allocation, starts, *, tenants=0.0, reserve=500.0):
    return check(allocation, starts, total_mib=TOTAL, tenants_mib=tenants, reserve_mib=reserve)


def test_figures_are_what_starts_have_shown():
    assert figures([start(0.4)], ENGINES) == StartFigures(
        outside_share_mib=300, non_kv_mib=3000, one_request_mib=500, own_mib={"stt": {"base": 1000}}
    )


def test_figures_are_medians_and_the_largest_speech():
    odd = start(0.4, llm_memory_mib=9000, stt_memory_mib=1200)
    starts = figures([start(0.4), odd, start(0.4)], ENGINES)
    assert starts.outside_share_mib == 300
    assert starts.own_mib == {"stt": {"base": 1200}}


def test_a_server_below_its_share_has_nothing_outside_it():
    assert figures([start(0.4, llm_memory_mib=2000)], ENGINES).outside_share_mib == 0


@pytest.mark.parametrize("launches", [[], [(at(0.4), Measurement())]])
def test_without_figures_the_servers_are_asked(launches):
    assert figures(launches, ENGINES) == StartFigures(None, None, None, {"stt": {}})
    verdict = says(at(0.7), figures(launches, ENGINES))
    assert (verdict.fits, verdict.deficit_mib) == ("unknown", None)


def test_figures_of_one_speech_configuration_do_not_stand_for_another():
    starts = figures([start(0.4)], ENGINES)
    assert says(at(0.4), starts).fits == "fits"
    assert says(at(0.4, "tiny"), starts).fits == "unknown"
    assert says(at(0.4, **{"whisper.beam_size": 1}), starts).fits == "unknown"
    assert (
        at(0.4, **{"whisper.beam_size": 1, "vllm.max_num_seqs": 8}).speech_key == "base beam_size=1"
    )


@pytest.mark.parametrize(
    ("tenants", "fits", "deficit"),
    [
        (0, "fits", -3200.0),
        (3200, "fits", 0.0),
        (3200 + MARGIN * TOTAL, "fits", MARGIN * TOTAL),  # inside the margin nothing is predicted
        (3201 + MARGIN * TOTAL, "predicted_oom", 1 + MARGIN * TOTAL),
    ],
)
def test_everything_together_must_fit_within_the_margin(tenants, fits, deficit):
    # 5,000 share + 300 beyond it + 1,000 speech + 500 reserve = 6,800 of 10,000 MiB
    verdict = says(at(0.5), figures([start(0.4)], ENGINES), tenants=tenants)
    assert (verdict.fits, verdict.deficit_mib) == (fits, pytest.approx(deficit))
    assert "5,000 share + 300 beyond it + 1,000 speech" in verdict.explanation


@pytest.mark.parametrize(
    ("share", "fits"),
    [
        (0.35, "fits"),
        (0.331, "fits"),
        (0.329, "predicted_kv_too_small"),
        (0.30, "predicted_kv_too_small"),
    ],
)
def test_a_share_must_hold_weights_and_one_request_within_the_margin(share, fits):
    # 3,000 MiB of weights and activations and 500 of one request; the margin is 200
    verdict = says(at(share), figures([start(0.4)], ENGINES))
    assert verdict.fits == fits
    if fits != "fits":
        assert verdict.deficit_mib == pytest.approx(3500 - share * TOTAL)
