"""A watch sees the exchanges of one connection in the bytes that pass, and changes none."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

import httptools

from objectives.capture.exchange import BodyRoom, Exchange, ExchangeEnding

MOST_HEAD_BYTES = 2**18  # of a head; longer ones are passed, not read
SWITCHING_PROTOCOLS = 101


class ExchangeListener(Protocol):
    """A listener is told of exchanges, and of a connection that cannot be read any more."""

    room: BodyRoom

    def whole(self, exchange: Exchange) -> None:
        """A request has come whole."""

    def ended(self, exchange: Exchange) -> None:
        """An exchange has ended."""

    def unreadable(self) -> None:
        """What passes on a connection is not HTTP/1, from here on."""


class ConnectionWatch:
    """A watch reads both directions of a connection, behind the bytes.

    Args:
        listener: It is told what was seen.

    Attributes:
        open: The exchanges that have begun and not ended, in order.
        is_blind: Whether the connection can no longer be read: it speaks something else.
        has_answered: Whether any byte of an answer has come.
    """

    def __init__(self, listener: ExchangeListener) -> None:
        self.listener = listener
        self.open: deque[Exchange] = deque()
        self.is_blind = self.has_answered = False
        self.now_s = 0.0
        self._requests, self._answers = _Requests(self), _Answers(self)

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is under way."""
        return not self.open and not self.is_blind and not self._requests.is_under_way

    def sent(self, data: bytes) -> None:
        """Read what the client sent."""
        self._read(self._requests, data)

    def answered(self, data: bytes) -> None:
        """Read what the server answered."""
        self.has_answered = True
        self._read(self._answers, data)

    def client_left(self) -> None:
        """End what is open: the client has hung up."""
        self._end_all(ExchangeEnding.CLIENT_LEFT)

    def server_left(self) -> None:
        """End what is open: an answer that does not tell its length is whole, others are cut."""
        self.now_s = time.monotonic()
        if self.open and self.open[0].status and not self.open[0].is_framed:
            self.end_first(ExchangeEnding.WHOLE)
        self._end_all(ExchangeEnding.SERVER_LEFT)

    def no_server(self) -> None:
        """End what is open: nobody listens there."""
        self._end_all(ExchangeEnding.NO_SERVER)

    def end_first(self, ending: ExchangeEnding) -> None:
        """End the exchange whose answer is due, and tell the listener."""
        exchange = self.open.popleft()
        exchange.end(ending, self.now_s)
        self.listener.ended(exchange)

    def _end_all(self, ending: ExchangeEnding) -> None:
        self.now_s = time.monotonic()
        while self.open:
            self.end_first(ending)

    def _read(self, side: _Requests | _Answers, data: bytes) -> None:
        if self.is_blind:
            return
        self.now_s = time.monotonic()
        try:
            side.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_blind = True
            self.listener.unreadable()
            self._end_all(ExchangeEnding.UNREAD)


class _Side:
    """A side is one direction of a connection; httptools calls its methods, by their names."""

    def __init__(self, watch: ConnectionWatch) -> None:
        self.watch = watch
        self.head_bytes, self.is_in_head = 0, False  # a head has begun, and is not whole

    def bound_head(self, data: bytes) -> None:
        """Give up on a head without end, which the parser would keep."""
        self.head_bytes = self.head_bytes + len(data) if self.is_in_head else 0
        if self.head_bytes > MOST_HEAD_BYTES:
            raise httptools.HttpParserError("a head without end")


class _Requests(_Side):
    def __init__(self, watch: ConnectionWatch) -> None:
        super().__init__(watch)
        self.parser = httptools.HttpRequestParser(self)
        self.exchange: Exchange | None = None
        self.url = b""

    @property
    def is_under_way(self) -> bool:
        return self.exchange is not None

    def feed(self, data: bytes) -> None:
        self.parser.feed_data(data)
        self.bound_head(data)

    def on_message_begin(self) -> None:
        self.exchange = Exchange(self.watch.now_s, self.watch.listener.room)
        self.url, self.is_in_head = b"", True

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.exchange is not None and self.is_in_head:
            self.exchange.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self.exchange is not None  # noqa: S101  a head is part of a message
        self.is_in_head = False
        self.exchange.begin(self.parser.get_method().decode(), self.url.decode("latin-1"))
        self.watch.open.append(self.exchange)

    def on_body(self, data: bytes) -> None:
        assert self.exchange is not None  # noqa: S101
        self.exchange.request.add(data)

    def on_message_complete(self) -> None:
        exchange, self.exchange = self.exchange, None
        assert exchange is not None  # noqa: S101
        exchange.whole_s = self.watch.now_s
        if exchange.ending is None:
            self.watch.listener.whole(exchange)


class _Answers(_Side):
    def __init__(self, watch: ConnectionWatch) -> None:
        super().__init__(watch)
        self.parser: httptools.HttpResponseParser | None = None
        self.is_stream = self.is_framed = self.is_interim = False
        self.encoding = ""

    def feed(self, data: bytes) -> None:
        if self.parser is None:
            self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(data)
        self.bound_head(data)

    def on_message_begin(self) -> None:
        self.is_stream = self.is_framed = self.is_interim = False
        self.encoding, self.is_in_head = "", True

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"content-type":
                self.is_stream = value.lower().startswith(b"text/event-stream")
            case b"content-length" | b"transfer-encoding":
                self.is_framed = True
            case b"content-encoding":
                self.encoding = value.decode("latin-1").strip().lower()

    def on_headers_complete(self) -> None:
        assert self.parser is not None  # noqa: S101
        status = self.parser.get_status_code()
        self.is_in_head = False
        self.is_interim = status < 200  # such as 100: the answer itself follows
        if not self.watch.open or status == SWITCHING_PROTOCOLS:
            raise httptools.HttpParserError("an answer to no request, or another protocol")
        if self.is_interim:
            return
        exchange = self.watch.open[0]
        exchange.status, exchange.is_stream = status, self.is_stream
        exchange.encoding, exchange.is_framed = self.encoding, self.is_framed
        if exchange.method == "HEAD":  # no body follows, whatever the head tells
            self.parser = None
            self.watch.end_first(ExchangeEnding.WHOLE)

    def on_body(self, data: bytes) -> None:
        if self.watch.open and self.parser is not None:
            self.watch.open[0].answered(data, self.watch.now_s)

    def on_message_complete(self) -> None:
        if not self.is_interim and self.parser is not None:
            self.watch.end_first(ExchangeEnding.WHOLE)
