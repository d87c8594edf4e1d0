"""No two servers of ours are given one port, in whatever process they are."""

import secrets
import socket
import subprocess
import sys
import zlib
from contextlib import ExitStack

import pytest

from objectives.errors import SetupError
from objectives.servers import ports
from objectives.servers.ports import claimed_port

CLAIM = """
import sys; from objectives.servers import ports
start = int(sys.argv[1]); ports.PORTS = range(start, start + 4)
with ports.claimed_port() as port: print(port, flush=True); sys.stdin.read()
"""


@pytest.fixture
def first(monkeypatch, request):
    """Return the first of four ports that no other test has."""
    start = 30_000 + 4 * (zlib.crc32(request.node.name.encode()) % 600)
    monkeypatch.setattr(ports, "PORTS", range(start, start + 4))
    return start


def test_claims_differ_and_end_with_their_block(first):
    with ExitStack() as stack:
        mine = {stack.enter_context(claimed_port()) for _ in range(4)}
        assert mine == {*range(first, first + 4)}
        with pytest.raises(SetupError, match=f"no port from {first} to {first + 3} is free"):
            stack.enter_context(claimed_port())
    with claimed_port() as port:
        assert port in mine


def test_a_claim_of_another_process_counts_and_ends_with_it(first, monkeypatch):
    monkeypatch.setattr(secrets, "randbelow", lambda _: 0)
    other = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        taken = int(other.stdout.readline())
        with ExitStack() as stack:
            mine = {stack.enter_context(claimed_port()) for _ in range(3)}
        assert taken not in mine
        other.kill()
        other.wait()
    with ExitStack() as stack:
        assert taken in {stack.enter_context(claimed_port()) for _ in range(4)}


def test_a_port_that_somebody_listens_on_is_left_out(first):
    with socket.create_server(("127.0.0.1", first + 1)), ExitStack() as stack:
        mine = {stack.enter_context(claimed_port()) for _ in range(3)}
    assert first + 1 not in mine
