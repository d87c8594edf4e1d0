"""A front listens in place of a server, starts it when it is asked, and stops it when it is idle.

It is a command of its own that needs its folder and the standard library alone, so that production
can run what was measured:

    python objectives/on_demand/front.py --port 8001 --idle-s 60 -- SERVER --port {own_port}

Where a server can sleep by itself (vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1), two
paths of it do that in place of a stop: --sleep "/sleep?level=1" --wake /wake_up.

A connection that says the whole head of a request wakes the server and waits for it; the front
forwards bytes as they are, and sees to it that whoever is connected may stay so while the server
sleeps. Who waits longer than ten minutes for an answer keeps it awake no more. Where the server
ends by itself, the front ends with its code.

Who only looks asks for /on-demand/page and then the server's own path, such as
/on-demand/page/metrics: that is no traffic, and 503 while the server sleeps.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
import sys
from pathlib import Path


def port(text: str) -> int:
    """Return the number of a port.

    Raises:
        ValueError: It is none.
    """
    if not 0 < int(text) < 2**16:
        raise ValueError(text)
    return int(text)


def seconds(text: str) -> float:
    """Return a time.

    Raises:
        ValueError: It is none, or has no end.
    """
    if not 0 < float(text) < math.inf:
        raise ValueError(text)
    return float(text)


def main() -> None:
    """Listen in place of a server."""
    from objectives.on_demand.listener import serve
    from objectives.on_demand.woken_server import OWN_PORT, ServerEnded

    parser = argparse.ArgumentParser(description="Start a server when it is asked for.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=port, required=True, help="the port to listen on")
    parser.add_argument("--health", default="/health", help="its page that is 200 once it is ready")
    parser.add_argument("--idle-s", type=seconds, default=60, help="seconds until it is stopped")
    parser.add_argument(
        "--start-s", type=seconds, default=120, help="seconds until it must be ready"
    )
    parser.add_argument("--sleep", default="", help="its own path that lets it sleep, by POST")
    parser.add_argument("--wake", default="", help="its own path that wakes it, by POST")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help=f"{OWN_PORT} is its port")
    try:
        asyncio.run(serve(parser.parse_args()))
    except OSError as error:
        print(f"on demand: it cannot listen: {error.strerror}", file=sys.stderr)
        sys.exit(3)
    except ServerEnded as ended:
        code = int(ended.args[0])
        if code < 0:  # by the same signal, so that whoever watches sees what the server died of
            with contextlib.suppress(OSError):  # of SIGKILL nobody may change what it does
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        sys.exit(code)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))  # it is run as a plain file
    main()
