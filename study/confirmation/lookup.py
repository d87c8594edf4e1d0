"""Finds what a confirmation said of a winner: among the promotions of its study, or beside a recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.errors import BadInput
from objectives.recording import Recording
from study.confirmation.protocol import Margins, gain_pct
from study.confirmation.wording import signed
from study.promotion import seal
from study.promotion.seal import moment
from study.storage.context import StudyContext
from study.text import one_line

MOST_MIB = 1e9


def confirmation_of(study: str, winner: Allocation, folders: Sequence[Path]) -> Told | None:
    """The newest confirmation of this winner among the promotions of these folders; None where there is none.

    raises: BadInput where a promotion with one was changed after it was sealed
    """
    path = _chosen(
        (p, data) for p, data in _confirmations(folders, winner) if data.get("study") == study
    )
    return _told(path) if path else None


def confirmation_beside(
    recording: Recording, winner: Allocation, asked: StudyContext
) -> Path | None:
    """The promotion beside a recording that says what fresh launches showed of this winner, on such a device.

    Against the same baseline, with the commands and the versions of the servers that were recorded.
    """
    device, versions = recording.provenance.device, asdict(recording.provenance.versions)
    commands = _bare({name: str(command) for name, command in asked.commands(winner).items()})

    def is_same(data: Mapping[str, Any]) -> bool:
        found = data.get("device")
        if not isinstance(found, dict) or not isinstance(
            total_mib := found.get("total_mib"), int | float
        ):
            return False
        is_of_it = (
            data.get("baseline") == dict(asked.baseline.values) and data.get("versions") == versions
        )
        is_here = 0 < total_mib < MOST_MIB and device.is_like(found.get("product"), total_mib)
        return is_of_it and is_here and _bare(data.get("commands")) == commands

    return _chosen(
        (path, data)
        for path, data in _confirmations([recording.path.parent], winner)
        if is_same(data)
    )


def _chosen(found: Iterable[tuple[Path, Mapping[str, Any]]]) -> Path | None:
    """The newest that is whole; but beside one that is not, only a rejection stands, and else that one is the answer.

    So an edited file neither takes back a rejection nor lets an older confirmation pass for the newest.
    """
    broken = None
    for path, _ in sorted(found, key=_written, reverse=True):
        try:
            verdict = _told(path).verdict
        except BadInput:
            broken = broken or path
            continue
        if broken is None or verdict == "rejected":
            return path
    return broken


def _bare(commands: object) -> dict[str, list[str]] | None:
    """The words of each command without interpreter and folders; None of what is no commands.

    >>> _bare({"llm": "/venv/bin/python -m serve --model /models/llm-19b"})
    {'llm': ['-m', 'serve', '--model', 'llm-19b']}
    """
    if not isinstance(commands, dict):
        return None
    return {
        name: [word.rpartition("/")[2] for word in str(text).split()][1:]
        for name, text in commands.items()
    }


def confirmation_in(path: Path, winner: Allocation) -> Told | None:
    """What a promotion says of this winner; None where it is of another.

    raises: BadInput where it was changed after it was sealed, or is gone
    """
    if not path.is_file():
        raise BadInput(
            f"{path}, which says what fresh launches showed of this winner, is gone; run the replay again"
        )
    return _told(path) if _judged(path, winner) else None


def _confirmations(
    folders: Sequence[Path], winner: Allocation
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The promotions of this winner that a confirmation has judged; their seals are not looked at."""
    for path in (p for folder in folders for p in sorted(folder.glob("*.yaml"))):
        if (data := _judged(path, winner)) is not None:
            yield path, data


def _judged(path: Path, winner: Allocation) -> Mapping[str, Any] | None:
    """A promotion of this winner that a confirmation has judged; None for somebody else's file."""
    try:
        data = seal.read(path)
    except BadInput:
        return None
    is_of_it = data.get("parameters") == dict(winner.values) and isinstance(
        data.get("confirmation"), dict
    )
    return data if is_of_it else None


def _told(path: Path) -> Told:
    data = seal.verify(path)
    try:
        return told(data, path.name)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        way_out = "confirm it anew with scripts/confirm.py, or move it away"
        raise BadInput(
            f"{path}: its confirmation is not as this version writes it ({error!r}); {way_out}"
        ) from error


def _written(found: tuple[Path, Mapping[str, Any]]) -> datetime:
    """When a confirmation was written; one that does not say it is older than all."""
    return moment(found[1]["confirmation"].get("written_at")) or datetime.min.replace(tzinfo=UTC)


