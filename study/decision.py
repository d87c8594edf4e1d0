"""What a study says: the allocation to promote, or why the baseline stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from objectives.allocation import Allocation
from objectives.servers.memory_budget import speech_key
from study.merged import merged
from study.spec.model import Spec
from study.storage.context import Question
from study.storage.trials import Row
from study.tournament import Standing, compare
from study.wording import short


@dataclass(frozen=True, slots=True)
class Decision:
    """What a study says: a winner to promote, or why the baseline stays.

    winner, baseline: of several measurements of one allocation, their mean
    passed_over: better scores that no gate let through, one sentence each
    standings: what is known of every feasible allocation, best smoothed mean first
    contenders: how many of them may be promoted; only these can be the best
    luckiest: the allocation of the best single trial, where that is another one than the first standing's
    ahead_alone: a contender with a better mean of its own launches than the winner, which its neighbours take back
    """

    winner: Row | None
    baseline: Row | None
    reason: str
    passed_over: Sequence[str] = ()
    standings: Sequence[Standing] = ()
    contenders: int = 0
    luckiest: Row | None = None
    ahead_alone: Row | None = None

    @property
    def is_noise_known(self) -> bool:
        """Whether any allocation was measured more than once: from single measurements nobody can tell their noise."""
        return any(s.n > 1 for s in self.standings)

    def standing(self, row: Row | None) -> Standing | None:
        """What is known of the allocation of a row."""
        return next((s for s in self.standings if row and s.params == dict(row.allocation.values)), None)

    def against(self, allocation: Allocation) -> str | None:
        """Why this allocation was passed over though it scored better; None where it was not."""
        found = (s for s in self.passed_over if s.startswith(f"{allocation} ("))
        return next((s.partition("): ")[2] for s in found), None)


def decide(rows: Sequence[Row], spec: Spec | Question) -> Decision:
    """The best allocation by smoothed mean whose gates are passed, if it beats the baseline by more than efficiency."""
    own = [r for r in rows if r.repeat_of is None]
    standings, shown, fit = compared(own, spec)
    contending = [s for s, may in zip(standings, fit, strict=True) if may]
    says = partial(Decision, standings=standings, contenders=len(contending), luckiest=_luckiest(own, standings))
    today = next((i for i, s in enumerate(standings) if s.params == dict(spec.baseline.values)), None)
    if today is None:
        baseline = next((r for r in own if r.measurement and str(r.allocation) == str(spec.baseline)), None)
        if not standings:
            return says(None, baseline, "no allocation met every constraint: the baseline stays")
        reference = next((f"; terms are relative to {r.allocation}" for r in own if r.is_reference), "")
        ending = "it has no usable measurement of its own, so nothing can be said to beat it"
        return says(None, baseline, f"the baseline stays: {ending}{reference}")
    baseline, passed_over = shown[today], list[str]()
    for standing, r in zip(standings[:today], shown, strict=False):
        obstacle = _obstacle(r, baseline, spec)
        if obstacle is None:
            alone = max(contending, key=lambda s: s.raw_mean)
            ahead = shown[standings.index(alone)] if alone.raw_mean > standing.raw_mean else None
            return says(r, baseline, _why(r, baseline), passed_over, ahead_alone=ahead)
        passed_over.append(f"{r.allocation} (fitness {standing.mean:.4f}): {obstacle}")
    rivals = "nothing that may be promoted beat it" if passed_over else "nothing beat it"
    if all(str(r.allocation) == str(spec.baseline) for r in own):
        rivals = "nothing else was measured"
    sentence = f"the baseline stays: {rivals} ({spec.baseline}, fitness {standings[today].mean:.4f})"
    return says(None, baseline, sentence, passed_over)


def how_sure(decision: Decision) -> list[str]:
    """What is known of the winner, or of the baseline that stays, and of the best single trial; a sentence each."""
    chosen = decision.winner or decision.baseline
    s = decision.standing(chosen)
    if chosen is None or s is None:
        return []
    today = decision.baseline.allocation if decision.baseline else None
    error = "not known" if s.standard_error is None else f"{s.standard_error:.4f}"
    may = "" if decision.contenders == len(decision.standings) else " that may be promoted"
    sure = f" (standard error {error}, {_measurements(s)}); probability {s.probability_best:.2f} of being the best of "
    if not decision.is_noise_known:
        sure = "; nothing was measured twice, so it is not known how sure that is, among "
    if len(decision.standings) == 1:
        return [f"{short(chosen.allocation)}: its mean fitness is {s.mean:.4f}; nothing else that works was measured"]
    mean = f"smoothed with its neighbours, which decides, the mean fitness is {s.mean:.4f}"
    said = [f"{short(chosen.allocation, today)}: {mean}{sure}{decision.contenders}{may}"]
    if (other := decision.ahead_alone) is not None and (t := decision.standing(other)) is not None:
        alone = f"by its own launches alone {short(other.allocation, today)} is ahead of it: {t.raw_mean:.4f}"
        said.append(f"{alone} ({_measurements(t)}), smoothed {t.mean:.4f}")
    if (best := decision.luckiest) is not None:
        held = ", which is held back" if decision.against(best.allocation) else ""
        score = f"{best.fitness:.4f} in trial {best.number}{held}"
        said.append(f"the best single trial was another: {short(best.allocation, today)}, {score}")
    return said


def _measurements(s: Standing) -> str:
    return f"{s.n} measurements" if s.n > 1 else "1 measurement"


def _luckiest(rows: Sequence[Row], standings: Sequence[Standing]) -> Row | None:
    """The best single trial, where its allocation is not the one with the best mean."""
    best = max((r for r in rows if r.is_feasible), key=lambda r: r.fitness or 0.0, default=None)
    return best if best and standings and dict(best.allocation.values) != standings[0].params else None


def compared(rows: Sequence[Row], spec: Spec | Question) -> tuple[list[Standing], list[Row], list[bool]]:
    """The allocations that were feasible in each of their measurements: how they stand, the best first.

    And, in the same order, the mean of each as a row, and whether it may be promoted.
    """
    groups: dict[str, list[Row]] = {}
    for r in rows:
        if r.is_known and r.repeat_of is None:
            groups.setdefault(str(r.allocation), []).append(r)
    feasible = [group for group in groups.values() if all(r.is_feasible for r in group)]
    measured = [(dict(group[0].allocation.values), [r.fitness or 0.0 for r in group]) for group in feasible]
    space = _space([values for values, _ in measured])
    means = [merged(group) for group in feasible]
    may = [_unfit(r, spec) is None for r in means]
    standings = compare(measured, space, maximise=True, among=may)
    order = [next(n for n, (values, _) in enumerate(measured) if values == s.params) for s in standings]
    return standings, [means[n] for n in order], [may[n] for n in order]


def _space(values: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """The ranges that these allocations span: of numbers from the least to the greatest, of the rest what is there."""
    space: dict[str, BaseDistribution] = {}
    for name in values[0] if values else ():
        seen = [v[name] for v in values]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in seen):
            space[name] = FloatDistribution(float(min(seen)), float(max(seen)))
        else:
            space[name] = CategoricalDistribution(list(dict.fromkeys(seen)))
    return space


def _unfit(r: Row, spec: Spec | Question) -> str | None:
    """Why an allocation may not be promoted whatever it scores; None where nothing stands against it."""
    m = r.measurement
    if m is None or m.oom_events:
        return "it ran out of memory"
    if m.lag_exceeded:
        return "our own requests left late while it was measured"
    if speech_key(r.allocation) != speech_key(spec.baseline) and r.word_gate != "pass":
        more = f"; about {r.minutes_more_audio:.0f} more minutes of audio would decide" if r.minutes_more_audio else ""
        word = {
            "cannot_tell": f"the clips are too few to tell whether its words are as good{more}",
            "not_measured": "its word error rate was not measured",
        }
        return word.get(str(r.word_gate), "its word error rate is over the gate")
    return None


def _obstacle(r: Row, baseline: Row, spec: Spec | Question) -> str | None:
    """Why a leading allocation may not be promoted; None where nothing stands against it."""
    if (why := _unfit(r, spec)) is not None:
        return why
    ahead = sum(
        (r.contributions.get(k) or 0.0) - (baseline.contributions.get(k) or 0.0) for k in ("stt", "llm", "capacity")
    )
    if ahead <= 0:
        return "it leads by efficiency and stability only, not by latency or capacity"
    return None


def _why(r: Row, baseline: Row) -> str:
    gains = {k: (v or 0.0) - (baseline.contributions.get(k) or 0.0) for k, v in r.contributions.items()}
    parts = ", ".join(f"{k} {gain:+.4f}" for k, gain in sorted(gains.items(), key=lambda g: -g[1]))
    return f"fitness {r.fitness:.4f} against the baseline's {baseline.fitness:.4f}: {parts}"
