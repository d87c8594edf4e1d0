"""Checks an evaluator in a process of its own: what it is told, and how it is ended."""

import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import psutil
import pytest
from made.dream import experiment
from processes.commands import ROOT

from study.dream.generic import watching
from study.dream.generic.evaluation import Evaluated, environment, evaluate
from study.dream.generic.figures import number
from study.dream.windows import MeasuringWindow, Windows

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


def test_numbers_that_json_has_no_word_for_and_what_is_nested(tmp_path: Path) -> None:
    code = """
def evaluate(c):
    nested = {'a': float('nan'), 'b': {'c': [float('inf')]}}
    return {'metrics': nested, 'd': True, 'e': 10**400}
"""
    figures = evaluated(tmp_path, code).figures
    assert figures == {"a": None, "b": {"c": ["inf"]}, "d": True, "e": 10**400}
    assert [number(figures[n]) for n in "abde"] == [None, None, 1.0, None]


def test_a_result_is_a_few_figures(tmp_path: Path) -> None:
    outcome = evaluated(tmp_path, "def evaluate(c): return {'text': 'x' * (5 << 20)}")
    assert outcome.failure == "bad_result" and "returned 5 MiB" in outcome.error


def test_what_it_prints_without_end_is_cut(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(watching, "MOST_PRINTED", 1 << 20)
    code = """
import time
def evaluate(c):
    for n in range(30):
        print("x" * (1 << 20), flush=True)
        time.sleep(0.02)
    time.sleep(1)
    print("the end", flush=True)
    return {"n": 1}
"""
    assert evaluated(tmp_path, code).figures == {"n": 1}
    log = tmp_path / "t" / "evaluator.log"
    assert log.stat().st_size < 20 << 20
    assert log.read_text().startswith("(1 MiB that it had printed before are gone)")
    assert log.read_text().endswith("the end\n")


def test_memory_that_forked_children_share_counts_once(tmp_path: Path) -> None:
    code = """
import os, time
def evaluate(c):
    held = bytearray(120 << 20)
    children = [pid for pid in (os.fork() for _ in range(4)) if pid]
    if len(children) < 4:
        time.sleep(0.6)
        os._exit(0)
    time.sleep(0.6)
    return {"n": len(children)}
"""
    outcome = evaluated(tmp_path, code, budget={"memory_mib": 300, "wallclock_sec": 20})
    assert outcome.failure is None and outcome.figures["n"] == 4, outcome


TICKING = """
import os, time
def evaluate(c):
    until = time.monotonic() + {seconds}
    with open({file!r}, "a") as file:
        while time.monotonic() < until:
            file.write(str(time.monotonic()) + "\\n")
            file.flush()
            time.sleep(0.01)
    return {{"n": 1}}
"""


@pytest.mark.parametrize("is_pausable", [False, True])
def test_beside_a_measuring_window_it_stands_still_or_is_ended(is_pausable, tmp_path) -> None:
    ticks, window = tmp_path / "ticks", MeasuringWindow(tmp_path / "a.window")
    code = TICKING.format(seconds=1.0, file=str(ticks))
    held: list[float] = []

    def measure() -> None:
        while not ticks.exists():
            time.sleep(0.01)
        window.set(is_open=True)  # when this returns, all others stand still
        held.append(time.monotonic())
        time.sleep(0.5)
        held.append(time.monotonic())
        window.set(is_open=False)

    changes = {"evaluator": {"path": "toy.py"}, "budget": {"pausable": is_pausable}}
    chosen, windows = experiment(tmp_path, code, **changes), Windows(tmp_path)
    thread = Thread(target=measure)
    thread.start()
    windows.enter()
    outcome = evaluate(chosen, {"x": 2}, CONTEXT, tmp_path / "t", 30.0, windows)
    windows.leave()
    thread.join()
    moments = [float(line) for line in ticks.read_text().split()]
    assert moments and not [m for m in moments if held[0] < m < held[1]]
    if is_pausable:
        assert outcome.figures == {"n": 1} and outcome.paused_s >= 0.5
    else:
        assert outcome.failure == "window" and not outcome.paused_s


def test_a_window_ends_with_the_one_who_held_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from study.dream.windows import MeasuringWindow\n"
        "MeasuringWindow(Path(sys.argv[1])).set(is_open=True)\n"
        "print(flush=True); time.sleep(60)"
    )
    windows, command = Windows(tmp_path), [sys.executable, "-c", code, str(tmp_path / "a.window")]
    assert not windows.is_open()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert windows.is_open() and Windows(tmp_path).is_open()
        process.kill()
    assert not windows.is_open() and windows.enter() < 30
