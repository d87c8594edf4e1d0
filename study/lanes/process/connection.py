"""A connection carries messages between the driver and a lane's process, wherever that runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from objectives.devices.device_set import DeviceSet
from objectives.errors import SetupError
from objectives.plain_data.by_type import ODD_DATA
from study.lanes.process.messages import Message, line_of, message_of


class HasFileno(Protocol):
    """`select` takes whatever has this method."""

    def fileno(self) -> int:
        """Return the number of its descriptor."""


class LaneConnection(ABC):
    """A connection leads to one process of a lane, from its start until that has ended.

    Reading and writing never wait: a lane that is stopped must not stop the driver.

    Attributes:
        output: It can be read once there may be something to hear.
    """

    output: HasFileno

    def __init__(self) -> None:
        self._unsent, self._received = b"", b""

    def tell(self, message: Message) -> None:
        """Write a message, as much of it as is taken now; `flush` writes the rest."""
        self._unsent += line_of(message)
        self.flush()

    def flush(self) -> None:
        """Write what is not written yet; a process that has ended reads none of it."""
        while self._unsent:
            taken = self.send(self._unsent)
            if not taken:
                return
            self._unsent = self._unsent[taken:]

    def messages(self) -> list[Message] | None:
        """Return what the process has told meanwhile; None once it tells nothing any more.

        Raises:
            ValueError: It told what no lane tells.
        """
        is_over = False
        while (data := self.receive()) is not None:
            if not data:
                is_over = True
                break
            self._received += data
        *lines, self._received = self._received.split(b"\n")
        try:
            messages = [message_of(line) for line in lines]
        except ODD_DATA as error:
            raise ValueError(f"it told what no lane tells ({error})") from error
        return None if is_over and not messages else messages

    @abstractmethod
    def send(self, data: bytes) -> int:
        """Write what is taken now; return how many bytes that is."""

    @abstractmethod
    def receive(self) -> bytes | None:
        """Return what has come, nothing at the end, and None where nothing has come."""

    @abstractmethod
    def close(self) -> None:
        """Let the process end in good order: it hears nothing any more."""

    @abstractmethod
    def has_ended(self) -> bool:
        """Return whether the process has ended."""

    @abstractmethod
    def kill(self) -> None:
        """End the process now, also where it is stopped."""

    @abstractmethod
    def last_words(self) -> str:
        """Return how the process ended."""


class CardGone(SetupError):
    """A card of a lane cannot be had any more."""


class Transport(Protocol):
    """A transport starts the processes of lanes where their cards are."""

    def start(self, card: str, log: Path) -> LaneConnection:
        """Start the process of a lane; what it prints goes into a file where it runs."""

    def free_mib(self, devices: DeviceSet) -> Mapping[str, float] | None:
        """Return what is free on the cards of a lost process, MiB by name; None while unknown.

        Raises:
            CardGone: One does not answer.
        """
