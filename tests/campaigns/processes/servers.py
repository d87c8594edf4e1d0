"""Live studies of servers that answer oddly end, go on, and are reported on."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

sys.path.append(str(Path(__file__).resolve().parents[2] / "support"))

from fake_servers import chaos_server, fakes
from fake_servers.chaos_server import KINDS, WHERE

from ..campaign import Try, commanded

ROOT = Path(__file__).parents[3]
CHAOS, FAKE = chaos_server.__file__, fakes.FAKE
LONGEST_S, MOST_MIB = 180.0, 1024
SPEC = """
name: odd
measure: live
device: cpu
search_space: {{vllm_memory_util: [0.01, 0.02], whisper_model_size: [base]}}
bounds: {{vllm_memory_util: [0.01, 0.02]}}
baseline: {{vllm_memory_util: 0.01, whisper_model_size: base}}
services:
  llm: {{command: {llm}, vocabulary: 2048, start_timeout_s: {llm_start_s}}}
  stt: {{command: {stt}, start_timeout_s: {stt_start_s}}}
workload: {{window_s: 1, words: assistant, llm_per_s: 6, stt_per_s: 6, prompt_tokens: [8, 16],
  output_tokens: 2, ramp_s: 0, alone_requests: 1, request_timeout_s: 1}}
selector: {{population_size: 1, fresh_inject: 0, exhausted: stop}}
gates: {{free_memory_mib: 0}}
reserve_mib: 1e6
precheck: report
"""


def attack(rng: Try) -> None:
    """Measure beside one odd server, go on, and write the report.

    Each kind of answer comes in its turn, at a place and after as many good answers as are drawn.

    Raises:
        AssertionError: A command did not end as it promises, or took memory or time without end.
    """
    number = rng.number % len(KINDS)
    kind = [*KINDS][number]
    odd = f"{sys.executable} {CHAOS} --port {{port}} --kind {number} "
    odd += f"--where {(where := rng.choice(WHERE))} --after {rng.choice((0, 1, 2, 5))}"
    start_s = 1 if where == "health" else 4  # it may never be ready
    sound = f"{sys.executable} -IS {FAKE} --port {{port}} --mood well"
    is_llm = rng.random() < 0.6
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as name,
        patch.dict(os.environ, ALLOCATION_STUDY_LOCKS=name),  # whoever measures here meanwhile
    ):
        folder = Path(name)
        spec = folder / "odd.yaml"
        text = SPEC.format(
            llm=_quoted(odd if is_llm else sound, "vllm_memory_util"),
            stt=_quoted(sound if is_llm else odd, "whisper_model_size"),
            llm_start_s=start_s if is_llm else 4,
            stt_start_s=4 if is_llm else start_s,
        )
        spec.write_text(text)
        what = (kind, odd, is_llm)
        for trials in ("1", "2"):  # and again: what was kept must not stand in the way
            code, output = commanded(
                "run_study", [str(spec), "--out", str(folder / "out"), "--n-trials", trials]
            )
            assert code in (0, 4), (what, code, output)
        code, output = commanded(
            "report", [str(folder / "out/odd/study.db"), "-o", str(folder / "r.html")]
        )
        assert code == 0, (what, code, output)
    took_s = time.monotonic() - began_s
    assert took_s < LONGEST_S, (what, took_s)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert peak_mib < MOST_MIB, (what, peak_mib)


def _quoted(command: str, parameter: str) -> str:
    return "'" + f"{command} --label {{{parameter}}}".replace("'", "''") + "'"
