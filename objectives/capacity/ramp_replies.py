"""The replies of ramps are kept in a file of JSON lines, and read back with every line checked."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from objectives.capacity.limits import DEFAULT_LIMITS, Limit
from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic

# that a turn goes through, in their order
SERVICES = tuple(dict.fromkeys(Limit.of(*x).service for x in DEFAULT_LIMITS.items()))
HUNG_UP = "hung_up"  # the error of a request for whose answer nobody waited
GZIP = b"\x1f\x8b"
FAR = 2**53  # no time and no number of a reply is beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class RampReply:
    """A reply of a ramp is one request and what became of it, as a file has it.

    Times are in seconds from the start of the ramp, and None where their event never came.

    Args:
        line: The line of the file.
        service: One of `SERVICES`, or another one that turns pass.
        ramp: The number of the ramp in the file.
        seed: The seed of its arrivals.
        turn: The number of the turn; None in files that have none.
        scheduled_s: When the request should have left.
        sent_s: When it left; None in files that do not say so.
        first_s: When its first content came.
        end_s: When its answer was complete.
        tokens: The number of output tokens.
        error: Why it failed, in words; `HUNG_UP` where nobody waited for its answer; None where
            it did not.
    """

    line: int
    service: str
    scheduled_s: float
    ramp: int = 0
    seed: int | None = None
    turn: int | None = None
    sent_s: float | None = None
    first_s: float | None = None
    end_s: float | None = None
    tokens: int | None = None
    error: str | None = None


def read(path: Path) -> tuple[RampReply, ...]:
    """Return the replies in a file, .jsonl or .jsonl.gz; blank lines are none.

    Raises:
        BadInput: The file cannot be read, a line is no reply or the second of its service in a
            turn, or there is none.
    """
    replies = read_lines(path)
    if not replies:
        raise BadInput(f"{path}:1: no reply is in this file; give the replies of a ramp")
    numbered = {(r.ramp, r.seed) for r in replies if r.turn is not None}
    for reply in replies:
        if reply.turn is None and (reply.ramp, reply.seed) in numbered:
            raise BadInput(
                f"{path}:{reply.line}: this reply has no turn, and others of its ramp have one; "
                "give all of a ramp their turn, or none"
            )
    _check_once(path, replies)
    return tuple(replies)


def read_lines(path: Path) -> list[RampReply]:
    """Return the replies in a file, each by itself, whether of a ramp or of a window.

    Args:
        path: The file, .jsonl or .jsonl.gz; blank lines are none.

    Raises:
        BadInput: The file cannot be read, or a line is no reply.
    """
    replies = []
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                replies.append(reply_of(number, json.loads(line)))
            except (TypeError, ValueError, RecursionError) as error:
                raise BadInput(
                    f"{path}:{number}: this is no reply ({error}); each line is a JSON object "
                    "with service, scheduled_s, first_s, end_s, tokens and error"
                ) from error
    return replies


def _check_once(path: Path, replies: Iterable[RampReply]) -> None:
    """Refuse the second reply of a service in one turn."""
    lines: dict[tuple[object, ...], int] = {}
    for r in replies:
        first = lines.setdefault((r.ramp, r.seed, r.turn, r.service), r.line)
        if r.turn is not None and first != r.line:
            raise BadInput(
                f"{path}:{r.line}: turn {r.turn} has a request of {r.service} in line {first} too; "
                "give each turn of a ramp a number of its own"
            )


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
        if data.startswith(GZIP):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig").split("\n")
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"{path}: cannot read it ({why}); give a .jsonl or .jsonl.gz") from error
    except (EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path}: cannot read it ({error}); give a whole .jsonl or .jsonl.gz in UTF-8"
        ) from error


def reply_of(line: int, data: Any) -> RampReply:
    """Return what a line holds, with its number.

    Args:
        line: The number.
        data: The plain data of the line.

    Raises:
        TypeError, ValueError: It is no reply.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{str(data)[:40]!r} is no JSON object")
    service, error = data.get("service"), data.get("error")
    if not isinstance(service, str) or not service:
        raise TypeError(f"its service is {str(service)[:40]!r}, no name")
    if not isinstance(error, str | None):
        raise TypeError(f"its error is {str(error)[:40]!r}, neither a text nor null")
    scheduled_s = _number(data, "scheduled_s")
    if scheduled_s is None:
        raise ValueError("it has no scheduled_s")
    first_s, end_s = _number(data, "first_s"), _number(data, "end_s")
    times_s = [t for t in (scheduled_s, first_s, end_s) if t is not None]
    if times_s != sorted(times_s):
        raise ValueError("scheduled_s, first_s and end_s are not in this order")
    return RampReply(
        line=line,
        service=service,
        ramp=_count(data, "ramp") or 0,
        seed=_count(data, "seed"),
        turn=_count(data, "turn"),
        scheduled_s=scheduled_s,
        sent_s=_number(data, "sent_s"),
        first_s=first_s,
        end_s=end_s,
        tokens=_count(data, "tokens"),
        error=error,
    )


def _number(data: Mapping[str, Any], name: str) -> float | None:
    """Return a number of at least 0, None where it is null or missing."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < FAR:
        raise ValueError(f"its {name} is {str(value)[:40]!r}, no number from 0")
    return float(value)


def _count(data: Mapping[str, Any], name: str) -> int | None:
    value = _number(data, name)
    if value is not None and value != int(value):
        raise ValueError(f"its {name} is {value:g}, no whole number")
    return None if value is None else int(value)


def write(path: Path, replies: Iterable[RampReply]) -> None:
    """Write replies to a file of JSON lines that `read` takes, whole or not at all."""
    lines = ({k: v for k, v in asdict(r).items() if k != "line"} for r in replies)
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in lines))
