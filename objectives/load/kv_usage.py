"""The usage of KV caches is asked of the servers while they are under load."""

from __future__ import annotations

from typing import Self

from objectives.apis.short_requests import Asking
from objectives.load.sending.plan import Endpoints

TIMEOUT_S = 10.0


class KvUsage:
    """This asks each server that may tell of its KV cache, on a connection that stays open.

    Args:
        endpoints: Where the servers listen.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = {s: e for s, e in endpoints.items() if e.metrics_path is not None}
        self._asking = Asking()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._asking.close()

    def now(self) -> dict[str, tuple[float | None, int | None]]:
        """Return the usage in percent and the preemptions so far by service; None where not told.

        >>> KvUsage({}).now()
        {}
        """
        usage: dict[str, tuple[float | None, int | None]] = {}
        for service, endpoint in self._endpoints.items():
            url = f"{endpoint.url}{endpoint.metrics_path}"
            text = self._asking.page(url, within_s=TIMEOUT_S)
            usage[service] = (None, None) if text is None else endpoint.usage(text)
        return usage
