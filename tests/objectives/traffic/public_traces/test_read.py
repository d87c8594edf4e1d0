"""Public traces are read as they are, line by line, and a wrong line is named."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from objectives.errors import BadInput
from objectives.traffic.public_traces.read import begins, read_slice, slices_beside
from objectives.traffic.public_traces.request_lines import likely_format
from objectives.traffic.trace_slice import Format

SHARED = Path(__file__).resolve().parents[5] / "shared/traces"
ALL_S = 1e9

AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224679,879,55"""
AZURE_2024 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:01+00:00,2399,6
"""
BURST = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
118,GPT-4,417,276,693,API log
"""
BURST_2 = """\
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
19440110.0,1722ac82-0a46-4bf0-aa08-89794e7a2b3f,43,GPT-4,906,446,1352,Conversation log
19440161.0,,2,ChatGPT,36,29,65,API log
"""
MOONCAKE: list[Any] = [
    {"timestamp": 0, "input_length": 600, "output_length": 50, "hash_ids": [0, 1]},
    {"timestamp": 3001, "input_length": 512, "output_length": 5, "hash_ids": [0]},
]
TIMED: list[Any] = [
    {"timestamp": 61.114, "input_length": 30, "output_length": 13, "hash_ids": [7, 8], "turn": 1},
    {"timestamp": 62.5, "input_length": 40, "output_length": 7, "hash_ids": [7, 9]},
    {"timestamp": 62.5, "input_length": 40, "output_length": 7},
]


def lines(objects: list[Any]) -> str:
    return "".join(json.dumps(o) + "\n" for o in objects)


@pytest.mark.parametrize(
    ("format_", "text", "expected", "failed"),
    [
        ("azure", AZURE, [(0, 374, 44), (4.314579, 396, 109), (4.541877, 879, 55)], 0),
        ("azure", AZURE_2024, [(0, 2162, 5), (0.99007, 2399, 6)], 0),
        ("burstgpt", BURST, [(0, 472, 18), (113, 417, 276)], 1),
        ("burstgpt", BURST_2, [(0, 906, 446), (51, 36, 29)], 0),
        ("mooncake", lines(MOONCAKE), [(0, 600, 50), (3.001, 512, 5)], 0),
        ("timed_trace", lines(TIMED), [(0, 30, 13), (1.386, 40, 7), (1.386, 40, 7)], 0),
    ],
)
@pytest.mark.parametrize("shape", ["plain", "crlf", "bom", "gz"])
def test_a_trace_is_read_as_it_is(
    tmp_path: Path, format_: Any, text: str, expected: list[Any], failed: int, shape: str
) -> None:
    path, data = tmp_path / "trace", text.encode()
    data = {"crlf": data.replace(b"\n", b"\r\n"), "bom": b"\xef\xbb\xbf" + data}.get(shape, data)
    path.write_bytes(gzip.compress(data, mtime=0) if shape == "gz" else data)
    part = read_slice(path, format_, 0, ALL_S)
    sent = [(a.at_s, a.prompt_tokens, a.output_tokens) for a in part.arrivals]
    assert sent == [pytest.approx(e, abs=2e-6) for e in expected]
    assert (part.failed, part.is_whole) == (failed, False)


def test_ids_of_blocks_are_kept(tmp_path: Path) -> None:
    formats: dict[Format, list[Any]] = {"mooncake": MOONCAKE, "timed_trace": TIMED}
    for format_, objects in formats.items():
        (tmp_path / "t").write_text(lines(objects))
        part = read_slice(tmp_path / "t", format_, 0, ALL_S)
        assert [a.hash_ids for a in part.arrivals] == [
            tuple(o.get("hash_ids", ())) for o in objects
        ]


def test_a_slice_ends_reading_and_what_follows_it_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{AZURE}\nno line of a trace\n")
    part = read_slice(path, "azure", 4, 4.5)
    assert [a.prompt_tokens for a in part.arrivals] == [396]
    assert part.is_whole
    with pytest.raises(BadInput, match=re.escape(f"{path}:5: ")):
        read_slice(path, "azure", 4, ALL_S)


