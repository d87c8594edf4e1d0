"""These checks refuse a journal of something else, or with what no confirmation writes; pure."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Literal, get_args, get_origin, get_type_hints

from objectives.errors import BadInput
from objectives.measurement import Measurement
from study.confirmation.records import Head, Pair, PairsJournal, RoleHold, Stress, TodayLaunch
from study.rule.pairs import ROLES
from study.rule.rule import LOOKS
from study.text import one_line


def check_types(kind: Any, value: Any, name: str) -> None:
    """Check a value, and all that is in it, against the type that the records declare.

    A measurement has checked its own figures.

    Args:
        kind: The type.
        value: What was read.
        name: What to call it.

    Raises:
        ValueError: It is of another type, or a number that is not finite.
    """
    is_union = get_origin(kind) in (typing.Union, types.UnionType)
    if not any(_is_of(k, value, name) for k in (get_args(kind) if is_union else (kind,))):
        raise ValueError(one_line(f"{name} cannot be {str(value)[:40]!r}"))


def _is_of(kind: Any, value: Any, name: str) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    inner: list[tuple[Any, Any, str]] = []
    if kind in (int, float):
        is_number = isinstance(value, int | kind) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    if origin is Literal:
        return value in arguments
    is_right = isinstance(value, origin or kind)
    if is_right and origin is Mapping:
        inner = [(arguments[1], v, f"{name}.{k}") for k, v in value.items()]
    elif is_right and origin is tuple:
        inner = [(arguments[0], v, name) for v in value]
    elif is_right and is_dataclass(kind) and kind is not Measurement:
        hints = get_type_hints(kind)
        inner = [(hints[f.name], getattr(value, f.name), f"{name}.{f.name}") for f in fields(kind)]
    for each in inner:
        check_types(*each)
    return is_right


def oddities(journal: PairsJournal) -> Iterator[str]:
    """Return what no confirmation of this head has measured, in words for people."""
    if journal.earlier < 0:
        yield f"{journal.earlier} confirmations cannot have been begun before"
    for pair in journal.pairs:
        name = f"{pair.stage.upper()} pair {pair.number}"
        if pair.number < 1:
            yield f"{name}: they are numbered from 1"
        if pair.stage == "ab" and pair.number > LOOKS[-1]:
            yield f"{name}: no look has more than {LOOKS[-1]}"
        if sorted(x.role for x in pair.launches) != sorted(ROLES):
            yield f"{name} is not one launch of each role"
        for launch in pair.launches:
            if set(launch.measured) != set(journal.head.workloads):
                under = ", ".join(sorted(launch.measured)) or "nothing"
                yield f"{name} was measured under {under}, not {', '.join(journal.head.workloads)}"
    own = tuple(x for x in (journal.stress, journal.today) if x is not None)
    every: tuple[Pair | RoleHold | Stress | TodayLaunch, ...] = (
        *journal.pairs,
        *journal.holds,
        *own,
    )
    for timed in every:
        if timed.wall_s < 0:
            yield f"what began at {timed.at[:40]} cannot have taken {timed.wall_s:g} s"
        if not _is_time(timed.at):
            yield f"{timed.at[:40]!r} is no time of ISO 8601"


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def each_once(journals: Mapping[str, PairsJournal]) -> tuple[Pair, ...]:
    """Return the pairs of several journals by stage and number; what two of them hold is one.

    Args:
        journals: By the name of the file.

    Raises:
        BadInput: Two pairs have one number, and so the same arrivals; or one has two numbers.
    """
    pairs: dict[tuple[str, int], tuple[str, Pair]] = {}
    for name, journal in journals.items():
        for pair in journal.pairs:
            other, held = pairs.setdefault((pair.stage, pair.number), (name, pair))
            if held != pair:
                both = f"{other} and {name} both have a" if other != name else f"{name} has another"
                raise BadInput(
                    f"{both} {pair.stage.upper()} pair {pair.number}, with "
                    "the same arrivals; give each card a part of its own: --part 1/2, --part 2/2"
                )
    _refuse_copies(pairs.values())
    return tuple(pair for _, (_, pair) in sorted(pairs.items()))


def _refuse_copies(pairs: Iterable[tuple[str, Pair]]) -> None:
    """Refuse arrivals, or a moment of a card, that two pairs share: each is of one pair alone."""
    seen: dict[tuple[Any, ...], tuple[str, Pair]] = {}
    for name, pair in pairs:
        began = (pair.stage, pair.at, pair.card)
        for key in (began, (pair.seed,)) if pair.seed is not None else (began,):
            other, first = seen.setdefault(key, (name, pair))
            if first is not pair:
                what = "began at the same time on one card" if key == began else "share a seed"
                raise BadInput(
                    f"{first.stage.upper()} pair {first.number} of {other} and "
                    f"{pair.stage.upper()} pair {pair.number} of {name} {what}, "
                    "so that one is a copy; take what the cards wrote"
                )


def differences(then: Head, now: Head) -> Iterator[str]:
    """Return in what a journal was begun otherwise than a confirmation is asked for now."""
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
    for key, command in now.servers.items():
        if key in then.servers and _placeless(then.servers[key]) != _placeless(command):
            yield f"another {key}"
    if then.product != now.product or abs(then.total_mib / now.total_mib - 1) > 0.02:
        yield f"{then.product} with {then.total_mib:,} MiB"
    if None not in (then.driver, now.driver) and then.driver != now.driver:
        yield f"driver {then.driver}, not {now.driver}"


def _placeless(command: str) -> str:
    """Return a command without where this project lies, which says nothing of its server.

    >>> _placeless("python3 /srv/study/objectives/transcriber.py --model base")
    'python3 objectives/transcriber.py --model base'
    """
    return re.sub(r"\S*/(?=objectives/transcriber\.py)", "", command)


def _text(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ms:g}" for name, ms in sorted(limits.items()))