VERDICTS = ("confirmed", "rejected", "inconclusive")
FIXED = "fixed before the first pair"
STANDINGS = {
    "better": ("better", "better"),
    "no_worse": ("no worse", ""),
    "worse": ("worse", "worse"),
    "cannot_tell": ("cannot be told yet", "worse"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One metric under one workload, as text; sense: better, worse or empty."""

    workload: str
    metric: str
    gain: str
    interval: str
    standing: str
    sense: str


@dataclass(frozen=True, slots=True)
class Told:
    """A confirmation for a report.

    verdict: confirmed, rejected or inconclusive; notes: what speaks against it or was not checked, a sentence each
    is_replay: judged by a recording's launches; measured: when its own launches were, and on how many devices
    """

    file: str
    verdict: str
    summary: str
    says: str
    notes: tuple[str, ...]
    lines: tuple[Line, ...]
    is_replay: bool
    measured: str

    @property
    def standing(self) -> str:
        """How sure the answer is, in a few words."""
        return f"{self.summary}{', from a recording: not valid for this machine' if self.is_replay else ''}"


def _measured(c: Mapping[str, Any]) -> str:
    """E.g. 2026-11-25 to 2026-11-27, 2 devices."""
    days = [str(c[key])[:10] for key in ("first_pair_at", "last_pair_at") if c.get(key)]
    when, devices = " to ".join(dict.fromkeys(days)), len(c["cards"])
    return one_line(f"{when}, {devices} device{'s' * (devices != 1)}")


def told(data: Mapping[str, Any], file: str) -> Told:
    """The confirmation of a sealed promotion.

    raises: KeyError, TypeError, ValueError, AttributeError, OverflowError where it is none as this version writes it
    """
    c = data["confirmation"]
    pairs, more, verdict = int(c["pairs"]), c["pairs_more"] and int(c["pairs_more"]), c["verdict"]
    if verdict not in VERDICTS or pairs < 0:
        raise ValueError(f"its verdict is {verdict!r} after {pairs} pairs")
    summary = (
        f"{verdict} by {pairs} pairs of fresh launches"
        if verdict == "confirmed"
        else f"{verdict} after {pairs} pairs"
    )
    if verdict == "inconclusive":
        summary += (
            f", about {more} more would tell"
            if more
            else ", and by its figures no number of pairs would tell"
        )
    lines = tuple(
        _line(workload, metric, f)
        for workload, metrics in c["figures"].items()
        for metric, f in metrics.items()
    )
    return Told(
        file,
        verdict,
        summary,
        one_line(c["says"]),
        tuple(one_line(n) for n in _notes(c, is_replay=bool(data["measured_elsewhere"]))),
        tuple(x for x in lines if x),
        bool(data["measured_elsewhere"]),
        _measured(c),
    )


def _line(workload: str, metric: str, f: Mapping[str, Any]) -> Line | None:
    if f["standing"] not in STANDINGS or f.get("gain_pct") is None:
        return None
    standing, sense = STANDINGS[f["standing"]]
    low, high = f["low_pct"], f["high_pct"]
    if not all(math.isfinite(x) for x in (f["mean_log_ratio"], low or 0.0, high or 0.0)):
        raise ValueError(f"{metric} has a figure that is none")
    interval = "one pair" if low is None else f"{signed(low)} to {signed(high)}"
    gain = signed(gain_pct(metric, f["mean_log_ratio"]))
    return Line(one_line(workload), one_line(metric), gain, interval, standing, sense)


def _notes(c: Mapping[str, Any], *, is_replay: bool) -> list[str]:
    """What kept it from being confirmed, what was not measured, and how it was done."""
    said = [
        f"{'Open' if c['verdict'] == 'inconclusive' else 'Against it'}: {reason}."
        for reason in c["reasons"]
    ]
    missing = [
        f"{m} ({w})"
        for w, ms in c["figures"].items()
        for m, f in ms.items()
        if f["standing"] == "not_measured"
    ]
    if missing:
        said.append(f"Not measured, so not judged: {', '.join(missing)}.")
    if c["workloads"] == ["main"]:
        said.append("It was not repeated on another workload.")
    stress = c["stress"]
    if stress is None:
        said.append(
            "The winner was not stressed, and speech was not restarted beside the LLM server."
        )
    elif stress["least_free_memory_mib"] is not None:
        said.append(
            f"Stress: {stress['llm_requests_at_once']} prompts of {stress['prompt_tokens']:,} tokens and "
            f"{stress['clips_at_once']} clips at once left {stress['least_free_memory_mib']:,.0f} MiB free."
        )
    aa = c["aa"]["pairs"]
    said.append(
        f"The claim, {c['claim']}, was {'chosen when the launches were known' if is_replay else FIXED}, "
        "and by how much everything else may be worse: "
        f"{Margins(c['margin_pct'], c.get('margins_pct', {}))}. Order: {c['order']}; "
        f"{aa or 'no'} pairs of today's allocation against itself; "
        f"{len(c['left_out'])} left out as disturbed; begun anew {c['begun_anew']} times."
    )
    return said
