"""A turn under way sends its requests one after the other, in a window and in a ramp alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from objectives.load.client import Connection
from objectives.load.replies import Reply
from objectives.traffic.workload import Request


@dataclass(slots=True)
class OpenTurn:
    """A turn is under way until its last request has been answered, or one of them has failed.

    Args:
        requests: Its requests, in their order; a request outside turns is a turn of one.
        bodies: Their bodies, made before.
        at_s: When the request under way should have left, on the monotonic clock, seconds.
        position: Which of the requests that is.
    """

    requests: Sequence[Request]
    bodies: Sequence[bytes]
    at_s: float
    position: int = 0

    @property
    def waiting(self) -> Request:
        """Return the request that is under way, or is about to leave."""
        return self.requests[self.position]

    def at_best(self, now_s: float) -> list[Reply]:
        """Return the best that can become of its open requests: an answer now, or at once.

        Args:
            now_s: The time on the monotonic clock, seconds.
        """
        due_s, replies = self.at_s, list[Reply]()
        for request in self.requests[self.position :]:
            end_s = max(due_s, now_s)
            replies.append(
                Reply(
                    service=request.service,
                    scheduled_s=due_s,
                    sent_s=due_s,
                    first_s=due_s,
                    end_s=end_s,
                    turn=request.turn,
                )
            )
            due_s = end_s
        return replies

    async def send(
        self, connection: Connection, due: asyncio.Future[None], note: Callable[[Reply], None]
    ) -> None:
        """Send the first request at its time, and each other once the one before was answered.

        Args:
            connection: The way to the servers.
            due: A future that is done at the time of the first, from `on_time`.
            note: It is called with each reply.
        """
        reply = await connection.send(self.waiting, self.at_s, self.bodies[0], due)
        note(reply)
        while self.position + 1 < len(self.requests) and reply.end_s is not None:
            self.position, self.at_s = self.position + 1, reply.end_s
            reply = await connection.exchange(self.waiting, self.at_s, self.bodies[self.position])
            note(reply)
