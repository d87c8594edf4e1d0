"""The reader measures lengths in a process of its own, so that no content can hold up traffic.

    python -m objectives.capture.reader

Standard input brings jobs: a line of JSON with the sizes of two bodies, then the bodies. Each is
answered with a line of JSON: the lengths, or why there are none. Nothing else leaves it. Its end is
that of its input.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any, BinaryIO

import httpx  # noqa: F401  now, for once it is nice an import may take longer than a request

from objectives.apis.api import parsed
from objectives.apis.short_requests import NoAnswer, request
from objectives.capture.lengths import Lengths, Missing, sound_lengths, text_lengths

NICENESS = 10  # the servers come first
TOKENIZE_S = 10.0
PAUSES = 4.0  # after /tokenize was asked, so many times as long nothing is asked of it
MOST_PAUSE_S = 2.0  # what is nice may wait for a core itself, and the capture's end waits for it


class Tokenizer:
    """A tokenizer asks a server for its own count of tokens, at a low rate.

    Args:
        host: The server's host.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._next_s = 0.0

    def count(self, prompt: Mapping[str, Any]) -> int | None:
        """Return the tokens of a prompt; None where the server does not say."""
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        begin_s = time.monotonic()
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = f"http://{host}:{self.port}/tokenize"
        try:
            answer = request("POST", url, within_s=TOKENIZE_S, json=prompt)
            data = parsed(answer.body) if answer.status == 200 else None
        except (NoAnswer, ValueError):
            data = None
        end_s = time.monotonic()
        self._next_s = end_s + min(MOST_PAUSE_S, PAUSES * (end_s - begin_s))
        count = data.get("count") if isinstance(data, dict) else None
        return count if type(count) is int and count >= 0 else None


def lengths(job: Mapping[str, Any], request: bytes, answer: bytes, tokenizer: Tokenizer) -> Lengths:
    """Return the lengths of a job's request and answer."""
    if job["api"] == "transcription":
        return sound_lengths(request, job["content_type"])
    try:
        return text_lengths(
            request,
            answer,
            is_stream=job["is_stream"],
            encoding=job["encoding"],
            tokenize=tokenizer.count,
        )
    except (TypeError, KeyError, AttributeError, RecursionError):  # no JSON of OpenAI's shape
        return Lengths(missing=Missing.UNREADABLE)


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer every job until there are no more."""
    tokenizer_of = cache(Tokenizer)
    while line := jobs.readline():
        job = json.loads(line)
        request, answer = jobs.read(job["request"]), jobs.read(job["answer"])
        record = asdict(lengths(job, request, answer, tokenizer_of(job["host"], job["port"])))
        record["missing"] = record["missing"] and record["missing"].value
        answers.write(json.dumps({"number": job["number"], **record}).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Be the reader, to the end of its input."""
    os.nice(NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
