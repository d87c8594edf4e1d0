"""Short requests ask a server whether it is ready, for its figures, or to answer a probe.

Each has one deadline for all of it, and its answer a limit: a server may send a byte now and then,
or bytes without end. The certificates are read once: httpx would at each of them, in 30 ms of a
core. httpx itself is imported with the first request: many commands make none.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from objectives import waiting
from objectives.plain_data.spellable import spellable

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 4 * 2**20  # of an answer
PAGE_S = 5.0
ANSWER_S = 60.0  # a first one may compile
REFUSALS = (400, 401, 403, 404, 405, 413, 415, 422)  # which no patience changes
AS_IT_IS = {"Accept-Encoding": "identity"}  # a few bytes may unpack to gigabytes


@cache
def certificates() -> ssl.SSLContext:
    """Return what `verify` takes; what a first request would import is there from here on."""
    import anyio._backends._asyncio  # noqa: F401, PLC0415  httpx would, while its time runs
    import httpcore  # noqa: F401, PLC0415  as this one
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """An ask is one request, as it goes to a server.

    Args:
        method: Such as POST.
        url: Where it goes.
        body: As httpx takes it: `json`, `data`, `files`.
    """

    method: str
    url: str
    body: Mapping[str, Any]


class NoAnswer(Exception):
    """No whole answer came, not in time, or one that is too long; its text says which."""


class Refused(Exception):
    """A healthy server refuses a real request, as it will each time; its text says how."""


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """A short answer came whole, in time and within the limit.

    Args:
        status: Its HTTP status.
        body: Its body, as it was sent.
    """

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text, with nothing in it that no file could spell."""
        return spellable(self.body.decode(errors="replace"))


class Asking:
    """While it is entered, short requests go out on connections that stay open."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with self._runner:  # whatever fails, its loop is closed
            if self._client is not None:
                self._runner.run(self._client.aclose())

    def request(self, method: str, url: str, *, within_s: float, **body: Any) -> ShortAnswer:
        """Return the answer to a request; no proxy of the environment is asked.

        Args:
            method: Such as GET.
            url: Where it goes.
            within_s: How long all of it may take, seconds.
            body: As httpx takes it: `json`, `data`, `files`.

        Raises:
            NoAnswer: There was no whole answer.
            KeyboardInterrupt or Overdue: As `objectives.waiting`.
        """
        answer = self._runner.run(self._unless_over(self._ask(method, url, within_s, body)))
        waiting.check()
        if answer is None:  # nobody is told twice that all is over
            raise NoAnswer("the end was asked for")
        return answer

    async def _unless_over(self, asking: Coroutine[Any, Any, ShortAnswer]) -> ShortAnswer | None:
        task = asyncio.ensure_future(asking)
        while not task.done():
            await asyncio.wait({task}, timeout=waiting.LOOK_S)
            if not task.done() and waiting.is_over():
                task.cancel()
                await asyncio.wait({task})
                return None
        return task.result()

    def page(self, url: str, *, within_s: float) -> str | None:
        """Return a page's text; None where it does not answer whole, in time and with 200."""
        try:
            answer = self.request("GET", url, within_s=within_s)
        except NoAnswer:
            return None
        return answer.text if answer.status == 200 else None

    async def _ask(
        self, method: str, url: str, within_s: float, body: dict[str, Any]
    ) -> ShortAnswer:
        import httpx  # noqa: PLC0415

        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=None,  # noqa: S113  one deadline is over all of it
                trust_env=False,
                verify=certificates(),
            )
        parts, size = list[bytes](), 0
        try:
            async with (
                asyncio.timeout(within_s),
                self._client.stream(method, url, headers=AS_IT_IS, **body) as answer,
            ):
                async for part in answer.aiter_raw():
                    parts.append(part)
                    size += len(part)
                    if size > MOST_BYTES:
                        raise NoAnswer(f"an answer of more than {MOST_BYTES:,} bytes")
        except TimeoutError:
            raise NoAnswer(f"no whole answer within {within_s:.3g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"{type(error).__name__}: {spellable(str(error))}"[:300]) from error
        return ShortAnswer(answer.status_code, b"".join(parts))


def request(method: str, url: str, *, within_s: float, **body: Any) -> ShortAnswer:
    """Return the answer to one request, as `Asking.request` does.

    Raises:
        NoAnswer: There was no whole answer.
    """
    with Asking() as asking:
        return asking.request(method, url, within_s=within_s, **body)


def page(url: str | None, *, within_s: float = PAGE_S) -> str | None:
    """Return a page's text, as `Asking.page` does; None also where there is no URL."""
    if url is None:
        return None
    with Asking() as asking:
        return asking.page(url, within_s=within_s)


def answers_once_healthy(
    health_url: str, ask: Ask, read: Callable[[bytes], object], *, within_s: float
) -> bool:
    """Return whether a server's health page is 200, and then one real answer of it is sound.

    Args:
        health_url: The health page.
        ask: What is asked then.
        read: It reads the answer, and raises ValueError where it is not what the API promises.
        within_s: How long all of it may take, seconds; a page and an answer have their own limits.

    Raises:
        Refused: It is healthy, and says that the request is wrong.
    """
    until_s = time.monotonic() + within_s
    with Asking() as asking:
        if asking.page(health_url, within_s=min(PAGE_S, within_s)) is None:
            return False
        left_s = min(ANSWER_S, until_s - time.monotonic())
        try:
            answer = asking.request(ask.method, ask.url, within_s=left_s, **ask.body)
            if answer.status in REFUSALS:
                reason = " ".join(answer.text[:200].split())
                raise Refused(f"HTTP {answer.status}: {reason}")
            read(answer.body)
        except (NoAnswer, ValueError):
            return False
    return answer.status == 200
