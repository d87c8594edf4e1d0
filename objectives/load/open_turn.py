"""An open turn is followed by its replies, in a window and in a ramp alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.load.replies import Reply
from objectives.traffic.workload import Request


@dataclass(slots=True)
class OpenTurn:
    """A turn is open until its last request has been answered, or one of them has failed.

    Args:
        requests: Its requests, in their order; a request outside turns is a turn of one.
        at_s: When the request under way should have left, on the monotonic clock, seconds.
        position: Which of the requests that is.
        is_over: Whether none is under way or to come.
    """

    requests: Sequence[Request]
    at_s: float
    position: int = 0
    is_over: bool = False

    @property
    def waiting(self) -> Request:
        """Return the request that is under way, or is about to leave."""
        return self.requests[self.position]

    def note(self, reply: Reply) -> None:
        """Take what became of the request under way: the next one leaves, or the turn is over."""
        if reply.end_s is None or self.position + 1 == len(self.requests):
            self.is_over = True
        else:
            self.position, self.at_s = self.position + 1, reply.end_s

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
