"""The watch looks at production again and again, and reports each event once, as a line of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

from objectives import waiting
from objectives.errors import StudyError
from study.deploy.config.deployment import Deployment
from study.deploy.recover import recover
from study.deploy.state import pending
from study.deploy.state.process_id import boot_id
from study.deploy.watch.drift import drift
from study.deploy.watch.event import Event, Memory
from study.deploy.watch.promotions import promotions


def watch(deployment: Deployment, *, once: bool = False) -> None:
    """Look now and every `watch.every_s`; each line on standard output is one JSON object.

    Raises:
        SetupError: The device cannot be opened; other errors are lines, and the watch goes on.
    """
    memory = Memory()
    print_event(
        "started",
        deployment=str(deployment.path),
        auto=deployment.watch.auto,
        hold_days=deployment.watch.hold_days,
    )
    while True:
        try:
            for event, more in new_events(deployment, memory):
                print_event(event, **more)
        except StudyError as error:
            print_event("error", exit_code=error.exit_code, why=str(error))
        if once:
            return
        waiting.sleep(deployment.watch.every_s)


def print_event(event: str, **more: object) -> None:
    """Print one structured log line."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    print(json.dumps({"at": at, "event": event, **more}), file=sys.stdout, flush=True)


def new_events(deployment: Deployment, memory: Memory) -> Iterator[Event]:
    """Look once, and yield every event that was not reported before."""
    change = pending.read(deployment.folder)
    if change is not None and change.is_alive:
        return
    if change is not None and not (change.held and change.boot == boot_id()):
        if os.geteuid() != 0 and deployment.env_file is None:
            way_out = "sudo python scripts/promote.py rollback"
            yield "unfinished", {"kind": change.kind, "step": change.step, "then": way_out}
            return
        with pending.locked(deployment.folder):
            recover(deployment, lambda text: print_event("recovering", what=text))
    news = promotions(deployment, lambda text: print_event("step", what=text))
    for event, more in chain(drift(deployment, memory), news):
        key = json.dumps([event, more], sort_keys=True, default=str)
        if key not in memory.events:
            memory.events.add(key)
            yield event, more
