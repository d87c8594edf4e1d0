"""A third service is shown wherever the first two are, though today's specs name none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import context_of_spec, measurement, oom, write_spec

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.engines.registry import apis_of
from objectives.figures import figures_of, judged
from objectives.measurement import Measurement
from objectives.servers.phase_times import TimedPhase
from objectives.services import LlmService
from objectives.speech.wer import WordVerdict
from study.analysis.configurations import configuration_of, configurations_in
from study.analysis.cost.cost import Cost, TimedLaunch
from study.analysis.decision import decision_of
from study.analysis.pareto import compared_figures
from study.cli.cost_lines import cost_lines
from study.dashboard.figures import tradeoff
from study.dashboard.launch_figures import time_by_phase
from study.dashboard.notes import study_note, trial_note
from study.report.charts.space_picture import picture
from study.report.comparison import against_today
from study.report.headline import answer_lines
from study.report.html import html
from study.report.summary import Summary
from study.report.trial_words import configurations_table
from study.spec.choices import effect_figures
from study.spec.load import load
from study.storage.context import StudyContext
from study.storage.trial import State, Trial

TITLES = ("embed: 95 % answered within", "embed: 95 % begin to answer within")
SECONDS = {"starting stt": 6.0, "starting embed": 9.0, "starting llm": 42.0, "window": 20.0}


def launched(number: int, share: float, p95_ms: float | None) -> Trial:
    """Return a trial whose embedding server answers so late; one out of memory without it."""
    measured, failure = None, None
    if p95_ms is None:
        failure = replace(oom(), victim="embed")
    else:
        measured = measurement(
            embed_latency_ms=p95_ms / 2,
            embed_latency_p95_ms=p95_ms,
            embed_ttft_p95_ms=p95_ms / 3,
            embed_kv_peak_pct=77.0,
            embed_memory_mib=1000.0,
            phase_s=SECONDS,
        )
    return _trial(number, share, measured, failure)


def _trial(
    number: int, share: float, measured: Measurement | None, failure: Diagnosis | None
) -> Trial:
    fitness = 0.0 if measured is None else share
    return Trial(
        number=number,
        allocation=Allocation({"vllm_memory_util": share, "whisper_model_size": "base"}),
        state=State.COMPLETE if measured else State.PRUNED,
        fitness=fitness,
        measurement=measured,
        diagnosis=failure,
        measured={"embed_start_s": 7.0},
        constraints={"memory": -0.5},
        contributions={"llm_latency": fitness},
        word_gate=WordVerdict.PASS,
        minutes_more_audio=None,
        repeat_of=None,
        is_reference=not number,
        wall_s=90.0,
        seed=1,
        at="2026-11-20T10:00:00",
    )


@pytest.fixture
def context(tmp_path: Path) -> StudyContext:
    """Return the context of a made-up study with an embedding server, whose p95 has no limit."""
    context = context_of_spec(load(write_spec(tmp_path, measure="live")))
    services = {**context.services, "embed": LlmService(model="an/embedder")}
    limits = {"stt_latency_p95_ms": 1000.0, "llm_latency_p95_ms": 4000.0}
    return replace(
        context, services=services, versions={**context.versions, "embed": {}}, limits=limits
    )


@pytest.fixture
def shown(context: StudyContext) -> Summary:
    """Return a study in which embeddings come sooner, and once not at all."""
    trials = [launched(0, 0.5, 900.0), launched(1, 0.55, 300.0), launched(2, 0.6, None)]
    decision = decision_of(trials, context)
    return Summary(context, trials, configurations_in(trials), decision, "s", "random", None)


def test_a_context_of_three_services_is_read_as_it_was_written(context: StudyContext) -> None:
    assert StudyContext.from_json(context.to_json()) == context
    assert apis_of(context.services)["embed"] == "completions"


def test_its_latency_is_compared_in_every_table(shown: Summary) -> None:
    assert shown.decision.winner is not None
    assert "embed_latency_p95_ms" in compared_figures(shown.configurations, shown.context).names
    listed = configurations_table(shown)
    assert "embed p95" in listed and "900" in listed
    compared = {row.title: row.change for row in against_today(shown).figures}
    assert all("less (67 %), better" in compared[title] for title in TITLES)
    assert answer_lines(shown)[0].startswith("Better: 0 % ") or "waiting" in answer_lines(shown)[0]
    note = "".join(
        trial_note(t, configuration_of(t.allocation, shown.configurations), shown)
        for t in shown.trials
    ) + study_note(shown, (), ())
    assert all(title in note for title in TITLES)
    assert "The embed server's command" in note and "embed server, phase: start" in note


def test_its_latency_and_its_start_are_in_the_report_and_the_charts(shown: Summary) -> None:
    page = html(shown)
    assert all(
        title in page
        for title in (
            *TITLES,
            "starting embed",
            "embed p95",
            "77 %",
            "an LLM, speech recognition and embed",
        )
    )
    assert picture(shown).startswith("<svg")
    plot = tradeoff(shown.configurations, shown.decision, shown.context)
    assert plot is not None and "embed p95, ms" in plot.to_json()
    bars = time_by_phase(shown.trials, apis_of(shown.context.services))
    assert bars is not None
    assert [bar.name for bar in bars.data][:3] == [
        "starting speech",
        "starting LLM",
        "starting embed",
    ]


def test_it_has_main_effects_is_judged_and_has_a_cost(shown: Summary) -> None:
    apis = apis_of(shown.context.services)
    assert "embed_latency_p95_ms" in effect_figures(apis)
    assert "embed_latency_ms" in judged(figures_of(apis))
    one, phase_s = shown.trials[0], {TimedPhase.of(text): s for text, s in SECONDS.items()}
    launch = TimedLaunch(one.allocation, one.measurement, 90.0, phase_s, frozenset(phase_s))
    cost = Cost(
        name="s",
        trials=1,
        launches=(launch,),
        restarts=True,
        runs_s=None,
        measured_elsewhere=None,
        identity={},
        workload=shown.context.workload,
        apis=apis,
        llm=None,
    )
    assert any(line.startswith("  embed starts") and "9.0 s" in line for line in cost_lines(cost))
