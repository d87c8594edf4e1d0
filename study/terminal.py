"""What a person sees: errors as one sentence, progress while a study runs, a table at its end."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from optuna.exceptions import StorageInternalError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from objectives.errors import SetupError, StudyError
from objectives.measurement import INFINITE
from study.decision import Decision, merged
from study.history import Row

WIDE = 120  # a narrower terminal gets fewer columns rather than broken ones
SHORT = {"vllm_memory_util": "LLM share", "whisper_model_size": "speech"}


@contextmanager
def exiting() -> Iterator[None]:
    """Turn our own errors into a sentence and an exit code: 2 bad input, 3 set-up, 130 Ctrl-C or SIGTERM."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except (OSError, StorageInternalError) as error:  # a full disk, a storage that went away
        said, *_ = str(error.__cause__ or error).splitlines()
        print(f"error: {said}; state is kept: run again to go on", file=sys.stderr)
        raise SystemExit(SetupError.exit_code) from None
    except KeyboardInterrupt:
        print("stopped; servers ended, state kept: run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None


class Terminal:
    """Says what happens: a progress bar on a terminal, sparse lines on a pipe, JSON lines if asked, or little.

    quiet: only the end; as_json: one JSON object per trial and one for the decision, on standard output
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.console = Console(stderr=as_json, highlight=False)
        if not self.console.is_terminal:
            self.console.width = 130
        self.log = logging.getLogger("study.runner")
        self._progress: Progress | None = None
        self._ended = 0
        self.study = ""  # its name, once it is open

    def line(self, text: str) -> None:
        """Something worth knowing."""
        self.log.info(text)
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Something that must be seen, also when quiet."""
        self.log.info(text)
        self.console.print(text, style="bold", markup=False, soft_wrap=True)

    def phase(self, text: str) -> None:
        """What is happening now; only on a terminal."""
        self.log.info("  %s", text)
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], phase=text)

    def trial(self, row: Row) -> None:
        """A trial has ended."""
        text = f"trial {row.number}: {row.allocation}: {outcome(row)}"
        self.log.info(text)
        if self.as_json:
            print(json.dumps(row.to_json(f"{self.study}/{row.number}")), flush=True)
        self._ended += 1
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=self._ended)
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def running(self, trials: int) -> Iterator[None]:
        """A progress bar over the trials while the block lasts."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.fields[phase]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            progress.add_task("trials", total=trials, phase="")
            self._progress = progress
            yield
        self._progress = None

    def table(self, rows: Sequence[Row], decision: Decision) -> None:
        """Every configuration once, best first, with what failed and why."""
        own = [r for r in rows if r.repeat_of is None]
        groups: dict[str, list[Row]] = {}
        for r in own:
            groups.setdefault(str(r.allocation), []).append(r)
        several = len(groups) < len(own)
        names = list(own[0].allocation.values) if own else []
        shown = Table(title="What was measured, best first; - was not measured", title_justify="left")
        for name in names:
            shown.add_column(SHORT.get(name, name))
        is_wide = self.console.width >= WIDE
        more = ("sessions", "WER %", "free MiB") if is_wide else ()
        for name in (*(("n",) if several else ()), "fitness", "STT p95 ms", "LLM p95 ms", *more):
            shown.add_column(name, justify="right")
        shown.add_column("outcome")
        shown_rows = [(group, merged(group)) for group in groups.values()]
        for group, r in sorted(shown_rows, key=lambda g: (not g[1].is_feasible, -(g[1].fitness or 0.0), g[1].number)):
            m = r.measurement
            shown.add_row(
                *(escape(str(v)) for v in r.allocation.values.values()),
                *((str(len(group)),) if several else ()),
                "-" if r.fitness is None else f"{r.fitness:.4f}",
                number(m.stt_latency_p95_ms if m else None),
                number(m.llm_latency_p95_ms if m else None),
                *(
                    (
                        sessions(r),
                        number(m.stt_wer_pct if m else None, 1),
                        number(m.free_memory_mib if m else None),
                    )
                    if is_wide
                    else ()
                ),
                _mark(r, decision) or ("" if r.is_feasible else outcome(r)),
            )
        if not self.quiet:
            self.console.print(shown)
            repeats = sum(r.repeat_of is not None for r in rows)
            measured = f"{len(groups)} configurations in {len(own)} measurements"
            self.console.print(f"{measured}, {repeats} repeats of known configurations", markup=False)
            if several:
                self.console.print("fitness and figures of several measurements are their means")
        if self.as_json:
            best = decision.winner.to_json(f"{self.study}/{decision.winner.number}") if decision.winner else None
            print(json.dumps({"winner": best, "reason": decision.reason, "held_back": list(decision.passed_over)}))


def _mark(row: Row, decision: Decision) -> str | None:
    if decision.winner is not None and row.number == decision.winner.number:
        return "best that may be promoted"
    if decision.baseline is not None and row.number == decision.baseline.number and row.is_feasible:
        return "baseline"
    return None


def outcome(row: Row) -> str:
    """One phrase for what became of a trial."""
    if row.repeat_of is not None:
        return f"repeat of trial {row.repeat_of}"
    if row.diagnosis is not None:
        deficit = f", {row.diagnosis.deficit_mib:,.0f} MiB short" if row.diagnosis.deficit_mib else ""
        return f"{row.status}: {row.diagnosis.failure_class}{deficit}"
    if not row.is_feasible:
        return "over: " + ", ".join(k for k, v in row.constraints.items() if v > 0)
    return f"fitness {row.fitness:.4f}" if row.fitness is not None else row.status


def number(value: float | None, digits: int = 0) -> str:
    """A figure for a table; what was not measured is a dash.

    >>> number(None), number(float("inf")), number(1234.56)
    ('-', 'inf', '1,235')
    """
    if value is None:
        return "-"
    return "inf" if value == INFINITE else f"{value:,.{digits}f}"


def sessions(row: Row) -> str:
    """Capacity with `>=` where the ladder ended before the answer was known."""
    m = row.measurement
    if m is None or m.concurrent_capacity is None:
        return "-"
    return f"{'>= ' if m.capacity_is_lower_bound else ''}{m.concurrent_capacity}"
