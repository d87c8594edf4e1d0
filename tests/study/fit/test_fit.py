"""Checks the command `fit`: on a laptop, with models in the hub's cache, and its ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from made.factories import SPEC, write_spec
from made.model_folders import (
    GGUF,
    QWEN_7B,
    write_config,
    write_gguf,
    write_safetensors,
    write_whisper_bin,
)
from processes.commands import ROOT, exit_code, main_of

import study.fit.hosts as module
from objectives.allocation import DEFAULT_BOUNDS
from objectives.errors import BadInput, SetupError
from study.bench.elsewhere import planned_elsewhere
from study.fit.fit import fit
from study.spec.load import load

SPECS = ROOT / "study/specs"
AWQ = QWEN_7B | {"quantization_config": {"quant_method": "awq"}, "torch_dtype": "float16"}
AWQ_BYTES = 5_570_000_000
LLM = {"model": "org/model-AWQ", "python": "/opt/vllm/bin/python", "args": ["--enforce-eager"]}
SIZED = [*LLM["args"], "--max-model-len", "4096"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the snapshot of a model in a hub's cache of this test's own."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    model = cache / "models--org--model-AWQ"
    (model / "refs").mkdir(parents=True)
    (model / "refs/main").write_text("abc")
    write_config(model / "snapshots/abc", AWQ)
    write_safetensors(model / "snapshots/abc/model.safetensors", {"q": ("U8", (AWQ_BYTES,))})
    return model / "snapshots/abc"


@pytest.fixture
def no_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine have no GPU."""

    def lacking(name: str) -> None:
        raise SetupError(f"no NVIDIA GPU {name!r} on this machine")

    monkeypatch.setattr(module, "open_device", lacking)
    yield


def spec_of(folder: Path, **changes: Any) -> Path:
    services = {"llm": LLM | {"args": SIZED}, "stt": {"models": {}, "compute_type": "int8"}}
    space = {"vllm_memory_util": [0.40, 0.50, 0.60], "whisper_model_size": ["tiny", "base"]}
    baseline = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    usual = {"measure": "live", "device": "cuda", "services": services, "search_space": space}
    own = usual | {"baseline": baseline, "budget": {"allow_gpu": True}, "tenants": []}
    return write_spec(folder, **(own | changes))


def run(capsys: pytest.CaptureFixture[str], monkeypatch: Any, *words: object) -> tuple[int, str]:
    """Run the command in this process; return its exit code and what it wrote."""
    monkeypatch.setattr("sys.argv", ["scripts/fit.py", *map(str, words)])
    code = exit_code(main_of("fit.py"))
    out, err = capsys.readouterr()
    return code, out + err


