"""This command prints how many turns a second the servers of a ramp can serve, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from objectives.capacity.limits import DEFAULT_LIMITS, Limit
from objectives.capacity.ramp_capacity import ENOUGH_TURNS, RampCapacity, ramp_capacity, together
from objectives.capacity.ramp_figures import rounded
from objectives.capacity.ramp_rate import Growth, RampRate
from objectives.capacity.ramp_replies import SERVICES, RampReply, read
from objectives.capacity.turns import turns_of
from objectives.errors import BadInput

SPEECH = SERVICES[0]
SLACK_S = 1.0  # a turn may be due so much after the end of its ramp


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BadInput.exit_code, f"error: {message}; {self.prog} --help explains them\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Read the replies of ramps, print their capacity, and return the exit status."""
    parser = _Parser(
        prog="python -m objectives.capacity",
        description="How many turns a second the servers of a ramp can serve, as JSON.",
    )
    parser.add_argument("file", type=Path, help="the replies, .jsonl or .jsonl.gz")
    parser.add_argument(
        "--rate",
        required=True,
        metavar="FROM:TO:SECONDS",
        help="turns a second at the start and at the end of the ramp, and its length",
    )
    parser.add_argument("--growth", choices=("linear", "geometric"), default="linear")
    parser.add_argument(
        "--limit",
        action="append",
        metavar="NAME=MS",
        help="stt_ms, ttft_ms, tpot_ms or e.g. llm_latency_p95_ms; left out: "
        + ", ".join(f"{name}={ms:g}" for name, ms in DEFAULT_LIMITS.items()),
    )
    parser.add_argument(
        "--pause", type=float, default=1.0, metavar="S", help="a user's pause between turns"
    )
    arguments = parser.parse_args(argv)
    try:
        rate = _rate(arguments.rate, arguments.growth)
        limits = _limits(arguments.limit or ())
        if not 0 <= arguments.pause < 1e6:
            raise BadInput("--pause is a number of seconds, 0 or more")  # noqa: TRY301
        ramps = _ramps(arguments.file, rate, limits)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    pause_s = arguments.pause
    fields = _fields(together(list(ramps.values())), pause_s)
    fields["ramps"] = [
        {"ramp": ramp, "seed": seed, **_fields(capacity, pause_s)}
        for (ramp, seed), capacity in ramps.items()
    ]
    print(json.dumps(fields))
    return 0


def _rate(text: str, growth: Growth) -> RampRate:
    try:
        first_per_s, last_per_s, ramp_s = map(float, text.split(":"))
    except ValueError:
        raise BadInput(f"--rate is {text!r}; write FROM:TO:SECONDS, e.g. 1:8:90") from None
    lowest = 1e-6 if growth == "geometric" else 0.0
    if not (lowest <= first_per_s <= last_per_s <= 1e6 and last_per_s > 0 and 0 < ramp_s <= 1e6):
        raise BadInput(
            f"--rate is {text!r}; a ramp rises from FROM to TO turns a second in more than 0 "
            "seconds, and a geometric one begins above 0"
        )
    return RampRate(first_per_s, last_per_s, ramp_s, growth)


def _limits(texts: Sequence[str]) -> tuple[Limit, ...]:
    limits = []
    for text in texts:
        name, _, value = text.partition("=")
        try:
            ms = float(value)
        except ValueError:
            raise BadInput(f"--limit {text}: write NAME=MS, e.g. ttft_ms=2000") from None
        try:
            limits.append(Limit.of(name, ms))
        except ValueError as error:
            raise BadInput(f"--limit {text}: {error}") from error
        if limits[-1].service == SPEECH and limits[-1].figure != "latency":
            raise BadInput(
                f"--limit {text}: speech recognition has no {limits[-1].figure}; "
                f"write {SPEECH}_latency_p95_ms"
            )
    if len({(x.service, x.figure) for x in limits}) < len(limits):
        raise BadInput("--limit: one figure has two limits; leave one out")
    return tuple(limits)


def _ramps(
    path: Path, rate: RampRate, limits: Sequence[Limit]
) -> dict[tuple[int, int | None], RampCapacity]:
    """Return the capacity that each ramp of a file shows, by its number and seed.

    Without limits, those of a voice assistant judge the services that are in the file.
    """
    by_ramp: dict[tuple[int, int | None], list[RampReply]] = defaultdict(list)
    replies = read(path)
    services = {r.service for r in replies}
    first = next((s for s in SERVICES if s in services), min(services))
    for reply in replies:
        by_ramp[reply.ramp, reply.seed].append(reply)
        if reply.service == first and reply.scheduled_s > rate.ramp_s + SLACK_S:
            raise BadInput(
                f"{path}:{reply.line}: this turn was due {reply.scheduled_s:g} s after the start "
                f"and --rate ends at {rate.ramp_s:g} s; give the rate of this ramp"
            )
    usual = (Limit.of(name, ms) for name, ms in DEFAULT_LIMITS.items())
    limits = limits or tuple(x for x in usual if x.service in services)
    for limit in limits:
        if limit.service not in services:
            raise BadInput(
                f"{path}: no request of {limit.service} is in this file; "
                f"leave the limit {limit.name} out"
            )
    return {
        key: ramp_capacity(turns_of(by_ramp[key], services, limits), rate)
        for key in sorted(by_ramp, key=lambda k: (k[0], k[1] if k[1] is not None else -1))
    }


def _fields(capacity: RampCapacity, pause_s: float) -> dict[str, Any]:
    """Return what is printed of a capacity; rates have four decimals."""
    return {
        "turns_per_s": rounded(capacity.turns_per_s),
        "completed_per_s": rounded(capacity.completed_per_s),
        "capacity_turns_per_s": rounded(capacity.capacity_turns_per_s),
        "concurrent_capacity": capacity.concurrent_capacity(pause_s),
        "bracket": [rounded(capacity.last_pass_per_s), rounded(capacity.first_fail_per_s)],
        "turns": capacity.turns,
        "turns_below": capacity.turns_below,
        "enough_turns": capacity.turns_below >= ENOUGH_TURNS,
        "bound_by": capacity.bound_by,
    }


if __name__ == "__main__":
    sys.exit(main())
