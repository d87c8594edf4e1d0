"""A front is asked about the server behind it: what it did meanwhile, and that it shall sleep."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives import waiting
from objectives.apis.api import parsed
from objectives.apis.short_requests import NoAnswer, request
from objectives.figures import flat_name
from objectives.on_demand import listener
from objectives.plain_data.by_type import ODD_DATA, from_plain

WITHIN_S = 20.0  # until a server that is asked to sleep does
WAKES_WITHIN_S = 1e7  # the front knows how long a start may take
LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class FrontState:
    """A state says how long the server behind a front ran, and what its starts took.

    Args:
        is_awake: Whether its server runs.
        awake_s: How long it ran so far, seconds.
        starts_s: What each of its starts took until it was ready, seconds.
    """

    is_awake: bool
    awake_s: float
    starts_s: tuple[float, ...]


def state(url: str) -> FrontState | None:
    """Return the state of what a front wakes; None where it does not answer."""
    return _state_from(url, listener.STATE)


def put_to_sleep(url: str) -> FrontState | None:
    """Let a server sleep once nobody waits for it; return its state, None without an answer."""
    until_s = time.monotonic() + WITHIN_S
    while (now := _state_from(url, listener.SLEEP)) is not None and now.is_awake:
        if time.monotonic() > until_s:
            break
        waiting.sleep(LOOK_S)
    return now


def keep_awake(url: str) -> FrontState | None:
    """Wake a server, which then stays awake until it is put to sleep; return its state.

    It is None where it does not wake.
    """
    return _state_from(url, listener.AWAKE, WAKES_WITHIN_S)


class SleepWatch:
    """A watch puts servers to sleep, and tells what they did since.

    Args:
        urls: Where the front of each service listens.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = urls
        self._before = {service: put_to_sleep(url) for service, url in urls.items()}
        self._since_s = time.monotonic()

    def figures(self) -> dict[str, Any]:
        """Return their figures by flat name; none of one whose front does not answer."""
        figures: dict[str, Any] = {}
        passed_s = time.monotonic() - self._since_s
        for service, url in self.urls.items():
            then, now = self._before[service], state(url)
            if then is None or now is None:
                continue
            starts_s = now.starts_s[len(then.starts_s) :]
            awake_pct = 100.0 * (now.awake_s - then.awake_s) / passed_s
            figures[flat_name(service, "cold_starts")] = len(starts_s)
            figures[flat_name(service, "cold_start_s")] = max(starts_s, default=None)
            figures[flat_name(service, "awake_pct")] = round(min(100.0, awake_pct), 1)
        return figures


def _state_from(url: str, line: bytes, within_s: float = WITHIN_S) -> FrontState | None:
    method, path = line.decode().split()
    try:
        answer = request(method, url + path, within_s=within_s)
        return from_plain(FrontState, parsed(answer.body)) if answer.status == 200 else None
    except (NoAnswer, *ODD_DATA):
        return None
