"""A server has a port that no other server of ours is given, in whatever process of this machine.

An engine binds its port many seconds after it was started. Ports come from below those that the
kernel gives to clients, so that no connection of a load generator takes one meanwhile.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain

from objectives.errors import SetupError

PORTS = range(20_000, 30_000)


@contextmanager
def claimed_port() -> Iterator[int]:
    """Yield a port of 127.0.0.1 that is free, and that we give to nobody else in the block.

    The claim is a name in the kernel, which frees it with this process.

    Raises:
        SetupError: None is free.
    """
    start = PORTS[secrets.randbelow(len(PORTS))]
    with ExitStack() as stack:
        for port in chain(range(start, PORTS.stop), range(PORTS.start, start)):
            claim = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                claim.bind(f"\0gpu-allocation-port-{port}")
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
            yield port
            return
    raise SetupError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free on this machine")
