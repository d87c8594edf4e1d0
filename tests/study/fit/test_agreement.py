"""Holds what the files say against every start of the recordings, and of more cards and levers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from statistics import median

import pytest
from processes.commands import ROOT

from objectives.allocation import SHARE, SPEECH, Allocation
from objectives.diagnosis.log import FailurePhase
from objectives.errors import SetupError
from objectives.fit.cell import Host
from objectives.recording import read
from objectives.rig.tiny_llm import write_llm
from objectives.services import LlmService, SttService
from scripts import make_models
from study.fit.agreement import agreement
from study.fit.by_files import by_files
from study.fit.fit import fit, memory_key
from study.spec.load import load

RECORDINGS = Path(str(files("objectives"))) / "recordings"
SHIPPED = sorted(f.name for f in RECORDINGS.glob("*.jsonl") if not f.stem.endswith("_pairs"))
KV_PCT = 5.0
PACKED = "h200_12gb.jsonl"  # of packed weights, on which no constant was found
LEVERS = "h200_levers.jsonl"  # steps of up to 8,192 tokens, and a load that fills few of them
H200_MIB = 143_155.9375
ARGS = ("--load-format", "dummy", "--max-model-len", "4096")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_start_of_a_recording_is_told_right(name: str) -> None:
    comparison = agreement(read(RECORDINGS / name))
    assert comparison.kv_off_pct is not None and (comparison.kv_off_pct <= KV_PCT or name == PACKED)
    assert [s for s in comparison.sure if not s.is_right] == []
    assert len(comparison.sure) > 0 and len(comparison.starts) == len(
        read(RECORDINGS / name).entries
    )
    assert {s.cell.outcome for s in comparison.starts} <= {
        "starts",
        "predicted_oom",
        "predicted_kv_too_small",
    }


def test_packed_weights_are_told_a_little_too_small_and_their_walls_as_they_are() -> None:
    starts = agreement(read(RECORDINGS / PACKED)).starts
    failed = {s.cell.allocation for s in starts if not s.has_started}
    assert {s.cell.allocation for s in starts if s.cell.outcome == "predicted_oom"} == failed
    assert len(failed) == 4
    off = {s.cell.kv_tokens / tokens - 1 for s in starts if (tokens := s.kv_tokens)}
    assert sorted(round(100 * o) for o in off) == [5, 6, 8, 11, 53]  # the last compiled first


@pytest.mark.parametrize(
    ("file", "count"),
    [("tests/specs/h100_recorded.yaml", 7), ("study/specs/h100_wide_recorded.yaml", 0)],
)
def test_the_cells_that_cannot_start_are_those_that_did_not(file: str, count: int) -> None:
    spec = load(ROOT / file)
    assert isinstance(spec.measure, Path)
    started = {
        memory_key(Allocation(e.values)): not e.diagnosis or e.diagnosis.phase is FailurePhase.LOAD
        for e in read(spec.measure).entries
    }
    named = {memory_key(cell.allocation): cell.is_ruled_out for cell in fit(spec).cells}
    assert {key for key, is_named in named.items() if is_named and key in started} == {
        key for key, has_started in started.items() if not has_started
    }
    assert sum(named.values()) == count and started.keys() <= named.keys()


def test_the_recording_of_7b_has_one_cell_that_cannot_start() -> None:
    comparison = agreement(read(RECORDINGS / "h100_7b.jsonl"))
    named = {str(s.cell.allocation) for s in comparison.starts if s.cell.is_ruled_out}
    assert named == {"vllm_memory_util=0.6 whisper_model_size=small"}
    assert named == {str(s.cell.allocation) for s in comparison.starts if not s.has_started}


def test_the_pairs_of_a_confirmation_had_the_caches_that_are_told() -> None:
    lines = (ROOT / "tests/data/h100/h100_pairs.jsonl").read_text().splitlines()
    pairs = [pair for pair in map(json.loads, lines[1:]) if pair["stage"] == "ab"]
    launches = [launch for pair in pairs for launch in pair["launches"]]
    h100 = agreement(read(RECORDINGS / "h100.jsonl"))
    cells = {s.cell.allocation.share: s.cell for s in h100.starts}
    tokens = [
        (cells[0.55 if launch["role"] == "winner" else 0.5].kv_tokens, figures["kv_tokens"])
        for launch in launches
        if launch.get("measured")
        for figures in launch["measured"].values()
    ]
    assert len(tokens) > 4
    assert [pair for pair in tokens if abs(pair[0] / pair[1] - 1) > KV_PCT / 100] == []


# four H200, vLLM 0.26.0: graphs or eager, several steps, 2026-11-28
# model, share, flags, the sizes of the KV cache in the starts with them, tokens
H200: Sequence[tuple[str, float, tuple[str, ...], tuple[int, ...]]] = (
    ("llm-19b", 0.282, ("--enforce-eager",), (16592, 16592, 16592)),
    ("llm-19b", 0.282, (), (16272, 16592)),
    ("llm-19b", 0.31, ("--enforce-eager",), (37984, 37984)),
    ("llm-19b", 0.31, (), (37984, 37984)),
    ("llm-7b", 0.5, ("--max-num-batched-tokens", "2048"), (457808, 457792, 458288, 458272)),
    ("llm-7b", 0.5, ("--max-num-batched-tokens", "512"), (458208, 458192, 459568)),
    ("llm-7b", 0.5, ("--max-num-batched-tokens", "8192"), (452624, 452608, 453104)),
    # these two were looked at after the constants had been found
    ("llm-7b", 0.15, ("--enforce-eager", "--max-num-batched-tokens", "4096"), (55712,)),
    ("llm-7b", 0.4, ("--enforce-eager", "--max-num-batched-tokens", "4096"), (342032,)),
)


@pytest.mark.parametrize(("model", "share", "flags", "measured"), H200)
def test_starts_of_another_card_are_told_right(
    model: str, share: float, flags: tuple[str, ...], measured: tuple[int, ...]
) -> None:
    own = ("--max-num-seqs", "128")
    if model == "llm-19b":
        own = ("--max-num-seqs", "64", "--max-num-batched-tokens", "4096")
    allocation = Allocation({SHARE: share, SPEECH: "base"})
    forecaster = by_files(
        {"llm": LlmService(model=model, args=(*ARGS, *own, *flags)), "stt": SttService()},
        allocation,
        Host(product="NVIDIA H200", total_mib=H200_MIB, held_mib=0, reserve_mib=512),
        3136,
        version="0.26.0",
        is_shipped=True,
    )
    cell = forecaster.cell(allocation)
    assert cell.kv_tokens is not None
    assert max(abs(cell.kv_tokens / tokens - 1) for tokens in measured) <= KV_PCT / 100


def test_the_models_that_ship_are_those_that_the_script_writes(tmp_path: Path) -> None:
    for name, shape in make_models.SHAPES.items():
        sizes = {"kv_heads": 8, "head_dim": 128, "vocab": 32000, **shape}
        write: Callable[..., None] = partial(write_llm, dtype="bfloat16")
        write(tmp_path / name, **sizes)
        written = json.loads((tmp_path / name / "config.json").read_text())
        shipped = json.loads((RECORDINGS / "models" / name / "config.json").read_text())
        assert shipped == written


def test_a_recording_of_a_model_that_is_not_here_says_so(tmp_path: Path) -> None:
    text = (RECORDINGS / "h100_7b.jsonl").read_text().replace("llm-7b", "llm-of-my-own")
    (tmp_path / "own.jsonl").write_text(text)
    with pytest.raises(SetupError, match="there is no folder llm-of-my-own"):
        agreement(read(tmp_path / "own.jsonl"))


def test_what_stays_free_is_told_as_it_was_under_load() -> None:
    off = []
    for name in SHIPPED:
        recording = read(RECORDINGS / name)
        if recording.provenance.conditions["services"].keys() > {"llm", "stt"}:
            continue  # what a command starts is not known by its files
        if name in (PACKED, LEVERS):
            continue
        for start, entry in zip(agreement(recording).starts, recording.entries, strict=True):
            free = entry.measurement and entry.measurement.device.free_memory_mib
            if free is not None and start.cell.free_mib is not None:
                off.append(start.cell.free_mib - free)
    assert len(off) > 90
    assert abs(median(off)) < 60 and max(map(abs, off)) < 400


def test_steps_that_the_load_does_not_fill_leave_more_free_than_is_told() -> None:
    recording, off = read(RECORDINGS / LEVERS), {}
    for start, entry in zip(agreement(recording).starts, recording.entries, strict=True):
        if entry.measurement is not None:
            free_mib = entry.measurement.device.free_memory_mib
            step = entry.values["vllm.max_num_batched_tokens"]
            off.setdefault(step == 8192, []).append(start.cell.free_mib - free_mib)
    assert -430 < min(off[False]) < max(off[False]) < 0
    assert -1000 < min(off[True]) < max(off[True]) < -850
