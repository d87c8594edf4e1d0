"""A page is read whole, or given up: a server may send one that never ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fake_servers.odd_servers import ANSWERS, Sent, always, listening, whole

from objectives.apis import short_requests
from objectives.apis.short_requests import page


@contextmanager
def served(sent: Sent) -> Iterator[str]:
    with listening({"page": always(sent)}) as urls:
        yield f"{urls['page']}/metrics"


def test_a_page_is_its_text_whatever_its_bytes() -> None:
    with served((whole(b"a \xff 1\n"), b"")) as url:
        assert page(url) == "a \N{REPLACEMENT CHARACTER} 1\n"


def test_a_page_that_never_ends_is_given_up_in_time() -> None:
    begin_s = time.monotonic()
    with served(ANSWERS["drips a body"]) as url:
        assert page(url, within_s=0.5) is None
    assert time.monotonic() - begin_s < 5


def test_a_page_without_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_requests, "MOST_BYTES", 2**20)
    with served(ANSWERS["a body without end"]) as url:
        assert page(url, within_s=60.0) is None
