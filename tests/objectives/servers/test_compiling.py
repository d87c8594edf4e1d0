"""A start that compiled is made again: its memory profile leaves it another KV cache."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from made.live_factories import LOW, Phases, Shelf, setting

from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.evaluation import Job, Step

# vLLM 0.26 on an H200, 2026-11-29
COMPILED = (
    "INFO 11-29 11:20:03 [decorators.py:708] saved AOT compiled function to "
    "/root/cache/torch_compile_cache/torch_aot_compile/33f38d7c/rank_0_0/model"
)
LOADED = (
    "INFO 11-29 11:21:27 [decorators.py:311] Directly load AOT compilation from path "
    "/root/cache/torch_compile_cache/torch_aot_compile/33f38d7c/rank_0_0/model"
)
FIRST = """
import os, sys
from pathlib import Path
starts, when, *words = sys.argv[1:]
count = len(Path(starts).read_text()) if Path(starts).exists() else 0
Path(starts).write_text("x" * (count + 1))
if when == "fails" and not count:
    words[words.index("--mood") + 1] = "oom-at-start"
print({compiled!r} if not count or when == "always" else {loaded!r}, flush=True)
os.execv(sys.executable, [sys.executable, *words])
"""


def measured(folder: Path, when: str, *jobs: Job, mood: str = "well") -> tuple[Phases, int]:
    """Measure beside an LLM server that compiles in its first start; count its starts."""
    program, starts = folder / "first.py", folder / "starts"
    program.write_text(FIRST.format(compiled=COMPILED, loaded=LOADED))
    own = setting(mood)
    llm = own.services["llm"]
    before, _, words = str(llm.command).partition(" ")
    command = f"{before} {shlex.quote(str(program))} {starts} {when} {words}"
    own = replace(own, services={**own.services, "llm": replace(llm, command=command)})
    phases = Phases()
    with Colocation(own, device_set(Shelf()), folder, on_phase=phases.append) as running:
        for job in jobs:
            outcome = running.measure(job)
            assert outcome.measurement is not None, outcome.failure
    return phases, len(starts.read_text())


def starts_in(phases: Phases) -> int:
    return sum(p.step is Step.STARTING and p.service == "llm" for p in phases)


@pytest.mark.parametrize("when", ["once", "fails"])
def test_a_start_that_compiled_is_made_again_before_it_is_measured(
    when: str, tmp_path: Path, one_generator: None
) -> None:
    phases, starts = measured(tmp_path, when, Job(LOW, 0, tmp_path))
    assert (starts, starts_in(phases)) == (2, 2)
    assert phases.launches == (1, 0)
    assert "Directly load" in (tmp_path / "llm.log").read_text()


def test_where_nothing_is_kept_it_is_made_again_once(tmp_path: Path, one_generator: None) -> None:
    jobs = (Job(LOW, number, tmp_path, is_fresh=True) for number in range(3))
    _, starts = measured(tmp_path, "always", *jobs)
    assert starts == 4
