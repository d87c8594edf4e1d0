"""Checks what the files say of an LLM that is spread over several cards, each by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.factories import Card, write_spec
from made.model_folders import QWEN_7B, write_config

import study.fit.hosts as module
from objectives.devices.device import Identity
from objectives.errors import SetupError
from objectives.fit.cell import Cell
from objectives.fit.fits import Fits
from study.cli.before_run.fit_text import as_json, ending, heading
from study.fit.fit import fit
from study.fit.together import together
from study.spec.load import load
from study.spec.model import Spec

ARGS = ["--load-format", "dummy", "--max-model-len", "4096", "--enforce-eager"]
PLACES = ["gpu0", "gpu0+gpu1"]


def spec_of(folder: Path, *places: str, **llm: Any) -> Spec:
    """Return a spec of a 7B model, random, whose weights are 14,526 MiB, on cards of 12 GB."""
    write_config(folder / "model", QWEN_7B)
    space = {"vllm_memory_util": [0.5, 0.8], "llm.place": [*(places or PLACES)]}
    service = {"model": "model", "python": "/opt/vllm/bin/python", "args": ARGS, **llm}
    own = {k: v for k, v in {"device": None}.items() if v}
    path = write_spec(
        folder,
        measure="live",
        search_space={**space, "whisper_model_size": ["base"]},
        bounds={"vllm_memory_util": [0.3, 0.9]},
        baseline={"vllm_memory_util": 0.8, "llm.place": space["llm.place"][0]},
        services={"llm": service, "stt": {"models": {}, "compute_type": "int8"}},
        budget={"allow_gpu": True},
        tenants=[],
        **own,
    )
    text = path.read_text().replace("device: cpu\n", "devices: {gpu0: 0, gpu1: 1, gpu2: 2}\n")
    path.write_text(text)
    return load(path, is_here=False)


def by_place(cells: tuple[Cell, ...]) -> dict[tuple[str, float], Cell]:
    return {(c.place, c.allocation.share): c for c in cells}


def test_a_card_that_stands_for_every_gpu_is_one_that_vllm_runs_on(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"GTX 1080 has compute capability 6.1, and vLLM's wheels"):
        fit(spec_of(tmp_path), card_name="GTX 1080")


def test_what_one_card_does_not_hold_two_do(tmp_path: Path) -> None:
    plan = fit(spec_of(tmp_path), total_mib=12_000.0)
    cells = by_place(plan.cells)
    alone, both = cells["gpu0", 0.8], cells["gpu0+gpu1", 0.8]
    assert alone.outcome == "predicted_kv_too_small" and "14,526 weights" in alone.why
    assert both.outcome == "starts" and "9,600 share" in both.why
    # speech is on the first card; what the cards' exchange takes nobody has counted
    assert both.why.startswith("gpu0: ") and both.is_close and "NCCL" in both.why
    less = cells["gpu0+gpu1", 0.5]
    assert less.outcome == "predicted_kv_too_small" and "7,263 weights" in less.why
    lines = [*heading(plan), *ending(plan)]
    assert lines[0].startswith("a device: 12,000 MiB") and lines[1].startswith("gpu1: a device: 1")
    assert "KV cache: 28 KiB a token on each of gpu0+gpu1" in lines
    assert any(line.startswith("on gpu0: the LLM starts from a share of 1.") for line in lines)
    assert any(line.startswith("on gpu0+gpu1: the LLM starts from a share of 0.") for line in lines)
    data = as_json(plan)
    assert data["other_devices"]["gpu1"]["total_mib"] == 12_000.0
    assert {cell["place"] for cell in data["cells"]} == {*PLACES}


class Here(Card):
    """A card of this machine."""

    def __init__(self, total_mib: float, free_mib: float) -> None:
        super().__init__(free_mib)
        self.identity = Identity("Card", f"GPU-{total_mib:g}", total_mib, "580.1", "13.0")


def test_the_fuller_card_of_a_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {"0": Here(12_000.0, 12_000.0), "1": Here(12_000.0, 9_000.0), "2": Here(9e3, 9e3)}
    monkeypatch.setattr(module, "open_device", cards.__getitem__)
    full = by_place(fit(spec_of(tmp_path, "gpu0", "gpu0+gpu1")).cells)["gpu0+gpu1", 0.8]
    assert full.outcome == "predicted_oom" and full.why.startswith("gpu1: 9,600 share")
    small = by_place(fit(spec_of(tmp_path, "gpu0", "gpu0+gpu2")).cells)["gpu0+gpu2", 0.8]
    assert small.is_ruled_out and small.why.startswith("gpu2: 7,263 weights")


def test_heads_that_a_set_does_not_divide_are_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"28 attention heads.* 3 cards"):
        fit(spec_of(tmp_path, "gpu0", "gpu0+gpu1+gpu2"), total_mib=12_000.0)


def test_together_the_smallest_cache_and_the_narrowest_shares_count() -> None:
    spec: Any = object()
    wide = Cell(
        allocation=spec,
        outcome=Fits.STARTS,
        missing_mib=-900.0,
        kv_tokens=5_000,
        least_mib=(4_000.0, 5_000.0),
        most_mib=(9_000.0, 9_500.0),
        free_mib=100.0,
        why="wide",
    )
    small = replace(
        wide,
        why="small",
        missing_mib=-300.0,
        kv_tokens=2_000,
        most_mib=(4_000.0, 4_500.0),
        free_mib=900.0,
    )
    whole = together({"a": wide, "b": small}, {"a": 10_000.0, "b": 5_000.0})
    assert (whole.kv_tokens, whole.free_mib, whole.why) == (2_000, 100.0, "b: small")
    assert (whole.least_mib, whole.most_mib) == ((8_000.0, 10_000.0), (8_000.0, 9_000.0))
    lost = Cell(allocation=spec, outcome=Fits.UNKNOWN, why="lost")
    unknown = together({"a": wide, "b": lost}, {"a": 1.0, "b": 1.0})
    assert (unknown.outcome, unknown.kv_tokens) == ("unknown", None)