def test_another_line_or_another_length_of_the_file_is_another_digest(tmp_path: Path) -> None:
    path, digests = tmp_path / "t.csv", []
    more = f"{AZURE}\n2023-11-16 18:16:51.2224679,879,55\n"
    for text in (AZURE, AZURE.replace("374", "375"), more, f"{more}\n"):
        path.write_text(text)
        digests.append(read_slice(path, "azure", 0, 5).sha256)
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("format_", "text", "number", "message"),
    [
        ("azure", "", 1, "the trace holds no request; a line is such as 2023-"),
        ("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n", 1, "holds no request"),
        ("azure", "TIMESTAMP,ContextTokens\n", 1, "the header of azure lacks GeneratedTokens"),
        ("azure", BURST, 1, "it looks like `format: burstgpt`"),
        ("burstgpt", AZURE, 1, "it looks like `format: azure`"),
        ("azure", lines(MOONCAKE), 1, "it looks like `format: mooncake`"),
        ("mooncake", AZURE, 1, "it is no JSON; it looks like `format: azure`"),
        ("azure", AZURE + ",1", 4, "it has 4 fields, and the header 3"),
        ("azure", AZURE.replace("396", "-396"), 3, "ContextTokens is '-396'"),
        ("azure", AZURE.replace("396", "NaN"), 3, "ContextTokens is 'NaN'"),
        ("azure", AZURE.replace("396", "9" * 5000), 3, "ContextTokens is '9999"),
        ("azure", AZURE.replace("396", "99999999"), 3, "from 0 to 10,000,000"),
        ("azure", AZURE.replace("396", "²"), 3, "ContextTokens is '²'"),
        ("azure", AZURE.replace("18:15:50", "18.15"), 3, "TIMESTAMP is '2023-11-16 18.15"),
        ("azure", AZURE.replace("18:15:50", "18:15:40"), 3, "5.68542 s before that of the line"),
        ("azure", AZURE.replace("396", '"396'), 3, "it is no CSV"),
        ("burstgpt", BURST.replace("45,", "inf,"), 3, "Timestamp is 'inf', not a time from 0"),
        ("burstgpt", BURST.replace("45,", "1e300,"), 3, "Timestamp is '1e300'"),
        ("burstgpt", BURST.replace("45,", ","), 3, "Timestamp is ''"),
        ("mooncake", lines(MOONCAKE) + "{", 3, "it is no JSON ("),
        ("mooncake", lines(MOONCAKE) + "[" * 100_000, 3, "it is no JSON"),
        ("mooncake", lines(MOONCAKE) + "[]", 3, "it is no JSON object"),
        ("mooncake", lines(MOONCAKE) + "9" * 5000, 3, "it is no JSON"),
        ("mooncake", lines([{**MOONCAKE[0], "timestamp": True}]), 1, "timestamp is True"),
        ("mooncake", '{"timestamp": NaN}', 1, "NaN is no number"),
        ("mooncake", '{"timestamp": 1, "timestamp": 2}', 1, "a key is there twice"),
        ("mooncake", lines([{"timestamp": 0}]), 1, "input_length is missing"),
        ("mooncake", lines([{**MOONCAKE[0], "input_length": 1.5}]), 1, "input_length is 1.5"),
        ("mooncake", lines([{**MOONCAKE[0], "output_length": None}]), 1, "output_length is None"),
        ("mooncake", lines([{**MOONCAKE[0], "hash_ids": [0, "1"]}]), 1, "hash_ids is [0, '1']"),
        ("mooncake", lines([{**MOONCAKE[0], "hash_ids": {"a": 1}}]), 1, "hash_ids is {'a': 1}"),
        ("mooncake", lines([{**MOONCAKE[0], "hash_ids": [-1, 1]}]), 1, "hash_ids is [-1, 1]"),
        ("mooncake", lines([{**MOONCAKE[0], "hash_ids": [1] * 9}]), 1, "are not blocks of 512;"),
        ("mooncake", lines(TIMED), 1, "blocks of 512 but 16 (`format: timed_trace`?)"),
        ("timed_trace", lines(MOONCAKE), 1, "blocks of 16 but 512 (`format: mooncake`?)"),
        ("azure", "x" * (2**20 + 1), 1, "the line is longer than 1 MiB"),
        ("azure", "version https://git-lfs.github.com/spec/v1\noid\n", 1, "run `git lfs pull`"),
    ],
)
def test_a_line_that_is_none_is_said_in_one_line_with_its_number(
    tmp_path: Path, format_: Any, text: str, number: int, message: str
) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(BadInput, match=re.escape(f"{path}:{number}: ")) as caught:
        read_slice(path, format_, 0, ALL_S)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert "; " in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfeT\x00", ":1: it is no text of UTF-8; save the trace as UTF-8"),
        (gzip.compress(AZURE.encode(), mtime=0)[:-9], "it cannot be read"),
        (b"\x1f\x8bno gzip", "it cannot be read"),
        (gzip.compress(AZURE.encode(), mtime=0)[:10] + b"\x06" * 60, "it cannot be read (Error -3"),
        (gzip.compress(b"\n" * 10**7, mtime=0), ":1001: more than 1,000 lines in a row are empty"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_slice(tmp_path / "t", "azure", 0, ALL_S)
    assert message in str(caught.value)


def test_a_format_is_known_by_its_first_line() -> None:
    firsts = [AZURE, BURST_2, lines(MOONCAKE), lines(TIMED), '{"at_s": 1, "service": "llm"}', "x"]
    assert [likely_format(text.partition("\n")[0]) for text in firsts] == [
        "azure",
        "burstgpt",
        "mooncake",
        "timed_trace",
        "timed_trace",
        None,
    ]


def test_other_slices_come_after_the_own_one_and_then_before_it() -> None:
    counts = {-3: 9, -2: 9, -1: 4, 0: 9, 1: 9, 2: 3, 3: 9, 4: 9}
    assert begins(counts, 25.0, 10.0, 70.0, 5) == (35.0, 55.0, 5.0)


def test_other_slices_of_a_file_are_whole_and_have_enough_requests(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    stamps = [*range(40), 45, *range(50, 75)]
    rows = "".join(f"{s},m,10,{int(s % 7 > 0)},0,x\n" for s in stamps)
    path.write_text(BURST.partition("\n")[0] + "\n" + rows)
    assert slices_beside(path, "burstgpt", 10, 10, 5, most=9) == (20, 30, 50, 60, 0)
    assert slices_beside(path, "burstgpt", 10, 10, 5, most=2) == (20, 30)


@pytest.mark.parametrize(
    ("name", "format_", "requests", "span_s", "prompt", "answer"),
    [
        ("AzureLLMInferenceTrace_code.csv", "azure", 8819, 3436, 2048, 28),
        ("AzureLLMInferenceTrace_conv.csv", "azure", 19366, 3502, 1155, 211),
        ("mooncake_conversation_trace.jsonl", "mooncake", 12031, 3537, 12035, 343),
        ("mooncake_synthetic_trace.jsonl", "mooncake", 3993, 1022, 15325, 149),
    ],
)
def test_what_was_published_is_read_whole(
    name: str, format_: Any, requests: int, span_s: float, prompt: float, answer: float
) -> None:
    path = SHARED / name
    if not path.is_file():
        reason = f"{path} is not there: ../shared does not lie beside this repository"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must read the public traces: {reason}", pytrace=False)
        pytest.skip(reason)
    part = read_slice(path, format_, 0, ALL_S)
    assert (len(part.arrivals), round(part.last_s), part.failed) == (requests, span_s, 0)
    prompts = sum(a.prompt_tokens for a in part.arrivals) / requests
    answers = sum(a.output_tokens for a in part.arrivals) / requests
    assert (round(prompts), round(answers)) == (prompt, answer)
