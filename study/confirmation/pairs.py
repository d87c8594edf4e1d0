"""The pairs, live: each launch fresh, baseline and winner in ABBA order, each pair kept as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from objectives.allocation import Allocation
from objectives.colocation import Colocation
from objectives.errors import SetupError
from objectives.evaluation import Failure as Disturbance
from objectives.evaluation import Job, Outcome, Phase
from objectives.exercise import Exercise
from objectives.measurement import Measurement
from objectives.servers.memory_budget import speech_key
from objectives.setting import Anchor
from objectives.speech.wer import WordErrors
from study.bench.bench import Bench
from study.confirmation import journal as kept
from study.confirmation.evidence import Next, next_step, verdict
from study.confirmation.journal import Failure, Journal, Launch, Pair, Role, Stress
from study.confirmation.subject import Subject
from study.search.schedule import guess_s
from study.spec.traffic import Traffic, stress
from study.wording import phase_in_words

PATIENCE = 2  # pairs in a row that may be disturbed


@dataclass(slots=True)
class Runner:
    """Measures what is left of a confirmation; `journal` is what is known so far.

    timeout_s: nothing is begun that would not end within it, counted from `began_s`
    """

    of: Subject
    made: Bench
    folder: Path
    journal: Journal
    tell: Callable[[str], None]
    timeout_s: float | None = None
    began_s: float = field(default_factory=time.monotonic)
    _exercises: dict[str, Exercise] = field(default_factory=dict)
    _anchors: dict[str, Anchor] = field(default_factory=dict)
    _under: str = ""  # the traffic of the moment, as a phase is told

    def run(self) -> Journal:
        """Measure until the verdict is over or the time is up; what is measured is on disk.

        raises: SetupError where pairs are disturbed again and again
        """
        self._anchors, words = dict(self.journal.anchors), self._words()
        self._exercises = {
            t.name: Exercise(t.workload, self.of.clips, t.requests) for t in self.of.traffics
        }
        for exercise in (
            self._exercises.values()
        ):  # the same clips: their words are told once per speech configuration
            exercise.word_errors = words
        setting, disturbed, done = replace(self.made.setting, precheck=False), 0, 0
        if next_step(self.journal, self.of) is not None:
            self.tell(self._outlook())
        device, on_phase = self.made.device, self._on_phase
        with Colocation(setting, device, self.folder, on_phase=on_phase) as colocation:
            while (step := next_step(self.journal, self.of)) is not None and self._has_time(
                step, is_first=not done
            ):
                done += 1
                before = len(self.journal.left_out)
                self._take(step, colocation)
                disturbed = disturbed + 1 if len(self.journal.left_out) > before else 0
                kept.write(self.journal, self.folder)
                if disturbed >= PATIENCE:
                    raise SetupError(
                        f"two in a row were disturbed ({self.journal.left_out[-1]}); "
                        "end what else uses this device, and run the same command again"
                    )
        return self.journal

    def _outlook(self) -> str:
        """What is left to measure and about how long it takes, before anything is launched."""
        aa = max(0, self.of.rule.aa_pairs - len(self.journal.of("aa")))
        ab = max(0, max(self.journal.targets) - len(self.journal.of("ab")))
        pair_s, is_known = self._expected_s(Next("ab", 1))
        left = [f"{n} {what}" for n, what in ((aa, "A/A pairs"), (ab, "pairs")) if n]
        total_s = (aa + ab) * pair_s
        if self.journal.stress is None:
            left.insert(1 if aa else 0, "the stress")
            total_s += self._expected_s(Next("stress", 1))[0]
        if not left:  # the baseline against itself is asked again
            left, total_s = ["more A/A pairs"], pair_s
        how = "by what a pair took" if is_known else "a guess from the workload"
        return f"to measure: {', '.join(left)}; about {total_s / 60:.0f} min ({how}), less where it is clear sooner"

    def _words(self) -> dict[str, tuple[WordErrors, ...]]:
        """The word errors of each speech configuration that an earlier run has scored."""
        found = {}
        for pair in self.journal.pairs:
            for launch in pair.launches:
                is_winner = (pair.stage, launch.role) == ("ab", "winner")
                key = speech_key(self.of.winner if is_winner else self.of.baseline)
                if scored := launch.measured["main"].word_errors:
                    found[key] = scored
        return found

    def _has_time(self, step: Next, *, is_first: bool) -> bool:
        """Whether the next step would end in time; the first one of a run is begun on a guess."""
        if self.timeout_s is None:
            return True
        left = self.timeout_s - (time.monotonic() - self.began_s)
        expected, is_known = self._expected_s(step)
        if expected <= left or (is_first and not is_known):
            return True
        way_out = "give a longer --timeout" if is_first else "run the same command again"
        self.tell(
            f"the next needs about {expected:.0f} s and {max(0, left):.0f} s are left: {way_out}"
        )
        return False

    def _expected_s(self, step: Next) -> tuple[float, bool]:
        """What it took at most so far, or a guess; and whether it is known."""
        known = [p.wall_s for p in self.journal.pairs]
        if step.step == "stress":
            return (0.75 * max(known) if known else guess_s(self.of.spec)), False
        more = sum(1.2 * t.workload.window_s + 5 for t in self.of.traffics[1:])
        return (1.05 * max(known), True) if known else (2 * (guess_s(self.of.spec) + more), False)

    def _take(self, step: Next, colocation: Colocation) -> None:
        started, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        if step.step == "stress":
            self._stress(step, colocation, started, at)
        else:
            self._pair(step, colocation, started, at)

    def _on_phase(self, phase: Phase) -> None:
        self.tell(f"    {self._under}{phase_in_words(phase)}")

    def _leave_out(self, step: Next, why: str) -> None:
        self.tell(f"  left out: {why}")
        said = f"{step.step} {step.number}: {why}"
        self.journal = replace(self.journal, left_out=(*self.journal.left_out, said[:300]))

    def _pair(self, step: Next, colocation: Colocation, started: float, at: str) -> None:
        roles: tuple[Role, Role] = (
            ("baseline", "winner") if step.number % 2 else ("winner", "baseline")
        )
        asked = f" of {max(self.journal.targets)}" if step.step == "ab" else ""
        what = "baseline against itself" if step.step == "aa" else " then ".join(roles)
        self.tell(f"{step.step.upper()} pair {step.number}{asked}: {what}")
        launches = []
        for role in roles:
            name = f"{step.step}-{step.number}-{role}"
            allocation = (
                self.of.winner if (role, step.step) == ("winner", "ab") else self.of.baseline
            )
            launch = self._launch(role, allocation, colocation, self.folder / name)
            if isinstance(launch, Disturbance):
                self._leave_out(step, f"{launch}")
                return
            if isinstance(launch, Failure):
                actual: Role = role if step.step == "ab" else "baseline"
                self.journal = replace(self.journal, failure=replace(launch, role=actual))
                return
            launches.append(launch)
        if late := [n for x in launches for n, m in x.measured.items() if m.lag_exceeded]:
            self._leave_out(step, f"our own requests left late under {late[0]}")
            return
        identity = self.made.device.identity
        pair = Pair(
            stage="aa" if step.step == "aa" else "ab", number=step.number, launches=(launches[0], launches[1]), at=at,
            wall_s=round(time.monotonic() - started, 1), card=identity.uuid, driver=identity.driver,
        )  # fmt: skip
        self.journal = replace(
            self.journal, pairs=(*self.journal.pairs, pair), anchors=dict(self._anchors)
        )
        self._progress(step)

    def _launch(
        self, role: Role, allocation: Allocation, colocation: Colocation, folder: Path
    ) -> Launch | Failure | Disturbance:
        """One fresh launch, measured under each workload in turn, the study's own first."""
        measured: dict[str, Measurement] = {}
        for n, traffic in enumerate(self.of.traffics):
            outcome = self._measured(traffic, allocation, colocation, folder, is_fresh=n == 0)
            if (failure := outcome.failure) is not None:
                if not failure.is_ruled_out:
                    return failure
                self.tell(f"  {role}: {failure}")
                return Failure(role, traffic.name, failure.diagnosis)
            if outcome.measurement is not None:
                measured[traffic.name] = outcome.measurement.without_samples()
        return Launch(role, measured)

    def _measured(
        self,
        traffic: Traffic,
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

    def _stress(self, step: Next, colocation: Colocation, started: float, at: str) -> None:
        """The longest prompts and every clip at once, and again after speech was restarted beside the LLM server."""
        main = self.of.traffics[0]
        bound = self._kv_bound()
        self.tell(
            "stress of the winner: longest prompts and a burst of speech; then speech is restarted, and again"
        )
        free: list[float | None] = []
        self._under, diagnosis = "", None
        for half in ("stress", "restart"):
            traffic = stress(
                main, self.of.traffics[1:], self.of.clips, bound, seed=8_000_009 + 1000 * len(free)
            )
            folder = self.folder / half
            folder.mkdir(parents=True, exist_ok=True)
            job = Job(self.of.winner, 0, folder, is_fresh=half == "stress")
            exercise = Exercise(traffic.workload, self.of.clips, traffic.requests)
            exercise.word_errors = self._exercises["main"].word_errors
            colocation.under(exercise, None)
            failure = colocation.restart_first(job) if half == "restart" else None
            outcome = Outcome(failure=failure) if failure else colocation.measure(job)
            if outcome.failure is not None:
                if not outcome.failure.is_ruled_out:
                    self._leave_out(step, f"{outcome.failure}")
                    return
                self.tell(f"  {outcome.failure}")
                diagnosis = outcome.failure.diagnosis
                break
            if outcome.measurement is not None:
                free.append(outcome.measurement.device.free_memory_mib)
        self.journal = replace(
            self.journal,
            stress=Stress(
                requests=sum(r.service == "llm" for r in traffic.requests), clips=len(self.of.clips),
                prompt_tokens=traffic.workload.prompt_tokens[1],
                free_memory_mib=free[0] if free else None, after_restart_mib=free[1] if len(free) > 1 else None,
                failure=diagnosis, in_restart=diagnosis is not None and bool(free),
                at=at, wall_s=round(time.monotonic() - started, 1),
            ),
        )  # fmt: skip

    def _kv_bound(self) -> int | None:
        """How many of the longest requests the larger KV cache holds, the winner's as its study measured it."""
        figures = self.of.data.get("metrics")
        winner = figures.get("winner") if isinstance(figures, dict) else None
        told = winner.get("kv_capacity_bound") if isinstance(winner, dict) else None
        pairs = self.journal.of("aa")
        seen = pairs[-1].of("baseline").measured["main"].kv_capacity_bound if pairs else None
        return max((b for b in (told, seen) if type(b) is int), default=None)

    def _progress(self, step: Next) -> None:
        if step.step == "aa":
            return
        found = verdict(self.journal, self.of).finding(self.of.rule.primary)
        if found is not None and found.found is not None and found.found.low is not None:
            e = found.found
            self.tell(
                f"  {self.of.rule.claim}: log-ratio {e.mean:+.4f}, interval {e.low:+.4f} to {e.high:+.4f}"
            )
