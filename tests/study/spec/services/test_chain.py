"""A turn passes a clip and then the LLM, or more services by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES, SERVER

from objectives.errors import BadInput
from objectives.traffic.trace import in_turns, trace
from study.spec.load import load
from study.spec.model import Spec

VOICE = {"api": "speech", "command": SERVER, "tokens": [5, 9]}
TRAFFIC = {**{k: v for k, v in FAKES["workload"].items() if "_per_s" not in k}, "turns_per_s": 4}
CHAIN = ["stt", "llm", "voice"]


def read(folder: Path, turn: Any, voice: Any = VOICE, **more: Any) -> Spec:
    services = {**FAKES["services"], "voice": voice}
    workload = {**TRAFFIC, **({} if turn is None else {"turn": turn}), **more}
    path = folder / "chain.yaml"
    data = {**FAKES, "services": services, "workload": workload}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path)


def test_each_turn_passes_its_services_and_the_first_two_are_as_without_it(tmp_path: Path) -> None:
    chained, usual = (read(tmp_path, turn).workload for turn in (CHAIN, None))
    turns = [turn for turn in in_turns(trace(chained, 24)) if turn[0].turn is not None]
    assert [[r.service for r in turn] for turn in turns] == [CHAIN] * 4
    assert all(5 <= turn[2].prompt_tokens <= 9 and not turn[2].output_tokens for turn in turns)
    assert len({turn[2].seed for turn in turns}) == 4
    others = [turn for turn in in_turns(trace(usual, 24)) if turn[0].turn is not None]
    assert [turn[:2] for turn in turns] == others


def test_what_is_of_a_turn_gets_requests_of_its_own_only_at_a_rate_that_is_named(
    tmp_path: Path,
) -> None:
    assert [t.per_s for t in read(tmp_path, CHAIN).workload.beside] == [0.0]
    assert [t.per_s for t in read(tmp_path, None).workload.beside] == [1.0]
    named = read(tmp_path, CHAIN, {**VOICE, "per_s": 2})
    assert [t.per_s for t in named.workload.beside] == [2.0]


@pytest.mark.parametrize(
    ("turn", "more", "message"),
    [
        (["stt", "llm", "voise"], {}, "workload.turn: there is no service 'voise'"),
        (["stt", "llm", "stt"], {}, "stt is there twice"),
        (["llm", "stt"], {}, "workload.turn: the words of a clip are there before an LLM"),
        (["stt", "voice"], {}, "workload.turn: the words of a clip are there before an LLM"),
        (CHAIN, {"turns_per_s": 0, "llm_per_s": 1, "stt_per_s": 1}, "workload.turn: no turns"),
        ("stt", {}, "workload.turn: "),
    ],
)
def test_what_is_no_turn_is_refused(tmp_path: Path, turn: Any, more: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, turn, **more)
    assert message in str(caught.value)
