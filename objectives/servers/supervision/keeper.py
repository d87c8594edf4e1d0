"""A keeper ends what a supervisor was in the middle of keeping when somebody killed it.

Usage: `keeper.py CGROUP PROGRAM ID_FILE`, each empty where there is none. Its standard input is a
pipe whose other end the supervisor alone holds: when that closes, for whatever reason, whoever is
left in the cgroup ends, and the container. It carries no mark and belongs to no server, and does
nothing where the supervisor ended well.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

PATIENCE_S = 30.0


def main(words: list[str]) -> None:
    """Wait for the end of the supervisor, then end the cgroup and the container."""
    from objectives.servers.supervision import cgroup, container

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    cgroup.end(Path(words[0]) if words[0] else None, PATIENCE_S)
    container.end(*words[1:])


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[3]))  # it is run as a plain file
    main(sys.argv[1:])
