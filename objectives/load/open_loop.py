"""This module sends requests open loop to all servers at once, and collects the answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from objectives.load.generator import Generator, Sending
from objectives.load.kv_usage import KvUsage
from objectives.load.open_turn import OpenTurn
from objectives.load.replies import Reply, Symptom
from objectives.load.sending.plan import Endpoints, Plan
from objectives.plain_data.atomic import write_atomic
from objectives.traffic.clips import Clip
from objectives.traffic.trace import in_turns
from objectives.traffic.workload import Request

ENGINE_POLL_S = 0.25
DRAIN_S = 30.0  # for what is open when a window is given up; then we hang up
# The version of the generator counts up when requests leave in another way: what another version
# measured is not comparable. It is still 2 since they leave from a process of their own: the same
# requests at the same times, of which fewer are late than any figure could tell.
GENERATOR_VERSION = 2


@dataclass(slots=True)
class Window:
    """A window holds what came back, and what the engine reported meanwhile.

    Args:
        replies: The answers, in the order of their ends.
        kv_peak_pct: The highest usage of the KV cache, percent by service that reports it.
        preemptions: The number of preempted requests by service that reports it.
        aborted: Why the window ended early; None where it did not.
        is_given_up: Whether it ended early since the rest was not worth its time.
        is_drained: Whether every request that left was answered.
        started_s: Its start on the monotonic clock, seconds.
        cpu_s: The CPU time of the generator's process while requests were under way, seconds.
    """

    replies: list[Reply] = field(default_factory=list)
    kv_peak_pct: dict[str, float] = field(default_factory=dict)
    preemptions: dict[str, int] = field(default_factory=dict)
    aborted: Symptom | None = None
    is_given_up: bool = False
    is_drained: bool = True
    started_s: float = 0.0
    cpu_s: float = 0.0

    def write(self, folder: Path) -> None:
        """Write every request with its times to `replies.jsonl`, whole or not at all."""
        lines = (json.dumps(r.to_json()) + "\n" for r in self.replies)
        write_atomic(folder / "replies.jsonl", "".join(lines))


@dataclass(frozen=True, slots=True)
class WindowProgress:
    """Progress is a window at the end of one of its segments.

    Args:
        replies: One for each request of the window: what has no answer yet is answered now, what
            has not left yet at once.
        start_s: The start of the window on the monotonic clock, seconds.
        ends_s: When each of its segments ends but the last, seconds from there.
        ended: How many of them are over.
    """

    replies: Sequence[Reply]
    start_s: float
    ends_s: Sequence[float]
    ended: int


def drive(
    generator: Generator,
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    *,
    timeout_s: float,
    broken: Callable[[], Symptom | None],
    ends_s: Sequence[float] = (),
    is_worth: Callable[[WindowProgress], bool] = lambda _: True,
) -> Window:
    """Replay scheduled requests open loop, all services at once, until the last has answered.

    The first request of a turn leaves at its time, each other one once the one before has been
    answered.

    Args:
        generator: What sends them.
        endpoints: Where the servers listen.
        clips: The speech that requests name by number.
        requests: The requests, each with its time.
        timeout_s: The time that an answer may take, seconds.
        broken: It is called a few times a second and returns why the window must end: a server
            or a tenant has died.
        ends_s: When segments of the window end before it does, seconds from its start.
        is_worth: It is called at each of these, and returns whether the rest is worth its time; if
            not, what has left is waited for and nothing more is sent.

    Raises:
        SetupError: The generator's process ended by itself.
    """
    turns = sorted(in_turns(requests), key=lambda turn: turn[0].at_s)
    with KvUsage(endpoints) as usage:
        before = {service: preemptions for service, (_, preemptions) in usage.now().items()}
        with generator.sending(Plan(endpoints, turns, timeout_s), clips) as sending:
            running = _Running(sending, [OpenTurn(t, sending.start_s + t[0].at_s) for t in turns])
            running.latest = dict(before)
            window = running.window
            running.follow(usage, broken, ends_s, is_worth)
            if window.is_given_up:
                running.drain(broken)
            for number, reply in sending.hang_up():
                running.note(number, reply)
    window.cpu_s = sending.cpu_s
    for service, count in before.items():
        latest = running.latest[service]
        if count is not None and latest is not None and latest >= count:  # else it began anew
            window.preemptions[service] = latest - count
    return window


@dataclass(slots=True)
class _Running:
    """A running window sends its requests, and takes what comes back.

    Args:
        latest: The preemptions so far by service that may tell them.
    """

    sending: Sending
    turns: Sequence[OpenTurn]
    window: Window = field(default_factory=Window)
    latest: dict[str, int | None] = field(default_factory=dict)

    def follow(
        self,
        usage: KvUsage,
        broken: Callable[[], Symptom | None],
        ends_s: Sequence[float],
        is_worth: Callable[[WindowProgress], bool],
    ) -> None:
        """Take what comes back until the window is over, aborted or given up."""
        window, sending, checked = self.window, self.sending, 0
        window.started_s = start_s = sending.start_s
        while not sending.is_done and window.aborted is None and not window.is_given_up:
            self.wait()
            window.aborted = window.aborted or broken()
            for service, (usage_pct, preemptions) in usage.now().items():
                if preemptions is not None:
                    self.latest[service] = preemptions
                if usage_pct is not None:
                    peak_pct = window.kv_peak_pct.get(service, 0.0)
                    window.kv_peak_pct[service] = max(peak_pct, usage_pct)  # no NaN
            now_s = time.monotonic()
            ended = sum(start_s + end_s <= now_s for end_s in ends_s)
            if ended > checked and not sending.is_done:
                checked = ended
                best = [r for turn in self.turns if not turn.is_over for r in turn.at_best(now_s)]
                progress = WindowProgress([*window.replies, *best], start_s, ends_s, ended)
                window.is_given_up = not is_worth(progress)

    def drain(self, broken: Callable[[], Symptom | None]) -> None:
        """Wait for the answers to what has left, so that the next launch finds idle servers.

        An overloaded server may not be idle in time.
        """
        self.sending.no_more()
        window, deadline_s = self.window, time.monotonic() + DRAIN_S
        while not self.sending.is_done and window.aborted is None and time.monotonic() < deadline_s:
            self.wait()
            window.aborted = window.aborted or broken()
        window.is_drained = self.sending.is_done

    def wait(self) -> None:
        """Take the replies of a moment."""
        for number, reply in self.sending.replies(ENGINE_POLL_S):
            self.note(number, reply)

    def note(self, number: int, reply: Reply) -> None:
        """Keep a reply; a fatal one ends the window."""
        self.turns[number].note(reply)
        self.window.replies.append(reply)
        if reply.is_fatal:
            self.window.aborted = self.window.aborted or reply.symptom


def one_by_one(
    generator: Generator,
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    *,
    timeout_s: float,
) -> list[Reply]:
    """Send requests one after the other, each once the one before has ended; stop at a failure.

    Args:
        generator: What sends them.
        endpoints: Where the servers listen.
        clips: The speech that requests name by number.
        requests: The requests; their times do not count.
        timeout_s: The time that an answer may take, seconds.

    Raises:
        SetupError: The generator's process ended by itself.
    """
    if not requests:
        return []
    turn = [replace(request, at_s=0.0) for request in requests]
    replies: list[Reply] = []
    with generator.sending(Plan(endpoints, [turn], timeout_s), clips) as sending:
        while not sending.is_done:
            replies += (reply for _, reply in sending.replies(timeout_s))
    return replies
