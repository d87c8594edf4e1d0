"""A channel is a lane's end of its pipes: it has what the lane is told, and what it tells."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from objectives import waiting
from objectives.devices.telemetry import Occupancy
from objectives.measurement import Measurement
from study.lanes.process.messages import (
    Beat,
    Message,
    Opening,
    Order,
    Prepare,
    Question,
    Verdict,
    line_of,
    message_of,
)

BEAT_S = 5.0
PIECE_BYTES = 2**18
VERDICT_S = 10.0  # the driver may be writing meanwhile; then the rest is measured
END_S = 45.0  # from the driver's end until this process is gone, however busy it is


class Channel:
    """A channel ends this process in good order where the driver closes it or is gone.

    Args:
        reading: What the driver writes into, by its number.
        writing: What the driver reads from, likewise.

    Attributes:
        occupancy: It tells who holds the memory of the card, with each beat.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._lock = threading.Lock()  # of the writing end: beats come from a thread of their own
        self._orders: queue.SimpleQueue[Order | Prepare | None] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self._received = b""
        self._questions = 0
        self.occupancy: Callable[[], Occupancy | None] = lambda: None

    def open(self) -> Opening:
        """Return the first message, and listen and beat from now on.

        Raises:
            EOFError: The driver has ended.
            TypeError: It is another message.
        """
        line = self._line()
        if line is None:
            raise EOFError
        opening = message_of(line)
        if not isinstance(opening, Opening):
            raise TypeError(f"{type(opening).__name__} came before the opening")
        for work in (self._listen, self._beat):
            threading.Thread(target=work, daemon=True).start()
        return opening

    def tell(self, message: Message) -> None:
        """Write a message; one that nobody reads any more is lost, and the process about to end."""
        data = memoryview(line_of(message))
        with self._lock, suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._writing, data) :]

    def order(self) -> Order | Prepare:
        """Return the next order.

        Raises:
            KeyboardInterrupt: The driver has closed the channel, or is gone.
        """
        while True:
            waiting.check()
            with suppress(queue.Empty):
                order = self._orders.get(timeout=waiting.LOOK_S)
                if order is not None:
                    return order

    def is_worth(self, attempt: int, so_far: Measurement) -> bool:
        """Ask the driver whether the rest of a measurement is worth its time.

        It is where no answer comes in time.
        """
        self._questions += 1
        number = self._questions
        self.tell(Question(attempt, number, so_far))
        with suppress(queue.Empty):
            while (verdict := self._verdicts.get(timeout=VERDICT_S)).number != number:
                pass  # that one came too late
            return verdict.is_worth
        return True

    def _line(self) -> bytes | None:
        """Return the next line; None at the end.

        No file of Python's is read: its lock would end a process whose main thread has failed.
        """
        while b"\n" not in self._received:
            data = os.read(self._reading, PIECE_BYTES)
            if not data:
                return None
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        return line

    def _listen(self) -> None:
        while (line := self._line()) is not None:
            match message_of(line):
                case Order() | Prepare() as order:
                    self._orders.put(order)
                case Verdict() as verdict:
                    self._verdicts.put(verdict)
        os.kill(os.getpid(), signal.SIGTERM)  # which is raised where a wait looks
        self._orders.put(None)  # for it to look now
        threading.Event().wait(END_S)
        os._exit(waiting.STOPPED)  # the supervisors end what is left

    def _beat(self) -> None:
        while True:
            self.tell(Beat(self.occupancy()))
            threading.Event().wait(BEAT_S)
