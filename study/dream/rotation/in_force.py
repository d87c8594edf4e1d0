"""The file in force is the last one that could be read; turns read it, not the one being edited."""

from __future__ import annotations

from dataclasses import dataclass, field

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.dream.experiments.file import DreamFile, read_dream_file
from study.dream.experiments.model import Experiment
from study.dream.schedule.options import RunnerOptions
from study.dream.turns.log import TurnLog


@dataclass(slots=True)
class InForce:
    """This holds the file in force, and what was said of it.

    Args:
        options: What the runner was asked for.
        log: It is told once what is wrong, and what is not used.
        file: The file as it was read.
    """

    options: RunnerOptions
    log: TurnLog
    file: DreamFile = field(init=False)
    _mentions: set[tuple[str, str]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.file = read_dream_file(self.options.config)

    def read_anew(self) -> None:
        """Read the file; one that cannot be read leaves the one before in force."""
        try:
            self.file = read_dream_file(self.options.config)
        except BadInput as error:
            self.log.line(f"the file before stays in force: {error}")
        if self.file.ignored and self._is_new("", "ignored"):
            self.log.line(f"not used: {', '.join(self.file.ignored)}")
        for broken in self.file.broken:
            is_wanted = broken.is_enabled and self.options.experiment in (None, broken.name)
            if is_wanted and self._is_new(broken.name, broken.digest):
                self.log.about(broken.name).line(f"skipped: {broken.reason}")
        for experiment in self.wanted:
            if self._is_new(experiment.name, experiment.digest):
                for note in experiment.notes:
                    self.log.about(experiment.name).line(f"note: {note}")

    @property
    def wanted(self) -> list[Experiment]:
        """Return the experiments that take part."""
        if self.options.experiment is not None:
            return [e for e in self.file.experiments if e.name == self.options.experiment]
        return [e for e in self.file.experiments if e.is_enabled]

    def write(self) -> None:
        """Write the copy that turns read."""
        write_atomic(self.options.in_force_file, self.file.content)

    def _is_new(self, name: str, what: str) -> bool:
        is_new = (name, what) not in self._mentions
        self._mentions.add((name, what))
        return is_new
