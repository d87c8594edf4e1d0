"""`lanes.py --lanes 1000` runs the driver of a study with lanes that only take time.

The lanes' time is simulated, and the driver's is real: what a trial costs it in CPU time and
commits, how much memory it takes, and how long lanes would wait for it if trials took 300 s.
"""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import resource
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
import yaml

sys.path.append(str(Path(__file__).resolve().parents[1]))

from fake_cards.fake_lane import NumberedCard
from made.factories import context_of_spec, make, open_made
from made.made_up import heard_cell

from objectives.devices.device_set import device_set
from objectives.evaluation import Outcome
from study.lanes.lane import Ended, Lane, Task
from study.lanes.rolling import RollingEpoch
from study.search.trial_ends import Progress
from study.spec.load import load
from study.storage.url import open_storage

TRIAL_S = 300.0


class SimulatedLanes:
    """These lanes have a simulated clock, on which what the driver computes passes too."""

    ramp_range = None

    def __init__(self, number: int, seed: int, share_of_cpu: float = 1.0) -> None:
        self._rng = np.random.default_rng(seed)
        self.lanes = [
            Lane(n, device_set(NumberedCard(f"GPU-{n}")), (), Path(), {}) for n in range(number)
        ]
        for lane in self.lanes:
            lane.is_ready = True
        self.now_s, self.idle_s, self._cpu_s = 0.0, 0.0, time.process_time()
        self._ends: list[tuple[float, int, Lane, Task]] = []
        self._has_begun = False
        self._order, self._free_s = count(), dict.fromkeys(range(number), 0.0)

    @property
    def living(self) -> list[Lane]:
        return self.lanes

    def _pass(self) -> None:
        """Let what the driver has computed since last time pass."""
        cpu_s = time.process_time()
        self.now_s, self._cpu_s = self.now_s + cpu_s - self._cpu_s, cpu_s

    def free(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.is_free]

    def prepare(self, lane: Lane, job: object) -> None:
        pass

    def give(self, lane: Lane, task: Task) -> None:
        self._pass()
        self.idle_s += self.now_s - self._free_s[lane.number]
        lane.task, lane.last = task, task.job.allocation
        ends_s = self.now_s + TRIAL_S * self._rng.uniform(0.7, 1.4)
        heapq.heappush(self._ends, (ends_s, next(self._order), lane, task))

    def wait(self) -> list[Ended]:
        self._pass()
        ends_s, _, lane, task = heapq.heappop(self._ends)
        self.now_s = max(self.now_s, ends_s)
        if not self._has_begun:  # the others had to wait for the first, whatever the driver does
            self._free_s, self._has_begun = dict.fromkeys(self._free_s, ends_s), True
        self._free_s[lane.number], lane.task = ends_s, None
        allocation = task.job.allocation
        measured = heard_cell(min(max(allocation.share, 0.42), 0.55), allocation.speech)
        return [Ended(task, lane.card, Outcome(measured), TRIAL_S)]

    def close(self) -> None:
        pass


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lanes", type=int, default=8)
    options.add_argument("--trials", type=int, default=40)
    options.add_argument("--storage", choices=("memory", "sqlite"), default="sqlite")
    arguments = options.parse_args()
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        print(json.dumps(cost(Path(folder), arguments)), flush=True)


def cost(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Return what the driver took."""
    space = {
        "vllm_memory_util": [round(0.30 + 0.01 * n, 2) for n in range(26)],
        "whisper_model_size": ["tiny", "base"],
        "vllm.max_num_seqs": [8, 16, 24, 32, 48, 64, 96, 128],
        "vllm.max_num_batched_tokens": [512 * n for n in range(1, 15)],
    }
    baseline = {
        "vllm_memory_util": 0.5,
        "whisper_model_size": "base",
        "vllm.max_num_seqs": 64,
        "vllm.max_num_batched_tokens": 2048,
    }
    changes = {"search_space": {"vllm_memory_util": [0.5], "whisper_model_size": ["base"]}}
    path = make(folder, changes=changes)
    spec_text = path.read_text()
    path.write_text(spec_text)
    live = load(_live(path, space, baseline))
    commits = [0]
    storage: Any = optuna.storages.InMemoryStorage()
    if arguments.storage == "sqlite":
        storage = open_storage(f"sqlite:///{folder}/study.db")
        engine = storage._backend.engine if hasattr(storage, "_backend") else storage.engine

        def committed(_: object) -> None:
            commits[0] += 1

        sqlalchemy.event.listen(engine, "commit", committed)
    study = open_made(live, storage, name="s")
    lanes: Any = SimulatedLanes(arguments.lanes, 0)
    epoch = RollingEpoch(
        study=study,
        context=context_of_spec(live),
        space=live.search_space,
        selector=live.selector,
        folder=folder,
        max_trials=arguments.trials,
        timeout_s=1e9,
        seed=0,
        progress=Progress(),
        is_replay=False,
        is_alone=True,
        lanes=lanes,
    )
    before_s, commits_before = time.process_time(), commits[0]
    epoch.run()
    cpu_s = time.process_time() - before_s
    trials = len(study.get_trials(deepcopy=False))
    return {
        "lanes": arguments.lanes,
        "trials": trials,
        "cpu_s_per_trial": round(cpu_s / trials, 4),
        "commits_per_trial": round((commits[0] - commits_before) / trials, 1),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "simulated_h": round(lanes.now_s / 3600, 2),
        "idle_pct": round(100 * lanes.idle_s / (lanes.now_s * arguments.lanes), 1),
    }


def _live(path: Path, space: dict[str, object], baseline: dict[str, object]) -> Path:
    data = yaml.safe_load(path.read_text())
    data |= {"measure": "live", "search_space": space, "baseline": baseline}
    options = "-n {vllm.max_num_seqs} -b {vllm.max_num_batched_tokens} -c {vllm_memory_util}"
    data["services"]["llm"] |= {"command": f"llama-server -m model.gguf --port {{port}} {options}"}
    data["services"]["stt"] |= {"command": "whisper --port {port} --model {whisper_model_size}"}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


if __name__ == "__main__":
    main()
