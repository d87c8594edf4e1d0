"""Each segment of a window has figures of its own; a turn belongs to that in which it arrives."""

import pytest

from objectives.load.replies import Fault, Reply, RequestError
from objectives.load.segments import segment_figures
from objectives.measurement import INFINITE, Measurement

START_S = 1000.0


def reply(service, due_s, took_s, turn=None, error=None):
    due_s += START_S
    end_s = None if error else due_s + took_s
    tokens = None if service == "stt" else 5
    return Reply(
        service=service,
        scheduled_s=due_s,
        sent_s=due_s,
        first_s=end_s,
        end_s=end_s,
        tokens=tokens,
        turn=turn,
        error=error,
    )


def test_a_request_counts_where_it_is_due_and_a_turn_where_it_arrives():
    replies = [
        reply("stt", 14.5, 1.0, turn=0),
        reply("llm", 15.5, 2.0, turn=0),
        reply("stt", 15.0, 0.5),
        reply("stt", 30.0, 0.25),  # due at the end of the window, as captured ones may be
    ]
    first, second = segment_figures(replies, START_S, (15.0, 30.0))
    assert first["stt_latency_ms"] == pytest.approx(1000)
    assert first["llm_latency_p95_ms"] == pytest.approx(2000)
    assert first["turn_ttft_ms"] == pytest.approx(3000)
    assert second["stt_latency_p95_ms"] == pytest.approx(500)
    assert "llm_latency_ms" not in second and "turn_ttft_ms" not in second


def test_what_failed_is_infinite_in_its_own_segment_and_no_segment_is_left_out():
    failed = RequestError(Fault.TIMEOUT, "TimeoutError: ")
    parts = segment_figures(
        [reply("stt", 1.0, 0.5), reply("stt", 21.0, 0.0, error=failed)], START_S, (10.0, 20.0, 30.0)
    )
    assert [p.get("stt_latency_ms") for p in parts] == [pytest.approx(500), None, INFINITE]
    kept = Measurement.from_flat({"segments": parts})
    assert Measurement.from_json(kept.to_json()) == kept
    assert "segments" not in kept.flat()


def test_a_segment_holds_numbers():
    with pytest.raises(ValueError, match="a figure of a segment is no number"):
        Measurement.from_flat({"segments": [{"stt_latency_ms": "fast"}]})
