"""Checks an evaluator in a process of its own: what it is told, and how it is ended."""

import time
from pathlib import Path

import psutil
import pytest
from dream import experiment

from study.dream.generic.evaluation import Evaluated, environment, evaluate

CONTEXT = {"experiment": "e", "generation": 1, "budget": {"a": 1}, "run": {}, "timestamp": 5}


def evaluated(folder: Path, code: str, limit_s: float = 20.0, **changes: object) -> Evaluated:
    changes.setdefault("evaluator", {"path": "toy.py"})
    return evaluate(experiment(folder, code, **changes), {"x": 2}, CONTEXT, folder / "t", limit_s)


def is_dead(pid: int) -> bool:
    """Say whether a process has ended, also one that nobody has waited for."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("called", "code"),
    [
        ({"symbol": "f"}, "def f(candidate): return {'x': candidate['x'], 'told': 0}"),
        ({}, "def evaluate(params, context): return {'x': params['x'], 'told': context['budget']}"),
        (
            {"class": "A", "init_kwargs": {"by": 2}},
            "class A:\n  def __init__(self, by): self.by = by\n"
            "  def evaluate(self, config, *, context): return {'x': config['x'], 'told': self.by}",
        ),
        (
            {"factory": "make"},
            "import dataclasses\n@dataclasses.dataclass\nclass B:\n  n: int = 2\n"
            "  def evaluate(self, c): return {'x': c['x'], 'told': self}\ndef make(): return B()",
        ),
    ],
)
def test_class_factory_and_function_are_called_as_by_the_ancestor(called, code, tmp_path) -> None:
    outcome = evaluated(tmp_path, code, evaluator={"path": "toy.py", **called})
    assert outcome.failure is None, outcome
    expected = {"f": 0, "A": 2, "make": {"n": 2}}.get(next(iter(called.values()), ""), {"a": 1})
    assert outcome.figures == {"x": 2, "told": expected}


@pytest.mark.parametrize(
    ("code", "failure", "words"),
    [
        ("def evaluate(c): raise ValueError('no such thing')", "error", "ValueError: no such"),
        ("import nothing_of_this_name", "error", "ModuleNotFoundError"),
        ("def evaluate(c): return 3", "bad_result", "returned int, not a dict"),
        ("import os\ndef evaluate(c): os._exit(7)", "crash", "exit code 7"),
        ("import os\ndef evaluate(c): os.kill(os.getpid(), 9)", "crash", "signal 9"),
        ("def evaluate(c): raise MemoryError", "memory", "MemoryError"),
        ("other = 1", "error", "has no function evaluate"),
    ],
)
def test_a_failure_says_what_it_was(code: str, failure: str, words: str, tmp_path: Path) -> None:
    outcome = evaluated(tmp_path, code)
    assert (outcome.failure, words in outcome.error) == (failure, True), outcome


def test_a_time_out_kills_what_has_left_the_session_too(tmp_path: Path) -> None:
    code = f"""
import os, subprocess, sys, time
def evaluate(c):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(sleep, start_new_session=True)
    open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
    time.sleep(60)
"""
    began = time.monotonic()
    outcome = evaluated(tmp_path, code, limit_s=1.0)
    assert (outcome.failure, outcome.error) == ("timeout", "timeout_1s")
    assert time.monotonic() - began < 15
    assert is_dead(int((tmp_path / "pid").read_text()))


def test_memory_beyond_the_limit_ends_it(tmp_path: Path) -> None:
    code = "import time\ndef evaluate(c):\n  held = bytearray(300 << 20)\n  time.sleep(30)"
    outcome = evaluated(tmp_path, code, budget={"memory_mib": 150, "wallclock_sec": 20})
    assert outcome.failure == "memory" and "150 are allowed" in outcome.error


@pytest.mark.parametrize(("allow_gpu", "seen"), [(False, ""), (True, "3")])
def test_it_sees_no_gpu_unless_it_may(allow_gpu, seen, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    code = "import os\ndef evaluate(c): return {'seen': os.environ.get('CUDA_VISIBLE_DEVICES')}"
    outcome = evaluated(tmp_path, code, budget={"allow_gpu": allow_gpu})
    assert outcome.figures == {"seen": seen}


def test_it_sees_the_gpu_that_its_entry_names(tmp_path: Path) -> None:
    chosen = experiment(tmp_path, device="GPU-7", budget={"allow_gpu": True})
    assert environment(chosen)["CUDA_VISIBLE_DEVICES"] == "GPU-7"


def test_what_it_prints_is_kept_apart_and_modules_beside_it_are_found(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("N = 4")
    code = "import beside\nprint('hello')\ndef evaluate(c): print('again'); return {'n': beside.N}"
    assert evaluated(tmp_path, code).figures == {"n": 4}
    assert (tmp_path / "t" / "evaluator.log").read_text() == "hello\nagain\n"
