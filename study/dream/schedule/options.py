"""The options of a runner say what it was asked for, and where it keeps what it knows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from objectives.errors import BadInput

DEFAULT_ROOT = Path("artifacts/dream")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """Runner options are what a runner was asked for.

    Args:
        config: The D-REAM file, read anew each cycle.
        logdir: The folder of logs.
        root: The folder of artifacts; None for that of the file, or artifacts/dream.
        epochs_per_cycle: The generations of an experiment in one cycle.
        max_parallel: How many experiments may run at once; None for that of the file, or 1.
        sleep_s: The pause between two cycles, seconds.
        cycles: The number of cycles; None: it goes on.
        experiment: The only experiment to run, also where it is not enabled.
    """

    config: Path
    logdir: Path
    root: Path | None = None
    epochs_per_cycle: int = 1
    max_parallel: int | None = None
    sleep_s: float = 0.0
    cycles: int | None = None
    experiment: str | None = None

    @property
    def state_file(self) -> Path:
        """Return the file of how far every experiment has come."""
        return self.logdir / "state.json"

    @property
    def in_force_file(self) -> Path:
        """Return the copy of the D-REAM file that is in force."""
        return self.logdir / "in_force.yaml"

    @property
    def page_file(self) -> Path:
        """Return the page that shows where every experiment stands."""
        return self.logdir / "status.html"

    def to_text(self) -> str:
        """Return them as JSON, with paths that hold in any folder."""
        paths = {"config": self.config, "logdir": self.logdir, "root": self.root}
        absolute = {k: p and str(p.absolute()) for k, p in paths.items()}
        return json.dumps({**asdict(self), **absolute}, indent=1)


def options_file(logdir: Path) -> Path:
    """Return the file of the options of the runner that uses a folder of logs."""
    return logdir / "runner.json"


def read_options(logdir: Path) -> RunnerOptions:
    """Return the options of the runner that uses this folder of logs, or used it last.

    Raises:
        BadInput: None has.
    """
    try:
        data: dict[str, Any] = json.loads(options_file(logdir).read_text("utf-8"))
        root = data.pop("root")
        paths = {"config": Path(data.pop("config")), "root": root and Path(root)}
        return RunnerOptions(**{**data, **paths, "logdir": logdir})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{logdir} is no folder of logs of scripts/run_dream.py; name its --logdir"
        ) from error