def test_a_laptop_says_what_a_card_would_hold(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    code, text = run(capsys, monkeypatch, spec_of(tmp_path), "--card", "RTX 3060")
    assert code == 0
    assert "RTX 3060: 12,036 MiB" in text and "weights 5,312 MiB" in text
    assert "56 KiB a token" in text
    assert "cannot start: 0.4 + tiny, 0.4 + base" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_dry_run_plans_for_a_card_elsewhere(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    spec, out = spec_of(tmp_path), tmp_path / "out"

    def plan(*words: object) -> tuple[int, str]:
        own = ["scripts/run_study.py", spec, "--out", out, *words]
        monkeypatch.setattr("sys.argv", [str(word) for word in own])
        code = exit_code(main_of("run_study.py"))
        output, errors = capsys.readouterr()
        return code, output + errors

    code, text = plan("--dry-run", "--card", "RTX 3060")
    assert code == 0 and not out.exists()
    assert "device: RTX 3060, 12,036 MiB, not of this machine" in text
    cells = {
        str(c.allocation): c for c in fit(load(spec, is_here=False), card_name="RTX 3060").cells
    }
    lines = {line.split("  ")[1]: line for line in text.splitlines() if "model's files" in line}
    assert lines.keys() == cells.keys()
    for name, cell in cells.items():
        assert ("files: no: " in lines[name]) == cell.is_ruled_out
        assert cell.is_ruled_out or f"{cell.kv_tokens:,} tokens" in lines[name]
    assert any(cell.is_ruled_out for cell in cells.values())
    assert "a first answer after" in text and "/opt/vllm/bin/python -m vllm" in text
    assert plan("--dry-run", "--total-mib", "12036")[0] == 0
    for words, code, part in (
        (("--card", "RTX 3060"), 2, "add --dry-run"),
        (("--dry-run", "--card", "RTX 9999"), 2, "near it are"),
        (("--dry-run", "--card", "GTX 1080 Ti"), 3, "compute capability"),
        (("--dry-run", "--total-mib", "3"), 2, "--total-mib must be"),
        (("--dry-run",), 2, "/opt/vllm/bin/python"),
    ):
        ended, text = plan(*words)
        assert (ended, part in text.splitlines()[-1]) == (code, True), text


def test_a_host_elsewhere_is_no_card(tmp_path: Path, hub: Path) -> None:
    spec = load(spec_of(tmp_path, device="cpu"), is_here=False)
    lines: list[str] = []
    assert planned_elsewhere(spec, None, 64_000.0, lines.append).identity.cuda is None
    assert "a device, 64,000 MiB" in lines[-1]
    with pytest.raises(BadInput, match="leave --card out"):
        planned_elsewhere(spec, "L4", None, lines.append)


def test_a_replay_has_a_device_of_its_own(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.argv", ["scripts/run_study.py", "--dry-run", "--card", "L4"])
    code = exit_code(main_of("run_study.py"))
    assert code == 2 and "is a replay" in capsys.readouterr().err


def test_json_has_every_cell_with_its_figures(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    words = (spec_of(tmp_path), "--total-mib", 12_036, "--json")
    code, text = run(capsys, monkeypatch, *words)
    document = json.loads(text)
    assert (code, len(document["cells"]), document["model"]["source"]) == (0, 6, "files")
    best = document["cells"][-1]
    assert best["outcome"] == "starts" and best["kv_tokens"] > 4096
    assert best["values"] == {"vllm_memory_util": 0.6, "whisper_model_size": "base"}
    assert document["device"]["total_mib"] == 12_036
    assert (document["kind"], document["schema"]) == ("fit", 1)


def test_without_a_device_it_says_how_to_name_one(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    code, text = run(capsys, monkeypatch, spec_of(tmp_path))
    assert code == 3 and "--card" in text and "--total-mib" in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--card", "RTX 9999"), 2, "near it are"),
        (("--card", "GTX 1080 Ti"), 3, "compute capability 6.1"),
        (("--total-mib", "3"), 2, "--total-mib must be"),
        (("--card", "L4", "--total-mib", "9000"), 2, "not allowed with"),
        (("--against", "nowhere.jsonl"), 2, "name nothing else"),
    ],
)
def test_a_wrong_word_is_one_line(
    tmp_path: Path,
    hub: Path,
    no_device: None,
    capsys: Any,
    monkeypatch: Any,
    words: tuple[str, ...],
    code: int,
    part: str,
) -> None:
    ended, text = run(capsys, monkeypatch, spec_of(tmp_path), *words)
    assert (ended, len(text.splitlines())) == (code, 1)
    assert part in text


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("org/absent", "hf download org/absent"),
        ("./absent", "there is no folder ./absent"),
        ("a" * 300 + "/b", "cannot be read"),
    ],
)
def test_a_model_that_is_not_here_is_a_sentence(
    tmp_path: Path, hub: Path, capsys: Any, monkeypatch: Any, model: str, part: str
) -> None:
    services = {"llm": LLM | {"model": model}, "stt": {"models": {}}}
    spec = spec_of(tmp_path, services=services)
    code, text = run(capsys, monkeypatch, spec, "--card", "L4")
    assert (code, len(text.splitlines())) == (3, 1) and part in text


def test_a_model_whose_download_is_cut_short_is_a_sentence(
    tmp_path: Path, hub: Path, capsys: Any, monkeypatch: Any
) -> None:
    with (hub / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    code, text = run(capsys, monkeypatch, spec_of(tmp_path), "--card", "L4")
    assert (code, len(text.splitlines())) == (3, 1) and "cut short" in text


def test_a_template_is_not_known(tmp_path: Path, hub: Path, capsys: Any, monkeypatch: Any) -> None:
    llm = {"command": "serve --port {port} {vllm_memory_util}"}
    spec = spec_of(tmp_path, services={"llm": llm, "stt": {"models": {}}})
    code, text = run(capsys, monkeypatch, spec, "--card", "L4")
    assert code == 3 and "a template starts the LLM server" in text


def test_a_template_of_llama_cpp_is_known_by_its_file(
    tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    write_gguf(tmp_path / "m.gguf", GGUF, weights=2**20)
    llm = {"command": "llama-server -m m.gguf --port {port} -c {vllm.ctx}"}
    space = {"vllm.ctx": [4096, 400_000], "whisper_model_size": ["base"]}
    baseline = {"vllm.ctx": 4096, "whisper_model_size": "base", "vllm_memory_util": 0.5}
    services = {"llm": llm, "stt": {"models": {}}}
    spec = spec_of(tmp_path, services=services, search_space=space, baseline=baseline)
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    assert code == 0 and "llama.cpp" in text and "128 KiB a token" in text
    assert "cannot start: 0.5 + base + 400000" in text
    code, text = run(capsys, monkeypatch, spec, "--card", "V100 32GB")
    assert code == 0 and "only an older vLLM" not in text
    llm["command"] = "llama-server -m absent.gguf --port {port} -c {vllm.ctx}"
    spec = spec_of(tmp_path, services=services, search_space=space, baseline=baseline)
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    assert code == 3 and "there is no file absent.gguf" in text


def test_a_card_is_for_no_cpu(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    spec = spec_of(tmp_path, device="cpu", services=SPEC.get("services", {}))
    code, text = run(capsys, monkeypatch, spec, "--card", "L4")
    assert code == 2 and "device: cpu" in text


def test_a_speech_model_counts_by_its_own_file(tmp_path: Path, hub: Path) -> None:
    (tmp_path / "own").mkdir()
    services = {
        "llm": LLM | {"args": SIZED},
        "stt": {"models": {"own": "own"}, "compute_type": "int8"},
    }
    space = {"vllm_memory_util": [0.6], "whisper_model_size": ["own"]}
    baseline = {"vllm_memory_util": 0.6, "whisper_model_size": "own"}
    path = spec_of(tmp_path, services=services, search_space=space, baseline=baseline)

    def free_mib() -> float | None:
        return fit(load(path, is_here=False), card_name="RTX 3060").cells[0].free_mib

    assert free_mib() is None, "neither a file nor a known name"
    write_whisper_bin(tmp_path / "own/model.bin", (1024, 1024), variables=10)
    small = free_mib()
    write_whisper_bin(tmp_path / "own/model.bin", (1024, 1024), variables=110)
    large = free_mib()
    assert small is not None and large is not None
    assert small - large == pytest.approx(1.4 * 100)


def test_searched_options_change_what_fits_and_others_are_left_out_of_the_table(
    tmp_path: Path, hub: Path, capsys: Any, monkeypatch: Any
) -> None:
    space = {
        "vllm_memory_util": [0.6],
        "whisper_model_size": ["base"],
        "vllm.max_num_batched_tokens": [2048, 8192],
        "vllm.seed": [1, 2],
        "whisper.beam_size": [1, 5],
        "stt.resident": [True, False],
    }
    services = {"llm": LLM | {"args": SIZED}, "stt": {"models": {}, "woken_by": "front"}}
    baseline = {"vllm_memory_util": 0.6, "whisper_model_size": "base", "whisper.beam_size": 5}
    baseline |= {"vllm.max_num_batched_tokens": 2048, "vllm.seed": 1, "stt.resident": True}
    spec = spec_of(tmp_path, services=services, search_space=space, baseline=baseline)
    answer = fit(load(spec, is_here=False), card_name="RTX 3060")
    tokens = {c.allocation.values["vllm.max_num_batched_tokens"]: c.kv_tokens for c in answer.cells}
    assert len(answer.cells) == 4, (
        "the width of the search takes no memory, and speech is counted awake"
    )
    assert tokens[2048] and tokens[8192] and tokens[2048] > tokens[8192]
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    assert code == 0 and "the same with every seed of the space" in text
    assert sum(line.startswith("0.6 ") for line in text.splitlines()) == 2


def test_memory_in_mib_is_a_share_of_the_card_that_is_asked_for(
    tmp_path: Path, hub: Path, capsys: Any, monkeypatch: Any
) -> None:
    space = {"vllm_memory_mib": [6000, 7500], "whisper_model_size": ["base"]}
    baseline = {"vllm_memory_mib": 7500, "whisper_model_size": "base"}
    spec = spec_of(tmp_path, search_space=space, baseline=baseline)
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    assert code == 0 and "\nLLM MiB" in text and "\nshare" not in text
    first, second = fit(load(spec, is_here=False), total_mib=16_000).cells
    assert first.allocation.share == 6000 / 16_000
    assert second.kv_tokens and not first.kv_tokens
    code, text = run(capsys, monkeypatch, spec, "--card", "H200")
    assert code == 2 and "outside the bounds" in text and len(text.splitlines()) == 1


def test_a_continuous_range_shows_the_baseline(tmp_path: Path, hub: Path) -> None:
    space = {
        "vllm_memory_util": {"low": 0.3, "high": 0.7},
        "whisper_model_size": ["tiny", "base"],
    }
    answer = fit(load(spec_of(tmp_path, search_space=space), is_here=False), card_name="RTX 3060")
    assert [str(c.allocation) for c in answer.cells] == [
        "vllm_memory_util=0.5 whisper_model_size=base"
    ]
    assert "continuous" in answer.notes[-1]


def test_recordings_are_held_against_the_files(capsys: Any, monkeypatch: Any) -> None:
    recordings = Path(module.__file__).parents[2] / "objectives/recordings"
    words = ("--against", recordings / "h100_7b.jsonl")
    code, text = run(capsys, monkeypatch, *words)
    assert code == 0 and "h100_7b.jsonl" in text and "3 of 3" in text
    words = ("--against", *(recordings / f"{name}.jsonl" for name in ("h100", "h100_wide")))
    code, text = run(capsys, monkeypatch, *words)
    named = text.replace(" \n", " ").splitlines()[-2:]
    head, _, cells = named[0].rpartition(": ")
    assert head == "h100.jsonl: cannot start"
    sizes = ("tiny.en", "base", "small")
    measured = {f"{share} + {size}" for share in (0.4, 0.45) for size in sizes} | {"0.6 + small"}
    assert {*cells.split(", ")} == measured
    assert named[1] == "h100_wide.jsonl: cannot start: none"


@pytest.fixture
def awq(hub: Path) -> None:
    """Let the hub's cache have the model that the shipped specs name."""
    (hub.parents[2] / "models--Qwen--Qwen2.5-7B-Instruct-AWQ").symlink_to(hub.parents[1])


def test_gpu_yaml_fits_the_card_that_it_names(
    awq: None, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    path = SPECS / "gpu.yaml"
    spec = load(path, is_here=False)
    assert max(spec.search_space.parameters[0].choices) > DEFAULT_BOUNDS["vllm_memory_util"][1]
    cells = {str(c.allocation): c for c in fit(spec, card_name="RTX 3060").cells}
    baseline = cells[str(spec.baseline)]
    assert (baseline.outcome, baseline.is_close) == ("starts", False)
    for speech in ("tiny", "base", "small", "large-v3-turbo"):
        ours = [c for c in cells.values() if c.allocation.speech == speech]
        assert sum(c.outcome == "starts" for c in ours) >= 3, speech
    code, text = run(capsys, monkeypatch, path, "--card", "RTX 3060")
    assert code == 0
    words = " ".join(text.split())
    assert "the LLM starts from a share of 0.59 on (0.66 to be sure), and fits up to" in words
    assert "0.85 (0.80) beside small, 0.72 (0.66) beside large-v3-turbo" in words
    assert "the smallest share of the space that starts is 0.7; 0.6, 0.65 may" in words


@pytest.mark.parametrize("name", ["gpu.yaml", "levers.yaml"])
def test_the_table_of_a_shipped_spec_fits_80_columns(
    name: str, awq: None, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    code, text = run(capsys, monkeypatch, SPECS / name, "--card", "RTX 3060")
    assert code == 0 and "starts" in text
    lines = [line for line in text.splitlines() if "snapshots" not in line]  # a path is one word
    assert max(map(len, lines)) <= 80


def test_where_no_share_starts_it_says_what_to_write(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    space = {"vllm_memory_util": [0.30, 0.40], "whisper_model_size": ["base"]}
    baseline = {"vllm_memory_util": 0.4, "whisper_model_size": "base"}
    spec = spec_of(tmp_path, search_space=space, baseline=baseline)
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    assert code == 0 and "no share of the space is sure to start: add one" in " ".join(text.split())
    monkeypatch.setattr(
        "sys.argv", ["scripts/run_study.py", str(spec), "--dry-run", "--card", "RTX 3060"]
    )
    code = exit_code(main_of("run_study.py"))
    text = capsys.readouterr().out
    assert code == 0 and "no share of the space is sure to start" in text
    assert "the baseline does not start, by the models' files: if so, the first" in text


@pytest.mark.parametrize(
    ("mib", "left", "tenant"),
    [
        (13_000, "leaves it nothing", "the device lacks 964 of them beside what others hold now"),
        (9_000, "leaves it at most 0.11", "3,036 MiB are left beside it"),
    ],
)
def test_where_tenants_leave_no_room_nothing_else_is_asked_for(
    tmp_path: Path,
    hub: Path,
    no_device: None,
    capsys: Any,
    monkeypatch: Any,
    mib: int,
    left: str,
    tenant: str,
) -> None:
    spec = spec_of(tmp_path, tenants=[{"name": "desktop", "mib": mib}])
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    words = " ".join(text.split())
    assert code == 0 and "tenants and other processes among it" in words
    assert left in words and "add one to" not in words and "fits up to" not in words
    monkeypatch.setattr(
        "sys.argv", ["scripts/run_study.py", str(spec), "--dry-run", "--card", "RTX 3060"]
    )
    assert exit_code(main_of("run_study.py")) == 0
    text = capsys.readouterr().out
    assert tenant in text and "a first answer" not in text
    assert text.splitlines()[-1].startswith("nothing would be launched: none of what is left")


def test_the_time_of_a_run_has_no_launch_that_is_ruled_out(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    for precheck, starts, trials in (("prune", "1 start", 2), ("report", "3 starts", 6)):
        tenants = [{"name": "desktop", "mib": 6_500}]
        spec = spec_of(tmp_path, tenants=tenants, precheck=precheck)
        monkeypatch.setattr(
            "sys.argv", ["scripts/run_study.py", str(spec), "--dry-run", "--card", "RTX 3060"]
        )
        assert exit_code(main_of("run_study.py")) == 0
        text = capsys.readouterr().out
        assert text.count("predicted_oom") == 4
        assert f"at least {starts} of the LLM server for these" in text
        assert f"{trials} trials" in text


def beside(folder: Path, **more: object) -> Path:
    """Write a spec with a service beside the voice turn, whose model is a file of 300 MiB."""
    with (folder / "embed.onnx").open("wb") as file:
        file.truncate(300 * 2**20)
    command = "serve --model embed.onnx --port {port} --batch {embed.batch}"
    embed = {"api": "embeddings", "command": command, **more}
    services = {"llm": LLM | {"args": SIZED}, "stt": {"models": {}, "compute_type": "int8"}}
    space = {"vllm_memory_util": [0.60, 0.65], "whisper_model_size": ["base"]}
    baseline = {"vllm_memory_util": 0.6, "whisper_model_size": "base", "embed.batch": 8}
    return spec_of(
        folder, services={**services, "embed": embed}, search_space=space, baseline=baseline
    )


def test_a_service_beside_the_turn_is_counted_as_the_spec_says(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    few = beside(tmp_path, memory_mib=500)
    code, text = run(capsys, monkeypatch, few, "--card", "RTX 3060", "--json")
    cells = json.loads(text)["cells"]
    assert code == 0 and [c["outcome"] for c in cells] == ["starts", "starts"]
    assert not any("not known" in c["why"] for c in cells)
    many = beside(tmp_path, memory_mib=5000)
    code, text = run(capsys, monkeypatch, many, "--card", "RTX 3060", "--json")
    cells = json.loads(text)["cells"]
    assert [c["outcome"] for c in cells] == ["predicted_oom", "predicted_oom"]
    assert all("5,000 embed" in c["why"] for c in cells)


def test_what_only_its_files_tell_is_said_to_be_not_all(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    code, text = run(capsys, monkeypatch, beside(tmp_path), "--card", "RTX 3060", "--json")
    cell = json.loads(text)["cells"][0]
    assert code == 0 and cell["outcome"] == "starts" and cell["is_close"]
    assert "what embed takes beside weights of 300 MiB is not known" in cell["why"]
    assert "services.embed.memory_mib" in cell["why"]
    (tmp_path / "embed.onnx").unlink()
    spec = beside(tmp_path)
    (tmp_path / "embed.onnx").unlink()
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    plain = " ".join(text.split())
    assert "what embed takes is not known" in plain and "since not all that is beside" in plain
    assert re.search(r"and fits up to 0\.\d\d beside", plain)  # and surely up to no share
    words = ["scripts/run_study.py", spec, "--dry-run", "--card", "RTX 3060"]
    monkeypatch.setattr("sys.argv", [str(word) for word in words])
    assert exit_code(main_of("run_study.py")) == 0
    planned = capsys.readouterr().out.splitlines()
    assert "what embed takes is not known: `services.embed.memory_mib`" in planned


@pytest.mark.parametrize("engine", ["sglang", "ollama"])
def test_an_engine_whose_memory_no_file_tells_is_refused(
    tmp_path: Path, no_device: None, capsys: Any, monkeypatch: Any, engine: str
) -> None:
    llm = {
        "engine": engine,
        "model": "m",
        "args": ["--mem-fraction-static", "0.5"] if engine == "sglang" else [],
        "env": {"OLLAMA_CONTEXT_LENGTH": "4096"},
    }
    program = tmp_path / "ollama"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "m").mkdir()
    more = {"program": "./ollama"} if engine == "ollama" else {}
    spec = spec_of(
        tmp_path,
        services={"llm": {**llm, **more}, "stt": {"models": {}}},
        search_space={"whisper_model_size": ["tiny", "base"]},
        baseline={"whisper_model_size": "base"},
    )
    code, text = run(capsys, monkeypatch, spec, "--card", "RTX 3060")
    assert code == 3 and f"what {engine} takes is not known" in " ".join(text.split())


def test_a_note_says_that_only_an_older_engine_runs_on_a_card(
    tmp_path: Path, hub: Path, no_device: None, capsys: Any, monkeypatch: Any
) -> None:
    code, text = run(capsys, monkeypatch, spec_of(tmp_path), "--card", "V100 32GB")
    assert code == 0 and "compute capability 7.0, and vLLM's wheels need 7.5 since 0.21" in text
