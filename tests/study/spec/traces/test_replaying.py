"""A spec's trace tells the rates and lengths of its workload; what contradicts it is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import SPEC

from objectives.errors import BadInput
from objectives.traffic.trace import in_turns, trace
from objectives.traffic.workload import Workload
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import conditions_of
from study.spec.traces.held_out import held_out_traffic
from study.spec.traces.replaying import on_slice, other_slices
from study.storage.comparability import CHANGED_TRACE, differing_names

SERVICES = {
    "llm": {"command": "llm --port {port} {vllm_memory_util} --max-model-len 1000"},
    "stt": {"command": "stt {port} {model}"},
}
# 600 s of a request a second, prompts of 100 to 1,090 tokens; every 50th has failed
ROWS = [f"{5 + n},m,{100 + 10 * (n % 100)},{20 * (n % 50 > 0)},0,x" for n in range(600)]
HEADER = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("\n".join([HEADER, *ROWS]))
    return tmp_path


def spec(place: Path, services: Any = None, workloads: Any = (), **workload: Any) -> Spec:
    traffic = {"trace": "t.csv", "format": "burstgpt", **workload}
    traffic = {key: value for key, value in traffic.items() if value is not None}
    path = place / "spec.yaml"
    whole = {**SPEC, "measure": "live", "services": services or SERVICES, "workload": traffic}
    path.write_text(yaml.safe_dump({**whole, "workloads": list(workloads)}))
    return load(path)


def test_the_window_is_a_slice_of_the_trace_with_a_clip_before_each_request(place: Path) -> None:
    of = spec(place, **{"from": 50, "for": 100}).workload
    assert (of.window_s, of.turns_per_s, of.llm_per_s, of.stt_per_s) == (100, 0.98, 0, 0)
    assert of.prompt_tokens == (110, 980)
    turns = in_turns(trace(of, 24))
    assert [turn[0].at_s for turn in turns][:3] == [1, 2, 3]
    assert {tuple(r.service for r in turn) for turn in turns} == {("stt", "llm")}
    assert of.clips == "assistant"


def test_a_slice_is_as_long_as_the_window_where_it_is_not_said(place: Path) -> None:
    assert spec(place).workload.window_s == 60
    assert spec(place, window_s=30, speed=2).workload.trace.options.for_s == 60
    sped = spec(place, speed=4, **{"for": 120}).workload
    assert (sped.window_s, sped.turns_per_s) == (30, 117 / 30)


def test_a_trace_that_is_shorter_than_the_window_is_replayed_to_its_end(place: Path) -> None:
    assert spec(place, **{"from": 570}).workload.window_s == 30


def test_clips_beside_come_at_their_rate(place: Path) -> None:
    of = spec(place, stt="poisson", stt_per_s=0.7).workload
    assert (of.turns_per_s, of.stt_per_s) == (0, 0.7)
    assert sum(r.service == "stt" for r in trace(of, 24)) == 42
    assert spec(place, stt="poisson").workload.stt_per_s == 0.5


@pytest.mark.parametrize(
    ("command", "searched", "longest"),
    [
        ("--max-model-len 1000", {}, 1000),
        ("--max-model-len 1000", {"vllm.max_model_len": [800, 2000]}, 800),
        ("", {}, None),
    ],
)
def test_the_servers_flags_say_what_is_too_long(
    place: Path, command: str, searched: Any, longest: int | None
) -> None:
    llm = {"command": f"llm --port {{port}} {{vllm_memory_util}} {command}"}
    if searched:
        llm = {"command": llm["command"] + " {vllm.max_model_len}"}
    path = place / "spec.yaml"
    workload = {"trace": "t.csv", "format": "burstgpt", "for": 100}
    whole = {**SPEC, "measure": "live", "services": {**SERVICES, "llm": llm}, "workload": workload}
    whole["search_space"] = {**SPEC["search_space"], **searched}
    whole["gates"] = {"llm_quality": "unmeasured"}
    if searched:
        whole["baseline"] = {**SPEC["baseline"], "vllm.max_model_len": 2000}
    path.write_text(yaml.safe_dump(whole))
    of = load(path).workload
    assert of.trace is not None
    assert of.trace.options.longest == longest
    assert sum(of.longest) == (longest or 1110)


def test_what_was_left_out_is_said_before_the_first_launch(place: Path) -> None:
    notes = "\n".join(spec(place, too_long="drop", speed=2, **{"for": 100}).notes)
    assert "replays t.csv (burstgpt), seconds 0 to 100" in notes
    assert "sped up: 100 s of it in 50 s" in notes
    assert "2.0 % of its requests have no prompt or no answer" in notes
    assert (
        "longer than the 1,000 tokens that the server takes: they are dropped, with 19.2 %" in notes
    )
    assert "lie on a grid of 1 s" in notes
    assert "`jitter_s: 1`" in notes
    clipped = "\n".join(spec(place, jitter_s=1, thin=0.5, **{"for": 100}).notes)
    assert "grid" not in clipped
    assert "they are clipped, which costs" in clipped
    assert "thinned to 49 of its 98 LLM requests, each moved by up to 1 s" in clipped


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ({"trace": None}, "workload.format: it is for a trace, and none is named; add `trace: "),
        ({"trace": "no.csv"}, "workload.trace: there is no file 'no.csv'"),
        ({"trace": ["t.csv"]}, "workload.trace: a list stands where"),
        (
            {"format": None},
            "workload.format: it is missing; its first line looks like `format: bur",
        ),
        ({"format": "azur"}, "workload.format: 'azur' is not known; did you mean azure?"),
        ({"fro": 5}, "workload.fro: unknown key; did you mean from?"),
        ({"turns_per_s": 1}, "workload.turns_per_s: it stands beside `trace`, which has its arr"),
        ({"llm_per_s": 1}, "workload.llm_per_s: it stands beside `trace`"),
        ({"llm_burst": 2}, "workload.llm_burst: it stands beside `trace`"),
        ({"prompt_tokens": [1, 2]}, "workload.prompt_tokens: it stands beside `trace`"),
        ({"output_tokens": 2}, "workload.output_tokens: it stands beside `trace`"),
        ({"stt_per_s": 1}, "workload.stt_per_s: it stands beside `trace`, whose LLM requests each"),
        ({"stt": "poisson", "stt_per_s": 0}, "workload.stt_per_s: it sends 0 requests"),
        ({"stt": "captured"}, "workload.stt: 'captured' is not known; choose before_each or poi"),
        ({"too_long": "cut"}, "workload.too_long: 'cut' is not known; choose drop or clip"),
        ({"speed": 0}, "workload.speed: 0 is out of range"),
        ({"thin": 1.5}, "workload.thin: 1.5 is out of range"),
        ({"jitter_s": -1}, "workload.jitter_s: -1 is out of range"),
        ({"from": -1}, "workload.from: -1 is out of range"),
        ({"from": ".nan"}, "workload.from: '.nan' is not a number"),
        (
            {"from": 700},
            "workload.from: the trace ends 599 s after its first request; write an ear",
        ),
        ({"from": 500, "for": 120}, "workload.for: the trace ends 99 s after `from`"),
        ({"from": 500, "window_s": 120}, "write `for: 99`"),
        ({"for": 300}, "workload.for: 300 s of the trace are 300 s, more than 240"),
        ({"for": 300, "speed": 1.1}, "write `for: 264` or less"),
        ({"for": 60, "window_s": 50}, "60 s of the trace are 60 s, and window_s is 50"),
        ({"from": 0.5, "for": 1, "too_long": "drop", "thin": 1}, None),
        ({"from": 95, "for": 4, "too_long": "drop"}, "every request is longer than the 1,000 tok"),
    ],
)
def test_what_cannot_be_replayed_is_said_with_its_key(
    place: Path, workload: dict[str, Any], message: str | None
) -> None:
    if message is None:
        assert len(trace(spec(place, **workload).workload, 24)) == 2
        return
    with pytest.raises(BadInput, match=re.escape(f"{place}/spec.yaml:")) as caught:
        spec(place, **workload)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_wrong_key_beside_a_trace_has_its_own_line(place: Path) -> None:
    spec(place)
    path = place / "spec.yaml"
    path.write_text(
        path.read_text().replace("  trace: t.csv\n", "  trace: t.csv\n  seed:\n    -3\n")
    )
    number = path.read_text().split("\n").index("  seed:") + 1
    with pytest.raises(BadInput, match=re.escape(f"{path}:{number}: workload.seed: -3 is out of")):
        load(path)


def test_a_wrong_line_of_the_trace_is_named(place: Path) -> None:
    (place / "t.csv").write_text("\n".join([HEADER, ROWS[0], "6,m,-1,2,0,x"]))
    with pytest.raises(BadInput, match=re.escape(f"{place}/t.csv:3: Request tokens is '-1'")):
        spec(place)


def test_a_slice_without_requests_is_refused(place: Path) -> None:
    (place / "t.csv").write_text("\n".join([HEADER, *ROWS[:50], "900,m,9,9,18,x"]))
    with pytest.raises(BadInput, match="seconds 100 to 160 of it: it holds no LLM request"):
        spec(place, **{"from": 100})


def test_a_changed_file_is_another_question(place: Path) -> None:
    before = conditions_of(spec(place))
    assert differing_names(before, conditions_of(spec(place))) == []
    assert differing_names(before, conditions_of(spec(place, thin=0.5))) == ["workload"]
    text = (place / "t.csv").read_text()
    (place / "t.csv").write_text(text.replace("6,m,110", "6,m,111"))
    assert differing_names(before, conditions_of(spec(place))) == [CHANGED_TRACE]
    (place / "t.csv").write_text(text + "\n999,m,10,10,20,x")
    assert differing_names(before, conditions_of(spec(place))) == [CHANGED_TRACE]


def test_a_held_out_trace_has_its_own_seed_and_the_window_of_the_study(place: Path) -> None:
    others = [
        {"name": "evening", "trace": "t.csv", "format": "burstgpt", "from": 300},
        {"trace": "t.csv", "format": "burstgpt", "from": 400, "stt": "poisson"},
        "multi_user",
    ]
    whole = spec(place, workloads=others, thin=0.5)
    evening, beside, _ = [held_out_traffic(h, whole.workload, (), None) for h in whole.workloads]
    assert (evening.name, beside.name) == ("evening", "t")
    assert evening.workload.window_s == whole.workload.window_s == 60
    assert (evening.workload.turns_per_s, beside.workload.llm_per_s) == (58 / 60, 58 / 60)
    assert beside.workload.stt_per_s == whole.workload.turns_per_s
    seeds = {w.seed for w in (whole.workload, evening.workload, beside.workload)}
    assert len(seeds) == 3
    assert evening.workload.ramp_s == evening.workload.alone_requests == 0
    assert any("workloads: evening: the window replays" in note for note in whole.notes)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"trace": "t.csv", "format": "burstgpt", "seed": 3}, "workloads.seed: unknown key"),
        ({"trace": "t.csv", "format": "burstgpt", "for": 300}, "300 s of the trace are 300 s, mo"),
        ({"trace": "t.csv", "format": "burstgpt", "stt_per_s": 1}, "write `stt: poisson`"),
        ({"name": "x", "format": "azure"}, "workloads.format: unknown key"),
    ],
)
def test_a_held_out_trace_is_checked_as_the_studys_own(
    place: Path, held_out: Any, message: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        spec(place, workloads=[held_out])


def test_other_slices_are_as_long_and_have_none_of_the_own_requests(place: Path) -> None:
    own = spec(place, **{"from": 100, "for": 120}).workload
    assert other_slices(own, ()) == (220, 340, 460)
    [begin_s, *_] = other_slices(own, ())
    other = on_slice(own, begin_s, 99, ())
    assert (other.seed, other.window_s) == (99, 120)
    assert other.trace is not None
    assert own.trace is not None
    assert not {a.line for a in other.trace.arrivals} & {a.line for a in own.trace.arrivals}
    assert other_slices(Workload(), ()) == ()
    assert on_slice(Workload(), 0.0, 9, ()) == Workload(seed=9)


LLM = {"at_s": 10.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64}
STT = {"at_s": 10.0, "service": "stt", "clip": 3}


def capture(place: Path, *lines: dict[str, Any]) -> None:
    (place / "t.csv").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_capture_is_a_timed_trace_whose_clips_come_as_they_did(place: Path) -> None:
    capture(
        place,
        {**LLM, "turn": 1},
        {**STT, "turn": 1},
        {**LLM, "at_s": 12.0, "prompt_tokens": 950},
        {**STT, "at_s": 20.0, "clip": 5},
    )
    of = spec(place, format="timed_trace").workload
    assert of.trace is not None
    assert (of.trace.options.stt, of.window_s) == ("captured", 11)
    sent = [(r.service, r.at_s, r.prompt_tokens, r.clip) for r in trace(of, 24)]
    assert [(s, at_s, tokens) for s, at_s, tokens, _ in sent] == [
        ("stt", 0, 0),
        ("llm", 0, 900),
        ("llm", 2, 936),
        ("stt", 10, 0),
    ]
    assert [clip for service, *_, clip in sent if service == "stt"] == [3, 5]
    assert of.prompt_tokens == (900, 936)
    assert [r.turn for r in trace(of, 24)][:2] == [0, 0]
    with pytest.raises(BadInput, match=r"workload.stt: the trace has clips of its own"):
        spec(place, format="timed_trace", stt="before_each")


def test_a_capture_of_the_llm_alone_has_a_clip_before_each_request(place: Path) -> None:
    capture(place, *({**LLM, "at_s": float(n)} for n in range(30)))
    of = spec(place, format="timed_trace").workload
    assert (of.window_s, of.turns_per_s) == (30, 1)
    assert {r.service for r in trace(of, 24)} == {"stt", "llm"}


def test_a_wrong_line_of_a_capture_is_named(place: Path) -> None:
    capture(place, LLM, {**LLM, "prompt_tokens": -4})
    with pytest.raises(BadInput, match=re.escape(f"{place}/t.csv:2: prompt_tokens is -4")):
        spec(place, format="timed_trace")
    capture(place, STT)
    with pytest.raises(BadInput, match="it holds no LLM request"):
        spec(place, format="timed_trace")


def test_a_timed_trace_that_nests_too_deep_is_no_capture_and_named(place: Path) -> None:
    (place / "t.jsonl").write_text('{"timestamp": ' + "[" * 100_000)
    with pytest.raises(BadInput, match=r"t\.jsonl:1: it is no JSON"):
        spec(place, trace="t.jsonl", format="timed_trace")


def test_the_ramp_of_a_held_out_trace_is_the_studys(place: Path) -> None:
    others = [{"name": "evening", "trace": "t.csv", "format": "burstgpt", "from": 300}]
    whole = spec(place, workloads=others, ramp_s=100, request_timeout_s=33)
    [evening] = [held_out_traffic(h, whole.workload, (), None) for h in whole.workloads]
    assert (evening.workload.ramp_s, evening.workload.request_timeout_s) == (0, 33)
    assert replace(evening.workload, ramp_s=100).least_per_s > 0
