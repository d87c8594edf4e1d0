"""This module keeps a confirmation's journal: one file, written whole after every step.

So a run that is cut goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from objectives.capacity.ramp_range import RampRange
from objectives.errors import BadInput
from objectives.measurement import Measurement
from objectives.plain_data.atomic import write_atomic
from objectives.plain_data.by_type import from_plain
from objectives.plain_data.infinity import plain
from study.confirmation.records import (
    JOURNAL_FORMAT,
    FailedLaunch,
    Head,
    Pair,
    PairLaunch,
    PairsJournal,
    RoleHold,
    Stress,
)

JOURNAL_FILE = "pairs.jsonl"
HOLD = "hold"  # the stage of such a line


def write_journal(journal: PairsJournal, folder: Path) -> None:
    """Write the journal, whole or not at all: a line for what is fixed, one a pair, one a hold."""
    first = {
        "format": JOURNAL_FORMAT,
        "head": asdict(journal.head),
        "ramp_ranges": {k: r.to_json() for k, r in journal.ramp_ranges.items()},
        "stress": asdict(journal.stress) if journal.stress else None,
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
    keys = ("stage", "number", "at", "wall_s", "card", "driver", "seed")
    rest = {k: getattr(pair, k) for k in keys}
    return {**rest, "launches": launches}


def read_journal(path: Path) -> PairsJournal:
    """Read a journal, also one of 0.1.

    Raises:
        BadInput: It cannot be read.
    """
    number = 1
    try:
        lines = path.read_text("utf-8").splitlines()
        first = json.loads(lines[0])
        if (version := first["format"]) not in range(1, JOURNAL_FORMAT + 1):
            raise ValueError(f"of format {version!r}")  # noqa: TRY301  one message for all
        pairs, holds = [], []
        for text in lines[1:]:
            number += 1
            line = json.loads(text)
            if line["stage"] == HOLD:
                del line["stage"]
                holds.append(from_plain(RoleHold, line))
                continue
            launches = [
                PairLaunch(x["role"], _measured(x["measured"])) for x in line.pop("launches")
            ]
            pairs.append(Pair(**line, launches=(launches[0], launches[1])))
        return PairsJournal(
            head=_head(first["head"]),
            ramp_ranges={
                k: RampRange.from_json(r) for k, r in first.get("ramp_ranges", {}).items()
            },
            pairs=tuple(pairs),
            holds=tuple(holds),
            stress=from_plain(Stress | None, first["stress"]),
            failure=from_plain(FailedLaunch | None, first["failure"]),
            left_out=tuple(first["left_out"]),
            earlier=first["earlier"],
            format=version,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        way_out = "move it away, or begin anew with --fresh"
        raise BadInput(
            f"{path}:{number}: cannot read these pairs ({error!r}); {way_out}"
        ) from error


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
        BadInput: The journal of the folder was begun for something else.
    """
    path = folder / JOURNAL_FILE
    folder.mkdir(parents=True, exist_ok=True)
    aside = sorted(folder.glob("pairs-*.jsonl"))
    if path.exists() and fresh:
        path.rename(folder / f"pairs-{len(aside) + 1}.jsonl")
        aside.append(path)
    if not path.exists():
        return PairsJournal(head=head, earlier=max(len(aside), before))
    return continued(path, head)


def continued(path: Path, head: Head) -> PairsJournal:
    """Return the journal of a file, to go on with or to be judged.

    Raises:
        BadInput: It cannot be read, or was begun for something else.
    """
    journal = read_journal(path)
    if journal.format != JOURNAL_FORMAT:
        raise BadInput(
            f"{path} holds pairs of 0.1, which were to be judged by margins; begin anew with "
            "--fresh, which puts them aside"
        )
    differing = list(_differing(journal.head, head))
    if any(p.seed is None for p in journal.pairs):
        differing.append("the study's arrivals in all pairs, not those of each")
    if differing:
        raise BadInput(
            f"{path} was begun with {'; '.join(differing)}: that is fixed before the first launch. "
            "Go on as it was begun, or begin anew with --fresh, which the confirmation will tell"
        )
    return journal


def _differing(then: Head, now: Head) -> Iterable[str]:
    if then.promotion != now.promotion:
        yield "another promotion"
    if then.claim != now.claim:
        yield f"claim {then.claim}, not {now.claim}"
    if dict(then.limits) != dict(now.limits):
        yield f"limits {_text(then.limits)}, not {_text(now.limits)}"
    if then.aa_pairs not in (None, now.aa_pairs):
        yield f"--aa-pairs {then.aa_pairs}, not {now.aa_pairs}"
    if dict(then.workloads) != dict(now.workloads):
        same = [*then.workloads] == [*now.workloads]
        yield (
            "other traffic (--ramp, or the spec)"
            if same
            else f"held-out workloads {', '.join([*then.workloads][1:])}"
        )
    yield from (
        f"another {k}" for k in now.servers if then.servers.get(k, now.servers[k]) != now.servers[k]
    )
    if then.product != now.product or abs(then.total_mib / now.total_mib - 1) > 0.02:
        yield f"{then.product} with {then.total_mib:,} MiB"


def _text(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ms:g}" for name, ms in sorted(limits.items()))
