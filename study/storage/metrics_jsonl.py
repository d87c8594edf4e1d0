"""This module writes the metrics.jsonl of a run.

It has a line for each trial that the run ended, and for those that a killed run still owed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from objectives.plain_data.atomic import write_atomic
from study.storage.trial import OF_LINE, Trial
from study.storage.trials import counted

# of a line, what is no parameter and no figure
REST = tuple(name for name in OF_LINE if name not in ("status", "parameters"))


def flat_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial as one flat line: what was tried and measured, its fitness, then the rest.

    What is below a key stands under both names, `failure` below its own: `failure_class`.

    >>> flat_line({"test_id": "a/0", "status": "complete", "parameters": {"x": 1}, "fitness": 0.5,
    ...     "constraints": {"memory": -1.0}, "bracket": [2.0, 3.0], "ms": 4.0})
    {'test_id': 'a/0', 'status': 'complete', 'x': 1, 'ms': 4.0, 'fitness': 0.5, \
'constraints_memory': -1.0, 'bracket_1': 2.0, 'bracket_2': 3.0}
    """
    head = {"test_id": line["test_id"], "status": line["status"], **line["parameters"]}
    figures = {n: v for n, v in line.items() if n not in REST and not isinstance(v, dict | list)}
    rest: dict[str, Any] = {}
    for name, value in line.items():
        match value:
            case dict() if name != "parameters":
                rest |= {f"{name}_{key.removeprefix(f'{name}_')}": v for key, v in value.items()}
            case list() | tuple():
                rest |= {f"{name}_{n}": v for n, v in enumerate(value, 1)}
            case _ if name in REST:
                rest[name] = value
    fitness = {"fitness": rest.pop("fitness")}
    return {**head, **{n: v for n, v in figures.items() if n not in head}, **fitness, **rest}


TEST_ID = re.compile(r'"test_id": ("(?:[^"\\]|\\.)*")')


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
    _lines: list[str] = field(default_factory=list, init=False)

    def catch_up(self) -> None:
        """Write the trials that have ended and whose line a killed run could not write any more."""
        files = self.folder.glob("epoch_*/metrics.jsonl")
        written = {test_id for path in files for test_id in TEST_ID.findall(path.read_text())}
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
        self._lines += [f"{json.dumps(self._line(r))}\n" for r in ended]
        if not self._epoch:
            names = [p.name.removeprefix("epoch_") for p in self.folder.glob("epoch_*")]
            self._epoch = max((int(n) for n in names if n.isdecimal()), default=0) + 1
        folder = self.folder / f"epoch_{self._epoch}"
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "metrics.jsonl", "".join(self._lines))

    def _line(self, r: Trial) -> dict[str, Any]:
        line = r.to_json(self._test_id(r))
        names = self.figures if r.measurement else ()
        return flat_line(line | {name: None for name in names if name not in line})

    def _test_id(self, r: Trial) -> str:
        return f"{self.study.study_name}/{r.number}"
