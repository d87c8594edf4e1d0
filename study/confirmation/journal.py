"""This module keeps a confirmation's journal: one file, written whole after every step.

So a run that is cut goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from objectives.capacity.ramp_range import RampRange
from objectives.errors import BadInput
from objectives.measurement import Measurement
from objectives.plain_data.atomic import write_atomic
from objectives.plain_data.by_type import ODD_DATA, from_plain
from objectives.plain_data.infinity import plain
from study.confirmation.journal_checks import check_types, differences, each_once, oddities
from study.confirmation.records import (
    JOURNAL_FORMAT,
    FailedLaunch,
    Head,
    Pair,
    PairLaunch,
    PairsJournal,
    RoleHold,
    Stress,
    TodayLaunch,
)
from study.rule.pairs import ROLES
from study.text import one_line

JOURNAL_FILE = "pairs.jsonl"
HOLD = "hold"  # the stage of such a line
ODD = (OSError, *ODD_DATA)
OWN = "move it away, or begin anew with --fresh"
TAKEN = "leave it out, or take one of this confirmation"


def write_journal(journal: PairsJournal, folder: Path) -> None:
    """Write the journal, whole or not at all: a line for what is fixed, one a pair, one a hold."""
    first = {
        "format": JOURNAL_FORMAT,
        "head": asdict(journal.head),
        "ramp_ranges": {k: r.to_json() for k, r in journal.ramp_ranges.items()},
        "stress": asdict(journal.stress) if journal.stress else None,
        "today": asdict(journal.today) if journal.today else None,
        "failure": asdict(journal.failure) if journal.failure else None,
        "left_out": journal.left_out,
        "earlier": journal.earlier,
    }
    holds = ({"stage": HOLD, **asdict(h)} for h in journal.holds)
    lines = [first, *(_pair(p) for p in journal.pairs), *holds]
    write_atomic(folder / JOURNAL_FILE, "".join(json.dumps(plain(line)) + "\n" for line in lines))


def _pair(pair: Pair) -> dict[str, Any]:
    launches = [
        {"role": x.role, "measured": {k: m.to_json() for k, m in x.measured.items()}}
        for x in pair.launches
    ]
    keys = ("stage", "number", "at", "wall_s", "card", "driver", "seed", "code")
    rest = {k: getattr(pair, k) for k in keys}
    return {**rest, "launches": launches}


def read_journal(path: Path, way_out: str = OWN) -> PairsJournal:
    """Read a journal, also one of 0.1.

    Args:
        path: The file.
        way_out: What to do where it cannot be read.

    Raises:
        BadInput: It cannot be read.
    """
    number = 0
    try:
        lines = path.read_text("utf-8").splitlines()
        if not any(line.strip() for line in lines):
            raise ValueError("it is empty")
        number = 1
        journal = _without_pairs(json.loads(lines[0]))
        pairs, holds = [], []
        for text in lines[1:]:
            number += 1
            line = json.loads(text)
            if line["stage"] == HOLD:
                del line["stage"]
                holds.append(from_plain(RoleHold, line))
                check_types(RoleHold, holds[-1], "hold")
            else:
                pairs.append(_pair_of(line))
        head = journal.head
        if head.driver is None and pairs:  # an older one, whose pairs alone tell it
            head = replace(head, driver=pairs[0].driver)
        pairs.sort(key=lambda p: (p.stage, p.number))  # a look takes the first ones
        return replace(journal, head=head, pairs=tuple(pairs), holds=tuple(holds))
    except ODD as error:
        raise _unreadable(path, number, error, way_out) from error


def _unreadable(path: Path, number: int, error: Exception, way_out: str) -> BadInput:
    match error:
        case FileNotFoundError():
            why = "there is no such file"
        case OSError():
            why = str(error.strerror).lower()
        case KeyError():
            why = f"it has no {error.args[0]}"
        case json.JSONDecodeError() | UnicodeDecodeError() | RecursionError():
            why = "it is no JSON of a journal"
        case ValueError():
            why = str(error)
        case _:
            why = "its fields are not those of a journal"
    where = f"{path}:{number}" if number else str(path)
    return BadInput(one_line(f"{where}: cannot read these pairs ({why}); {way_out}"))


def _without_pairs(first: Mapping[str, Any]) -> PairsJournal:
    if (version := first["format"]) not in range(1, JOURNAL_FORMAT + 1):
        raise ValueError(f"it is of format {str(version)[:40]}")
    ranges = first.get("ramp_ranges", {})
    journal = PairsJournal(
        head=_head(first["head"]),
        ramp_ranges={k: RampRange.from_json(r) for k, r in ranges.items()},
        stress=from_plain(Stress | None, first["stress"]),
        today=from_plain(TodayLaunch | None, first.get("today")),
        failure=from_plain(FailedLaunch | None, first["failure"]),
        left_out=tuple(first["left_out"]),
        earlier=first["earlier"],
        format=version,
    )
    check_types(PairsJournal, journal, "journal")
    return journal


def _pair_of(line: dict[str, Any]) -> Pair:
    launches = [PairLaunch(x["role"], _measured(x["measured"])) for x in line.pop("launches")]
    if len(launches) != len(ROLES):
        raise ValueError(f"a pair has two launches, not {len(launches)}")
    pair = Pair(**line, launches=(launches[0], launches[1]))
    check_types(Pair, pair, "pair")
    return pair


def _head(data: Mapping[str, Any]) -> Head:
    """Return the head; the margins of 0.1 are left out."""
    names = {f.name for f in fields(Head)}
    return Head(**{name: value for name, value in data.items() if name in names})


def _measured(data: Mapping[str, Any]) -> dict[str, Measurement]:
    return {name: Measurement.from_json(m) for name, m in data.items()}


def open_journal(folder: Path, head: Head, *, fresh: bool, before: int = 0) -> PairsJournal:
    """Return the journal to go on with: the one of the folder, or a new one.

    Args:
        folder: Where the journal lies.
        head: What is fixed for this confirmation.
        fresh: Move the journal of the folder aside; the new one counts it.
        before: Confirmations that the promotion records, whose pairs may lie elsewhere.

    Raises:
        BadInput: The journal of the folder was begun for something else, or is missing.
    """
    path = folder / JOURNAL_FILE
    folder.mkdir(parents=True, exist_ok=True)
    aside = sorted(folder.glob("pairs-*.jsonl"))
    if path.exists() and fresh:
        path.rename(folder / f"pairs-{len(aside) + 1}.jsonl")
        aside.append(path)
    if not path.exists():
        if before > len(aside) and not fresh:
            raise BadInput(
                f"{path} is not here, with the pairs that this promotion tells of; bring its "
                "folder along, name it with --out, or begin anew with --fresh, which the "
                "confirmation will tell"
            )
        return PairsJournal(head=head, earlier=max(len(aside), before))
    return continued(path, head)


def continued(path: Path, head: Head, *, is_taken: bool = False) -> PairsJournal:
    """Return the journal of a file, to go on with or to be judged.

    Args:
        path: The file.
        head: What is fixed for this confirmation.
        is_taken: Whether it was named by --take, beside which there is no --fresh.

    Raises:
        BadInput: It cannot be read, or was begun for something else.
    """
    journal = read_journal(path, TAKEN if is_taken else OWN)
    if journal.format != JOURNAL_FORMAT:
        anew = TAKEN if is_taken else "begin anew with --fresh, which puts them aside"
        raise BadInput(f"{path} holds pairs of 0.1, which were to be judged by margins; {anew}")
    differing = list(differences(journal.head, head))
    if any(p.seed is None for p in journal.pairs):
        differing.append("the study's arrivals in all pairs, not those of each")
    if differing:
        anew = "Go on as it was begun, or begin anew with --fresh, which the confirmation will tell"
        raise BadInput(
            f"{path} was begun with {'; '.join(differing)}: that is fixed before the first launch. "
            f"{TAKEN.capitalize() if is_taken else anew}"
        )
    if (odd := next(oddities(journal), None)) is not None:
        raise BadInput(one_line(f"{path}: {odd}; {TAKEN if is_taken else OWN}"))
    each_once({str(path): journal})  # refuses a pair that stands there twice
    return journal
