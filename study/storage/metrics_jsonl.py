"""Write the metrics.jsonl of a run.

It has a line for each trial that the run ended, and for those that a killed run still owed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from objectives.plain_data.atomic import write_atomic
from study.storage.trials import Trial, counted


@dataclass(slots=True)
class MetricsFile:
    """The file lies in folder/epoch_<n>, where n follows every earlier epoch.

    It comes to be with its first line, and is always whole.

    Args:
        study: The study that the run goes on with.
        folder: The folder of all its epochs.
        figures: The flat names that the line of every measured trial has; null where not measured.
    """

    study: optuna.Study
    folder: Path
    figures: Sequence[str]
    _epoch: int = field(default=0, init=False)
    _rows: list[Trial] = field(default_factory=list, init=False)

    def catch_up(self) -> None:
        """Write the trials that have ended and whose line a killed run could not write any more."""
        written = "".join(p.read_text() for p in self.folder.glob("epoch_*/metrics.jsonl"))
        carried = {
            t.number
            for t in self.study.get_trials(deepcopy=False)
            if "carried_from" in t.user_attrs
        }
        mine = [r for r in counted(self.study) if r.number not in carried]
        if owed := [r for r in mine if json.dumps(self._test_id(r)) not in written]:
            self.add(*owed)

    def add(self, *ended: Trial) -> None:
        """Write all trials of this run, these after the earlier ones, whole or not at all."""
        self._rows += ended
        if not self._epoch:
            names = [p.name.removeprefix("epoch_") for p in self.folder.glob("epoch_*")]
            self._epoch = max((int(n) for n in names if n.isdecimal()), default=0) + 1
        folder = self.folder / f"epoch_{self._epoch}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(self._line(r)) for r in self._rows]
        write_atomic(folder / "metrics.jsonl", "".join(f"{line}\n" for line in lines))

    def _line(self, r: Trial) -> dict[str, Any]:
        line = r.to_json(self._test_id(r))
        names = self.figures if r.measurement else ()
        return line | {name: None for name in names if name not in line}

    def _test_id(self, r: Trial) -> str:
        return f"{self.study.study_name}/{r.number}"
