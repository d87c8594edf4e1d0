"""From pairs to a verdict: confirmed, rejected, or inconclusive with how many more pairs it would take. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from objectives.speech.wer import Gate
from study.analysis.noise import holm
from study.confirmation.paired_statistics import Estimate, chance, estimate, pairs_needed
from study.confirmation.protocol import LEAST_PAIRS, Key, Rule, confidence, looks

LOST = float("-inf")  # of a pair: the baseline has a figure, the winner none
FIRST_STOP = 3  # pairs before which nothing ends early
FUTILE = 0.02  # chance of a win below which no further pair is measured
SENSIBLE = 100  # pairs that somebody might still measure
LITTLE_PCT = 5.0  # a gain that is below it for sure, and that nobody can show, is none
FAILED_MORE = 0.01  # share of requests that the winner may fail more than the baseline
Status = Literal["confirmed", "rejected", "inconclusive"]
Standing = Literal["better", "no_worse", "worse", "cannot_tell", "not_measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What has been measured.

    gains: log-ratios of each pair, positive where the winner is better, in order; None where the baseline has no
        figure, LOST where only the winner has none
    words: the winner's word errors against the baseline's; failed_more: failed share, the winner's less the baseline's,
        None where it was not counted
    obstacles: what rules the winner out; doubts: what keeps it from being confirmed, a sentence each
    """

    gains: Mapping[Key, Sequence[float | None]]
    words: Gate
    failed_more: Mapping[str, float | None] = field(default_factory=dict)
    obstacles: Sequence[str] = ()
    doubts: Sequence[str] = ()

    @property
    def pairs(self) -> int:
        """Pairs measured so far."""
        return max((len(values) for values in self.gains.values()), default=0)

    def first(self, pairs: int) -> Mapping[Key, Sequence[float | None]]:
        """The gains of the first pairs."""
        return {key: values[:pairs] for key, values in self.gains.items()}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one metric under one workload.

    confidence: of its interval; missing: pairs without a ratio; pairs_needed: until it could be told, None if never
    claim_p: corrected for the number of claims (Holm); None for the primary, which needs no correction
    """

    key: Key
    standing: Standing
    found: Estimate | None
    confidence: float
    missing: int = 0
    pairs_needed: int | None = None
    claim_p: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, and what it stands on.

    pairs: counted for it; is_over: whether another pair would change it without a new number of pairs being asked
    pairs_more: None where no number of pairs would tell, by these figures
    """

    status: Status
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    pairs: int
    look: int
    is_over: bool
    pairs_more: int | None = None

    def finding(self, key: Key) -> Finding | None:
        """What is known of one metric."""
        return next((f for f in self.findings if f.key == key), None)


def judge(evidence: Evidence, rule: Rule, targets: Sequence[int]) -> Verdict:
    """The verdict after the pairs so far; the first pairs that decide do, and later ones do not change it.

    targets: every number of pairs that was asked for, in order: each may be one more look for a win
    """
    planned = looks(targets)
    target = max(targets, default=LEAST_PAIRS)
    for n in range(1, evidence.pairs + 1):
        verdict = _after(n, evidence, rule, planned, target)
        if verdict.is_over:
            return verdict
    return verdict if evidence.pairs else _after(0, evidence, rule, planned, target)


def _after(n: int, evidence: Evidence, rule: Rule, planned: Sequence[int], target: int) -> Verdict:
    passed = sum(at < n for at in planned)
    look = min(passed + 1, len(planned))
    findings = _findings(evidence.first(n), rule, look)
    primary = next((f for f in findings if f.key == rule.primary), None)
    against = [*evidence.obstacles, *_against(findings, primary, evidence, rule, n)]
    if against:
        return Verdict("rejected", tuple(against), findings, n, look, is_over=True)
    open_ = _open(findings, rule, evidence, n)
    if n in planned and not open_:
        return Verdict("confirmed", (), findings, n, look, is_over=True)
    is_futile = (
        n >= FIRST_STOP and n < target and primary is not None and _is_futile(primary, planned, n)
    )
    if is_futile:
        open_ = (f"{rule.claim}: by these pairs, {target} would not show it better either", *open_)
    return Verdict(
        "inconclusive",
        open_,
        findings,
        n,
        look,
        is_over=is_futile or n >= target,
        pairs_more=_more(findings, n),
    )


def _findings(
    gains: Mapping[Key, Sequence[float | None]], rule: Rule, look: int
) -> tuple[Finding, ...]:
    level = confidence(look)
    found = [_finding(key, values, rule, level, look) for key, values in gains.items()]
    others = [
        i
        for i, f in enumerate(found)
        if f.key != rule.primary and f.found and f.found.p is not None
    ]
    corrected = holm([p for i in others if (e := found[i].found) and (p := e.p) is not None])
    for i, p in zip(others, corrected, strict=True):
        f = found[i]
        is_better = (
            f.standing == "no_worse" and p <= 0.05 and f.found is not None and f.found.mean > 0
        )
        found[i] = Finding(
            f.key,
            "better" if is_better else f.standing,
            f.found,
            f.confidence,
            f.missing,
            f.pairs_needed,
            p,
        )
    return tuple(found)


