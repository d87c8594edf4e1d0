"""This module looks where every experiment of a runner stands, from outside of it."""

from __future__ import annotations

import time

from study.bench.run_lock import LOCK
from study.dream.experiments.file import read_dream_file
from study.dream.rotation.status import ExperimentStanding, standings
from study.dream.schedule.options import RunnerOptions
from study.dream.schedule.progress import RunnerState
from study.dream.windows import is_held


def look(options: RunnerOptions) -> tuple[list[ExperimentStanding], RunnerState, bool]:
    """Return where every experiment stands, the state, and whether a runner runs.

    While one runs that is by the file in force, which may be another than the one being edited.

    Raises:
        BadInput: The file is wrong.
    """
    is_alive, content = is_held(options.logdir / LOCK), None
    if is_alive and options.in_force_file.is_file():
        content = options.in_force_file.read_bytes()
    file, state = read_dream_file(options.config, content), RunnerState.read(options.state_file)
    rows = standings(file, state, options, now=time.time(), is_alive=is_alive)
    return rows, state, is_alive
