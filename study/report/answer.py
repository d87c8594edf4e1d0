"""NEW MODULE."""

from __future__ import annotations

from study.analysis.decision import Decision
from study.tournament import Standing
from study.wording import short


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