def _finding(
    key: Key, values: Sequence[float | None], rule: Rule, level: float, look: int
) -> Finding:
    known = [g for g in values if g is not None and g != LOST]
    missing, lost = len(values) - len(known), LOST in values
    if not known and not lost:
        return Finding(key, "not_measured", None, level, missing)
    if not known:
        return Finding(key, "cannot_tell", None, level, missing)
    found, is_primary = estimate(known, level), key == rule.primary
    floor = rule.margins.floor(key.metric)
    above = 0.0 if is_primary else floor
    needed = pairs_needed(found, above, confidence(look + 1))
    if is_primary:
        is_shown = (
            found.low is not None and found.low > 0 and found.sign_flip_p <= 0.10
        )  # one-sided 0.05
        standing: Standing = "better" if is_shown and not missing else "cannot_tell"
    elif lost:
        standing = "cannot_tell"
    elif (
        missing and len(known) < FIRST_STOP
    ):  # the baseline hardly ever has such a figure: nothing to be worse than
        standing = "not_measured"
    else:
        standing = "no_worse" if found.low is not None and found.low > floor else "cannot_tell"
    if standing == "cannot_tell" and found.high is not None and found.high < above:
        standing = "worse"
    return Finding(key, standing, found, level, missing, needed)


def _against(
    findings: Sequence[Finding], primary: Finding | None, evidence: Evidence, rule: Rule, n: int
) -> list[str]:
    """Why the winner is rejected, if it is."""
    said = []
    if evidence.words.verdict == "fail":
        said.append("its words are worse than the gate allows")
    for workload, more in evidence.failed_more.items():
        if more is not None and more > FAILED_MORE:
            said.append(
                f"{100 * more:.1f} points more of the requests failed under {workload} than with the baseline"
            )
    if n < FIRST_STOP:
        return said
    if primary is not None and primary.found is not None and primary.found.high is not None:
        if primary.found.high < 0:
            said.append(f"{primary.key} is worse, not better")
        elif (
            primary.found.high < math.log1p(LITTLE_PCT / 100)
            and (primary.pairs_needed or SENSIBLE) >= SENSIBLE
        ):
            said.append(
                f"{primary.key} gains less than {LITTLE_PCT:g} %, and {SENSIBLE} pairs would not show it"
            )
    others = [
        f for f in findings if f is not primary and f.found is not None and f.found.sd is not None
    ]
    for f in (
        others
    ):  # so strict that among all of them a harmless winner is rejected in 5 of 100 cases at most
        strict = estimate(_values(evidence, f.key, n), 1 - 0.05 / len(others))
        if (
            f.standing == "worse"
            and strict.high is not None
            and strict.high < rule.margins.floor(f.key.metric)
        ):
            said.append(f"{f.key} is worse by more than {rule.margins.of(f.key.metric):g} %")
    return said


def _values(evidence: Evidence, key: Key, n: int) -> list[float]:
    return [g for g in evidence.gains[key][:n] if g is not None and g != LOST]


def _open(findings: Sequence[Finding], rule: Rule, evidence: Evidence, n: int) -> tuple[str, ...]:
    """What keeps the winner from being confirmed."""
    said = list(evidence.doubts)
    if n < LEAST_PAIRS:
        said.append(f"{n} of at least {LEAST_PAIRS} pairs")
    if n < 2:  # no interval yet
        return tuple(said)
    primary = next((f for f in findings if f.key == rule.primary), None)
    if primary is None or primary.standing == "not_measured":
        said.append(f"{rule.primary} was not measured")
    elif primary.missing:
        said.append(f"{rule.primary} was not measured in {primary.missing} of {n} pairs")
    elif primary.standing != "better":
        said.append(f"{rule.primary} is not shown to be better")
    for f in findings:
        if f.key == rule.primary or f.standing in ("better", "no_worse", "not_measured"):
            continue
        worse = f"it may be worse by more than {rule.margins.of(f.key.metric):g} %"
        is_lost = LOST in evidence.gains[f.key][:n]
        said.append(f"{f.key}: {'the winner lacks it in some pairs' if is_lost else worse}")
    said += [
        f"failed requests were not counted under {w}"
        for w, more in evidence.failed_more.items()
        if more is None
    ]
    if evidence.words.verdict in ("cannot_tell", "not_measured"):
        minutes = evidence.words.minutes_more_audio
        more = f"; about {minutes:.0f} more minutes of audio would tell" if minutes else ""
        said.append(f"word errors: {evidence.words.verdict.replace('_', ' ')}{more}")
    return tuple(said)


def _is_futile(primary: Finding, planned: Sequence[int], n: int) -> bool:
    """Whether no look that is planned has a chance worth measuring for."""
    if primary.found is None or primary.missing:
        return False
    to_come = [(at, confidence(i)) for i, at in enumerate(planned, 1) if at > n]
    return all(chance(primary.found, at, level) < FUTILE for at, level in to_come)


def _more(findings: Sequence[Finding], n: int) -> int | None:
    """Pairs until the last of what is open could be told; at least those that are missing to six."""
    open_ = [f for f in findings if f.standing in ("cannot_tell", "worse")]
    if any(f.pairs_needed is None for f in open_) and n >= 2:
        return None
    return max(LEAST_PAIRS - n, 1, *((f.pairs_needed or 0) - n for f in open_))
