"""The terminal tells a person what happens while a study runs.

It shows lines, tables, a live picture, or JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live

from objectives.evaluation import Phase, Step
from study.cli.live_view import Outlook, Scene
from study.report.trial_words import beside_others, outcome_in_words
from study.storage.trial import Begun, Trial
from study.text import visible, wrapped_at
from study.wording.phases import phase_in_words


def console_of(*, stderr: bool = False) -> Console:
    """Return where tables go; a file gets them 130 columns wide."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = 130
    return console


def print_line(console: Console, text: str) -> None:
    """Print a line; a terminal gets it between its words, and a file in one."""
    console.print(visible(text), markup=False, soft_wrap=not console.is_terminal)


class Terminal:
    """The terminal shows a live picture; on a pipe it writes sparse lines, or JSON lines.

    Args:
        quiet: Only the end is said.
        as_json: One JSON object per trial and one for the decision, on standard output.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.console = console_of(stderr=as_json)
        self.log = logging.getLogger("study.runner")
        self._scene: Scene | None = None
        self._live: Live | None = None
        self._says_more = False  # in lines, for want of a picture
        self.study = ""  # its name, once it is open

    def line(self, text: str) -> None:
        """Say something worth knowing."""
        self.log.info(text)
        if not self.quiet:
            self.console.print(self._wrapped(text), markup=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Say something that must be seen, also when quiet."""
        self._say(text, "bold", self._wrapped(text))

    def answer(self, text: str, style: str = "none") -> None:
        """Say a sentence of the end, also when quiet; a terminal gets it between its words."""
        self._say(text, style, self._wrapped(text))

    def command(self, text: str) -> None:
        """Say what to type, also when quiet, in a line that no wrapping breaks."""
        self._say(text, "none")

    def _wrapped(self, text: str) -> str:
        """Return a text as it is shown; a terminal gets it between its words."""
        shown = visible(text)
        return wrapped_at(shown, self.console.width) if self.console.is_terminal else shown

    def _say(self, text: str, style: str, shown: str | None = None) -> None:
        self.log.info(text)
        shown = visible(text) if shown is None else shown
        self.console.print(shown, style=style, markup=False, soft_wrap=True)

    def begin(self, begun: Begun, where: str = "") -> None:
        """Say that a trial begins.

        Args:
            begun: The trial.
            where: The card, where there are several.
        """
        if self._scene is not None:
            self._scene.begin(begun)
            if self._says_more:
                self.line(f"trial {self._scene.trial()} begins{f' on {where}' if where else ''}")

    def phase(self, phase: Phase) -> None:
        """Say what is happening now; only on a terminal."""
        is_shown = self._scene is not None and not self._says_more
        is_line = phase.step in (Step.TENANTS, Step.BESIDE_OTHERS)  # else a picture has it
        if is_line or (phase.step in (Step.RETRYING, Step.WAITING) and not is_shown):
            self.line(phase_in_words(phase))
        else:
            self.log.info("  %s", phase_in_words(phase))
        if self._scene is not None:
            self._scene.phase(phase)
        if self._live is not None:
            self._live.refresh()  # so that a short one is seen too

    def trial(self, trial: Trial) -> None:
        """Say that a trial has ended."""
        if self.as_json:
            data = {"kind": "trial", **trial.to_json(f"{self.study}/{trial.number}")}
            print(json.dumps(data), flush=True)
        outcome = outcome_in_words(trial) + beside_others(trial)
        self.line(f"trial {trial.number}: {trial.allocation}: {outcome}")
        if self._scene is not None:
            for line in self._scene.first_look(trial):
                self.line(line)
            self._scene.ended(trial)
            if self._says_more:
                self.line(f"  {self._scene.summary()}")

    @contextmanager
    def running(self, outlook: Outlook) -> Iterator[None]:
        """Show more while the block lasts.

        That is a live picture on a terminal; elsewhere more lines, unless all is over in a moment.
        """
        self._scene = Scene(outlook)
        is_json_visible = self.as_json and sys.stdout.isatty()  # a picture would be drawn over it
        has_picture = self.console.is_terminal and not self.quiet and not is_json_visible
        self._says_more = not has_picture and outlook.occupancy is not None
        try:
            if has_picture:
                plain = not self.as_json  # standard output, which Live would draw above the picture
                with Live(
                    self._scene, console=self.console, transient=True, redirect_stdout=plain
                ) as self._live:
                    yield
            else:
                yield
        finally:
            self._scene = self._live = None

    def decided(self, answer: Callable[[], Mapping[str, Any]]) -> None:
        """Print the answer as one JSON object, where JSON was asked for."""
        if self.as_json:
            print(json.dumps(answer()), flush=True)
