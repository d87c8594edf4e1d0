"""A lane's lock keeps a card from being measured on by the lane of a killed driver, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from objectives import waiting
from objectives.errors import InUse
from objectives.plain_data.card_sets import cards_of
from study.bench.device_lock import sole_use

EARLIER_S = 60.0  # until the lane of a driver that was killed has ended


@contextmanager
def lane_lock(card: str) -> Iterator[None]:
    """Hold the lane of a card, or of each of a set; that of a killed driver is waited for.

    Raises:
        InUse: It does not end.
        KeyboardInterrupt: As `objectives.waiting`.
    """
    until_s = time.monotonic() + EARLIER_S
    with ExitStack() as stack:
        for uuid in sorted(cards_of(card)):
            while True:
                try:
                    stack.enter_context(sole_use(f"lane-{uuid}"))
                    break
                except InUse:
                    if time.monotonic() > until_s:
                        raise
                waiting.sleep(waiting.LOOK_S)
        yield
