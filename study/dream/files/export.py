"""An export writes what became of an experiment, in the formats of the ancestor and the design."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objectives.plain_data.atomic import write_atomic
from study.dream.experiments.values import as_text
from study.dream.files.lines import add_line, mend, read_lines
from study.dream.records import FAILED_FITNESS, LeadingCandidate, Record, best_of, leaders, trial_id

METRICS, CANDIDATES = "metrics.jsonl", "gen_0_candidates.jsonl"


@dataclass(slots=True)
class Export:
    """An export adds what is new of one epoch, whoever wrote what is there.

    Args:
        root: The folder of all artifacts.
        logdir: The folder of logs.
        name: The experiment's name.
        slug: The name of its files.
        has_metrics: Whether it writes the epoch's metrics.jsonl; a study of ours writes its own.
        folder: The folder of the epoch; None until there is something to write.
    """

    root: Path
    logdir: Path
    name: str
    slug: str
    has_metrics: bool = True
    folder: Path | None = field(default=None, init=False)
    _lines: list[Record] = field(default_factory=list, init=False)
    _written: set[tuple[str, int]] | None = field(default=None, init=False)
    _in_epochs: set[str] = field(default_factory=set, init=False)

    @property
    def home(self) -> Path:
        """Return the folder of the experiment."""
        return self.root / self.slug

    def add(self, records: Sequence[Record]) -> None:
        """Write the lines of every record that has none yet."""
        own = [r for r in records if not r.is_carried]
        log = self.logdir / f"{self.slug}.jsonl"
        if self._written is None:
            mend(log)
            self._written = {
                (str(d.get("study")), int(d.get("trial", -1))) for d in read_lines(log)
            }
            self._in_epochs = self._ids()
        for record in (r for r in own if (r.study, r.number) not in self._written):
            add_line(log, self.legacy_line(record))
            self._written.add((record.study, record.number))
        if new := [r for r in own if r.test_id not in self._in_epochs]:
            self._in_epochs |= {r.test_id for r in new}
            self._lines += new
            self._write_epoch()

    def _ids(self) -> set[str]:
        """Return the names of the trials that the epochs' files have."""
        if self.has_metrics:
            paths = self.home.glob(f"epoch_*/{METRICS}")
            return {str(d.get("test_id")) for path in paths for d in read_lines(path)}
        return {
            trial_id(self.slug, str(d.get("study")), int(d.get("trial", -1)))
            for path in self.home.glob(f"epoch_*/{CANDIDATES}")
            for d in read_lines(path)
        }

    def legacy_line(self, record: Record) -> dict[str, Any]:
        """Return a record as the ancestor writes it, with its study and number at the end."""
        head = {"ts": record.ts, "experiment": self.name, "params": dict(record.params)}
        tail = {"study": record.study, "trial": record.number}
        if record.fitness is None:
            return head | {"error": record.error or "error", "fitness": FAILED_FITNESS} | tail
        figures = {
            "raw_metrics": dict(record.figures),
            "canonical_metrics": dict(record.canonical),
            "fitness": record.fitness,
        }
        return head | figures | tail

    def _write_epoch(self) -> None:
        if self.folder is None:
            self.folder = self._epoch_folder()
        if self.has_metrics:
            self._write_lines(self.folder / METRICS, [metrics_line(r) for r in self._lines])
        candidates = [self.legacy_line(r) for r in self._lines]
        self._write_lines(self.folder / CANDIDATES, candidates)

    def _epoch_folder(self) -> Path:
        """Return the folder of this epoch; of a study of ours, the one that it has just written."""
        names = [p.name.removeprefix("epoch_") for p in self.home.glob("epoch_*")]
        last = max((int(n) for n in names if n.isdecimal()), default=0)
        folder = self.home / f"epoch_{last + 1 if self.has_metrics else max(last, 1)}"
        folder.mkdir(parents=True, exist_ok=True)
        moment = int(time.time())
        while (link := self.home / str(moment)).is_symlink() or link.exists():
            moment += 1
        link.symlink_to(folder.name)  # the ancestor's folders are named by the moment
        return folder

    @staticmethod
    def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
        write_atomic(path, "".join(f"{json.dumps(line, default=str)}\n" for line in lines))

    def finish(self, records: Sequence[Record], survivors: Sequence[Mapping[str, Any]]) -> bool:
        """Write the summary, the survivors and, where it is better, the winner.

        Returns:
            Whether the winner is a new one, or better.
        """
        best = best_of(records)
        if self.folder is not None:
            summary = {
                "ts": int(time.time()),
                "experiment": self.name,
                "best_fitness": best.fitness if best else None,
                "best_params": dict(best.params) if best else None,
                "best_metrics": dict(best.figures) if best else None,
                "generations": 1,
            }
            write_json(self.folder / "summary.json", summary)
        if survivors:
            write_json(self.root / "survivors" / f"{self.slug}.json", [dict(s) for s in survivors])
            self._link("survivors")
        return best is not None and self._write_winner(best, records)

    def _write_winner(self, best: LeadingCandidate, records: Sequence[Record]) -> bool:
        path = self.root / "winners" / f"{self.slug}.json"
        study = records[-1].study
        try:
            before = json.loads(path.read_text("utf-8"))
            params, fitness = before["best"]["params"], float(before["best"]["fitness"])
        except (OSError, ValueError, KeyError, TypeError):
            before = None
        if before is not None and before.get("study") == study:
            known = {repr(sorted(x.params.items())): x for x in leaders(records)}
            now = known.get(repr(sorted(params.items())))
            if best.fitness <= (now.fitness if now is not None else fitness):
                return False
        winner = {
            "fitness": best.fitness,
            "params": dict(best.params),
            "metrics": dict(best.figures),
        }
        write_json(path, {"updated_at": int(time.time()), "best": winner, "study": study})
        self._link("winners")
        return True

    def _link(self, folder: str) -> None:
        """Let the full name lead to the file too, as readers of the ancestor know it."""
        link = self.root / folder / f"{self.name}.json"
        if self.name != self.slug and not link.is_symlink():
            link.unlink(missing_ok=True)
            link.symlink_to(f"{self.slug}.json")


def metrics_line(record: Record) -> dict[str, Any]:
    """Return a record as one flat line: what was tried, what was measured, what it is worth."""
    plain = {k: v for k, v in record.figures.items() if k not in record.params and k not in OWN}
    status = record.figures.get("status", record.status)  # its own word, where it has one
    if record.fitness is None or not isinstance(status, str):
        status = record.status
    head = {"test_id": record.test_id, "status": status, **record.params, **plain}
    tail = {"fitness": record.fitness, "error": record.error, **record.extra, "ts": record.ts}
    line = head | {k: v for k, v in tail.items() if v is not None or k == "fitness"}
    return {k: as_text(v) if isinstance(v, dict | list) else v for k, v in line.items()}


OWN = ("test_id", "status", "fitness", "error", "ts")  # of a line, also where a figure is named so


def write_json(path: Path, data: object) -> None:
    """Write a file of JSON whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(data, indent=2, default=str))
