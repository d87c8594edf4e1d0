"""The certificates are read once: httpx would at each short request, in 30 ms of a core."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def certificates() -> ssl.SSLContext:
    """Return what `verify` takes."""
    return httpx.create_ssl_context(trust_env=False)
