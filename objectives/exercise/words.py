"""The words that a service hears are counted against what was spoken."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.exercise.ready_servers import ReadyServers
from objectives.load.open_loop import one_by_one
from objectives.load.replies import Fault, Reply
from objectives.servers.blame import Suspects, failed_reply
from objectives.speech.wer import WordErrors, word_errors
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request


def count_words(
    servers: ReadyServers, service: str, words: Sequence[Clip], timeout_s: float
) -> tuple[WordErrors, ...]:
    """Send speech to a service that transcribes, and count the words of each clip.

    One that hears nothing in a clip has missed all of its words.

    Args:
        servers: The servers.
        service: The name of the service.
        words: The speech.
        timeout_s: How long an answer may take, seconds.

    Raises:
        TrialFailed: A request failed.
    """
    endpoints = servers.endpoints
    requests = [Request(service, 0.0, clip=n) for n in range(len(words))]
    replies = list[Reply]()
    while rest := requests[len(replies) :]:  # an empty answer ends what follows it
        heard = one_by_one(servers.generator, endpoints, words, rest, timeout_s=timeout_s)
        is_empty = (r.error is not None and r.error.fault == Fault.EMPTY for r in heard)
        raise_first(
            [r for r, empty in zip(heard, is_empty, strict=True) if not empty], servers.suspects
        )
        replies += heard
    return word_errors(
        [r.text or "" for r in replies],
        [c.references for c in words],
        [c.language for c in words],
    )


def raise_first(replies: Sequence[Reply], suspects: Suspects) -> None:
    """Raise what the first failure among replies means.

    Raises:
        TrialFailed: A request failed.
    """
    for reply in replies:
        if reply.error is not None:
            raise failed_reply(reply, suspects)
