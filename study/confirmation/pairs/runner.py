"""`Runner` measures the pairs live: fresh launches in ABBA order, each pair kept as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from objectives.allocation import Allocation
from objectives.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.errors import SetupError
from objectives.evaluation import Failure, Job, Outcome, Phase
from objectives.exercise import Exercise
from objectives.measurement import Measurement
from objectives.servers.memory_budget import speech_key
from objectives.setting import Anchor
from objectives.speech.wer import WordErrors
from study.bench.bench import Bench
from study.confirmation.journal import write
from study.confirmation.pairs.next_step import Next, next_step
from study.confirmation.pairs.stress import measure_stress
from study.confirmation.pairs.time_needed import expected_s, outlook
from study.confirmation.records import FailedLaunch, Journal, Launch, Pair, Role
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import verdict
from study.spec.traffic import WindowTraffic
from study.wording import phase_in_words

PATIENCE = 2  # pairs in a row that may be disturbed


@dataclass(slots=True)
class Runner:
    """The measuring of what is left of a confirmation.

    Args:
        of: What is confirmed.
        bench: This machine: device, setting and versions of the servers.
        folder: Where the journal and the logs go.
        journal: What is measured so far.
        tell: Called with each line for the user.
        timeout_s: Nothing is begun that would not end within it, s; None for no limit.
        began_s: When that time began, by `time.monotonic`.
    """

    of: Subject
    bench: Bench
    folder: Path
    journal: Journal
    tell: Callable[[str], None]
    timeout_s: float | None = None
    began_s: float = field(default_factory=time.monotonic)
    _exercises: dict[str, Exercise] = field(default_factory=dict)
    _anchors: dict[str, Anchor] = field(default_factory=dict)
    _under: str = ""  # the traffic of the moment, before a phase

    def run(self) -> Journal:
        """Measure until the verdict is over or the time is up; what is measured is on disk.

        Raises:
            SetupError: Pairs are disturbed again and again.
        """
        self._anchors, words = dict(self.journal.anchors), self._words()
        self._exercises = {
            t.name: Exercise(t.workload, self.of.clips, t.requests) for t in self.of.traffics
        }
        # the same clips: their words are scored once per speech configuration
        for exercise in self._exercises.values():
            exercise.word_errors = words
        setting, disturbed, done = replace(self.bench.setting, precheck=False), 0, 0
        if next_step(self.journal, self.of) is not None:
            self.tell(outlook(self.journal, self.of))
        device, on_phase = self.bench.device, self._on_phase
        with Colocation(setting, device_set(device), self.folder, on_phase=on_phase) as colocation:
            while (step := next_step(self.journal, self.of)) is not None and self._has_time(
                step, is_first=not done
            ):
                done += 1
                before = len(self.journal.left_out)
                self._take(step, colocation)
                disturbed = disturbed + 1 if len(self.journal.left_out) > before else 0
                write(self.journal, self.folder)
                if disturbed >= PATIENCE:
                    raise SetupError(
                        f"two in a row were disturbed ({self.journal.left_out[-1]}); "
                        "end what else uses this device, and run the same command again"
                    )
        return self.journal

    def _words(self) -> dict[str, tuple[WordErrors, ...]]:
        """Return the word errors of each speech configuration that an earlier run has scored."""
        words = {}
        for pair in self.journal.pairs:
            for launch in pair.launches:
                is_winner = (pair.stage, launch.role) == ("ab", "winner")
                key = speech_key(self.of.winner if is_winner else self.of.baseline)
                if scored := launch.measured["main"].word_errors:
                    words[key] = scored
        return words

    def _has_time(self, step: Next, *, is_first: bool) -> bool:
        """Tell whether the next step would end in time; a run begins its first one on a guess."""
        if self.timeout_s is None:
            return True
        left = self.timeout_s - (time.monotonic() - self.began_s)
        needed, is_measured = self._expected_s(step)
        if needed <= left or (is_first and not is_measured):
            return True
        way_out = "give a longer --timeout" if is_first else "run the same command again"
        self.tell(
            f"the next needs about {needed:.0f} s and {max(0, left):.0f} s are left: {way_out}"
        )
        return False

    def _expected_s(self, step: Next) -> tuple[float, bool]:
        return expected_s(step, self.journal, self.of)

    def _take(self, step: Next, colocation: Colocation) -> None:
        if step.step == "stress":
            self._stress(step, colocation)
        else:
            self._pair(step, colocation)

    def _on_phase(self, phase: Phase) -> None:
        self.tell(f"    {self._under}{phase_in_words(phase)}")

    def _leave_out(self, step: Next, why: str) -> None:
        self.tell(f"  left out: {why}")
        reason = f"{step.step} {step.number}: {why}"[:300]
        self.journal = replace(self.journal, left_out=(*self.journal.left_out, reason))

    def _stress(self, step: Next, colocation: Colocation) -> None:
        self.tell(
            "stress of the winner: longest prompts and a burst of speech; "
            "then speech is restarted, and again"
        )
        self._under, words = "", self._exercises["main"].word_errors
        stress = measure_stress(self.of, self.journal, colocation, self.folder, words, self.tell)
        if isinstance(stress, Failure):
            self._leave_out(step, f"{stress}")
        else:
            self.journal = replace(self.journal, stress=stress)

    def _pair(self, step: Next, colocation: Colocation) -> None:
        started, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        roles: tuple[Role, Role] = (
            ("baseline", "winner") if step.number % 2 else ("winner", "baseline")
        )
        target = f" of {max(self.journal.targets)}" if step.step == "ab" else ""
        what = "baseline against itself" if step.step == "aa" else " then ".join(roles)
        self.tell(f"{step.step.upper()} pair {step.number}{target}: {what}")
        launches = []
        for role in roles:
            name = f"{step.step}-{step.number}-{role}"
            allocation = (
                self.of.winner if (role, step.step) == ("winner", "ab") else self.of.baseline
            )
            launch = self._launch(role, allocation, colocation, self.folder / name)
            if isinstance(launch, Failure):
                self._leave_out(step, f"{launch}")
                return
            if isinstance(launch, FailedLaunch):
                actual: Role = role if step.step == "ab" else "baseline"
                self.journal = replace(self.journal, failure=replace(launch, role=actual))
                return
            launches.append(launch)
        if late := [n for x in launches for n, m in x.measured.items() if m.lag_exceeded]:
            self._leave_out(step, f"our own requests left late under {late[0]}")
            return
        identity = self.bench.device.identity
        pair = Pair(
            stage="aa" if step.step == "aa" else "ab",
            number=step.number,
            launches=(launches[0], launches[1]),
            at=at,
            wall_s=round(time.monotonic() - started, 1),
            card=identity.uuid,
            driver=identity.driver,
        )
        self.journal = replace(
            self.journal, pairs=(*self.journal.pairs, pair), anchors=dict(self._anchors)
        )
        self._progress(step)

    def _launch(
        self, role: Role, allocation: Allocation, colocation: Colocation, folder: Path
    ) -> Launch | FailedLaunch | Failure:
        """Launch afresh and measure under each workload in turn, the study's own first.

        A launch that does not work is a `FailedLaunch`; a `Failure` says nothing of it.
        """
        measured: dict[str, Measurement] = {}
        for n, traffic in enumerate(self.of.traffics):
            outcome = self._measured(traffic, allocation, colocation, folder, is_fresh=n == 0)
            if (failure := outcome.failure) is not None:
                if not failure.is_ruled_out:
                    return failure
                self.tell(f"  {role}: {failure}")
                return FailedLaunch(role, traffic.name, failure.diagnosis)
            if outcome.measurement is not None:
                measured[traffic.name] = outcome.measurement.without_samples()
        return Launch(role, measured)

    def _measured(
        self,
        traffic: WindowTraffic,
        allocation: Allocation,
        colocation: Colocation,
        folder: Path,
        *,
        is_fresh: bool,
    ) -> Outcome:
        within = folder / traffic.name
        within.mkdir(parents=True, exist_ok=True)
        colocation.under(self._exercises[traffic.name], self._anchors.get(traffic.name))
        self._under = f"{traffic.name}: "
        outcome = colocation.measure(Job(allocation, 0, within, is_fresh))
        if colocation.anchor is not None:
            self._anchors.setdefault(traffic.name, colocation.anchor)
        return outcome

    def _progress(self, step: Next) -> None:
        if step.step == "aa":
            return
        finding = verdict(self.journal, self.of).finding(self.of.rule.primary)
        gain = finding.estimate if finding is not None else None
        if gain is not None and gain.low is not None:
            self.tell(
                f"  {self.of.rule.claim}: log-ratio {gain.mean:+.4f}, "
                f"interval {gain.low:+.4f} to {gain.high:+.4f}"
            )
