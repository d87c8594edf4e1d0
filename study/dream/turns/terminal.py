"""The terminal of a turn shows nothing; its phases say when all others must stand still."""

from __future__ import annotations

from pathlib import Path

from objectives.evaluation import Phase, Step
from study.cli.console import Terminal
from study.dream.windows import MeasuringWindow, Windows
from study.storage.trial import Trial

# what is timed; a start and the speech whose words are counted are not
TIMED = (
    Step.ALONE,
    Step.LOADING,
    Step.LOADING_AGAIN,
    Step.RAMP,
    Step.RAMP_AGAIN,
    Step.HOLD,
)


class TurnTerminal(Terminal):
    """The terminal opens a window while something is timed; a replay waits for those of others.

    Args:
        window_file: The file of the window.
    """

    def __init__(self, window_file: Path) -> None:
        super().__init__(quiet=True)
        self.console.quiet = True  # the log has it
        self.held_s = 0.0
        self._window, self._others = MeasuringWindow(window_file), Windows(window_file.parent)

    def phase(self, phase: Phase) -> None:
        """Say what is happening now, and open or close the window."""
        self.quiet_around(phase)
        super().phase(phase)

    def trial(self, trial: Trial) -> None:
        """Say that a trial has ended: nothing is timed until the next phase."""
        self._window.set(is_open=False)
        super().trial(trial)

    def quiet_around(self, phase: Phase) -> None:
        """Let others stand still in a phase that is timed; a replay stands still for them."""
        self._window.set(is_open=phase.step in TIMED)
        if phase.step is Step.REPLAYING:  # from here on it computes, until it is asked again
            self._others.leave()
            self.held_s += self._others.enter()
