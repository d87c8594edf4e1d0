"""Short requests to servers, each of its own: whether one is ready, its figures, a probe.

The certificates are read once: httpx would at each of them, in 30 ms of a core.
"""

from __future__ import annotations

import ssl
import time
from functools import cache
from typing import Any

import httpx

MOST_BYTES = 16 * 2**20  # of a page


@cache
def certificates() -> ssl.SSLContext:
    """Return what `verify` takes."""
    return httpx.create_ssl_context(trust_env=False)


def request(method: str, url: str, *, timeout_s: float, **body: Any) -> httpx.Response:
    """Return the answer to a request; no proxy of the environment is asked.

    Args:
        method: Such as GET.
        url: Where it goes.
        timeout_s: How long each part of it may take, seconds.
        body: As httpx takes it: `json`, `data`, `files`.

    Raises:
        httpx.HTTPError: There was no answer.
    """
    return httpx.request(
        method, url, timeout=timeout_s, trust_env=False, verify=certificates(), **body
    )


def page(url: str | None, *, timeout_s: float = 5.0) -> str | None:
    """Return a page's text; None where it does not answer with 200, or there is none."""
    if url is None:
        return None
    with httpx.Client(timeout=timeout_s, trust_env=False, verify=certificates()) as client:
        return page_by(client, url, timeout_s=timeout_s)


def page_by(client: httpx.Client, url: str, *, timeout_s: float) -> str | None:
    """Return a page's text as `page` does, by a client; None also where it does not end in time."""
    until_s, parts, size = time.monotonic() + timeout_s, list[bytes](), 0
    try:
        with client.stream("GET", url) as answer:
            for part in answer.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES or time.monotonic() > until_s:
                    return None
    except httpx.HTTPError:
        return None
    return b"".join(parts).decode(errors="replace") if answer.status_code == 200 else None
