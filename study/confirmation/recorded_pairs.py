"""Pairs from a recording: each independent launch at most once, baseline beside the winner that is nearest in time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from objectives.errors import BadInput
from objectives.recording import Entry, Recording
from study.confirmation.journal import Failure, Head, Journal, Launch, Pair, Stage
from study.confirmation.subject import Subject


def from_recording(of: Subject, recording: Recording, head: Head, pairs: int) -> Journal:
    """The journal that a recording gives: as many pairs as it holds launches, and A/A of what is left of the baseline.

    raises: BadInput where it holds no launch of one of the two
    """
    winners, baselines = recording.cell(of.winner), _launches(recording.cell(of.baseline))
    failed = next((e for e in winners if e.measurement is None and e.diagnosis is not None), None)
    launched = _launches(winners)
    if not baselines or (not launched and failed is None):
        raise BadInput(
            f"{recording.path.name} holds no measured launch of {of.winner if baselines else of.baseline}"
        )
    found: list[Pair] = []
    for winner in launched[:pairs]:
        same = [b for b in baselines if b.card == winner.card]
        if not same:
            break
        nearest = min(same, key=lambda b: abs(_seconds(b) - _seconds(winner)))
        baselines.remove(nearest)
        found.append(_pair("ab", len(found) + 1, nearest, winner, recording))
    aa = [
        _pair("aa", n + 1, first, second, recording)
        for n, (first, second) in enumerate(zip(baselines[::2], baselines[1::2], strict=False))
        if first.card == second.card
    ]
    failure = Failure("winner", "main", failed.diagnosis) if failed and failed.diagnosis else None
    return Journal(head=head, targets=(pairs,), pairs=(*aa, *found), failure=failure)


def _launches(entries: Sequence[Entry]) -> list[Entry]:
    """Measured entries that are launches of their own, in the order of time; one with both servers kept is none."""
    own = [
        e
        for e in entries
        if e.measurement and any(s.start_s != 0.0 for s in e.measurement.services.values())
    ]
    return sorted(own, key=lambda e: e.at)


def _pair(stage: Stage, number: int, baseline: Entry, winner: Entry, recording: Recording) -> Pair:
    launches = []
    for role, e in (("baseline", baseline), ("winner", winner)):
        if e.measurement is None:
            raise ValueError("a pair is of measured launches")
        launches.append(
            (e.at, Launch("baseline" if role == "baseline" else "winner", {"main": e.measurement}))
        )
    first, second = sorted(launches, key=lambda pair: pair[0])
    device = recording.provenance.device
    return Pair(
        stage=stage, number=number, launches=(first[1], second[1]), at=first[0],
        wall_s=baseline.wall_s + winner.wall_s, card=baseline.card or device.uuid, driver=device.driver,
    )  # fmt: skip


def _seconds(entry: Entry) -> float:
    return datetime.fromisoformat(entry.at).timestamp()
