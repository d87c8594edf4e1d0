"""Arithmetic before a launch goes by the study's own starts, with a margin of uncertainty."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from made.factories import only

from objectives.allocation import Allocation
from objectives.engines.registry import engines_of
from objectives.measurement import Measurement
from objectives.recording import read
from objectives.servers.memory_budget import MARGIN, StartFigures, check, figures
from objectives.services import LlmService, OtherService, SttService

TOTAL = 10_000.0
ENGINES = engines_of({"llm": LlmService(), "stt": SttService()})


EAGER = {"vllm.enforce_eager": True}
GRAPHS = {"vllm.enforce_eager": False}


def at(share, speech="base", **options):
    return Allocation({"vllm_memory_util": share, "whisper_model_size": speech, **options})


def start(share, *, options=None, **figures_):
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
    return at(share, **(options or {})), only(**values)


def says(allocation, starts, *, tenants=0.0, reserve=500.0):
    return check(allocation, starts, total_mib=TOTAL, tenants_mib=tenants, reserve_mib=reserve)


def test_figures_are_what_starts_have_shown():
    assert figures(at(0.6), [start(0.4)], ENGINES) == StartFigures(
        outside_share_mib=300, non_kv_mib=3000, one_request_mib=500, own_mib={"stt": 1000}
    )


def test_figures_are_medians_and_the_largest_speech():
    odd = start(0.4, llm_memory_mib=9000, stt_memory_mib=1200)
    starts = figures(at(0.4), [start(0.4), odd, start(0.4)], ENGINES)
    assert starts.outside_share_mib == 300
    assert starts.own_mib == {"stt": 1200}


def test_a_server_below_its_share_has_nothing_outside_it():
    launches = [start(0.4, llm_memory_mib=2000)]
    assert figures(at(0.4), launches, ENGINES).outside_share_mib == 0


@pytest.mark.parametrize("launches", [[], [(at(0.4), Measurement())]])
def test_without_figures_the_servers_are_asked(launches):
    assert figures(at(0.7), launches, ENGINES) == StartFigures(None, None, None, {"stt": None})
    verdict = says(at(0.7), figures(at(0.7), launches, ENGINES))
    assert (verdict.fits, verdict.deficit_mib) == ("unknown", None)


def test_figures_of_one_speech_configuration_do_not_stand_for_another():
    for allocation, fits in (
        (at(0.4), "fits"),
        (at(0.4, "tiny"), "unknown"),
        (at(0.4, **{"whisper.beam_size": 1}), "unknown"),
    ):
        assert says(allocation, figures(allocation, [start(0.4)], ENGINES)).fits == fits
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
    verdict = says(at(0.5), figures(at(0.5), [start(0.4)], ENGINES), tenants=tenants)
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
    verdict = says(at(share), figures(at(share), [start(0.4)], ENGINES))
    assert verdict.fits == fits
    if fits != "fits":
        assert verdict.deficit_mib == pytest.approx(3500 - share * TOTAL)


def test_starts_of_another_command_do_not_mix():
    eager = [start(share, options=EAGER) for share in (0.3, 0.4, 0.5)]
    graphs = start(
        0.4, options=GRAPHS, llm_memory_mib=0.4 * TOTAL + 900, kv_cache_mib=0.4 * TOTAL - 3100
    )
    of_graphs = figures(at(0.6, **GRAPHS), [*eager, graphs], ENGINES)
    assert (of_graphs.outside_share_mib, of_graphs.non_kv_mib) == (900, 3100)
    of_eager = figures(at(0.6, **EAGER), [*eager, graphs], ENGINES)
    assert (of_eager.outside_share_mib, of_eager.non_kv_mib) == (300, 3000)


def test_speech_of_any_start_counts_beside_an_llm_command_that_has_none():
    # 4,000 share + 1,000 speech + 500 reserve fit; what graphs add is not known
    starts = figures(at(0.4, **GRAPHS), [start(0.4, options=EAGER)], ENGINES)
    assert starts.own_mib == {"stt": 1000}
    assert says(at(0.4, **GRAPHS), starts).fits == "unknown"


def test_what_does_not_fit_without_what_is_not_known_is_ruled_out():
    # 9,000 share + 1,000 speech + 500 reserve are 500 too many whatever graphs add
    starts = figures(at(0.9, **GRAPHS), [start(0.4, options=EAGER)], ENGINES)
    verdict = says(at(0.9, **GRAPHS), starts)
    assert (verdict.fits, verdict.deficit_mib) == ("predicted_oom", 500)
    assert verdict.explanation.endswith("MiB, without beyond it, not measured yet")
    assert says(at(0.9), figures(at(0.9), [], ENGINES)).fits == "unknown"  # inside the margin


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"vllm.seed": 3}, "fits"),
        ({"vllm.max_num_seqs": 8}, "unknown"),
        ({"vllm.no_such_option_yet": 8}, "unknown"),
        ({"vllm.kv_cache_memory_bytes": 8}, "unknown"),
    ],
)
def test_only_options_without_memory_leave_a_start_comparable(options, fits):
    assert says(at(0.4, **options), figures(at(0.4, **options), [start(0.4)], ENGINES)).fits == fits


def test_where_a_flag_sets_the_cache_no_start_says_what_a_share_holds():
    args = ("--kv_cache_memory_bytes=2G",)
    engines = engines_of({"llm": LlmService(args=args), "stt": SttService()})
    starts = figures(at(0.4), [start(0.4)], engines)
    assert starts == StartFigures(None, None, None, {"stt": 1000})


@pytest.mark.parametrize(
    ("name", "ruled_out"), [("h100", 12), ("h100_wide", 0)], ids=["h100", "h100_wide"]
)
def test_what_was_measured_on_an_h100_is_foretold_by_the_other_launches(name, ruled_out):
    """What worked is never ruled out, and what failed is never sure to fit."""
    recording = read(Path(str(files("objectives"))) / f"recordings/{name}.jsonl")
    counts: Counter[str] = Counter()
    for entry in recording.entries:
        others = [
            (Allocation(e.values), e.measurement)
            for e in recording.entries
            if e is not entry and e.measurement
        ]
        allocation = Allocation(entry.values)
        verdict = check(
            allocation,
            figures(allocation, others, ENGINES),
            total_mib=recording.provenance.device.total_mib,
            tenants_mib=30_350,
            reserve_mib=0,
        )
        counts[verdict.fits] += 1
        assert not (entry.measurement and verdict.is_ruled_out), entry.key
        assert not (entry.diagnosis and verdict.is_sure), entry.key
    assert counts["predicted_kv_too_small"] == ruled_out
    assert counts["unknown"] == 0


@pytest.mark.parametrize(("share", "fits"), [(0.2, "unknown"), (0.4, "predicted_oom")])
def test_a_share_of_its_own_is_known_without_a_start(share, fits):
    services = {
        "llm": LlmService(),
        "stt": SttService(),
        "tags": OtherService(api="chat", engine="vllm", model="m"),
    }
    allocation = at(0.7, **{"tags.gpu_memory_utilization": share})
    starts = figures(allocation, [], engines_of(services), total_mib=TOTAL)
    verdict = says(allocation, starts)
    assert verdict.fits == fits
    if fits != "unknown":
        assert "7,000 share + 4,000 tags + 0 tenants + 500 reserve = 11,500" in verdict.explanation
        assert verdict.explanation.endswith("without beyond it and speech, not measured yet")
    measured = only(tags_memory_mib=1500)  # it is what counts, where a start showed it
    starts = figures(allocation, [(allocation, measured)], engines_of(services), total_mib=TOTAL)
    assert starts.own_mib["tags"] == 1500 and says(allocation, starts).fits == "unknown"
