"""The schema by which an editor completes a spec is current, and says what reading one says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes.commands import ROOT, without

from study.showcase.spec_schema import schema_text, spec_schema
from study.spec.model import KEYS

FILE = ROOT / "study/specs/spec.schema.json"
SPECS = (*sorted((ROOT / "study/specs").glob("*.yaml")), ROOT / "examples/trace.yaml")
USUAL: dict[str, Any] = {"name": "one", "search_space": {"vllm_memory_util": [0.4, 0.5]}}


def faults(data: object) -> list[str]:
    with without("rfc3987_syntax"):  # it makes parsers of addresses for 8 s, and no schema has one
        import jsonschema
    validator = jsonschema.Draft202012Validator(spec_schema())
    return [error.message for error in validator.iter_errors(data)]


def test_the_file_is_current_and_has_every_key_with_a_sentence() -> None:
    assert FILE.read_text() == schema_text(), (
        "run python -m study.showcase.spec_schema > study/specs/spec.schema.json"
    )
    properties = json.loads(FILE.read_text())["else"]["properties"]
    assert [
        name for name in KEYS if name != "enabled" and not properties[name]["description"]
    ] == []


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.name)
def test_what_ships_is_valid_and_names_the_schema(path: Path) -> None:
    text = path.read_text()
    assert faults(yaml.safe_load(text)) == []
    named = text.splitlines()[0].partition("$schema=")[2]
    assert (path.parent / named).resolve() == FILE


@pytest.mark.parametrize(
    "changes",
    [
        {"smapler": "tpe"},
        {"sampler": "tpee"},
        {"gates": {"wer_points": -1}},
        {"gates": {"wer": 1}},
        {"services": {"llm": {"modell": "a"}}},
        {"services": {"llm": {"woken_by": "hope"}}},
        {"services": {"stt": {"woken_by": ["front", "front"]}}},
        {"workload": {"prompt_tokens": [1]}},
        {"limits": {"llm_ttft_ms": 5}},
        {"search_space": {"gpu": [1]}},
        {"baseline": "nothing"},
        {"tenants": [{"mib": 5}]},
    ],
)
def test_a_mistake_is_a_fault(changes: dict[str, Any]) -> None:
    assert faults(USUAL) == [] and faults(USUAL | {"baseline": "none"}) == []
    assert faults(USUAL | changes)


@pytest.mark.parametrize("waker", ["front", None])
def test_what_may_be_left_out_may_be_said(waker: str | None) -> None:
    stt = {"resident": False, "woken_by": waker}
    assert faults(USUAL | {"services": {"llm": {"woken_by": "keep_alive"}, "stt": stt}}) == []
