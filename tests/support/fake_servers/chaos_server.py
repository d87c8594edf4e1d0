"""`chaos_server.py --port N --kind KIND --where WHERE [--after N]` is both servers, and odd.

It is `fakes.py` but for one place: `/health`, `/metrics`, or what is posted after so many good
answers. There it says one of `KINDS`, which no real server says.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

sys.path.append(str(Path(__file__).resolve().parents[1]))

from fake_servers.fakes import START, Fake, Server, parsed, say
from fake_servers.odd_servers import ANSWERS, BODIES, Sent, streaming, whole

KINDS: Mapping[str, Sent] = MappingProxyType(
    {
        **ANSWERS,
        **{f"says {name}": (whole(body), b"") for name, body in BODIES.items()},
        **{f"streams {name}": streaming(body)("") for name, body in BODIES.items()},
    }
)
WHERE = ("health", "metrics", "posts")


class Chaos(Fake):
    """A handler whose odd place sends the bytes of a kind until nobody takes them."""

    def do_GET(self):
        self.oddly() if self.path == f"/{self.server.chaos.where}" else super().do_GET()

    def do_POST(self):
        chaos, server = self.server.chaos, self.server
        with server.lock:
            server.posts += 1
            is_odd = chaos.where == "posts" and server.posts > chaos.after
        if is_odd:
            self.body()
            self.oddly()
        else:
            super().do_POST()

    def oddly(self) -> None:
        once, again = [*KINDS.values()][self.server.chaos.kind]
        self.close_connection = True
        try:
            self.wfile.write(once)
            data, per_s = again if isinstance(again, tuple) else (again, 0.0)
            while again:
                self.wfile.write(data or b"")
                time.sleep(1 / per_s if per_s else 0)
        except OSError:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", type=int, required=True, help="its number")
    parser.add_argument("--where", choices=WHERE, required=True)
    parser.add_argument("--after", type=int, default=0, help="good answers before")
    parser.add_argument("--label", help="makes two commands differ")
    chaos = parser.parse_args()
    with Server(parsed(["--port", str(chaos.port)])) as server:
        server.RequestHandlerClass = Chaos
        server.chaos, server.posts = chaos, 0
        say(START)
        server.serve_forever(0.05)


if __name__ == "__main__":
    main()
