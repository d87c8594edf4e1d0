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
    Role,
    Stage,
)
from study.confirmation.subject import Subject


def from_recording(of: Subject, recording: Recording, head: Head, most: int) -> PairsJournal:
    """Return the journal that a recording gives.

    It has up to `most` pairs of winner and baseline, and A/A pairs of the baselines that are left.

    Raises:
        BadInput: The recording holds no launch of one of the two.
    """
    winners, baselines = recording.cell(of.winner), _launches(recording.cell(of.baseline))
    failed = next((e for e in winners if e.measurement is None and e.diagnosis is not None), None)
    launched = _launches(winners)
    if not baselines or (not launched and failed is None):
        absent = of.winner if baselines else of.baseline
        raise BadInput(f"{recording.path.name} holds no measured launch of {absent}")
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
    failure = (
        FailedLaunch("winner", "main", failed.diagnosis) if failed and failed.diagnosis else None
    )
    return PairsJournal(head=head, pairs=(*aa, *ab), failure=failure)


def _launches(entries: Sequence[RecordedLaunch]) -> list[RecordedLaunch]:
    """Return the measured entries that are launches of their own, in the order of time.

    An entry for which both servers were kept is none.
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
