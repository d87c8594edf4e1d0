"""The runner becomes a unit of systemd here, under quotas."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path

import psutil

import study
from study.dream.experiments.file import read_dream_file
from study.dream.schedule.options import RunnerOptions
from study.service_pause.restore_promise import word

UNIT = "gpu-allocation-dream.service"
SHARE = 0.9  # of the machine's memory


def unit_text(options: RunnerOptions) -> str:
    """Return a unit that runs this, with this interpreter and these paths.

    Raises:
        BadInput: The file is wrong.
    """
    read_dream_file(options.config)
    root = Path(study.__file__).parents[1]
    command = [sys.executable, "-m", "study.dream"]
    for name, value in (
        ("--config", options.config.absolute()),
        ("--logdir", options.logdir.absolute()),
        ("--out", options.root and options.root.absolute()),
        ("--epochs-per-cycle", options.epochs_per_cycle),
        ("--max-parallel", options.max_parallel),
        ("--sleep-between-cycles", f"{options.sleep_s:g}"),
        ("--cycles", options.cycles),
        ("--experiment", options.experiment),
    ):
        command += [] if value is None else [name, str(value)]
    values = {
        "@COMMAND@": " ".join(map(word, command)),
        "@FOLDER@": str(Path.cwd()).replace("%", "%%"),
        "@ROOT@": str(root).replace("%", "%%"),
        "@CPU_QUOTA_PCT@": str(100 * (os.cpu_count() or 1)),
        "@MEMORY_MAX_MIB@": str(round(SHARE * psutil.virtual_memory().total / 2**20)),
    }
    text = (files("study") / "systemd" / UNIT).read_text("utf-8")
    for name, value in values.items():
        text = text.replace(name, value)
    return text
