"""This module reads the confirmation of a promotion for a report; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from study.confirmation import verdict_of_0_1
from study.confirmation.verdict.cause_words import CLAIM_TITLES
from study.confirmation.verdict.wording import FIXED_BEFORE, signed, status_in_words
from study.confirmation.verdict_line import MetricLine
from study.promotion.status import VERDICTS, Status
from study.rule.limits import LimitStanding
from study.rule.rule import Claim
from study.text import capital, one_line

PARTS = ("gain", "low", "high")
HOW = "95 % intervals, 97.5 % from the second look on"
STANDINGS = {
    LimitStanding.INSIDE: "inside its limit",
    LimitStanding.NO_WORSE: "no worse, which is enough for its limit",
    LimitStanding.BROKEN: "breaks its limit",
    LimitStanding.CANNOT_TELL: "cannot tell whether inside its limit",
    LimitStanding.NOT_MEASURED: "",
}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirmation is told in a report by these words.

    Args:
        file: The promotion's name.
        verdict: Confirmed, rejected or inconclusive.
        summary: The verdict with the number of pairs.
        says: The claim in a sentence.
        reasons: What kept it from being confirmed.
        checks: What was not checked, and how it was done, a sentence each.
        lines: The metrics that were measured.
        is_replay: Whether it was judged by a recording's launches.
        measured: When its own launches were, and on how many devices.
        how: What the intervals and the words of the lines are.
        held: What both held at a constant rate; empty where no capacity is confirmed by it.
    """

    file: str
    verdict: Status
    summary: str
    says: str
    reasons: tuple[str, ...]
    checks: tuple[str, ...]
    lines: tuple[MetricLine, ...]
    is_replay: bool
    measured: str
    how: str
    held: str = ""

    @property
    def against(self) -> tuple[str, ...]:
        """Return what speaks against the winner; nothing where more pairs would tell."""
        return () if self.verdict is Status.INCONCLUSIVE else self.reasons

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what speaks against it or is open, and what was not checked, a sentence each."""
        begin = "Open" if self.verdict is Status.INCONCLUSIVE else "Against it"
        return (*(f"{begin}: {reason}." for reason in self.reasons), *self.checks)

    @property
    def standing(self) -> str:
        """Return how sure the answer is, in a few words."""
        origin = ", from a recording: not valid for this machine" if self.is_replay else ""
        return f"{self.summary}{origin}"


def _measured(c: Mapping[str, Any]) -> str:
    """Say when and on how many devices, e.g. 2026-11-25 to 2026-11-27, 2 devices."""
    days = [str(c[key])[:10] for key in ("first_pair_at", "last_pair_at") if c.get(key)]
    when, devices = " to ".join(dict.fromkeys(days)), len(c["cards"])
    return one_line(f"{when}, {devices} device{'s' * (devices != 1)}")


def read_confirmation(data: Mapping[str, Any], file: str) -> Confirmation:
    """Read the confirmation of a sealed promotion, also one of 0.1.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: It is none as this version
            writes it.
    """
    c, is_replay = data["confirmation"], bool(data["measured_elsewhere"])
    is_older = "rule" not in c
    pairs, more = int(c["pairs"]), c["pairs_more"] and int(c["pairs_more"])
    if c["verdict"] not in VERDICTS or pairs < 0:
        raise ValueError(f"its verdict is {c['verdict']!r} after {pairs} pairs")
    verdict = Status(c["verdict"])
    if is_older:
        summary, how = verdict_of_0_1.summary(verdict, pairs, more), verdict_of_0_1.HOW
        lines, fixed = verdict_of_0_1.lines(c), verdict_of_0_1.fixed(c)
    else:
        summary, how = status_in_words(verdict, pairs, more, is_replay=is_replay), HOW
        lines, fixed = _lines(c), _fixed(c)
    return Confirmation(
        file,
        verdict,
        summary,
        one_line(c["says"]),
        tuple(one_line(reason) for reason in c["reasons"]),
        tuple(one_line(n) for n in _checks(c, fixed, is_replay=is_replay)),
        tuple(lines),
        is_replay,
        _measured(c),
        how,
        _held_in_words(c) if verdict is Status.CONFIRMED else "",
    )


def _lines(c: Mapping[str, Any]) -> Iterator[MetricLine]:
    """Yield each figure that has a gain; a single pair has none."""
    for workload, figures in c["figures"].items():
        limits, worse = c["limits"].get(workload, {}), c["worse"].get(workload, [])
        for name, f in figures.items():
            if f.get("gain_pct") is None:
                continue
            numbers = [f["gain_pct"], f["low_pct"], f["high_pct"]]
            if not all(math.isfinite(x) for x in numbers):
                raise ValueError(f"{name} has a figure that is none")
            gain, low, high = map(signed, numbers)
            finding = limits.get(name)
            limit = "" if finding is None else STANDINGS[LimitStanding(finding["standing"])]
            words = ", ".join(filter(None, ("worse" if name in worse else "", limit)))
            is_bad = name in worse or limit == STANDINGS[LimitStanding.BROKEN]
            yield MetricLine(
                one_line(workload),
                one_line(name),
                gain,
                f"{low} to {high}",
                words,
                "worse" if is_bad else "",
                is_worse=name in worse,
            )


def _fixed(c: Mapping[str, Any]) -> str:
    """Say what was fixed before."""
    rule = c["rule"]
    if rule["claim"] == "works":
        return "That each launch must work, and the limits"
    limits = ", ".join(f"{name} {float(ms):g}" for name, ms in rule["limits"].items())
    return f"The claim, {rule['claim']}, and the limits ({limits})"


def _not_measured(c: Mapping[str, Any]) -> list[str]:
    if "rule" not in c:
        return verdict_of_0_1.not_measured(c)
    return [f"{name} ({workload})" for workload, own in c["not_measured"].items() for name in own]


def _checks(c: Mapping[str, Any], fixed: str, *, is_replay: bool) -> Iterator[str]:
    """Say what was not measured, and how it was done."""
    if missing := _not_measured(c):
        yield f"Not measured, so not judged: {', '.join(missing)}."
    if today := c.get("today"):
        yield f"{capital(str(today))}."
    if c["workloads"] == ["main"]:
        yield "It was not repeated on another workload."
    stress = c["stress"]
    if stress is None:
        yield "The winner was not stressed, and speech was not restarted beside the LLM server."
    elif stress["least_free_memory_mib"] is not None:
        yield (
            f"Stress: {stress['llm_requests_at_once']} prompts of "
            f"{stress['prompt_tokens']:,} tokens and {stress['clips_at_once']} clips at once left "
            f"{stress['least_free_memory_mib']:,.0f} MiB free."
        )
    yield from _also_won(c)
    yield from _held(c)
    aa = c["aa"]["pairs"]
    when = "chosen when the launches were known" if is_replay else FIXED_BEFORE
    yield (
        f"{fixed} were {when}. Order: {c['order']}; "
        f"{aa or 'no'} pairs of today's allocation against itself; "
        f"{len(c['left_out'])} left out; begun anew {c['begun_anew']} times."
    )


def _also_won(c: Mapping[str, Any]) -> Iterator[str]:
    """Tell the claims that are won beside the one that is told first."""
    if "rule" in c and c["verdict"] == Status.CONFIRMED:
        won = [Claim(name) for name in c["claims"] if c["claims"][name]["is_won"]]
        for claim in sorted(won, key=lambda one: one is not Claim.CAPACITY)[1:]:
            entry = c["claims"][claim]
            gain, low, high = (signed(entry["main"][f"{part}_pct"]) for part in PARTS)
            yield (
                f"Also shown: {CLAIM_TITLES[claim]}: {gain}, "
                f"{100 * entry['confidence']:g} % interval {low} to {high} (positive is better)."
            )


def _held_in_words(c: Mapping[str, Any]) -> str:
    is_won = "rule" in c and c["claims"].get("capacity", {}).get("is_won")
    return one_line((c.get("holds") or {}).get("says") or "") if is_won else ""


def _held(c: Mapping[str, Any]) -> Iterator[str]:
    """Say what was held at a constant rate; nothing where no capacity was to be proven."""
    holds = c.get("holds")
    if holds is not None:
        says = holds["says"] or "the holds of the winner were not measured"
        yield f"At a constant rate: {says}."
    elif "rule" in c and c["claims"].get("capacity", {}).get("is_won"):
        yield "Its capacity was not held at a constant rate: not measured."
