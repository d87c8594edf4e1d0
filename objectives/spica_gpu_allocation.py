"""One class evaluates an allocation for somebody else's runner, in the standard library alone.

The measurement itself is this project's, on the real candidate: its own interpreter launches the
servers of a spec. The spec is that of the argument, of the variable GPU_ALLOCATION_SPEC, or a
my_gpu.yaml of the current folder or the project's; the interpreter likewise, of the variable
GPU_ALLOCATION_PYTHON, the project's .venv, or the one that runs this.

    python objectives/spica_gpu_allocation.py --spec study/specs/cpu_recorded.yaml
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SPEC_VARIABLE, PYTHON_VARIABLE = "GPU_ALLOCATION_SPEC", "GPU_ALLOCATION_PYTHON"
TIMEOUT_MS = 60_000.0  # a request's, where no spec says another
TARGET_PCT = 70.0
CODE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import study.cli.startup; "
    "from study.dream.candidate import main; main()"
)


class SpicaGPUAllocation:
    """An evaluator measures candidates: how the GPU is shared by the LLM and speech recognition.

    Args:
        spec: The spec, or a D-REAM file.
        experiment: The experiment of a D-REAM file.
        python: The interpreter that has this project's packages.
        folder: The folder for logs; below the current one where it is not named.
    """

    def __init__(
        self,
        spec: str | None = None,
        experiment: str | None = None,
        python: str | None = None,
        folder: str = "artifacts/spica_gpu_allocation",
    ) -> None:
        self.spec = (
            spec
            or os.environ.get(SPEC_VARIABLE)
            or _first(Path("my_gpu.yaml"), ROOT / "my_gpu.yaml")
        )
        self.python = (
            python
            or os.environ.get(PYTHON_VARIABLE)
            or _first(ROOT / ".venv/bin/python")
            or sys.executable
        )
        self.experiment, self.folder = experiment, folder
        self.results: list[dict[str, Any]] = []

    def get_gpu_state(self) -> dict[str, Any]:
        """Return the memory of the device now, MiB, and who holds it; zeros where unknown."""
        answer = self._ask("--state")
        state: dict[str, Any] = {
            "total_mb": 0,
            "used_mb": 0,
            "free_mb": 0,
            "utilization_pct": 0.0,
            "processes": [],
        }
        return {**state, **answer.get("state", {})}

    def measure_stt_latency(self, size: str | None = None) -> float:
        """Return the median latency of a transcription under load, ms.

        Args:
            size: The speech model; None for that of the last candidate, or of today.
        """
        return float(self._measured(size)["stt_latency_ms"])

    def measure_llm_latency(self) -> float:
        """Return the median latency of an answer of the LLM under load, ms."""
        return float(self._measured(None)["llm_latency_ms"])

    def check_oom_events(self) -> int:
        """Return how often a candidate of this evaluator ran out of memory."""
        return sum(int(result["oom_events"]) for result in self.results)

    def compute_fitness(self, result: Mapping[str, Any]) -> float:
        """Return the design's fitness of a result, from 0 to 1; 0 for one that did not pass."""
        if result["status"] != "pass" or result["oom_events"]:
            return 0.0
        off_pct = abs(result["gpu_utilization_pct"] - TARGET_PCT)
        terms = (
            (0.25, 1 - result["stt_latency_ms"] / 500.0),
            (0.25, 1 - result["llm_latency_ms"] / 1000.0),
            (0.20, result["concurrent_capacity"] / 20.0),
            (0.20, 1.0),
            (0.10, 1 - off_pct / 50.0),
        )
        return round(sum(weight * min(1.0, max(0.0, term)) for weight, term in terms), 6)

    def evaluate(
        self,
        candidate: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,  # noqa: ARG002  runners give it
    ) -> dict[str, Any]:
        """Measure a candidate; no figure of the result is None, and `status` says why one failed.

        Where nothing was measured, latencies are the request's time-out, and the rest is 0.
        """
        answer = self._ask("--candidate", json.dumps(dict(candidate)))
        figures, values = answer.get("figures", {}), answer.get("parameters", candidate)
        is_pass = answer["status"] == "pass"
        timeout_ms = float(answer.get("request_timeout_ms", TIMEOUT_MS))

        def figure(name: str, otherwise: float) -> float:
            value = figures.get(name)
            return float(value) if isinstance(value, int | float) else otherwise

        used_pct, free_mib = figure("gpu_utilization_pct", 0.0), figure("free_memory_mib", 0.0)
        result: dict[str, Any] = {
            "test_id": f"gpu-{uuid.uuid4().hex[:8]}",
            "status": answer["status"],
            "vllm_memory_util": values.get("vllm_memory_util"),
            "whisper_model_size": values.get("whisper_model_size"),
            "stt_latency_ms": figure("stt_latency_ms", timeout_ms) if is_pass else timeout_ms,
            "llm_latency_ms": figure("llm_latency_ms", timeout_ms) if is_pass else timeout_ms,
            "gpu_utilization_pct": used_pct,
            "gpu_utilization": used_pct,
            "oom_events": int(answer.get("oom_events", 0)),
            "concurrent_capacity": int(figure("concurrent_capacity", 0)) if is_pass else 0,
            "free_memory_mb": free_mib,
            "free_memory_mib": free_mib,
        }
        result["fitness"] = self.compute_fitness(result)
        result["reason"] = answer.get("reason", "")
        self.results.append(result)
        return result

    def _measured(self, size: str | None) -> dict[str, Any]:
        """Return a result for a speech model beside the last candidate's share, measured once."""
        last = self.results[-1] if self.results else {}
        candidate = {
            k: last[k]
            for k in ("vllm_memory_util", "whisper_model_size")
            if last.get(k) is not None
        }
        if size is not None:
            candidate["whisper_model_size"] = size
        known: list[dict[str, Any]] = [
            r for r in self.results if candidate and all(r[k] == v for k, v in candidate.items())
        ]
        return known[-1] if known else self.evaluate(candidate)

    def _ask(self, *words: str) -> dict[str, Any]:
        """Let the project's interpreter answer; what it cannot do is an answer too."""
        if self.spec is None:
            reason = f"no spec: set {SPEC_VARIABLE}, or copy study/specs/gpu.yaml to my_gpu.yaml"
            return {"status": "error", "reason": reason}
        line = [self.python, "-c", CODE, str(ROOT), str(self.spec), "--folder", self.folder]
        line += ["--experiment", self.experiment] if self.experiment else []
        try:
            ran = subprocess.run(
                [*line, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        except OSError as error:
            return {"status": "error", "reason": f"{self.python}: {error.strerror}"}
        except (IndexError, ValueError):
            lines = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
            return {"status": "error", "reason": lines[-1]}
        return answer


def _first(*paths: Path) -> str | None:
    return next((str(p.absolute()) for p in paths if p.exists()), None)


def main(words: Sequence[str] | None = None) -> int:
    """Evaluate one candidate and print it, as the design's manual test run; 1 where it failed."""
    options = argparse.ArgumentParser(description="Measure one allocation and print its figures.")
    options.add_argument("--spec", help=f"default: ${SPEC_VARIABLE}, or my_gpu.yaml")
    options.add_argument("--experiment", help="of a D-REAM file")
    options.add_argument("--share", type=float, help="the LLM's share of the memory")
    options.add_argument("--size", help="the speech model")
    arguments = options.parse_args(words)
    evaluator = SpicaGPUAllocation(arguments.spec, arguments.experiment)
    named = {"vllm_memory_util": arguments.share, "whisper_model_size": arguments.size}
    candidate = {name: value for name, value in named.items() if value is not None}
    print("Testing GPU Allocation Evaluator")
    print("=" * 60)
    print(f"Candidate: {json.dumps(candidate or 'the one in use today', indent=2)}\n")
    result = evaluator.evaluate(candidate)
    print(f"Results:\n{json.dumps(result, indent=2)}")
    return 0 if result["status"] == "pass" else 1


if __name__ == "__main__":
    sys.exit(main())
