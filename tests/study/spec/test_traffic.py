"""Checks held-out traffic.

Ready-made kinds fit the study's own, captured traces are checked line by line, and the stress is
the worst moment.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import SPEC

from objectives.errors import BadInput
from objectives.traffic.clips import read_clips
from objectives.traffic.ready_made import READY_MADE, ready_made
from objectives.traffic.trace import in_turns, trace
from objectives.traffic.workload import Workload
from study.spec.load import load
from study.spec.model import HeldOut
from study.spec.traces.captured_requests import captured
from study.spec.traces.held_out import held_out_traffic
from study.spec.traffic import WindowTraffic, stress

CLIPS = read_clips("assistant")
MAIN = Workload(
    seed=29, window_s=30, llm_per_s=1.6, llm_burst=24, stt_per_s=1.0, prompt_tokens=(1024, 3072)
)
LLM = {"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64}
STT = {"at_s": 0.25, "service": "stt", "clip": 3}
SPOKEN = {"at_s": 0.25, "service": "stt", "seconds": 3.2}


def spec_with(folder: Path, workloads: object) -> Any:
    path = folder / "spec.yaml"
    path.write_text(
        yaml.safe_dump({**SPEC, "measure": "live", "services": SERVICES, "workloads": workloads})
    )
    return load(path)


SERVICES = {
    "llm": {"command": "llm --port {port} {vllm_memory_util}"},
    "stt": {"command": "stt {port} {model}"},
}


@pytest.mark.parametrize("name", READY_MADE)
@pytest.mark.parametrize(
    "main",
    [
        MAIN,
        Workload(),
        Workload(prompt_tokens=(1, 1), llm_per_s=0.1, window_s=10),
        Workload(turns_per_s=2.5, llm_per_s=1.6, llm_burst=24, window_s=120),
    ],
)
def test_a_ready_made_workload_fits_the_models_of_the_study_and_sends_other_requests(
    name: str, main: Workload
) -> None:
    workload = ready_made(name, main)
    low, high = workload.prompt_tokens
    assert 1 <= low <= high <= main.prompt_tokens[1]
    requests, own = trace(workload, len(CLIPS)), trace(main, len(CLIPS))
    assert {r.service for r in requests} == {"llm", "stt"}
    assert not {r.seed for r in requests if r.service == "llm"} & {
        r.seed for r in own if r.service == "llm"
    }


def test_long_context_sends_the_longest_prompts_and_about_as_many_tokens() -> None:
    workload = ready_made("long_context", MAIN)
    tokens = [sum(r.prompt_tokens for r in trace(w, 24)) for w in (workload, MAIN)]
    assert workload.prompt_tokens == (2304, 3072)
    assert tokens[0] == pytest.approx(tokens[1], rel=0.25)


def test_the_voice_assistant_asks_once_for_each_utterance_and_without_bursts() -> None:
    requests = trace(ready_made("voice_assistant", MAIN), 24)
    assert (
        sum(r.service == "llm" for r in requests) == sum(r.service == "stt" for r in requests) == 30
    )
    assert max(r.prompt_tokens for r in requests) <= 1024


TURNS = replace(MAIN, window_s=120, turns_per_s=2.0, stt_per_s=0.0)


def test_a_voice_assistant_of_turns_begins_one_with_each_utterance() -> None:
    requests = trace(ready_made("voice_assistant", replace(TURNS, stt_per_s=0.5)), 24)
    turns = in_turns(requests)
    assert (len(turns), {len(t) for t in turns}) == (300, {2})
    assert max(r.prompt_tokens for r in requests) <= 1024


def test_several_users_of_turns_ask_for_twice_as_much_and_say_half_as_much_more() -> None:
    requests, own = (trace(w, 24) for w in (ready_made("multi_user", TURNS), TURNS))
    count = [[sum(r.service == s for r in rs) for s in ("llm", "stt")] for rs in (requests, own)]
    assert count[0][1] == 1.5 * count[1][1]
    assert count[0][0] == pytest.approx(2 * count[1][0], rel=0.03)
    assert max(r.prompt_tokens for r in requests) <= 1536


def test_long_contexts_of_turns_have_as_many_clips_and_about_as_many_tokens() -> None:
    requests, own = (trace(w, 24) for w in (ready_made("long_context", TURNS), TURNS))
    tokens = [sum(r.prompt_tokens for r in rs) for rs in (requests, own)]
    assert tokens[0] == pytest.approx(tokens[1], rel=0.1)
    clips = [sum(r.service == "stt" for r in rs) for rs in (requests, own)]
    assert abs(clips[0] - clips[1]) <= 1


@pytest.mark.parametrize("name", READY_MADE)
def test_what_follows_from_traffic_without_turns_has_none(name: str) -> None:
    assert {r.turn for r in trace(ready_made(name, MAIN), 24)} == {None}


def test_a_captured_turn_begins_with_its_clip(tmp_path: Path) -> None:
    path = tmp_path / "evening.jsonl"
    lines = [{**LLM, "turn": 3}, {**STT, "turn": 3}, LLM]
    path.write_text("\n".join(map(json.dumps, lines)))
    requests = held_out_traffic(HeldOut("evening", path), MAIN, CLIPS, 4096).requests
    assert [(r.service, r.at_s, r.turn) for r in requests] == [
        ("stt", 0.25, 3),
        ("llm", 0.25, 3),
        ("llm", 0.5, None),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{**STT, "turn": 3}], ":1: turn 3 has no other line"),
        ([LLM, {**STT, "turn": 3}, {**STT, "turn": 3}], ":3: turn 3 has its stt request in line 2"),
        ([{**STT, "turn": -1}], ":1: turn is -1, not a whole number from 0"),
        ([{**STT, "turn": True}], ":1: turn is True, not a whole number"),
        ([{**STT, "trun": 3}], "did you mean turn?"),
    ],
)
def test_a_captured_turn_is_a_clip_and_a_prompt(
    tmp_path: Path, lines: list[Any], message: str
) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(BadInput) as caught:
        captured(path, CLIPS, 4096)
    assert message in str(caught.value)


def test_a_captured_trace_is_replayed_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "evening.jsonl"
    named = {"at_s": 1, "service": "stt", "clip": CLIPS[5].name}
    path.write_text("\n".join(map(json.dumps, (LLM, STT, named))) + "\n\n")
    replay = held_out_traffic(HeldOut("evening", path), MAIN, CLIPS, 4096)
    assert [(r.service, r.at_s, r.prompt_tokens, r.clip) for r in replay.requests] == [
        ("stt", 0.25, 0, 3),
        ("llm", 0.5, 900, 0),
        ("stt", 1.0, 0, 5),
    ]
    assert (
        replay.workload.prompt_tokens,
        replay.workload.output_tokens,
        replay.workload.ramp_s,
    ) == ((900, 900), 64, 0)


@pytest.mark.parametrize("off_s", [-0.001, 0.0, 0.001])
def test_speech_of_a_length_is_the_clip_nearest_in_length(tmp_path: Path, off_s: float) -> None:
    path = tmp_path / "trace.jsonl"
    lengths_s = [clip.seconds for clip in CLIPS]
    lines = [{**SPOKEN, "at_s": n, "seconds": s + off_s} for n, s in enumerate(lengths_s)]
    longer = {**SPOKEN, "at_s": len(lines), "seconds": 100.0}
    path.write_text("\n".join(map(json.dumps, [*lines, longer])))
    *sent_s, last_s = [CLIPS[r.clip].seconds for r in captured(path, CLIPS, None)]
    assert sent_s == pytest.approx(lengths_s, abs=0.003)
    assert last_s == max(lengths_s)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "it is no JSON"),
        (b"\xff\xfe{}", "it is no text of UTF-8"),
        (b"[1]", "it is no JSON object"),
        (b"[" * 100_000, "it is no JSON"),
        (b'{"at_s": NaN, "service": "stt", "clip": 1}', "NaN is no number"),
        (b'{"at_s": 1, "at_s": 2, "service": "stt", "clip": 1}', "a key is there twice"),
        (b"9" * 5000, "it is no JSON"),
        ({**LLM, "service": "tts"}, "service is 'tts', not llm or stt"),
        ({**LLM, "service": ["llm"]}, "service is ['llm'], not llm or stt"),
        ({**LLM, "prompt\ntokens": 1}, "unknown key 'prompt\\ntokens'"),
        ({**LLM, "clip": 1}, "unknown key 'clip'"),
        ({k: v for k, v in LLM.items() if k != "output_tokens"}, "output_tokens is missing"),
        ({**LLM, "at_s": -1}, "at_s is -1, not seconds from 0"),
        ({**LLM, "at_s": 1e9}, "at_s is 1000000000.0, not seconds"),
        ({**LLM, "at_s": True}, "at_s is True"),
        ({**LLM, "at_s": "1"}, "at_s is '1'"),
        ({**LLM, "prompt_tokens": 0}, "prompt_tokens is 0, not a whole number from 1"),
        ({**LLM, "prompt_tokens": 1.5}, "prompt_tokens is 1.5"),
        ({**LLM, "prompt_tokens": True}, "prompt_tokens is True"),
        (
            {**LLM, "prompt_tokens": 4096},
            "4160 tokens of prompt and answer, and the LLM server takes 4096",
        ),
        ({**STT, "clip": 24}, "clip is 24, not a number from 0 to 23"),
        ({**STT, "clip": -1}, "clip is -1"),
        ({**STT, "clip": "../../etc/passwd"}, "clip is '../../etc/passwd'"),
        ({**STT, "clip": "x" * 500}, "..., not a number"),
        ({**STT, "seconds": 3.2}, "it has clip and seconds, and a line has one of them"),
        ({**LLM, "seconds": 3.2}, "unknown key 'seconds'"),
        ({**SPOKEN, "seconds": 0}, "seconds is 0, not above 0"),
        ({**SPOKEN, "seconds": 1e9}, "seconds is 1000000000.0"),
        ({**SPOKEN, "seconds": True}, "seconds is True"),
        ({**SPOKEN, "seconds": "3"}, "seconds is '3'"),
    ],
)
def test_a_line_that_is_none_is_said_in_one_line_with_its_number(
    tmp_path: Path, line: Any, message: str
) -> None:
    path = tmp_path / "trace.jsonl"
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    path.write_bytes(json.dumps(STT).encode() + b"\n" + raw + b"\n")
    with pytest.raises(BadInput, match=re.escape(f"{path}:2: ")) as caught:
        captured(path, CLIPS, 4096)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("shape", ["crlf", "bom", "gz"])
def test_a_capture_is_read_in_every_shape_of_a_trace_file(tmp_path: Path, shape: str) -> None:
    path, text = tmp_path / "trace.jsonl", f"{json.dumps(STT)}\n\n{json.dumps(LLM)}\n"
    path.write_text(text)
    plain = captured(path, CLIPS, 4096)
    data = text.replace("\n", "\r\n" if shape == "crlf" else "\n").encode()
    data = b"\xef\xbb\xbf" + data if shape == "bom" else data
    path.write_bytes(gzip.compress(data) if shape == "gz" else data)
    assert captured(path, CLIPS, 4096) == plain and len(plain) == 2
    (tmp_path / "spec.yaml").write_text(
        "name: s\nsearch_space: {vllm_memory_util: [0.4]}\ndevice: cpu\n"
        "baseline: {vllm_memory_util: 0.4, whisper_model_size: base}\n"
        "workload: {trace: trace.jsonl, format: timed_trace}\n"
    )
    trace = load(tmp_path / "spec.yaml", is_here=False).workload.trace
    assert trace is not None and len(trace.arrivals) == 2


def test_a_capture_cut_in_the_packing_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(LLM).encode() * 9)[:-9])
    with pytest.raises(BadInput, match="it cannot be read"):
        captured(path, CLIPS, None)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_trace_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(BadInput, match="the trace holds no request"):
        captured(tmp_path / "t.jsonl", CLIPS, None)


def test_the_spec_names_several_workloads_and_a_trace_beside_it(tmp_path: Path) -> None:
    (tmp_path / "evening.jsonl").write_text(json.dumps(LLM))
    spec = spec_with(
        tmp_path,
        ["long_context", {"replay": "evening.jsonl"}, {"replay": "evening.jsonl", "name": "b"}],
    )
    assert [h.name for h in spec.workloads] == ["long_context", "evening", "b"]
    assert spec.workloads[1].replay == tmp_path / "evening.jsonl"


@pytest.mark.parametrize(
    ("workloads", "message"),
    [
        (["long_contxt"], "did you mean long_context?"),
        ([3], "3 is not text"),
        ("long_context", "is not a list"),
        ([{"replay": "nowhere.jsonl"}], "workloads.replay: there is no file 'nowhere.jsonl'"),
        ([{"replay": "spec.yaml", "clips": "x"}], "unknown key"),
        (["multi_user", "multi_user"], "'multi_user' is no name of its own"),
        ([{"replay": "spec.yaml", "name": "main"}], "'main' is no name of its own"),
        ([{"replay": "spec.yaml", "name": "a\nb"}], "is no name of its own"),
    ],
)
def test_a_workload_that_is_none_is_said_with_its_line(
    tmp_path: Path, workloads: object, message: str
) -> None:
    with pytest.raises(BadInput, match="workloads") as caught:
        spec_with(tmp_path, workloads)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_stress_fills_the_cache_with_the_longest_prompts_and_sends_every_clip_at_once() -> None:
    longer = WindowTraffic("longer", Workload(prompt_tokens=(8, 4000), output_tokens=64))
    worst = stress(WindowTraffic("main", MAIN), [longer], CLIPS, kv_bound=40, seed=5)
    llm = [r for r in worst.requests if r.service == "llm"]
    assert {(r.at_s, r.prompt_tokens, r.output_tokens) for r in llm} == {(0.0, 4000, 64)}
    assert len(llm) == len({r.seed for r in llm}) == 41
    assert sorted(r.clip for r in worst.requests if r.service == "stt") == list(range(24))
    assert worst.workload.ramp_s == 0
