"""What is sent is told as it is, and of a trace what was left out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import context_of_spec, make

from objectives.errors import BadInput
from objectives.traffic.slices import sliced
from objectives.traffic.trace_slice import Arrival, TraceOptions
from study.confirmation.held_out import plain_traffic, refuse_another_trace
from study.report.service_words import traffic_in_words
from study.spec.load import load
from study.spec.model import Spec
from study.storage.context import StudyContext


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    drawn = load(make(tmp_path))
    arrivals = [Arrival(float(n), 400 + n, 100, (n,), line=n + 1) for n in range(20)]
    options = TraceOptions(
        file="/a/t.csv", format="azure", from_s=0.0, for_s=20.0, speed=2.0, longest=510
    )
    own = sliced(arrivals, options, 1, failed=5, sha256="x", block_tokens=512)
    workload = replace(
        drawn.workload,
        window_s=10.0,
        turns_per_s=2.0,
        prompt_tokens=(400, 410),
        output_tokens=100,
        trace=own,
    )
    return replace(drawn, workload=workload)


def test_a_trace_is_told_with_the_shares_that_were_left_out(spec: Spec) -> None:
    assert traffic_in_words(context_of_spec(spec)) == (
        "10 s, the same in every launch (seed 1): t.csv (azure), seconds 0 to 20, "
        "sped up: 20 s of it in 10 s; 20.0 % of its requests have no prompt or no answer and are "
        "left out; 45.0 % of its requests are longer than the 510 tokens that the server takes: "
        "they are clipped, which costs 0.4 % of the tokens; "
        "2 turns a second, a clip and then an LLM request; "
        "400 to 410 tokens in (407 on average), up to 100 out (100)"
    )


def test_a_kept_context_says_the_same(spec: Spec) -> None:
    context = context_of_spec(spec)
    kept = StudyContext.from_json(context.to_json())
    assert traffic_in_words(kept) == traffic_in_words(context)
    assert kept.workload.trace is not None
    assert kept.workload.trace.arrivals == ()


def test_a_confirmation_refuses_another_trace_than_the_studys(spec: Spec, tmp_path: Path) -> None:
    path, data = tmp_path / "p.yaml", {"workload": {"trace_sha256": "x"}}
    refuse_another_trace(path, data, spec.workload)
    refuse_another_trace(path, {}, spec.workload)
    assert spec.workload.trace is not None
    changed = replace(spec.workload, trace=replace(spec.workload.trace, sha256="y"))
    for workload in (changed, replace(spec.workload, trace=None)):
        with pytest.raises(BadInput, match="its study replayed another trace"):
            refuse_another_trace(path, data, workload)


def test_traffic_without_a_trace_has_the_digest_that_it_had(spec: Spec) -> None:
    assert "trace" in plain_traffic(spec.workload)
    assert "trace" not in plain_traffic(replace(spec.workload, trace=None))
