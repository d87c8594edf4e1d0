"""This module makes pairs of a recording's launches, each launch in one pair at most.

Each winner stands beside the baseline that is nearest in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from objectives.errors import BadInput
from objectives.recording import RecordedLaunch, Recording
from study.confirmation.records import (
    FailedLaunch,
    Head,
    Pair,
    PairLaunch,
    PairsJournal,
    Stage,
    TodayLaunch,
)
from study.confirmation.subject import Subject
from study.rule.pairs import Role


def from_recording(of: Subject, recording: Recording, head: Head, most: int) -> PairsJournal:
    """Return the journal that a recording gives.

    It has up to `most` pairs of winner and baseline, and A/A pairs of the baselines that are left.

    Raises:
        BadInput: The recording holds no launch of one of the two.
    """
    winners, baselines = recording.cell(of.winner), _launches(recording.cell(of.baseline))
    failed = _failed(winners)
    launched = _launches(winners)
    if not baselines or (not launched and failed is None):
        absent = of.winner if baselines else of.baseline
        raise BadInput(f"{recording.path.name} holds no measured launch of {absent}")
    failure = (
        FailedLaunch("winner", "main", failed.diagnosis) if failed and failed.diagnosis else None
    )
    if of.rule.is_alone:
        twos = zip(launched[::2], launched[1::2], strict=False)
        own = [_pair("ab", n + 1, *two, recording) for n, two in enumerate(twos)]
        return PairsJournal(
            head=head, pairs=tuple(own[:most]), today=_today(of, recording), failure=failure
        )
    ab: list[Pair] = []
    for winner in launched[:most]:
        same = [b for b in baselines if b.card == winner.card]
        if not same:
            break
        nearest = min(same, key=lambda b: abs(_seconds(b) - _seconds(winner)))
        baselines.remove(nearest)
        ab.append(_pair("ab", len(ab) + 1, nearest, winner, recording))
    aa = [
        _pair("aa", n + 1, first, second, recording)
        for n, (first, second) in enumerate(zip(baselines[::2], baselines[1::2], strict=False))
        if first.card == second.card
    ]
    return PairsJournal(head=head, pairs=(*aa, *ab), failure=failure)


def _failed(entries: Sequence[RecordedLaunch]) -> RecordedLaunch | None:
    return next((e for e in entries if e.measurement is None and e.diagnosis is not None), None)


def _today(of: Subject, recording: Recording) -> TodayLaunch | None:
    """Return the recorded launch of what is in use and did not work; None where there is none."""
    if of.today is None:
        return None
    entry = _failed(recording.cell(of.today))
    if entry is None:
        return None
    return TodayLaunch(failure=entry.diagnosis, at=entry.at, wall_s=entry.wall_s)


def _launches(entries: Sequence[RecordedLaunch]) -> list[RecordedLaunch]:
    """Return the measured entries that are launches of their own, in the order of time.

    An entry for which all servers were kept is none.
    """
    own = [
        e
        for e in entries
        if e.measurement and any(s.start_s != 0.0 for s in e.measurement.services.values())
    ]
    return sorted(own, key=lambda e: e.at)


def _pair(
    stage: Stage,
    number: int,
    baseline: RecordedLaunch,
    winner: RecordedLaunch,
    recording: Recording,
) -> Pair:
    launches = [
        (baseline.at, _launch("baseline", baseline)),
        (winner.at, _launch("winner", winner)),
    ]
    (at, first), (_, second) = sorted(launches, key=lambda launch: launch[0])
    device = recording.provenance.device
    return Pair(
        stage=stage,
        number=number,
        launches=(first, second),
        at=at,
        wall_s=baseline.wall_s + winner.wall_s,
        card=baseline.card or device.uuid,
        driver=device.driver,
    )


def _launch(role: Role, entry: RecordedLaunch) -> PairLaunch:
    if entry.measurement is None:
        raise ValueError("a pair is of measured launches")
    return PairLaunch(role, {"main": entry.measurement})


def _seconds(entry: RecordedLaunch) -> float:
    return datetime.fromisoformat(entry.at).timestamp()
