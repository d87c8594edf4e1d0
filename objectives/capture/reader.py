"""The reader measures lengths in a process of its own, so that no content can hold up traffic.

    python -m objectives.capture.reader

Standard input brings jobs: a line of JSON with the sizes of two bodies, then the bodies. Each is
answered with a line of JSON: the lengths, or why there are none. Nothing else leaves it. Its end is
that of its input.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO

from objectives.capture.lengths import Lengths, Missing, sound_lengths, text_lengths

NICENESS = 10  # the servers come first
TOKENIZE_S = 10.0
PAUSES = 4.0  # after /tokenize was asked, so many times as long nothing is asked of it


class Tokenizer:
    """A server's own count of tokens, asked of it at a low rate.

    Args:
        host: The server's host.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def count(self, prompt: Mapping[str, Any]) -> int | None:
        """Return the tokens of a prompt; None where the server does not say."""
        begin_s = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TOKENIZE_S)
        try:
            connection.request(
                "POST", "/tokenize", json.dumps(prompt), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            told = json.loads(answer.read()) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            told = None
        finally:
            connection.close()
        time.sleep(PAUSES * (time.monotonic() - begin_s))
        count = told.get("count") if isinstance(told, dict) else None
        return count if type(count) is int else None


def lengths(job: Mapping[str, Any], request: bytes, answer: bytes) -> Lengths:
    """Return the lengths of a job's request and answer."""
    if job["service"] == "stt":
        return sound_lengths(request, job["content_type"])
    tokenizer = Tokenizer(job["host"], job["port"])
    try:
        return text_lengths(
            request,
            answer,
            is_stream=job["is_stream"],
            encoding=job["encoding"],
            tokenize=tokenizer.count,
        )
    except (TypeError, KeyError, AttributeError):  # JSON of another shape than OpenAI's
        return Lengths(missing=Missing.UNREADABLE)


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer every job until there are no more."""
    while line := jobs.readline():
        job = json.loads(line)
        request, answer = jobs.read(job["request"]), jobs.read(job["answer"])
        told = asdict(lengths(job, request, answer))
        told["missing"] = told["missing"] and told["missing"].value
        answers.write(json.dumps({"number": job["number"], **told}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    os.nice(NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)
