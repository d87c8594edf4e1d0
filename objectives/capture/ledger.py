"""A ledger decides what becomes of each exchange that passed: a line of the trace, or a count."""

from __future__ import annotations

from functools import partial

from objectives.capture.exchange import BodyRoom, Exchange, ExchangeEnding
from objectives.capture.lengths import Lengths, Missing
from objectives.capture.mirror import Mirror
from objectives.capture.reader_process import ReaderProcess
from objectives.capture.splice import Address
from objectives.capture.tally import Tally
from objectives.capture.trace_file import TraceWriter
from objectives.services import ApiName

TURN = b"x-turn-id"  # the header by which a client says that a clip and a prompt are one turn
LONGEST_TURN_ID = 200
MIRROR_S = 10.0  # at the end


class ExchangeLedger:
    """A ledger is told of the exchanges before one server.

    Args:
        server: Where that server listens.
        mirror: What gets copies; None for nobody.
        room: The room for bodies, of all ledgers.
        reader: It measures lengths, for all ledgers.
        trace: The file of all ledgers.
        tally: The counts of all ledgers.
    """

    def __init__(
        self,
        server: Address,
        mirror: Mirror | None,
        room: BodyRoom,
        reader: ReaderProcess,
        trace: TraceWriter,
        tally: Tally,
    ) -> None:
        self.server, self.mirror, self.room = server, mirror, room
        self.reader, self.trace, self.tally = reader, trace, tally
        self._mirrored: dict[Exchange, Exchange | None] = {}  # until both have ended

    def whole(self, exchange: Exchange) -> None:
        """Send the mirror its copy as soon as a request has come whole."""
        if exchange.api is None:
            return
        self.trace.begin(exchange.at_s)
        if self.mirror is None:
            return
        if self.mirror.send(exchange, partial(self._mirror_ended, exchange)):
            self._mirrored[exchange] = None
        else:
            self.tally.dropped += 1

    def ended(self, exchange: Exchange) -> None:
        """Have the lengths of an exchange measured, or count why they are not."""
        api = exchange.api
        if api is None:
            self.tally.others += 1
            return
        self.trace.begin(exchange.at_s)
        if exchange in self._mirrored:
            self._compare(exchange)
        missing = reason(exchange)
        if missing is None:
            server, done = self.server, partial(self._measured, exchange, api)
            self.reader.read(exchange, server.host, server.port, done)
        else:
            self.tally.missing[api, missing] += 1
            exchange.request.drop()
            exchange.answer.drop()

    def unreadable(self) -> None:
        """Count a connection that carries something else than HTTP/1, such as a WebSocket."""
        self.tally.unreadable += 1

    async def end(self) -> None:
        """Wait a little for the mirror, and count the copies that it has not answered by then."""
        if self.mirror is not None:
            await self.mirror.end(MIRROR_S)
        self.tally.left_out += len(self._mirrored)
        self._mirrored.clear()

    def _measured(self, exchange: Exchange, api: ApiName, lengths: Lengths) -> None:
        missing = lengths.missing
        if missing is None:
            turn = exchange.header(TURN)[:LONGEST_TURN_ID]
            is_in_trace = self.trace.add(api, exchange.at_s, lengths, turn)
            missing = None if is_in_trace else Missing.FULL
        if missing is None:
            self.tally.kept[api].append(lengths)
            self.tally.left += exchange.ending is ExchangeEnding.CLIENT_LEFT
        else:
            self.tally.missing[api, missing] += 1

    def _mirror_ended(self, exchange: Exchange, copy: Exchange) -> None:
        if exchange in self._mirrored:
            self._mirrored[exchange] = copy
            self._compare(exchange)

    def _compare(self, exchange: Exchange) -> None:
        copy = self._mirrored[exchange]
        if copy is not None and exchange.ending is not None:
            del self._mirrored[exchange]
            self.tally.compare(exchange, copy)


def reason(exchange: Exchange) -> Missing | None:
    """Return why an exchange that has ended has no lengths; None where they can be measured.

    A stream whose client hung up is as long as it was by then, and sound that came whole has its
    length whoever hung up.
    """
    has_left = exchange.ending is ExchangeEnding.CLIENT_LEFT
    is_sound = exchange.api == "transcription"
    if exchange.ending is ExchangeEnding.UNREAD:
        return Missing.UNREAD
    if has_left and (exchange.whole_s is None if is_sound else not exchange.is_stream):
        return Missing.LEFT
    if exchange.status >= 500 or (exchange.has_failed and not has_left and exchange.status < 400):
        return Missing.FAILED
    if exchange.status != 200 and not (has_left and is_sound):
        return Missing.REFUSED
    if exchange.request.is_too_large or (exchange.answer.is_too_large and not is_sound):
        return Missing.TOO_LARGE
    return None
